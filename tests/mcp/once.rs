//! Calls with an idempotency key: sent by many processes, after a kill, a restart and a compaction, they take effect once.

use crate::client::{Client, serve};
use crate::named_clients::{done, start};
use crdt_palace::memory::drawers::Drawers;
use crdt_palace::palace::Palace;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

/// Processes that send the same call at once.
const PROCESSES: usize = 20;

/// A server that was sent its one call.
struct Sent {
    process: Child,
    /// Held open: at its end a server stops.
    _input: ChildStdin,
}

fn send(palace: &Path, tool: &str, arguments: &Value) -> Sent {
    let mut command = serve(palace, &["--tools", "palace,documents"]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    let client = json!({"name": "c", "version": "1"});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let call = json!({"name": tool, "arguments": arguments});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    ] {
        writeln!(input, "{message}").unwrap();
    }
    Sent { process, _input: input }
}

impl Sent {
    /// Waits for the result of the call.
    fn answer(mut self) -> Value {
        let output = BufReader::new(self.process.stdout.take().unwrap());
        let lines =
            output.lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let answer = lines.into_iter().find(|message| message["id"] == 2).unwrap();
        self.kill();
        answer["result"].clone()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Sends a call until it is not refused because other writers held the lock for too long.
fn sent(palace: &Path, tool: &str, arguments: &Value) -> Value {
    loop {
        let result = send(palace, tool, arguments).answer();
        if result["structuredContent"]["error"] != "BUSY" {
            assert_ne!(result["isError"], true, "{result}");
            return result["structuredContent"].clone();
        }
    }
}

#[test]
fn call_of_many_processes_with_one_key_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    for round in 0..3 {
        let call =
            json!({"key": "visits", "path": "/n", "idempotency_key": format!("call {round}")});
        let all: Vec<Sent> =
            (0..PROCESSES).map(|_| send(&path, "document_increment", &call)).collect();
        let mut answers = Vec::new();
        for (n, sent) in all.into_iter().enumerate() {
            // Some are killed, wherever they are: before the call is read, in the middle of it, after it.
            match n % 3 {
                0 => sent.kill(),
                _ => answers.push(sent.answer()["structuredContent"].clone()),
            }
        }
        answers.retain(|answer| answer["error"] != "BUSY");
        for _ in 0..3 {
            answers.push(sent(&path, "document_increment", &call));
        }
        for answer in &answers {
            assert_eq!((&answer["count"], &answer["changed"]), (&json!(round + 1), &json!(true)));
            assert_eq!(answer["etag"], answers[0]["etag"], "{answers:?}");
        }
        let first = answers.iter().filter(|answer| answer["repeated"] != true).count();
        assert!(first <= 1, "{answers:?}");
        let palace = Palace::open(&path).unwrap();
        assert_eq!(palace.get("visits").unwrap().unwrap().value["n"], round + 1);
        palace.compact(Default::default()).unwrap();
        assert_eq!(sent(&path, "document_increment", &call)["repeated"], true, "after compaction");
        assert_eq!(palace.history("visits").unwrap().len(), round + 1);
    }
}

async fn refused(client: &Client, tool: &'static str, arguments: Value) -> String {
    client.call(tool, arguments).await.unwrap_err()
}

#[tokio::test]
async fn repeated_document_calls_answer_as_the_first_did() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (ann, bob) = (start("ann", &path).await, start("bob", &path).await);
    let made = json!({"key": "k", "value": {"list": ["a"]}});
    let base = done(&ann, "document_put", made).await["etag"].clone();
    let calls = [
        ("document_put", json!({"key": "k", "value": {"list": ["a", "b"]}, "base": base})),
        ("document_patch", json!({"key": "k", "patch": {"title": "T"}})),
        ("document_increment", json!({"key": "k", "path": "/n", "by": 7, "base": base})),
        ("document_restore", json!({"key": "k", "version": base})),
    ];
    for (n, (tool, mut call)) in calls.into_iter().enumerate() {
        call["idempotency_key"] = json!(format!("{n}"));
        let first = done(&ann, tool, call.clone()).await;
        assert_eq!(first.get("repeated"), None, "{tool}: {first}");
        for client in [&ann, &bob] {
            let again = done(client, tool, call.clone()).await;
            assert_eq!(again["repeated"], true, "{tool}: {again}");
            for field in ["etag", "changed", "durable", "count", "merged", "current_etag"] {
                assert_eq!(again[field], first[field], "{tool}: {field}");
            }
        }
        let stands = done(&bob, "document_get", json!({"key": "k"})).await["value"].clone();
        done(&bob, "document_patch", json!({"key": "k", "patch": {"later": n}})).await;
        let again = done(&ann, tool, call.clone()).await;
        assert_ne!(again["current_etag"], first["current_etag"], "it is the version of now");
        let mut now = done(&bob, "document_get", json!({"key": "k"})).await["value"].clone();
        now.as_object_mut().unwrap().remove("later");
        let mut before = stands;
        before.as_object_mut().unwrap().remove("later");
        assert_eq!(now, before, "{tool} was made once");

        call["key"] = json!("other");
        call.as_object_mut().unwrap().remove("base");
        if tool != "document_restore" {
            assert_eq!(done(&ann, tool, call).await.get("repeated"), None, "another target");
        }
    }
    let listed = done(&ann, "document_list", json!({})).await["documents"].clone();
    let keys: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["key"].clone()).collect();
    assert_eq!(keys, ["k", "other"], "records are not listed");
    ann.close().await;
    bob.close().await;
}

