//! The end of a server detaches no thread.
//!
//! glibc's `pthread_detach` reads the thread once more after it has marked it, and a thread that ends in
//! between frees that memory: the server crashed there, after it had answered everything. Here the server
//! runs with a `pthread_detach` that aborts the process.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use crate::client::serve;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

const SHIM: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void loaded(void) { fputs("detaching is watched\n", stderr); }
int pthread_detach(pthread_t thread) {
    (void)thread;
    fputs("a thread was detached\n", stderr);
    abort();
}
"#;

/// The library that watches, built by what builds SQLite.
fn shim(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("shim.c"), dir.join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(built.unwrap().success());
    library
}

struct Server {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Server {
    fn start(dir: &Path, options: &[&str]) -> Self {
        let mut command = serve(&dir.join("palace"), options);
        command.env("LD_PRELOAD", shim(dir));
        let (input, output, errors) = (Stdio::piped(), Stdio::piped(), Stdio::piped());
        let mut process = command.stdin(input).stdout(output).stderr(errors).spawn().unwrap();
        let mut errors = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        assert_eq!(line, "detaching is watched\n");
        Server {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
            errors,
        }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input.as_ref().unwrap(), "{message}").unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Many calls at once, so that there are threads.
    fn write(&mut self) {
        let client = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        self.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client}));
        assert_eq!(self.receive()["id"], 0);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        for n in 1..=20 {
            let call =
                json!({"name": "document_put", "arguments": {"key": "a", "value": {"n": n}}});
            self.send(&json!({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": call}));
        }
        for _ in 1..=20 {
            let answer = self.receive();
            assert_eq!(answer["result"]["isError"], false, "{answer}");
        }
    }

    fn signal(&self) {
        let pid = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    fn ends_well(mut self) {
        let mut errors = String::new();
        self.errors.read_to_string(&mut errors).unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}: {errors}");
        assert_eq!(errors, "");
    }
}

#[test]
fn servers_whose_input_ends_detach_no_thread() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--tools", "documents"]);
    server.write();
    server.input = None;
    server.ends_well();
}

#[test]
fn terminated_servers_that_read_input_detach_no_thread() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--tools", "documents"]);
    server.write();
    server.signal();
    server.ends_well();
}

#[test]
fn http_servers_detach_no_thread() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--http", "127.0.0.1:0", "--no-token"]);
    let mut line = String::new();
    server.errors.read_line(&mut line).unwrap();
    server.errors.read_line(&mut String::new()).unwrap();
    let address = line.trim_end().rsplit_once("http://").unwrap().1.trim_end_matches("/mcp");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.signal();
    server.ends_well();
}
