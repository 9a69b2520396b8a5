//! Writes of a part of a document, by clients that have not read the rest of it.

use crate::client::Client;
use crate::http::wire;
use crate::named_clients::{close, done, start, two};
use serde_json::{Value, json};
use std::path::Path;

async fn put(client: &Client, key: &str, value: Value) -> Value {
    done(client, "document_put", json!({"key": key, "value": value})).await
}

async fn patch(client: &Client, key: &str, patch: Value) -> Value {
    done(client, "document_patch", json!({"key": key, "patch": patch})).await
}

#[tokio::test]
async fn own_values_that_a_patch_replaces_are_not_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    // Too long to come with an answer, so that Bob never knows all of it.
    let long = "x".repeat(30_000);
    put(&ann, "k", json!({"a": 1, "b": {"c": 1, "d": 1}, "n": 1, "long": long})).await;
    let first = patch(&bob, "k", json!({"a": 2, "b": {"c": 2}})).await;
    assert!(first["replaced_unseen"]["text"].as_str().unwrap().contains("\"a\":1"), "{first}");
    for value in [3, 4] {
        let again = patch(&bob, "k", json!({"a": value, "b": {"c": value}})).await;
        assert_eq!(again.get("replaced_unseen"), None, "{again}");
    }
    // Another field is not his, and neither is his own once another client has written it.
    let other = patch(&bob, "k", json!({"a": 5, "b": {"d": 2}})).await;
    assert_eq!(other["replaced_unseen"]["text"], r#"{"b":{"c":4,"d":1}}"#, "{other}");
    patch(&ann, "k", json!({"a": "hers"})).await;
    let other = patch(&bob, "k", json!({"a": 6, "b": {"d": 3}})).await;
    assert_eq!(other["replaced_unseen"]["text"], r#"{"a":"hers"}"#, "{other}");
    // A number that he counted is his, and what he restored.
    put(&ann, "count", json!({"long": "x".repeat(30_000)})).await;
    done(&bob, "document_increment", json!({"key": "count", "path": "/n"})).await;
    let counted = patch(&bob, "count", json!({"n": 7})).await;
    assert_eq!(counted.get("replaced_unseen"), None, "{counted}");
    let [old, older] =
        [put(&ann, "r", json!({"v": 1})).await, put(&ann, "r", json!({"v": 2})).await];
    put(&ann, "r", json!({"v": 3})).await;
    let restored =
        done(&bob, "document_restore", json!({"key": "r", "version": old["etag"]})).await;
    assert_eq!(restored["replaced_unseen"]["text"], r#"{"v":3}"#, "{restored}");
    let again = done(&bob, "document_restore", json!({"key": "r", "version": older["etag"]})).await;
    assert_eq!(again.get("replaced_unseen"), None, "{again}");
    close([ann, bob]).await;
}

/// A drawer of two lines, both in conflict, and the list of the conflicts.
async fn conflicted(palace: &Path) -> (Value, Value) {
    let [ann, bob] = two(palace).await;
    let item = json!({"wing": "w", "room": "r", "content": "one\ntwo"});
    let id = done(&ann, "palace_add_drawer", item).await["drawer_id"].clone();
    done(&bob, "palace_get_drawer", json!({"drawer_id": id})).await;
    for (client, content) in [(&ann, "one, hers\ntwo"), (&bob, "one, his\ntwo\nthree")] {
        let update = json!({"drawer_id": id, "content": content});
        done(client, "palace_update_drawer", update).await;
    }
    let listed = done(&ann, "palace_conflicts", json!({"drawer_id": id})).await;
    close([ann, bob]).await;
    (id, listed["conflicts"][0].clone())
}

/// The calls of a client that make a version from what stands, without that it has read that. Each is made on a document
/// of its own, of which another field is `theirs`.
fn calls_on_what_stands(key: &str, first: &Value) -> Vec<(&'static str, Value)> {
    vec![
        ("document_increment", json!({"key": key, "path": "/n"})),
        ("document_patch", json!({"key": key, "patch": {"n": 1}})),
        ("document_restore", json!({"key": key, "version": first})),
        ("document_restore", json!({"key": key})),
    ]
}

/// Returns true if the author of a partial write was shown the rest, or is told of it when a whole value of its own, made
/// from the `etag`, replaces that.
fn is_told(answer: &Value, written: &Value) -> bool {
    let shown = answer["value"]["theirs"].is_string() || answer["text"].is_string();
    shown || written["replaced_unseen"]["text"].is_string()
}

#[tokio::test]
async fn etag_of_a_write_on_what_stands_is_no_unread_base() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    for length in [10, 30_000] {
        for n in 0..4 {
            let [ann, bob] = two(&path).await;
            let key = format!("k{length}-{n}");
            let theirs = json!({"theirs": "x".repeat(length)});
            let first = put(&ann, &key, theirs).await["etag"].clone();
            let (tool, call) = calls_on_what_stands(&key, &first).remove(n);
            if n == 3 {
                done(&ann, "document_delete", json!({"key": key})).await;
            }
            let made = done(&bob, tool, call).await;
            let whole = json!({"key": key, "value": {"mine": 1}, "base": made["etag"]});
            let written = done(&bob, "document_put", whole).await;
            assert!(is_told(&made, &written), "{tool}, {length}: {written}");
            // What he wrote himself is no news to him.
            let mine = json!({"key": key, "value": {"mine": 2}, "base": written["etag"]});
            assert_eq!(done(&bob, "document_put", mine).await.get("replaced_unseen"), None);
            close([ann, bob]).await;
        }
    }
}

#[tokio::test]
async fn etag_of_a_partial_write_of_a_drawer_is_no_unread_base() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..3 {
        let path = dir.path().join(n.to_string());
        let (id, conflict) = conflicted(&path).await;
        let carl = start("carl", &path).await;
        let (tool, call) = [
            (
                "palace_settle",
                json!({"drawer_id": id, "conflict": 1, "text": "one", "etag": conflict["etag"]}),
            ),
            ("palace_undelete_drawer", json!({"drawer_id": id})),
            ("palace_update_drawer", json!({"drawer_id": id, "room": "s"})),
        ][n]
            .clone();
        if tool == "palace_undelete_drawer" {
            let other = start("ann", &path).await;
            done(&other, "palace_delete_drawer", json!({"drawer_id": id})).await;
            other.close().await;
        }
        let made = done(&carl, tool, call).await;
        let whole = json!({"drawer_id": id, "content": "mine", "base": made["etag"]});
        let written = done(&carl, "palace_update_drawer", whole).await;
        assert!(is_told(&made, &written), "{tool}: {made} {written}");
        carl.close().await;
    }
}

