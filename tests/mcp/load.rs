//! Servers over HTTP under more connections, sessions and bytes than anyone needs: they stay usable, and their memory is
//! bounded.

use crate::client::{PALACE, serve};
use crate::http::wire::{Answer, Client, Server, command, post_headers};
use crate::raw::{has_prlimit, limited, memory};
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// A message whose arguments are nothing but numbers.
fn numbers(bytes: usize) -> String {
    let list = "0,".repeat(bytes / 2);
    format!(
        r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"document_get","arguments":{{"key":[{list}0]}}}}}}"#
    )
}

fn initialize(client: &str) -> String {
    let client = json!({"name": client, "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string()
}

#[test]
fn unfinished_requests_keep_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let client = Client::with_session(&server, "c");
    let head = [&post_headers()[..], &[("Content-Length", "1000")]].concat();
    let mut unfinished = Vec::new();
    for n in 0..700 {
        let mut stream = server.open("POST /mcp", &head);
        // The server may have closed it for another one.
        drop(stream.write_all(&b"{".repeat(n % 3)));
        unfinished.push(stream);
        if n % 100 == 99 {
            assert_eq!(server.health()["status"], "ok");
            client.call("document_increment", &json!({"key": "n", "path": "/n", "by": 1}));
        }
    }
    assert_eq!(client.call("document_get", &json!({"key": "n"}))["value"]["n"], 7);
}

#[test]
fn sessions_are_bounded_and_unused_ones_end_first() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let client = Client::with_session(&server, "c");
    client.call("document_increment", &json!({"key": "n", "path": "/n", "by": 1}));
    let begin = || {
        let answer = server.post(&initialize("other"), &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("mcp-session-id").unwrap().to_owned()
    };
    let ask = |session: &str| {
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
        server.post(&ping, &[("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-11-25")])
    };
    let first = begin();
    assert_eq!(ask(&first).status, 200);
    let unused = begin();
    let before = memory(server.pid(), "VmRSS");
    let begun: Vec<_> = (0..500).map(|_| begin()).collect();
    let last = begun.last().unwrap();
    let after = memory(server.pid(), "VmRSS");
    assert!(after < before + (64 << 20), "{before} and then {after}");
    assert_eq!((ask(last).status, ask(&first).status), (200, 200));
    let gone = ask(&unused);
    assert_eq!(gone.status, 404);
    assert!(gone.body.contains("Send initialize"), "{gone:?}");
    assert_eq!(client.call("document_get", &json!({"key": "n"}))["value"]["n"], 1);
    let large = server.post(&initialize(&"c".repeat(1 << 20)), &[]);
    assert_eq!(large.message()["error"]["code"], -32600, "a session would keep it");
}

#[test]
fn heads_beyond_the_limit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    assert_eq!(server.get("/health", &[("X-Long", &"x".repeat(50_000))]).status, 200);
    // To the byte as much as the server takes of an endless head: it hangs up on a client that goes on sending, whose
    // system may then discard the answer.
    let mut stream = TcpStream::connect(&server.at).unwrap();
    let begin = "GET /health HTTP/1.1\r\nX-Long: ";
    write!(stream, "{begin}{}", "x".repeat((64 << 10) - begin.len())).unwrap();
    assert_eq!(Answer::read(BufReader::new(stream)).status, 431);
}

#[test]
fn bodies_of_many_values_take_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let (many, fewer) = (numbers(13 << 20), numbers(900_000));
    let send = |body: &str| server.post(body, &Client::without_session(&server, "c").headers());
    // One after the other: a slow machine must not need the time limit of a body for all of them.
    for _ in 0..3 {
        let answer = send(&many);
        assert_eq!(answer.message()["error"]["code"], -32600, "{answer:?}");
        assert!(answer.body.contains("values"), "{answer:?}");
        assert_ne!(send(&fewer).status, 500);
    }
    let highest = memory(server.pid(), "VmHWM");
    assert!(highest < 400 << 20, "{highest}");
    assert_eq!(server.health()["status"], "ok");
}

/// The call of a tool of the memory set by a client of the new era.
fn call(server: &Server, tool: &str, arguments: &Value) -> Answer {
    let client = Client::without_session(server, "c");
    let named = [("Mcp-Method", "tools/call"), ("Mcp-Name", tool)];
    let headers = [&client.headers()[..], &named].concat();
    server.post(&client.request(tool, arguments).to_string(), &headers)
}

