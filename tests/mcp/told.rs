//! What a server tells of others: what their changes did, what is in conflict, which programs are older, what it does not
//! offer.

use crate::client::Client;
use crate::named_clients::{close, done, start, two};
use crdt_palace::palace::{Options, Palace, WriteOptions};
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};

/// Kind, id and deeds of each document of the news, in their order.
fn told(news: &Value) -> Vec<(String, String, Vec<String>)> {
    let commits = news["changes"].as_array().unwrap().iter();
    let documents = commits.flat_map(|commit| commit["changed"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let did = |one: &Value| one["did"].as_array().unwrap().iter().map(text).collect();
    documents.map(|one| (text(&one["kind"]), text(&one["id"]), did(one))).collect()
}

#[tokio::test]
async fn changes_since_says_what_each_change_did() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let [ann, bob] = two(&path).await;
    let cursor = done(&ann, "palace_changes_since", json!({})).await["next_cursor"].clone();
    let item = |text: &str| json!({"wing": "w", "room": "r", "content": text});
    let id = done(&bob, "palace_add_drawer", item("One.")).await["drawer_id"].clone();
    for change in [
        json!({"drawer_id": id, "content": "Two."}),
        json!({"drawer_id": id, "room": "s"}),
        json!({"drawer_id": id, "content": "Three.", "wing": "x"}),
    ] {
        done(&bob, "palace_update_drawer", change).await;
    }
    let key = Palace::open(&path).unwrap().keys("drawer/").next().unwrap().unwrap().to_string();
    let deleted = done(&bob, "palace_delete_drawer", json!({"drawer_id": id})).await;
    assert_eq!(deleted["deleted"], true, "{deleted}");
    done(&bob, "document_restore", json!({"key": key})).await;
    let fact = json!({"subject": "Ada", "predicate": "works_at", "object": "Acme", "valid_from": "2024-01-01"});
    done(&bob, "palace_kg_add", fact.clone()).await;
    done(
        &bob,
        "palace_kg_invalidate",
        json!({"subject": "Ada", "predicate": "works_at", "object": "Acme"}),
    )
    .await;
    done(&bob, "document_put", json!({"key": "k", "value": {"n": 1}})).await;
    done(
        &bob,
        "document_increment",
        json!({"key": "k", "path": "/visits", "idempotency_key": "1"}),
    )
    .await;
    done(&bob, "document_delete", json!({"key": "k"})).await;
    done(&bob, "document_restore", json!({"key": "k"})).await;
    let mut twice = item("Five.");
    done(&bob, "palace_add_drawer", twice.clone()).await;
    twice["source_file"] = json!("a.md");
    done(&bob, "palace_add_drawer", twice).await;
    done(&bob, "palace_rename_place", json!({"wing": "w", "to": "Weather"})).await;

    let expected: Vec<(&str, &[&str])> = vec![
        ("drawer", &["filed"]),
        ("drawer", &["edited"]),
        ("drawer", &["moved"]),
        ("drawer", &["edited", "moved"]),
        ("drawer", &["deleted"]),
        ("drawer", &["restored"]),
        ("fact", &["asserted"]),
        ("fact", &["ended"]),
        ("document", &["created"]),
        ("document", &["edited"]),
        ("document", &["deleted"]),
        ("document", &["restored"]),
        ("drawer", &["filed"]),
        ("drawer", &["filed"]),
        ("place", &["renamed"]),
    ];
    let since = json!({"cursor": cursor});
    let news = done(&ann, "palace_changes_since", since.clone()).await;
    let found = told(&news);
    let words: Vec<(&str, Vec<&str>)> = found
        .iter()
        .map(|(kind, _, did)| (kind.as_str(), did.iter().map(String::as_str).collect()))
        .collect();
    for (n, (kind, did)) in expected.iter().enumerate() {
        assert_eq!(words.get(n), Some(&(*kind, did.to_vec())), "{n}: {words:?}");
    }
    assert_eq!(words.len(), expected.len());
    let renamed = &news["changes"][expected.len() - 1]["changed"][0];
    assert_eq!((&renamed["id"], &renamed["to"]), (&json!("w"), &json!("Weather")), "{renamed}");
    assert!(found.iter().take(6).all(|(_, told, _)| json!(told) == id));

    Palace::open(&path).unwrap().compact(Default::default()).unwrap();
    let compacted = done(&ann, "palace_changes_since", since).await;
    assert_eq!(compacted["changes"], news["changes"], "the same after a compaction");
    close([ann, bob]).await;
}

#[tokio::test]
async fn changes_since_flags_conflicts_with_own_writes_until_settled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let [ann, bob] = two(&path).await;
    done(&ann, "document_put", json!({"key": "k", "value": {"n": "one", "m": 0}})).await;
    for client in [&ann, &bob] {
        done(client, "document_get", json!({"key": "k"})).await;
    }
    let cursors = [
        done(&ann, "palace_changes_since", json!({})).await["next_cursor"].clone(),
        done(&bob, "palace_changes_since", json!({})).await["next_cursor"].clone(),
    ];
    done(&ann, "document_put", json!({"key": "k", "value": {"n": "hers", "m": 0}})).await;
    done(&bob, "document_put", json!({"key": "k", "value": {"n": "his", "m": 0}})).await;
    done(&bob, "document_put", json!({"key": "other", "value": {"n": 1}})).await;
    let news = async |client: &Client, cursor: &Value| {
        let news = done(client, "palace_changes_since", json!({"cursor": cursor})).await;
        let commits = news["changes"].as_array().unwrap().clone();
        commits.into_iter().map(|commit| commit["changed"][0].clone()).collect::<Vec<_>>()
    };
    let hers = news(&ann, &cursors[0]).await;
    assert_eq!((&hers[0]["id"], &hers[0]["in_conflict"]), (&json!("k"), &json!(true)), "{hers:?}");
    assert_eq!((&hers[1]["id"], hers[1].get("in_conflict")), (&json!("other"), None));
    let his = news(&bob, &cursors[1]).await;
    assert_eq!((his.len(), &his[0]["in_conflict"]), (1, &json!(true)), "{his:?}");
    // A third client wrote neither.
    let carl = start("carl", &path).await;
    let since = json!({"since": "2020-01-01"});
    let all = done(&carl, "palace_changes_since", since.clone()).await;
    assert!(!all.to_string().contains("in_conflict"), "{all}");

    let conflicts = done(&carl, "document_conflicts", json!({"key": "k"})).await;
    let one = &conflicts["conflicts"][0];
    let settle = json!({"key": "k", "conflict": 1, "value": "both", "etag": one["etag"]});
    done(&carl, "document_settle", settle).await;
    let hers = news(&ann, &cursors[0]).await;
    assert_eq!(hers[0].get("in_conflict"), None, "{hers:?}");
    assert_eq!(hers.last().unwrap()["did"], json!(["edited", "settled"]));
    close([ann, bob, carl]).await;
}