#[tokio::test]
async fn whole_value_in_the_answer_to_a_partial_write_counts_as_read() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    put(&ann, "k", json!({"a": 1})).await;
    let counted = done(&bob, "document_increment", json!({"key": "k", "path": "/n"})).await;
    assert_eq!(counted["value"], json!({"a": 1, "n": 1}), "{counted}");
    let written = put(&bob, "k", json!({"n": 1, "b": 1})).await;
    assert_eq!((written.get("merged"), written.get("replaced_unseen")), (None, None));
    // He knows all of it now, so that it need not come again.
    let counted = done(&bob, "document_increment", json!({"key": "k", "path": "/n"})).await;
    assert_eq!((&counted["count"], counted.get("value")), (&json!(2), None), "{counted}");
    // An etag of a row, as a condition, tells nothing of the rest.
    put(&ann, "l", json!({"a": "x".repeat(30_000)})).await;
    let row = done(&bob, "document_list", json!({"prefix": "l"})).await["documents"][0].clone();
    let call = json!({"key": "l", "patch": {"b": 1}, "if_match": row["etag"]});
    done(&bob, "document_patch", call).await;
    let written = put(&bob, "l", json!({"b": 2})).await;
    assert!(written["replaced_unseen"].is_object(), "{written}");
    close([ann, bob]).await;
}

#[test]
fn calls_without_a_session_show_what_they_are_made_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = wire::Server::start(&dir.path().join("palace"), None);
    let new = wire::Client::without_session(&server, "new");
    new.call("document_put", &json!({"key": "k", "value": {"a": 1}}));
    let counted = new.call("document_increment", &json!({"key": "k", "path": "/n"}));
    assert_eq!(counted["value"], json!({"a": 1, "n": 1}), "{counted}");
}
