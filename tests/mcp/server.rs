//! The server as clients of both protocol eras meet it.

use crate::client::{Client, Listener, PALACE, eras, observations, serve, soon, texts, transport};
use crate::support::{documents, names};
use crdt_palace::palace::Palace;
use rmcp::ServiceExt;
use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, SubscribeRequestParams, SubscriptionFilter,
    UnsubscribeRequestParams,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::TokioChildProcess;
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MEMORY: [&str; 2] = ["--tools", "memory"];

#[tokio::test]
async fn memory_tools_answer_as_the_reference_in_both_eras() {
    for era in eras() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::start_as(&dir.path().join("palace"), era).await;
        let ada = json!({"name": "Ada", "entityType": "person", "observations": ["one"]});
        let bo = json!({"name": "Bo", "entityType": "person", "observations": []});
        let made = client.call("create_entities", json!({"entities": [ada, bo]})).await;
        assert_eq!(made, Ok(json!({"entities": [ada, bo]})));
        let made = client.call("create_entities", json!({"entities": [ada]})).await;
        assert_eq!(made, Ok(json!({"entities": []})));

        let knows = json!({"from": "Ada", "to": "Bo", "relationType": "knows"});
        let made = client.call("create_relations", json!({"relations": [knows]})).await;
        assert_eq!(made, Ok(json!({"relations": [knows]})));

        let add = json!({"observations": [{"entityName": "Ada", "contents": ["one", "two"]}]});
        let added = client.call("add_observations", add).await;
        let results = json!([{"entityName": "Ada", "addedObservations": ["two"]}]);
        assert_eq!(added, Ok(json!({"results": results})));

        let graph = client.call("read_graph", json!({})).await.unwrap();
        let ada = json!({"name": "Ada", "entityType": "person", "observations": ["one", "two"]});
        assert_eq!(graph, json!({"entities": [ada, bo], "relations": [knows]}));
        let found = client.call("search_nodes", json!({"query": "TWO"})).await.unwrap();
        assert_eq!(found, json!({"entities": [ada], "relations": [knows]}));
        let opened = client.call("open_nodes", json!({"names": ["Bo", "Nobody"]})).await.unwrap();
        assert_eq!(opened, json!({"entities": [bo], "relations": [knows]}));

        let two = json!({"deletions": [{"entityName": "Ada", "observations": ["two"]}]});
        let deleted = client.call("delete_observations", two).await.unwrap();
        let gone = |what: &str| json!({"success": true, "message": format!("{what} deleted successfully")});
        assert_eq!(deleted, gone("Observations"));
        let deleted = client.call("delete_relations", json!({"relations": [knows]})).await.unwrap();
        assert_eq!(deleted, gone("Relations"));
        let both = json!({"entityNames": ["Bo", "Nobody"]});
        let deleted = client.call("delete_entities", both).await.unwrap();
        assert_eq!(deleted, gone("Entities"));
        let graph = client.call("read_graph", json!({})).await.unwrap();
        assert_eq!(observations(&graph, "Ada"), ["one"]);
        assert_eq!(graph["entities"].as_array().unwrap().len(), 1);
        client.close().await;
    }
}

/// Recorded from the reference server, version 2026.8.31.
#[tokio::test]
async fn memory_tool_texts_equal_the_reference_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(&dir.path().join("palace")).await;
    let entity =
        json!({"name": "ünï", "entityType": "t", "observations": ["tab\tline\nend \u{1}"]});
    let made = r#"[
  {
    "name": "ünï",
    "entityType": "t",
    "observations": [
      "tab\tline\nend \u0001"
    ]
  }
]"#;
    let add = json!([{"entityName": "ünï", "contents": ["x"]}]);
    let added = "[\n  {\n    \"entityName\": \"ünï\",\n    \"addedObservations\": [\n      \"x\"\n    ]\n  }\n]";
    let itself = json!([{"from": "ünï", "to": "ünï", "relationType": "is"}]);
    let related = "[\n  {\n    \"from\": \"ünï\",\n    \"to\": \"ünï\",\n    \"relationType\": \"is\"\n  }\n]";
    let calls = [
        ("read_graph", json!({}), "{\n  \"entities\": [],\n  \"relations\": []\n}"),
        ("create_entities", json!({"entities": [entity]}), made),
        ("create_entities", json!({"entities": [entity]}), "[]"),
        ("add_observations", json!({"observations": add}), added),
        ("create_relations", json!({"relations": itself}), related),
        ("delete_relations", json!({"relations": itself}), "Relations deleted successfully"),
    ];
    for (tool, arguments, expected) in calls {
        assert_eq!(texts(&client.result(tool, arguments).await), [expected], "{tool}");
    }
    client.close().await;
}