#[tokio::test]
async fn status_counts_what_is_in_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let client = start("ann", &path).await;
    let palace = Palace::open(&path).unwrap();
    let none = json!({"drawers": 0, "others": 0, "at_least": false});
    let status = async || done(&client, "palace_status", json!({})).await;
    assert_eq!(status().await["in_conflict"], none);
    for key in ["notes/a", "notes/b", "drawer/w/r/0f0f0f0f0f0f0f0f0f0f0f0f"] {
        let value = |text: &str| json!({"wing": "w", "room": "r", "content": text, "filings": []});
        let first = palace.put(key, &value("One.")).unwrap().etag;
        for text in ["Two.", "Three."] {
            let options = WriteOptions::new().base(first.clone());
            palace.with(options).put(key, &value(text)).unwrap();
        }
    }
    let all = json!({"drawers": 1, "others": 2, "at_least": false});
    assert_eq!(status().await["in_conflict"], all);
    palace.compact(Default::default()).unwrap();
    assert_eq!(status().await["in_conflict"], all);
    palace.delete("notes/a").unwrap();
    assert_eq!(status().await["in_conflict"]["others"], 1);
    client.close().await;
}

#[tokio::test]
async fn status_names_older_programs_and_sets_not_offered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let old = Options::default().program("crdt-palace serve 0.1.0").open(&path).unwrap();
    old.put("entity/Ada", &json!({"name": "Ada", "entityType": "p", "observations": []})).unwrap();
    let client = Client::start_with(&path, ClientLifecycleMode::Initialize, &[]).await;
    let item = json!({"wing": "w", "room": "r", "content": "One."});
    client.call("palace_add_drawer", item).await.unwrap();
    let status = client.call("palace_status", json!({})).await.unwrap();
    let graph = "the graph of 1 entity is in the set `memory`: --tools palace,memory";
    assert_eq!(status["not_offered"], json!([graph]));
    for instance in status["instances"].as_array().unwrap() {
        let is_old = instance["program"] == "crdt-palace serve 0.1.0";
        assert_eq!(instance.get("older").is_some(), is_old, "{instance}");
        assert_eq!(instance.get("note").is_some(), is_old, "{instance}");
        if is_old {
            let note = instance["note"].as_str().unwrap();
            assert!(note.contains("only one of several texts"), "{note}");
        }
    }
    assert_eq!(status["instances"].as_array().unwrap().len(), 2);
    client.close().await;
    let all = ["--tools", "palace,memory"];
    let client = Client::start_with(&path, ClientLifecycleMode::Initialize, &all).await;
    let status = client.call("palace_status", json!({})).await.unwrap();
    assert_eq!(status.get("not_offered"), None);
    client.close().await;
}

