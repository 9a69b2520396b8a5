//! Clients that do not read, and clients that do not end a line: the server waits for them, and does not grow.

use crate::client::serve;
use crate::raw::{Raw, memory};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SETS: [&str; 2] = ["--tools", "documents"];
/// Their answers have over 60 MB together, and in memory more than twice of that.
const REQUESTS: usize = 300;
const MEMORY: u64 = 90 << 20;

/// Sends all requests, and then ends the input. Counts those that the pipe took.
fn send_all(server: &mut Raw, requests: Vec<Value>) -> Arc<AtomicUsize> {
    let sent = Arc::new(AtomicUsize::new(0));
    let (mut input, count) = (server.input.take().unwrap(), sent.clone());
    std::thread::spawn(move || {
        for request in requests {
            writeln!(input, "{request}").unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    sent
}

/// Waits until no more is sent. On a slow machine it may stop to wait too early, which only makes the test easier.
fn until_it_waits(sent: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    loop {
        let now = sent.load(Ordering::Relaxed);
        if now == before {
            return now;
        }
        before = now;
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn servers_wait_for_clients_that_do_not_read() {
    for is_new in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Raw::start(&mut serve(&dir.path().join("p"), &SETS), is_new);
        server.open();
        let value = json!({"text": "\"".repeat(40_000)});
        server.call("document_put", json!({"key": "k", "value": value})).unwrap();
        let get = json!({"name": "document_get", "arguments": {"key": "k"}, "padding": "x".repeat(5_000)});
        let requests =
            (0..REQUESTS).map(|n| server.request(n, "tools/call", get.clone())).collect();
        let sent = send_all(&mut server, requests);
        let taken = until_it_waits(&sent);
        assert!(taken < REQUESTS, "the server read on without end");
        let (mut answered, mut bytes) = (BTreeSet::new(), 0);
        for n in 0..REQUESTS {
            let mut line = String::new();
            server.output.read_line(&mut line).unwrap();
            bytes += line.len();
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(answer["result"]["isError"], false, "{n}: {answer}");
            assert!(answered.insert(answer["id"].as_u64().unwrap()), "answered twice");
            if n == 0 {
                assert!(memory(server.pid(), "VmHWM") < MEMORY);
            }
        }
        assert!(bytes > 60_000_000 && memory(server.pid(), "VmHWM") < MEMORY, "{bytes}");
        let mut rest = String::new();
        server.output.read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), server.end().code()), ("", Some(0)));
    }
}

#[test]
fn answers_at_the_end_of_the_input_wait_for_their_reader() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Raw::start(&mut serve(&dir.path().join("p"), &SETS), false);
    server.open();
    let value = json!({"text": "\"".repeat(40_000)});
    server.call("document_put", json!({"key": "k", "value": value})).unwrap();
    let get = json!({"name": "document_get", "arguments": {"key": "k"}});
    for n in 0..20 {
        server.send(&server.request(n, "tools/call", get.clone()));
    }
    server.input = None;
    // Longer than rmcp waits.
    std::thread::sleep(Duration::from_secs(7));
    let answered: BTreeSet<u64> =
        (0..20).map(|_| server.receive()["id"].as_u64().unwrap()).collect();
    assert_eq!(answered.len(), 20);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn lines_that_do_not_end_take_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = serve(&dir.path().join("p"), &SETS);
    let mut server = Raw::start(command.stderr(Stdio::inherit()), false);
    server.open();
    let part = vec![b'a'; 1 << 20];
    for _ in 0..100 {
        server.input.as_mut().unwrap().write_all(&part).unwrap();
    }
    assert!(memory(server.pid(), "VmHWM") < 100 << 20);
    server.input.as_mut().unwrap().write_all(b"\n").unwrap();
    assert_eq!(server.receive()["error"]["code"], -32600);
    assert!(server.ask("ping", json!({}))["result"].is_object());
    // The end of the input ends an unfinished line too.
    server.input.as_mut().unwrap().write_all(b"{\"jsonrpc\"").unwrap();
    assert_eq!(server.end().code(), Some(0));
}