#[tokio::test]
async fn memory_tools_are_described_as_in_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(&dir.path().join("palace")).await;
    let tools = client.0.list_all_tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    let expected = [
        "create_entities",
        "create_relations",
        "add_observations",
        "delete_entities",
        "delete_observations",
        "delete_relations",
        "read_graph",
        "search_nodes",
        "open_nodes",
    ];
    assert_eq!(names, expected, "also in this order");
    for tool in &tools {
        let tool = serde_json::to_value(tool).unwrap();
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{hint} of {}", tool["name"]);
        }
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(tool["inputSchema"]["properties"].is_object(), "some clients demand it: {tool}");
        let strict = tool["inputSchema"]["additionalProperties"] == false;
        assert_eq!(strict, tool["name"] != "read_graph", "{tool}");
        assert!(!tool.to_string().contains("something is known"), "not for models: {tool}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        assert!(tool["title"].as_str().unwrap().contains(' '), "{tool}");
        assert!(!tool.to_string().contains("$ref"), "some clients cannot follow it: {tool}");
        assert!(tool["description"].as_str().unwrap().len() > 10, "{tool}");
        let deletes = tool["name"].as_str().unwrap().starts_with("delete");
        assert_eq!(tool["annotations"]["destructiveHint"], deletes, "{tool}");
        assert_eq!(tool["annotations"]["idempotentHint"], true, "{tool}");
    }
    client.close().await;
    assert!(!dir.path().join("palace").exists(), "looking at the tools left a trace");
}

#[tokio::test]
async fn bad_memory_calls_are_explained_and_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    for era in eras() {
        let client = Client::start_as(&path, era).await;
        let entity = |name: &str, text: &str| json!({"name": name, "entityType": "t", "observations": [text]});
        let relation = json!({"from": "A", "to": "Nobody", "relationType": "knows"});
        let add = json!([{"entityName": "Nobody", "contents": ["x"]}]);
        let typo = json!({"name": "A", "entityType": "t", "observations": [], "observation": "x"});
        let calls: [(&str, Value, &[&str]); 8] = [
            ("search_nodes", json!({"query": "x", "Query": "y"}), &["Query", "did you mean"]),
            ("create_entities", json!({"entitys": []}), &["entities", "missing"]),
            ("create_entities", json!({"entities": [typo]}), &["observation"]),
            (
                "create_entities",
                json!({"entities": [entity("A", ""), entity(&"n".repeat(600), "")]}),
                &["505", "too long"],
            ),
            (
                "create_entities",
                json!({"entities": [entity("A", ""), entity("a\nb", "")]}),
                &["control"],
            ),
            (
                "create_entities",
                json!({"entities": [entity("A", &"x".repeat(2 << 20))]}),
                &["1048576"],
            ),
            ("create_relations", json!({"relations": [relation]}), &["\"A\"", "create it first"]),
            ("add_observations", json!({"observations": add}), &["\"Nobody\"", "create it first"]),
        ];
        for (tool, arguments, words) in calls {
            let tool: &'static str = tool.to_owned().leak();
            let error = client.call(tool, arguments).await.unwrap_err();
            for word in words {
                assert!(error.contains(word), "{tool}: {error}");
            }
        }
        // Some clients send a dummy argument to a tool that takes none.
        let graph = client.call("read_graph", json!({"random_string": "dummy"})).await.unwrap();
        assert_eq!(graph["entities"], json!([]));
        // Others send fields that the tool does not have; the answers of the reference have no place to say so.
        let found = client.call("search_nodes", json!({"query": "x", "limit": 3})).await.unwrap();
        assert_eq!(found, graph);
        client.close().await;
    }
}