#[tokio::test]
async fn deleted_documents_come_back_without_naming_a_version() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let [ann, bob] = two(&path).await;
    done(&ann, "document_put", json!({"key": "k", "value": {"n": 1}})).await;
    done(&ann, "document_put", json!({"key": "k", "value": {"n": 2}})).await;
    done(&bob, "document_delete", json!({"key": "k"})).await;
    let back = done(&ann, "document_restore", json!({"key": "k"})).await;
    assert_eq!(back["undeleted"]["by"], "bob/1.2", "{back}");
    let got = done(&bob, "document_get", json!({"key": "k"})).await;
    assert_eq!((&got["value"], &got["etag"]), (&json!({"n": 2}), &back["current_etag"]));
    let history = done(&bob, "document_history", json!({"key": "k"})).await;
    assert_eq!(history["versions"].as_array().unwrap().len(), 4);
    let again = done(&ann, "document_restore", json!({"key": "k"})).await;
    assert_eq!((&again["changed"], again.get("undeleted")), (&json!(false), None));
    let error = ann.call("document_restore", json!({"key": "nothing"})).await.unwrap_err();
    assert!(error.contains("there is no document"), "{error}");
    close([ann, bob]).await;
}

#[tokio::test]
async fn deleted_documents_of_other_sets_come_back_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let client = start("ann", &path).await;
    let item = json!({"wing": "w", "room": "r", "content": "We sign."});
    let id = done(&client, "palace_add_drawer", item).await["drawer_id"].clone();
    let palace = Palace::open(&path).unwrap();
    let key = palace.keys("drawer/").next().unwrap().unwrap().to_string();
    let there = client.call("document_restore", json!({"key": key})).await.unwrap_err();
    assert!(there.contains("belong to the drawers"), "{there}");
    done(&client, "palace_delete_drawer", json!({"drawer_id": id})).await;
    done(&client, "document_restore", json!({"key": key})).await;
    let drawer = done(&client, "palace_get_drawer", json!({"drawer_id": id})).await;
    assert_eq!(drawer["content"], "We sign.");
    for hidden in ["moved/w/r/0f", "once/0f"] {
        let error = client.call("document_restore", json!({"key": hidden})).await.unwrap_err();
        assert!(error.contains("belong to"), "{error}");
    }
    client.close().await;
}
