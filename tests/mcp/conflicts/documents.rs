//! Conflicts of documents: all of them by page, and settled by one call.

use super::{conflicted, etag_of, refused};
use crate::named_clients::{close, done, start, two};
use crdt_palace::memory::drawers::Drawers;
use crdt_palace::palace::{Palace, WriteOptions};
use serde_json::{Value, json};

/// Documents, each with two fields that two clients have set at once. Returns the keys.
fn conflicted_documents(palace: &Palace, count: usize) -> Vec<String> {
    let long = |n: usize| json!({"a": format!("{n}{}", "x".repeat(500)), "b": n, "c": 0});
    let put = |key: &String| {
        let base = palace.put(key, &long(0)).unwrap().etag;
        for n in 1..=2 {
            palace.with(WriteOptions::new().base(base.clone())).put(key, &long(n)).unwrap();
        }
        palace.put(&format!("{key}-calm"), &long(3)).unwrap();
    };
    let keys: Vec<String> = (0..count).map(|n| format!("notes/{n:03}")).collect();
    keys.iter().for_each(put);
    keys
}

#[tokio::test]
async fn conflicts_of_all_documents_come_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let palace = Palace::open(&path).unwrap();
    let keys = conflicted_documents(&palace, 60);
    conflicted(&Drawers::new(palace.clone()), 0);
    let client = start("ann", &path).await;
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, Value::Null);
    loop {
        let page = done(&client, "document_conflicts", json!({"cursor": cursor})).await;
        for one in page["conflicts"].as_array().unwrap() {
            assert_eq!(one["others"].as_array().unwrap().len(), 1, "{one}");
            found.push(json!([one["key"], one["number"], one["path"]]));
        }
        pages += 1;
        let Some(next) = page.get("next_cursor") else { break };
        cursor = next.clone();
    }
    let expected = keys.iter().flat_map(|key| [json!([key, 1, "/a"]), json!([key, 2, "/b"])]);
    assert_eq!(found, expected.collect::<Vec<_>>(), "and none of a drawer");
    assert!(pages > 1, "all on one page");
    for bad in ["x", "1:2:drawer/a"] {
        refused(&client, "document_conflicts", json!({"cursor": bad})).await;
    }
    client.close().await;
}

/// Arguments that settle a listed conflict of a document.
fn deciding(conflict: &Value, field: &str, value: Value) -> Value {
    let mut arguments = json!({"key": conflict["key"], "conflict": conflict["number"],
        "etag": conflict["etag"]});
    arguments[field] = value;
    arguments
}

#[tokio::test]
async fn document_conflict_is_settled_and_other_edits_stay() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let plan = |title: &str, text: &str, owner: &str, n: i64| json!({"title": title, "text": text, "owner": owner, "n": n});
    let put = json!({"key": "plan", "value": plan("Plan", "one\ntwo\nthree", "-", 0)});
    let base = done(&clients[0], "document_put", put).await["etag"].clone();
    let [hers, his] =
        [plan("A plan", "one\n2\nthree", "ann", 0), plan("The plan", "1\nII\nthree", "-", 5)];
    for (client, value) in clients.iter().zip([&hers, &his]) {
        done(client, "document_put", json!({"key": "plan", "value": value, "base": base})).await;
    }
    let list = done(&clients[0], "document_conflicts", json!({"key": "plan"})).await;
    let conflicts = list["conflicts"].as_array().unwrap().clone();
    let shown = conflicts.iter().map(|one| json!([one["number"], one["path"], one.get("part")]));
    let expected = [json!([1, "/text", true]), json!([2, "/title", null])];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert_eq!(
        *done(&clients[1], "document_conflicts", json!({})).await["conflicts"].as_array().unwrap(),
        conflicts
    );

    let number = deciding(&conflicts[0], "value", json!(2));
    let why = refused(&clients[0], "document_settle", number).await;
    assert!(why.contains("pass a text"), "{why}");
    let take = deciding(&conflicts[0], "take", etag_of(&conflicts[0], "2"));
    let settled = done(&clients[1], "document_settle", take.clone()).await;
    let now = settled["open_conflicts"][0].clone();
    assert_eq!((&now["number"], &now["path"]), (&json!(1), &json!("/title")), "{settled}");
    let again = refused(&clients[1], "document_settle", take).await;
    assert!(again.contains("ETAG_MISMATCH") && again.contains("document_conflicts"), "{again}");
    done(&clients[0], "document_settle", deciding(&now, "value", json!("Our plan"))).await;
    let found = done(&clients[0], "document_get", json!({"key": "plan"})).await;
    let expected = plan("Our plan", "1\n2\nthree", "ann", 5);
    assert_eq!((&found["value"], found.get("conflicts")), (&expected, None));

    for (key, word) in [("none", "there is no document"), ("drawer/w/r/x", "belong to")] {
        let mut arguments = deciding(&now, "value", json!(1));
        arguments["key"] = json!(key);
        let why = refused(&clients[0], "document_settle", arguments).await;
        assert!(why.contains(word), "{why}");
    }
    close(clients).await;
}