/// What a call wrote, which the reference's structures have no place for.
async fn written(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let result = serde_json::to_value(client.result(tool, arguments).await).unwrap();
    assert_ne!(result["isError"], true, "{result}");
    result["_meta"]["crdt-palace/write"].clone()
}

#[tokio::test]
async fn writes_report_their_effect_in_meta() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let palace = crdt_palace::palace::Palace::open(&path).unwrap();
    let etag = |key: &str| palace.get(key).unwrap().unwrap().etag.to_string();
    for (n, era) in eras().into_iter().enumerate() {
        let client = Client::start_as(&path, era).await;
        let (ada, bo) = (format!("Ada {n}"), format!("Bo {n}"));
        let entity = |name: &str| json!({"name": name, "entityType": "t", "observations": ["x"]});
        let create = json!({"entities": [entity(&ada), entity(&bo)]});
        let made = written(&client, "create_entities", create).await;
        let keys = [format!("entity/{ada}"), format!("entity/{bo}")];
        let etags = json!({&keys[0]: etag(&keys[0]), &keys[1]: etag(&keys[1])});
        assert_eq!(made, json!({"durable": true, "etags": etags, "conflicts": []}));
        assert_eq!(written(&client, "read_graph", json!({})).await, Value::Null);

        // Two who set the same observation at once, and a third who deletes what is shown of it.
        let base = palace.get(&keys[0]).unwrap().unwrap().etag;
        for text in ["y", "z"] {
            let options = crdt_palace::palace::WriteOptions::new().base(base.clone()).by(text);
            let mut value = palace.get_at(&keys[0], &base).unwrap().unwrap().value;
            value["observations"] = json!([text]);
            palace.with(options).put(&keys[0], &value).unwrap();
        }
        let shown = palace.get(&keys[0]).unwrap().unwrap().value["observations"].clone();
        let delete = json!({"deletions": [{"entityName": ada, "observations": shown}]});
        let deleted = written(&client, "delete_observations", delete).await;
        let [conflict] = deleted["conflicts"].as_array().unwrap().as_slice() else {
            panic!("{deleted}")
        };
        assert_eq!(
            (&conflict["key"], &conflict["path"]),
            (&json!(keys[0]), &json!("/observations/0"))
        );
        let mut by: Vec<_> =
            conflict["values"].as_array().unwrap().iter().map(|v| v["by"].clone()).collect();
        by.sort_by_key(Value::to_string);
        assert_eq!(by, ["y", "z"]);
        assert_eq!(deleted["etags"][&keys[0]], etag(&keys[0]));
        let nothing = json!({"deletions": [{"entityName": "Nobody", "observations": []}]});
        let nothing = written(&client, "delete_observations", nothing).await;
        assert_eq!(nothing, json!({"durable": true, "etags": {}, "conflicts": []}));
        client.close().await;
    }
}

#[tokio::test]
async fn history_names_the_client_in_both_eras() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    for (n, era) in eras().into_iter().enumerate() {
        let client = Client::start_as(&path, era).await;
        let entity = json!({"name": format!("e{n}"), "entityType": "t", "observations": []});
        client.call("create_entities", json!({"entities": [entity]})).await.unwrap();
        client.close().await;
    }
    let palace = crdt_palace::palace::Palace::open_read_only(&path).unwrap();
    let commits = palace.changes_since(&Default::default(), 10).unwrap().commits;
    let by: Vec<&str> = commits.iter().map(|commit| commit.by.as_str()).collect();
    assert_eq!(by, ["test-client/1.2", "test-client/1.2"]);
}

