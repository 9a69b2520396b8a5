//! A server on standard input and output, and a client that sends and reads what the test says.

use crate::http::wire::NEW_ERA;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// Killed when dropped.
pub struct Raw {
    pub child: Child,
    pub input: Option<ChildStdin>,
    pub output: BufReader<ChildStdout>,
    is_new: bool,
}

impl Raw {
    /// Starts a server that is not spoken to yet.
    pub fn start(command: &mut Command, is_new: bool) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Raw { input: child.stdin.take(), output, child, is_new }
    }

    /// Opens a session, in the era that has them.
    pub fn open(&mut self) {
        if self.is_new {
            return;
        }
        let client = json!({"name": "raw", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        self.send(
            &json!({"jsonrpc": "2.0", "id": "open", "method": "initialize", "params": params}),
        );
        assert_eq!(self.receive()["id"], "open");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    /// A request in the era of this client.
    pub fn request(&self, id: usize, method: &str, mut params: Value) -> Value {
        if self.is_new {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": NEW_ERA,
                "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    }

    pub fn send(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    /// The next message of the server; null if there is none any more.
    pub fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        if line.is_empty() { Value::Null } else { serde_json::from_str(&line).unwrap() }
    }

    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.send(&self.request(1, method, params));
        let answer = self.receive();
        assert_eq!(answer["id"], 1, "{method}: {answer}");
        answer
    }

    /// The structured result of a call, or the text of its error.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, String> {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        match result["isError"] == true {
            true => Err(result["content"][0]["text"].as_str().unwrap().to_owned()),
            false => Ok(result["structuredContent"].clone()),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the input, and waits for the end of the server.
    pub fn end(mut self) -> ExitStatus {
        self.input = None;
        self.child.wait().unwrap()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A number of bytes in the status of a process, such as `VmHWM`.
pub fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib: u64 = line.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    kib << 10
}

/// Runs a command under limits of `prlimit`, such as `--nproc=1:100`.
pub fn limited(command: &Command, limits: &[&str]) -> Command {
    let mut limited = Command::new("prlimit");
    limited.args(limits).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// Returns true if the system has `prlimit`; otherwise says that the test is skipped.
pub fn has_prlimit() -> bool {
    let found =
        Command::new("prlimit").arg("--version").output().is_ok_and(|it| it.status.success());
    if !found {
        eprintln!("skipped: there is no program prlimit (util-linux)");
    }
    found
}
