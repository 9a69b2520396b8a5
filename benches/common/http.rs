//! A server over HTTP and its clients. A client keeps one connection and takes next to no time of its own.

use super::Result;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// The secret that every client sends.
const TOKEN: &str = "a-token-that-is-only-for-benches";
const PROTOCOL: &str = "2025-11-25";

/// A server on a port of its own. Killed when dropped.
pub struct Server {
    process: std::process::Child,
    /// Its address: `127.0.0.1:PORT`.
    pub at: String,
}

impl Server {
    /// Starts `program`, which is `crdt-palace`, on a palace. Returns once clients can connect.
    pub fn start(program: &str, palace: &Path, tools: &str) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--tools", tools, "--http", "127.0.0.1:0", "--palace"]).arg(palace);
        command.env("CRDT_PALACE_TOKEN", TOKEN).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut server = Server { process: command.spawn()?, at: String::new() };
        let output = server.process.stderr.take().ok_or("no pipe from the server")?;
        let (mut output, mut line) = (BufReader::new(output), String::new());
        output.read_line(&mut line)?;
        let at = line.split_once("http://").and_then(|(_, url)| url.trim().strip_suffix("/mcp"));
        server.at = at.ok_or_else(|| format!("the server does not listen: {line}"))?.to_owned();
        // The pipe must not fill up: a server that waits for it answers nobody.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::stderr()));
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A client with a session.
pub struct Client {
    stream: BufReader<TcpStream>,
    /// The headers of every request, without the length.
    head: String,
    asked: u64,
}

struct Answer {
    status: String,
    session: Option<String>,
    body: String,
}

impl Client {
    /// Opens a session with the server at an address.
    pub fn open(at: &str) -> Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        );
        let mut client = Client { stream: BufReader::new(stream), head, asked: 0 };
        let who = json!({"name": "bench", "version": "1"});
        let hello = json!({"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": who});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello});
        let session = client.post(&hello)?.session.ok_or("the server opened no session")?;
        client.head +=
            &format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: {PROTOCOL}\r\n");
        client.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(client)
    }

    /// Calls a tool and returns its structured result. A tool that reports an error is an error.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        self.asked += 1;
        let params = json!({"name": tool, "arguments": arguments});
        let request =
            json!({"jsonrpc": "2.0", "id": self.asked, "method": "tools/call", "params": params});
        let body = self.post(&request)?.body;
        // An answer is JSON, or the last event of a stream.
        let events = body.lines().filter_map(|line| line.strip_prefix("data:"));
        let message = events.map(str::trim).rfind(|data| !data.is_empty()).unwrap_or(&body);
        let mut message: Value = serde_json::from_str(message)?;
        let failed = message.pointer("/result/isError").and_then(Value::as_bool) != Some(false);
        match message.pointer_mut("/result/structuredContent") {
            Some(result) if !failed => Ok(result.take()),
            _ => Err(format!("{tool}: {message}").into()),
        }
    }

    fn post(&mut self, message: &Value) -> Result<Answer> {
        let body = message.to_string();
        // One write, so that a request is one packet.
        let request = format!("{}Content-Length: {}\r\n\r\n{body}", self.head, body.len());
        self.stream.get_mut().write_all(request.as_bytes())?;
        let answer = self.answer()?;
        match answer.status.starts_with('2') {
            true => Ok(answer),
            false => Err(format!("the server answers {}: {}", answer.status, answer.body).into()),
        }
    }

    fn answer(&mut self) -> Result<Answer> {
        let status = self.line()?.split(' ').nth(1).ok_or("an answer without a status")?.to_owned();
        let (mut session, mut length, mut chunked) = (None, 0, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "mcp-session-id" => session = Some(value.trim().to_owned()),
                "content-length" => length = value.trim().parse()?,
                "transfer-encoding" => chunked = true,
                _ => {}
            }
        }
        let mut body = Vec::new();
        if !chunked {
            self.bytes(length, &mut body)?;
        }
        while chunked {
            let length = u64::from_str_radix(&self.line()?, 16)?;
            self.bytes(length, &mut body)?;
            self.line()?;
            chunked = length > 0;
        }
        Ok(Answer { status, session, body: String::from_utf8(body)? })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err("the server hung up".into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn bytes(&mut self, length: u64, body: &mut Vec<u8>) -> Result {
        let read = self.stream.by_ref().take(length).read_to_end(body)?;
        if read as u64 == length { Ok(()) } else { Err("the server hung up".into()) }
    }
}