#[tokio::test]
async fn graph_is_readable_as_a_resource() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(&dir.path().join("palace")).await;
    let entity = json!({"name": "e", "entityType": "t", "observations": ["x"]});
    client.call("create_entities", json!({"entities": [entity]})).await.unwrap();
    let resources = client.0.list_all_resources().await.unwrap();
    assert_eq!(resources.len(), 1);
    let uri = "memory://knowledge-graph";
    let params = rmcp::model::ReadResourceRequestParams::new(uri);
    let read = serde_json::to_value(client.0.read_resource(params).await.unwrap()).unwrap();
    let graph: Value = serde_json::from_str(read["contents"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(graph, json!({"entities": [entity], "relations": []}));
    let none = rmcp::model::ReadResourceRequestParams::new("memory://none");
    assert!(client.0.read_resource(none).await.is_err());
    client.close().await;
}

fn one_entity(name: &str) -> Value {
    json!({"entities": [{"name": name, "entityType": "t", "observations": []}]})
}

#[tokio::test]
#[expect(deprecated, reason = "clients of eras before 2026-07-28 ask in this way")]
async fn graph_subscribers_hear_of_writes_by_another_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let writer = Client::start(&path).await;
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let subscriber = Listener(sender).serve(transport(&path, &MEMORY)).await.unwrap();
    let uri = "memory://knowledge-graph";
    subscriber.subscribe(SubscribeRequestParams::new(uri)).await.unwrap();
    for name in ["first", "second"] {
        writer.call("create_entities", one_entity(name)).await.unwrap();
        assert_eq!(soon(heard.recv()).await.unwrap(), uri);
    }
    let none = SubscribeRequestParams::new("memory://none");
    assert!(subscriber.subscribe(none).await.is_err());
    subscriber.unsubscribe(UnsubscribeRequestParams::new(uri)).await.unwrap();
    subscriber.cancel().await.unwrap();
    // Its sender went with it, so this is all that it heard.
    while let Some(notice) = heard.recv().await {
        assert_eq!(notice, uri);
    }
    writer.close().await;
}

#[tokio::test]
async fn graph_listeners_of_the_new_era_hear_of_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let [old, new] = eras();
    let (writer, listener) =
        (Client::start_as(&path, old).await, Client::start_as(&path, new).await);
    let uri = "memory://knowledge-graph";
    let asked =
        SubscriptionFilter::builder().resource_subscriptions([uri, "memory://none"]).build();
    let mut subscription = listener.0.peer().listen(asked).await.unwrap();
    let granted = subscription.acknowledged().resource_subscriptions.clone();
    assert_eq!(granted, Some(vec![uri.to_owned()]));
    let mut next = async || {
        let notice = soon(subscription.next()).await.unwrap().unwrap();
        serde_json::to_value(notice).unwrap()["params"]["uri"].clone()
    };
    // The first notice comes at once, whatever happens; the others after each write.
    assert_eq!(next().await, uri);
    for name in ["first", "second"] {
        writer.call("create_entities", one_entity(name)).await.unwrap();
        assert_eq!(next().await, uri);
    }
    listener.close().await;
    writer.close().await;
}

/// A client of a server of documents that may write files of at most `limit` blocks of 512 bytes, or of 1 KiB in some
/// shells.
async fn limited_client(palace: &Path, limit: u64) -> Client {
    let limited = r#"ulimit -f "$2"; exec "$0" serve --tools documents --palace "$1""#;
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", limited, PALACE]).arg(palace).arg(limit.to_string());
    let transport = TokioChildProcess::new(command).unwrap();
    let config = ClientConfig::new(ClientCapabilities::default(), Implementation::new("raw", "1"));
    let era = ClientLifecycleMode::Initialize;
    Client(config.serve_with_lifecycle(transport, era).await.unwrap())
}

#[tokio::test]
async fn writes_beyond_the_file_size_limit_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let large: String = (0..120_000).map(|n| n.to_string()).collect();
    let put = |text: &str| json!({"key": text[..5], "value": {"text": text}});
    let client = limited_client(&path, 512).await;
    for _ in 0..2 {
        // The kernel writes what fits.
        let error = client.call("document_put", put(&large)).await.unwrap_err();
        assert!(error.contains("bytes were written"), "{error}");
        client.call("document_put", put("small")).await.unwrap();
    }
    client.close().await;

    // Here it refuses every write, with SIGXFSZ.
    let client = limited_client(&path, 0).await;
    for _ in 0..2 {
        let error = client.call("document_put", put("other")).await.unwrap_err();
        assert!(error.contains("File too large"), "{error}");
        let found = client.call("document_get", json!({"key": "small"})).await.unwrap();
        assert!(found.to_string().contains("small"), "{found}");
    }
    client.close().await;
    let kept: Vec<_> = documents(&Palace::open(&path).unwrap()).into_keys().collect();
    assert_eq!(kept, ["small"]);
}