#[test]
fn worst_calls_fit_into_three_gibibytes() {
    if !has_prlimit() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let server = Server::of(&mut limited(&command(&path, "0", None), &["--as=3221225472"]));
    let entities = |part: usize| -> Value {
        let one = |n: usize| {
            let text = format!("{part} {n} ").repeat(150_000);
            json!({"name": format!("e{part}-{n}"), "entityType": "t", "observations": [text]})
        };
        json!({"entities": (0..10).map(one).collect::<Vec<_>>()})
    };
    for part in 0..4 {
        let made = call(&server, "create_entities", &entities(part)).message();
        assert_eq!(made["result"]["isError"], false);
    }
    let text = |n: usize| json!({"text": format!("apple {n} ").repeat(60_000)});
    for n in 0..30 {
        let put = json!({"key": format!("large/{n}"), "value": text(n)});
        assert_eq!(call(&server, "document_put", &put).message()["result"]["isError"], false);
    }
    let numbers = numbers(13 << 20);
    // An error or not: an answer.
    let answered = |answer: Answer| assert!(answer.message()["id"].is_number(), "{answer:?}");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| answered(call(&server, "read_graph", &json!({}))));
            scope.spawn(|| answered(call(&server, "search_nodes", &json!({"query": "3 "}))));
            scope.spawn(|| answered(call(&server, "document_search", &json!({"query": "apple"}))));
            scope.spawn(|| answered(call(&server, "document_get", &json!({"key": "large/1"}))));
            scope.spawn(|| answered(call(&server, "palace_status", &json!({}))));
            scope.spawn(|| {
                answered(server.post(&numbers, &[("MCP-Protocol-Version", "2026-07-28")]))
            });
            scope.spawn(|| answered(call(&server, "create_entities", &entities(7))));
        }
    });
    let whole = call(&server, "read_graph", &json!({})).message();
    let error = whole["result"]["content"][0]["text"].as_str().unwrap();
    assert!(error.contains("ask for less"), "{}", &error[..error.len().min(300)]);
    let part = call(&server, "open_nodes", &json!({"names": ["e1-1"]})).message();
    assert_eq!(part["result"]["structuredContent"]["entities"][0]["name"], "e1-1");
    assert_eq!(server.health()["status"], "ok");
}

#[test]
fn imports_of_the_largest_lines_fit_into_three_gibibytes() {
    if !has_prlimit() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("memory.jsonl");
    let mut lines = std::fs::File::create(&file).unwrap();
    let list = "0,".repeat(15 << 19);
    writeln!(lines, r#"{{"type":"entity","name":"a","entityType":"t","observations":[{list}0]}}"#)
        .unwrap();
    writeln!(
        lines,
        r#"{{"type":"entity","name":"b","entityType":"t","observations":["{}"]}}"#,
        "x".repeat(15 << 20)
    )
    .unwrap();
    writeln!(lines, r#"{{"type":"entity","name":"c","entityType":"t","observations":["small"]}}"#)
        .unwrap();
    let mut import = Command::new(PALACE);
    import.arg("import").arg(&file).arg("--palace").arg(dir.path().join("palace"));
    let output = limited(&import, &["--as=3221225472"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code().is_some() && !said.contains("panicked"),
        "{}: {said}",
        output.status
    );
    let mut server = crate::raw::Raw::start(
        serve(&dir.path().join("palace"), &["--tools", "memory"]).stderr(Stdio::null()),
        false,
    );
    server.open();
    let found = server.call("open_nodes", json!({"names": ["c"]})).unwrap();
    assert_eq!(found["entities"][0]["observations"], json!(["small"]), "{said}");
}

#[test]
fn streams_of_notices_leave_places_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("palace"), None);
    let client = Client::with_session(&server, "c");
    let mut listen: Vec<(String, String)> = Vec::new();
    let mut streams = Vec::new();
    let refused = loop {
        // rmcp ends the streams of a session if there are too many.
        if streams.len() % 16 == 0 {
            let another = Client::with_session(&server, "c");
            listen =
                another.headers().into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            listen.push(("Accept".to_owned(), "text/event-stream".to_owned()));
        }
        let listen: Vec<_> = listen.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut stream = BufReader::new(server.open("GET /mcp", &listen));
        let (status, _) = crate::http::wire::head(&mut stream);
        if status != 200 {
            break status;
        }
        streams.push(stream);
    };
    assert_eq!((refused, streams.len()), (503, 256));
    assert_eq!(server.health()["status"], "ok");
    client.call("document_increment", &json!({"key": "n", "path": "/n", "by": 1}));
}
