//! The server over HTTP: access, several clients at once, the health report, and a clean end.

pub mod wire;

use crate::client::{LOG, PALACE, run, stdout};
use crate::support::names;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use wire::{Answer, Client, Server, command, head, post_headers, result};

const TOKEN: &str = "0123456789abcdef";

fn increment(by: i64) -> Value {
    json!({"key": "n", "path": "/n", "by": by})
}

fn count(palace: &Path, directory: &str) -> usize {
    names(palace, directory).len()
}

#[tokio::test]
async fn http_clients_of_both_eras_share_a_palace_with_stdio() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let server = Server::start(&path, None);
    let (old, new) =
        (Client::with_session(&server, "old"), Client::without_session(&server, "new"));
    assert!(!path.exists(), "a file was made before the first write");
    let beside = crate::client::Client::start(&path).await;
    std::thread::scope(|scope| {
        for client in [&old, &new] {
            scope.spawn(|| {
                (0..20).for_each(|_| drop(client.call("document_increment", &increment(1))))
            });
        }
    });
    let entity = json!({"name": "Ada", "entityType": "person", "observations": ["beside"]});
    beside.call("create_entities", json!({"entities": [entity]})).await.unwrap();
    for client in [&old, &new] {
        assert_eq!(client.call("document_get", &json!({"key": "n"}))["value"]["n"], 40);
        let graph = client.call("read_graph", &json!({}));
        assert_eq!(graph["entities"][0]["observations"], json!(["beside"]));
    }
    let history = old.call("document_history", &json!({"key": "n", "limit": 100})).to_string();
    assert!(history.contains("old/1") && history.contains("new/1"), "{history}");
    beside.close().await;
}

#[test]
fn http_clients_hear_of_writes_by_clients_of_the_same_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let (ann, bob) =
        (Client::with_session(&server, "ann"), Client::without_session(&server, "bob"));
    for (writer, reader) in [(&ann, &bob), (&bob, &ann)] {
        let start = reader.call("palace_changes_since", &json!({}))["next_cursor"].clone();
        let content = if std::ptr::eq(writer, &ann) { "of Ann" } else { "of Bob" };
        let item = json!({"wing": "w", "room": "r", "content": content});
        let id = writer.call("palace_add_drawer", &item)["drawer_id"].clone();
        let news = reader.call("palace_changes_since", &json!({"cursor": start}));
        assert_eq!(news["count"], 1, "{news}");
        assert_eq!(
            news["changes"][0]["changed"],
            json!([{"kind": "drawer", "id": id, "did": ["filed"]}])
        );
        // Who wants only what other processes wrote can say so.
        let others = json!({"cursor": start, "include_own": false});
        assert_eq!(reader.call("palace_changes_since", &others)["count"], 0);
    }
}

#[test]
fn foreign_hosts_and_origins_are_refused_on_every_path() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let bad = [("Host", "evil.example"), ("Origin", "https://evil.example"), ("Origin", "null")];
    for header in bad {
        for path in ["/mcp", "/health", "/health/locks", "/"] {
            assert_eq!(server.get(path, &[header]).status, 403, "{path} {header:?}");
        }
        assert_eq!(server.post("{}", &[header]).status, 403, "{header:?}");
    }
    let port = server.at.rsplit(':').next().unwrap();
    let (name, page) = (format!("localhost:{port}"), "http://localhost:3000");
    assert_eq!(server.get("/health", &[("Host", &name), ("Origin", page)]).status, 200);
    assert_eq!(server.get("/elsewhere", &[]).status, 404);
}

#[test]
fn tokens_are_required_on_every_path() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), Some(TOKEN));
    for wrong in [&[][..], &[("Authorization", "Bearer 0123456789abcdeF")]] {
        for path in ["/mcp", "/health", "/health/locks", "/"] {
            let answer = server.get(path, wrong);
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
        }
        assert_eq!(server.post("{}", wrong).status, 401);
    }
    let right = [("Authorization", "Bearer 0123456789abcdef")];
    assert_eq!(server.get("/health", &right).status, 200);
    assert_ne!(server.post("{}", &right).status, 401);
}

#[test]
fn addresses_and_tokens_that_let_others_in_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    for (address, token, word) in [
        ("0.0.0.0:0", None, "leave out --no-token"),
        ("0", Some("short"), "CRDT_PALACE_TOKEN is no token"),
        ("nonsense", None, "HOST:PORT"),
    ] {
        let output = command(&path, address, token).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{address} {token:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(word), "{said}");
        assert!(output.stdout.is_empty());
    }
    assert!(!path.exists());
}