#[tokio::test]
async fn repeated_call_says_again_what_it_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (ann, bob) = (start("ann", &path).await, start("bob", &path).await);
    done(&ann, "document_put", json!({"key": "k", "value": {"text": "hers"}})).await;
    let call = json!({"key": "k", "value": {"text": "his"}, "idempotency_key": "1"});
    let first = done(&bob, "document_put", call.clone()).await;
    let again = done(&bob, "document_put", call).await;
    assert_eq!(first["replaced_unseen"]["by"], "ann/1.2", "{first}");
    assert_eq!(again["replaced_unseen"], first["replaced_unseen"]);
    ann.close().await;
    bob.close().await;
}

#[tokio::test]
async fn key_of_another_call_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let client = start("ann", &path).await;
    let call =
        |by: i64, key: &str| json!({"key": "k", "path": "/n", "by": by, "idempotency_key": key});
    done(&client, "document_increment", call(1, "a")).await;
    let error = refused(&client, "document_increment", call(2, "a")).await;
    assert!(error.contains("other arguments") && error.contains("nothing was written"), "{error}");
    for (key, why) in [(String::new(), "is empty"), ("é".repeat(201), "1 to 200")] {
        let error = refused(&client, "document_increment", call(1, &key)).await;
        assert!(error.contains(why), "{error}");
    }
    let patch = json!({"key": "k", "patch": {"a": 1}, "idempotency_key": "a"});
    assert!(refused(&client, "document_patch", patch).await.contains("other arguments"));
    done(&client, "document_increment", call(1, &"é".repeat(200))).await;
    let got = done(&client, "document_get", json!({"key": "k"})).await;
    assert_eq!(got["value"], json!({"n": 2}));
    client.close().await;
}

#[tokio::test]
async fn repeated_diary_entry_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let call = json!({"agent_name": "Scout", "entry": "A day.", "idempotency_key": "monday"});
    let client = start("ann", &path).await;
    let first = done(&client, "palace_diary_write", call.clone()).await;
    let again = done(&client, "palace_diary_write", call.clone()).await;
    assert_eq!((first.get("repeated"), &again["repeated"]), (None, &json!(true)));
    client.close().await;
    let restarted = start("ann", &path).await;
    let later = done(&restarted, "palace_diary_write", call.clone()).await;
    for field in ["entry_id", "etag", "timestamp", "wing", "topic", "agent"] {
        assert_eq!((&again[field], &later[field]), (&first[field], &first[field]), "{field}");
    }
    let mut other = call.clone();
    other["entry"] = json!("Another day.");
    assert!(refused(&restarted, "palace_diary_write", other).await.contains("other arguments"));
    let entries = done(&restarted, "palace_diary_read", json!({"agent_name": "Scout"})).await;
    assert_eq!(entries["total"], 1);
    // A deleted entry stays deleted.
    let id = first["entry_id"].clone();
    done(&restarted, "palace_delete_drawer", json!({"drawer_id": id})).await;
    let after = done(&restarted, "palace_diary_write", call).await;
    assert_eq!((&after["entry_id"], &after["etag"]), (&id, &first["etag"]));
    let entries = done(&restarted, "palace_diary_read", json!({"agent_name": "Scout"})).await;
    assert_eq!(entries["total"], 0);
    restarted.close().await;
}

#[tokio::test]
async fn repeated_checkpoint_files_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let client = start("ann", &path).await;
    let items = json!([{"wing": "w", "room": "r", "content": "We sign with Ed25519."},
        {"wing": "w", "room": "r", "content": "We deploy on Mondays."}]);
    let diary = json!({"agent_name": "Scout", "entry": "Decided."});
    let call = json!({"items": items, "diary": diary, "idempotency_key": "1"});
    let first = done(&client, "palace_checkpoint", call.clone()).await;
    let mut again = done(&client, "palace_checkpoint", call.clone()).await;
    assert_eq!(again.as_object_mut().unwrap().remove("repeated"), Some(json!(true)));
    assert_eq!(again, first);
    let id = first["items"][0]["drawer_id"].clone();
    done(&client, "palace_delete_drawer", json!({"drawer_id": id})).await;
    let again = done(&client, "palace_checkpoint", call).await;
    assert_eq!((&again["items"][0]["drawer_id"], &again["items"][0]["etag"]), (&id, &Value::Null));
    let drawers = Drawers::new(Palace::open(&path).unwrap());
    assert_eq!(drawers.counts(None).unwrap()["w"]["r"], 1, "what was deleted since stays deleted");
    assert_eq!(drawers.read_diary("Scout", None, 9).unwrap().total, 1);
    client.close().await;
}
