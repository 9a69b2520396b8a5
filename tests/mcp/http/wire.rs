//! HTTP/1.1 by hand, as the tests need it: one request a connection, and every byte under their control.

use crate::client::serve;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

pub const NEW_ERA: &str = "2026-07-28";

/// A server over HTTP on a port of its own. Killed when dropped.
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`
    pub at: String,
}

pub fn command(palace: &Path, address: &str, token: Option<&str>) -> Command {
    let mut command = serve(palace, &["--tools", "palace,memory,documents", "--http", address]);
    command.env_remove("CRDT_PALACE_TOKEN").stdin(Stdio::null());
    match token {
        Some(token) => command.env("CRDT_PALACE_TOKEN", token),
        None => command.arg("--no-token"),
    };
    command
}

impl Server {
    pub fn start(palace: &Path, token: Option<&str>) -> Self {
        Server::of(&mut command(palace, "0", token))
    }

    /// The server that a command starts.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        said.read_line(&mut line).unwrap();
        let at = line.trim_end().strip_prefix("crdt-palace: listening on http://").unwrap();
        let at = at.strip_suffix("/mcp").unwrap().to_owned();
        // Whatever else it says stays visible to whoever reads the output of the test.
        std::thread::spawn(move || said.lines().for_each(|line| eprintln!("{}", line.unwrap())));
        Server { child, at }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until nobody listens any more.
    pub fn until_closed(&self) {
        while TcpStream::connect(&self.at).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Sends the head of a request, with `Host` unless that is among the headers.
    pub fn open(&self, line: &str, headers: &[(&str, &str)]) -> TcpStream {
        let mut head = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.at);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(&self.at).unwrap();
        write!(stream, "{head}\r\n").unwrap();
        stream
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        Answer::read(BufReader::new(self.open(&format!("GET {path}"), headers)))
    }

    pub fn post(&self, body: &str, headers: &[(&str, &str)]) -> Answer {
        let length = body.len().to_string();
        let all = [&post_headers()[..], &[("Content-Length", &length)], headers].concat();
        let mut stream = self.open("POST /mcp", &all);
        // A server that refuses may have hung up already.
        drop(stream.write_all(body.as_bytes()));
        Answer::read(BufReader::new(stream))
    }

    pub fn health(&self) -> Value {
        let answer = self.get("/health", &[]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn post_headers() -> [(&'static str, &'static str); 2] {
    [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// Reads to the end of the connection.
    pub fn read(mut stream: impl BufRead) -> Self {
        let (status, headers) = head(&mut stream);
        let mut body = String::new();
        let chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        let mut more = chunked;
        while more {
            let mut length = String::new();
            stream.read_line(&mut length).unwrap();
            let length = u64::from_str_radix(length.trim_end(), 16).unwrap();
            stream.by_ref().take(length).read_to_string(&mut body).unwrap();
            stream.read_line(&mut String::new()).unwrap();
            more = length > 0;
        }
        // A server that did not want the whole request resets the connection after its answer.
        drop(stream.read_to_string(&mut body));
        Answer { status, headers, body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The message of an answer in JSON, or the last one of a stream of events.
    pub fn message(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(self.events().last().unwrap_or(&self.body)).unwrap()
    }

    /// The messages of a stream of events.
    pub fn messages(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{self:?}");
        self.events().map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    fn events(&self) -> impl Iterator<Item = &str> {
        let events = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        events.map(str::trim).filter(|data| !data.is_empty())
    }
}

/// The status and the headers, their names in lower case.
pub fn head(stream: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &String| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    (status, lines[1..].iter().map(header).collect())
}

/// A client of one of the two eras.
pub struct Client<'a> {
    server: &'a Server,
    name: &'static str,
    session: Option<String>,
}

impl<'a> Client<'a> {
    /// Of the era of sessions.
    pub fn with_session(server: &'a Server, name: &'static str) -> Self {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": name, "version": "1"},
        });
        let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let answer = server.post(&message.to_string(), &[]);
        assert_eq!(answer.message()["result"]["serverInfo"]["name"], "crdt-palace");
        let session = Some(answer.header("mcp-session-id").unwrap().to_owned());
        let client = Client { server, name, session };
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(client.send(&ready, &[]).status, 202);
        client
    }

    /// Of the era without.
    pub fn without_session(server: &'a Server, name: &'static str) -> Self {
        Client { server, name, session: None }
    }

    pub fn headers(&self) -> Vec<(&str, &str)> {
        match &self.session {
            Some(session) => {
                vec![("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-11-25")]
            }
            None => vec![("MCP-Protocol-Version", NEW_ERA)],
        }
    }

    fn send(&self, message: &Value, headers: &[(&str, &str)]) -> Answer {
        self.server.post(&message.to_string(), &[&self.headers()[..], headers].concat())
    }

    /// The request of a call of a tool.
    pub fn request(&self, tool: &str, arguments: &Value) -> Value {
        let mut params = json!({"name": tool, "arguments": arguments});
        if self.session.is_none() {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": NEW_ERA,
                "io.modelcontextprotocol/clientInfo": {"name": self.name, "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    }

    pub fn call(&self, tool: &str, arguments: &Value) -> Value {
        let request = self.request(tool, arguments);
        let answer = self.send(&request, &[("Mcp-Method", "tools/call"), ("Mcp-Name", tool)]);
        result(&answer)
    }
}

/// The structured result of a call that went well.
pub fn result(answer: &Answer) -> Value {
    let message = answer.message();
    assert_eq!(message["result"]["isError"], false, "{message}");
    message["result"]["structuredContent"].clone()
}