#[test]
fn health_lists_live_writers_and_not_killed_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (server, other) = (Server::start(&path, None), Server::start(&path, None));
    let health = server.health();
    assert_eq!((&health["status"], &health["instances"]), (&json!("ok"), &json!([])));
    assert_eq!(server.get("/health/locks", &[]).body, r#"{"locks":[]}"#);
    for server in [&server, &other] {
        for client in ["before", "c"] {
            Client::without_session(server, client).call("document_increment", &increment(1));
        }
    }

    let pids = |health: &Value| -> Vec<Value> {
        health["instances"].as_array().unwrap().iter().map(|it| it["pid"].clone()).collect()
    };
    let health = server.health();
    assert_eq!(pids(&health), [server.pid(), other.pid()]);
    let here = &health["instances"][0];
    assert!(here["program"].as_str().unwrap().starts_with("crdt-palace serve "));
    assert_eq!(here["client"], "c/1", "who wrote last through it");
    assert!(here["bytes"].as_u64().unwrap() > 0);
    let locks: Value = serde_json::from_str(&server.get("/health/locks", &[]).body).unwrap();
    let lock = &locks["locks"][0];
    assert_eq!(lock["resource"], format!("segment {}", here["segment"].as_str().unwrap()));
    let holder = format!("pid {} {} for c/1", server.pid(), here["program"].as_str().unwrap());
    assert_eq!(lock["holder"], holder);
    assert_eq!((&lock["acquired_at"], &lock["ttl"]), (&here["since"], &Value::Null));
    assert!(lock["acquired_at"].as_str().unwrap().ends_with('Z'));

    other.kill();
    let health = server.health();
    assert_eq!(pids(&health), [server.pid()]);
    // The same facts for people.
    let status = stdout(&run(LOG, &["status", "--json", path.to_str().unwrap()]));
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["instances"], health["instances"]);
    assert_eq!(status["locks"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/health", &[("Content-Length", "0")]).status, 200);
    assert_eq!(server.get("/mcp", &[]).status, 406, "a stream of events has to be asked for");
}

#[test]
fn resuming_an_answer_that_is_gone_is_an_error_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let client = Client::with_session(&server, "c");
    let request = client.request("palace_status", &json!({})).to_string();
    let answer = server.post(&request, &client.headers());
    let event = answer.body.lines().find_map(|line| line.strip_prefix("id:")).unwrap().trim();
    for event in [event, "0/99", "no event"] {
        let resume = [("Accept", "text/event-stream"), ("Last-Event-ID", event)];
        let resumed = server.get("/mcp", &[&resume[..], &client.headers()].concat());
        assert_eq!(resumed.status, 410, "{event}: {resumed:?}");
        assert!(resumed.body.contains("Last-Event-ID is not kept"), "{resumed:?}");
    }
}

#[test]
fn oversized_requests_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let large = json!({"jsonrpc": "2.0", "id": 1, "method": "x".repeat(17 << 20)}).to_string();
    assert_eq!(server.post(&large, &[]).status, 413);
}

#[test]
fn sigterm_answers_open_calls_and_seals_the_segment() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("palace");
        let server = Server::start(&path, None);
        let client = Client::with_session(&server, "c");
        // Somebody who listens for ever is no reason to go on.
        let listen = [&client.headers()[..], &[("Accept", "text/event-stream")]].concat();
        let mut notices = BufReader::new(server.open("GET /mcp", &listen));
        assert_eq!(head(&mut notices).0, 200);

        let body = client.request("document_increment", &increment(7)).to_string();
        let length = body.len().to_string();
        let expect = [("Content-Length", &*length), ("Expect", "100-continue")];
        let call = [&post_headers()[..], &client.headers()[..], &expect].concat();
        let mut stream = BufReader::new(server.open("POST /mcp", &call));
        assert_eq!(head(&mut stream).0, 100, "the server reads the call");
        server.signal(signal);
        server.until_closed();
        stream.get_mut().write_all(body.as_bytes()).unwrap();
        assert_eq!(result(&Answer::read(stream))["durable"], true);
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!((count(&path, "open"), count(&path, "sealed")), (0, 1));
        let dump = stdout(&run(LOG, &["dump", path.to_str().unwrap()]));
        assert!(dump.contains("c/1"), "{dump}");
    }
}

#[test]
fn second_signal_ends_the_server_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let expect = [("Content-Length", "9"), ("Expect", "100-continue")];
    let call = [&post_headers()[..], &expect].concat();
    let mut stream = BufReader::new(server.open("POST /mcp", &call));
    assert_eq!(head(&mut stream).0, 100);
    server.signal(Signal::TERM);
    server.until_closed();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn idle_http_servers_leave_no_file_and_print_nothing_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let mut child = command(&path, "0", None);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let server = rustix::process::Pid::from_child(&child);
    let mut child = child;
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.starts_with("crdt-palace: listening on http://127.0.0.1:"), "{line}");
    rustix::process::kill_process(server, Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(!path.exists());
    assert!(run(PALACE, &["serve", "--help"]).status.success());
}