/// One client removes an object, and one replaces it by a text, while the other client changes a field in it.
#[tokio::test]
async fn edit_in_a_removed_object_shows_to_both_clients() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let [ann, bob] = &clients;
    let both = |n: i64| json!({"gone": {"n": n}, "new": {"n": n}, "b": 1});
    done(ann, "document_put", json!({"key": "plan", "value": both(1)})).await;
    for client in &clients {
        done(client, "document_get", json!({"key": "plan"})).await;
    }
    let removed = json!({"key": "plan", "value": {"new": "a text", "b": 1}});
    done(ann, "document_put", removed).await;
    let edited = done(bob, "document_put", json!({"key": "plan", "value": both(2)})).await;
    assert_eq!(edited["merged"], true, "{edited}");
    let shown = json!({"gone": {"n": 2}, "new": "a text", "b": 1});
    for client in &clients {
        let found = done(client, "document_get", json!({"key": "plan"})).await;
        assert_eq!(found["value"], shown, "{found}");
        let listed = done(client, "document_conflicts", json!({"key": "plan"})).await;
        let other = &listed["conflicts"][0]["others"][0];
        assert_eq!(
            (&other["value"], &other["by"]),
            (&json!({"n": 2}), &json!("bob/1.2")),
            "{listed}"
        );
    }
    let listed = done(ann, "document_conflicts", json!({"key": "plan"})).await;
    let conflict = &listed["conflicts"][0];
    let take = deciding(conflict, "take", conflict["others"][0]["etag"].clone());
    done(ann, "document_settle", take).await;
    // She has read what he wrote, and removes it once more.
    done(ann, "document_get", json!({"key": "plan"})).await;
    done(ann, "document_patch", json!({"key": "plan", "patch": {"gone": null}})).await;
    let found = done(bob, "document_get", json!({"key": "plan"})).await;
    assert_eq!(
        (&found["value"], found.get("conflicts")),
        (&json!({"new": {"n": 2}, "b": 1}), None)
    );
    close(clients).await;
}

#[tokio::test]
async fn conflict_of_an_entity_is_listed_and_settled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let palace = Palace::open(&path).unwrap();
    let base = palace.put("entity/Eve", &json!({"type": "bot"})).unwrap().etag;
    for kind in ["person", "robot"] {
        let beside = palace.with(WriteOptions::new().base(base.clone()));
        beside.put("entity/Eve", &json!({"type": kind})).unwrap();
    }
    let client = start("ann", &path).await;
    let list = done(&client, "document_conflicts", json!({})).await;
    let [conflict] = list["conflicts"].as_array().unwrap().as_slice() else { panic!("{list}") };
    let other = deciding(conflict, "value", json!("alien"));
    let refused = refused(&client, "document_settle", other).await;
    assert!(refused.contains("belong to the knowledge graph"), "{refused}");
    let take = deciding(conflict, "take", etag_of(conflict, "person"));
    done(&client, "document_settle", take).await;
    assert_eq!(palace.get("entity/Eve").unwrap().unwrap().value["type"], "person");
    let list = done(&client, "document_conflicts", json!({})).await;
    assert_eq!(list["conflicts"], json!([]));
    client.close().await;
}