/// A server with these bytes on its standard input, to its end.
fn served(palace: &Path, input: &[u8], set: impl FnOnce(&mut Command)) -> Output {
    let mut command = serve(palace, &MEMORY);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    set(&mut command);
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Its exit code and standard output, while it logs everything.
fn session(palace: &Path, input: &[u8]) -> (Option<i32>, String) {
    let output = served(palace, input, |command| {
        command.env("CRDT_PALACE_LOG", "trace").stderr(Stdio::null());
    });
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
"#;

#[test]
fn client_errors_and_hang_ups_are_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let wrong = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"none"}}"#;
    let input = format!("{INITIALIZE}{wrong}\n");
    let output = served(&path, input.as_bytes(), |_| {});
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));

    let output = served(&path, input.as_bytes(), |command| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
    });
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
        (Some(0), "")
    );
    assert!(!path.exists());
}

#[test]
fn unreadable_messages_are_answered_and_end_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let call = |id: u32, depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"read_graph","arguments":{{"x":{open}{close}}}}}}}"#
        )
    };
    let calls = [call(2, 100), call(3, 200), "no JSON".to_owned(), call(4, 1)].join("\n");
    let (code, said) =
        session(&dir.path().join("palace"), format!("{INITIALIZE}{calls}\n").as_bytes());
    let answers = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let code_of = |answer: &Value| answer["error"]["code"].as_i64();
    let mut found: Vec<_> = answers.map(|it| (it["id"].as_u64(), code_of(&it))).collect();
    found.sort_unstable();
    let fine = |id| (Some(id), None);
    let expected = vec![(None, Some(-32700)), fine(1), fine(2), (Some(3), Some(-32602)), fine(4)];
    assert_eq!((code, found), (Some(0), expected), "{said}");
}

/// It is a call that runs for ever, and calls that run are waited for.
#[test]
fn listeners_that_hang_up_do_not_keep_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let listen = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
        "notifications": {"resourceSubscriptions": ["memory://knowledge-graph"]},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        },
    }});
    let mut child = serve(&dir.path().join("palace"), &MEMORY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{listen}\n").as_bytes()).unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    // That it listens, and the notice that comes at once.
    let first = [said.next().unwrap().unwrap(), said.next().unwrap().unwrap()];
    assert!(first[0].contains("notifications/subscriptions/acknowledged"), "{first:?}");
    assert!(first[1].contains("notifications/resources/updated"), "{first:?}");
    drop(input);
    let answer: Value = serde_json::from_str(&said.next().unwrap().unwrap()).unwrap();
    assert!(answer["id"] == 1 && answer["result"].is_object(), "{answer}");
    let output = child.wait_with_output().unwrap();
    // It would say that it was tired of waiting.
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn probes_that_hang_up_leave_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    assert_eq!(session(&path, b""), (Some(0), String::new()));
    assert!(!path.exists());
}

#[test]
fn stdout_carries_only_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let entity = json!({"name": "e", "entityType": "t", "observations": ["x"]});
    let call = |id: u32, name: &str, arguments: Value| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": name, "arguments": arguments}})
    };
    let lines = [
        call(2, "create_entities", json!({"entities": [entity]})),
        call(3, "search_nodes", json!({"no": 1})),
        call(4, "read_graph", json!({})),
    ];
    let calls: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (code, output) = session(&path, format!("{INITIALIZE}{calls}").as_bytes());
    assert_eq!(code, Some(0));
    let answers: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut ids: Vec<u64> = answers.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4], "calls in flight at the end of input are answered");
    assert!(answers.iter().all(|answer| answer["jsonrpc"] == "2.0"));
}

#[tokio::test]
async fn terminated_servers_seal_their_segment_and_exit_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let mut child = tokio::process::Command::from(serve(&path, &MEMORY))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = {
        let transport = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        Client(
            rmcp::ServiceExt::serve(rmcp::model::ClientConfig::default(), transport).await.unwrap(),
        )
    };
    let entity = json!({"name": "e", "entityType": "t", "observations": ["x"]});
    client.call("create_entities", json!({"entities": [entity]})).await.unwrap();
    let files = |directory: &str| names(&path, directory).len();
    assert_eq!((files("open"), files("sealed")), (1, 0));
    let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert_eq!((files("open"), files("sealed")), (0, 1));
    client.0.close().await.unwrap();
}
