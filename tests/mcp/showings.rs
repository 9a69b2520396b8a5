//! What counts as shown to a client: a delete is compared with the newest showing of any kind.

use crate::client::Client;
use crate::named_clients::{close, done, two};
use serde_json::{Value, json};

async fn put(client: &Client, key: &str, n: i64) -> Value {
    let put = json!({"key": key, "value": {"n": n, "title": "The plan"}});
    done(client, "document_put", put).await["etag"].clone()
}

async fn update(client: &Client, id: &Value, content: &str) -> Value {
    let update = json!({"drawer_id": id, "content": content});
    done(client, "palace_update_drawer", update).await["etag"].clone()
}

/// Asks for a delete, and tells whether it was made.
async fn deletes(client: &Client, tool: &'static str, target: Value) -> bool {
    let answer = done(client, tool, target).await;
    let deleted = answer["deleted"].as_bool().unwrap();
    assert_eq!(answer.get("changed_since").is_some(), !deleted, "{tool}: {answer}");
    deleted
}

/// Calls a tool, whether it succeeds or not.
async fn ask(client: &Client, tool: &'static str, arguments: Value) {
    drop(client.result(tool, arguments).await);
}

/// Ways to show something of the document `k`, of which `first` is a version, or of `other`.
fn document_showings(first: &Value) -> Vec<(&'static str, Value)> {
    let settle = json!({"key": "k", "conflict": 1, "value": 1, "etag": "0123456789abcdef"});
    let repeated = json!({"key": "other", "path": "/n", "idempotency_key": "1"});
    vec![
        ("document_history", json!({"key": "k"})),
        ("document_get", json!({"key": "k", "path": "/n"})),
        ("document_get", json!({"key": "k", "version": first})),
        ("document_list", json!({})),
        ("document_search", json!({"query": "plan"})),
        ("document_conflicts", json!({"key": "k"})),
        ("document_settle", settle),
        ("document_put", json!({"key": "k", "value": {}, "if_match": "0123456789abcdef"})),
        ("palace_changes_since", json!({"since": "2020-01-01"})),
        ("document_increment", repeated),
    ]
}

#[tokio::test]
async fn delete_of_a_document_is_compared_with_every_showing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let count = document_showings(&Value::Null).len() as i64;
    for n in 0..count {
        let [ann, bob] = two(&path).await;
        let first = put(&ann, "k", 1_000 + n).await;
        let (tool, arguments) = document_showings(&first).remove(n as usize);
        let of_k = arguments["key"] != "other";
        ask(&bob, tool, arguments.clone()).await;
        let target = json!({"key": if of_k { "k" } else { "other" }});
        if of_k {
            put(&ann, "k", 5_000).await;
        } else {
            // The answer to a repeated call names the version of now.
            bob.close().await;
            let bob = crate::named_clients::start("bob", &path).await;
            ask(&bob, tool, arguments).await;
            put(&ann, "other", 5_000).await;
            assert!(!deletes(&bob, "document_delete", target.clone()).await, "{tool}");
            assert!(deletes(&bob, "document_delete", target).await, "{tool}");
            close([ann, bob]).await;
            continue;
        }
        assert!(!deletes(&bob, "document_delete", target.clone()).await, "{n}: {tool}");
        assert!(deletes(&bob, "document_delete", target).await, "{n}: {tool}");
        close([ann, bob]).await;
    }
}

#[tokio::test]
async fn delete_of_a_drawer_is_compared_with_every_showing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let text = "We sign every token of every release with Ed25519 keys that live for a day";
    let item = |text: String| json!({"wing": "w", "room": "r", "content": text});
    for n in 0..5 {
        let [ann, bob] = two(&path).await;
        let filed = done(&ann, "palace_add_drawer", item(format!("{text} {n}"))).await;
        let id = &filed["drawer_id"];
        let settle =
            json!({"drawer_id": id, "conflict": 1, "text": "x", "etag": "0123456789abcdef"});
        let similar =
            json!({"items": [{"wing": "w", "room": "s", "content": format!("{text}, {n}")}]});
        let (tool, arguments) = [
            ("palace_changes_since", json!({"since": "2020-01-01"})),
            ("palace_settle", settle),
            ("palace_get_drawer", json!({"drawer_id": id, "version": filed["etag"]})),
            ("palace_checkpoint", similar),
            ("palace_undelete_drawer", json!({"drawer_id": id})),
        ][n]
            .clone();
        let version = arguments.get("version").is_some();
        if version {
            // The named version is older than the present one already.
            update(&ann, id, "another text").await;
        }
        ask(&bob, tool, arguments).await;
        if !version {
            update(&ann, id, "another text").await;
        }
        let target = json!({"drawer_id": id});
        assert!(!deletes(&bob, "palace_delete_drawer", target.clone()).await, "{tool}");
        assert!(deletes(&bob, "palace_delete_drawer", target).await, "{tool}");
        close([ann, bob]).await;
    }
}

#[tokio::test]
async fn delete_after_news_of_the_present_version_is_made_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    let first = put(&ann, "k", 1).await;
    ask(&bob, "document_get", json!({"key": "k"})).await;
    // Two versions that were written at once: the present one has two parts.
    for n in [2, 3] {
        let based = json!({"key": "k", "value": {"n": n}, "base": first});
        done(&ann, "document_put", based).await;
    }
    let read = done(&bob, "palace_changes_since", json!({"since": "2020-01-01"})).await;
    assert_eq!(read["count"], 3, "{read}");
    // An old version that is looked at again hides nothing of that.
    ask(&bob, "document_get", json!({"key": "k", "version": first})).await;
    assert!(deletes(&bob, "document_delete", json!({"key": "k"})).await);

    put(&ann, "l", 1).await;
    ask(&bob, "document_get", json!({"key": "l"})).await;
    put(&ann, "l", 2).await;
    ask(&bob, "document_history", json!({"key": "l"})).await;
    assert!(deletes(&bob, "document_delete", json!({"key": "l"})).await);
    close([ann, bob]).await;
}
