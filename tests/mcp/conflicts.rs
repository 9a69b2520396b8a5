//! Conflicts as clients see them: in lists, one by one, and settled by one call that keeps all other edits.

mod answers;
mod decisions;
mod documents;
mod open;

use crate::client::{Client, texts};
use crate::named_clients::{close, done, start, two};
use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
use crdt_palace::palace::{Palace, WriteOptions};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const TEXT: &str = "Plan\nSign with RSA.\nDeploy on Mondays.\nLog to a file.\nThe end";

/// The text of the error of a call that is refused.
async fn refused(client: &Client, tool: &'static str, arguments: Value) -> String {
    let result = client.result(tool, arguments).await;
    assert_eq!(result.is_error, Some(true), "{tool}: {:?}", texts(&result));
    texts(&result).swap_remove(0)
}

/// A drawer that both clients have read, and each has changed and written back as a whole.
async fn raced(clients: &[Client; 2], room: &str, texts: [&str; 2]) -> Value {
    let item = json!({"wing": "w", "room": room, "content": TEXT});
    let id = done(&clients[0], "palace_add_drawer", item).await["drawer_id"].clone();
    for client in clients {
        done(client, "palace_get_drawer", json!({"drawer_id": id})).await;
    }
    for (client, text) in clients.iter().zip(texts) {
        let change = json!({"drawer_id": id, "content": text});
        done(client, "palace_update_drawer", change).await;
    }
    id
}

async fn content(client: &Client, id: &Value) -> String {
    let drawer = done(client, "palace_get_drawer", json!({"drawer_id": id})).await;
    drawer["content"].as_str().unwrap().to_owned()
}

/// The open conflicts of a drawer.
async fn listed(client: &Client, id: &Value) -> Vec<Value> {
    let list = done(client, "palace_conflicts", json!({"drawer_id": id})).await;
    assert_eq!(list["next_cursor"], Value::Null);
    list["conflicts"].as_array().unwrap().clone()
}

/// The readings of a conflict, each with its writer and etag, sorted by their values.
fn readings(conflict: &Value) -> Vec<[Value; 3]> {
    let others = conflict["others"].as_array().unwrap().iter();
    let all = std::iter::once(&conflict["shown"]).chain(others);
    let mut all: Vec<_> =
        all.map(|one| ["value", "by", "etag"].map(|field| one[field].clone())).collect();
    all.sort_by_key(|[value, ..]| value.to_string());
    all
}

/// The etag of the reading with this value.
fn etag_of(conflict: &Value, value: &str) -> Value {
    let [.., etag] =
        readings(conflict).into_iter().find(|[reading, ..]| *reading == json!(value)).unwrap();
    etag
}

/// Arguments that settle a listed conflict of a drawer.
fn settling(conflict: &Value, field: &str, value: Value) -> Value {
    let mut arguments = json!({"drawer_id": conflict["drawer_id"], "conflict": conflict["number"],
        "etag": conflict["etag"]});
    arguments[field] = value;
    arguments
}

#[tokio::test]
async fn taking_a_reading_keeps_all_other_edits() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let hers = TEXT.replace("RSA", "Ed25519").replace("Mondays", "Fridays");
    let his = TEXT.replace("RSA", "ECDSA").replace("a file", "the journal");
    for taken in ["Sign with ECDSA.", "Sign with Ed25519."] {
        let id = raced(&clients, taken.trim_end_matches('.'), [&hers, &his]).await;
        let conflicts = listed(&clients[0], &id).await;
        let [conflict] = conflicts.as_slice() else { panic!("{conflicts:?}") };
        let place = ["drawer_id", "number", "path", "part"].map(|field| conflict[field].clone());
        assert_eq!(place, [id.clone(), json!(1), json!("/content"), json!(true)]);
        let found = readings(conflict).into_iter().map(|[value, by, _]| [value, by]);
        let expected = [["Sign with ECDSA.", "bob/1.2"], ["Sign with Ed25519.", "ann/1.2"]]
            .map(|one| one.map(Value::from));
        assert_eq!(found.collect::<Vec<_>>(), expected);

        let take = settling(conflict, "take", etag_of(conflict, taken));
        let settled = done(&clients[1], "palace_settle", take.clone()).await;
        assert_eq!(settled["conflicts"].as_array().unwrap().len(), 1, "{settled}");
        assert_eq!(settled.get("open_conflicts"), None, "{settled}");
        let both = TEXT.replace("Mondays", "Fridays").replace("a file", "the journal");
        let both = both.replace("Sign with RSA.", taken);
        assert_eq!(content(&clients[0], &id).await, both);
        assert_eq!(listed(&clients[0], &id).await, Vec::<Value>::new());

        // A client that lost the answer calls again: it is told, and nothing changes.
        let again = refused(&clients[1], "palace_settle", take).await;
        assert!(again.contains("ETAG_MISMATCH") && again.contains("conflicts again"), "{again}");
        assert_eq!(content(&clients[0], &id).await, both);
    }
    close(clients).await;
}

#[tokio::test]
async fn third_text_settles_one_conflict_and_leaves_the_other_open() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let text = |algorithm: &str, day: &str| TEXT.replace("RSA", algorithm).replace("Mondays", day);
    let texts = [text("Ed25519", "Fridays"), text("ECDSA", "Sundays")];
    let id = raced(&clients, "r", [&texts[0], &texts[1]]).await;
    let conflicts = listed(&clients[0], &id).await;
    assert_eq!(conflicts.iter().map(|one| &one["number"]).collect::<Vec<_>>(), [1, 2]);
    let third = settling(&conflicts[0], "text", json!("Sign with HMAC."));
    let settled = done(&clients[0], "palace_settle", third).await;

    // The one that is left has another number, and the answer says so.
    let left = settled["open_conflicts"].as_array().unwrap();
    assert_eq!(
        (left.len(), &left[0]["number"], &left[0]["etag"]),
        (1, &json!(1), &settled["current_etag"])
    );
    assert_eq!(readings(&left[0]), readings(&conflicts[1]));
    assert_eq!(*left, listed(&clients[1], &id).await);
    let take = etag_of(&left[0], "Deploy on Sundays.");
    done(&clients[1], "palace_settle", settling(&left[0], "take", take)).await;
    assert_eq!(content(&clients[0], &id).await, text("HMAC", "Sundays"));
    assert_eq!(listed(&clients[0], &id).await, Vec::<Value>::new());
    close(clients).await;
}

#[tokio::test]
async fn conflict_stays_open_if_it_changed_or_the_call_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let texts = ["Ed25519", "ECDSA"].map(|algorithm| TEXT.replace("RSA", algorithm));
    let id = raced(&clients, "r", [&texts[0], &texts[1]]).await;
    let before = listed(&clients[0], &id).await;
    let take = etag_of(&before[0], "Sign with ECDSA.");
    let mut both = settling(&before[0], "take", take.clone());
    both["text"] = json!("x");
    let with = |field: &str, value: Value| {
        let mut arguments = settling(&before[0], "take", take.clone());
        arguments[field] = value;
        arguments
    };
    let neither = with("take", Value::Null);
    for (arguments, word) in [
        (both, "either take"),
        (neither, "either take"),
        (with("conflict", json!(0)), "out of range"),
        (with("conflict", json!(2)), "pass 1 to 1"),
        (with("take", before[0]["etag"].clone()), "no reading"),
        (with("etag", json!("0123456789abcdef")), "ETAG_MISMATCH"),
        (with("drawer_id", json!("drawer_w_r_0")), "there is no drawer"),
    ] {
        let why = refused(&clients[0], "palace_settle", arguments.clone()).await;
        assert!(why.contains(word), "{arguments}: {why}");
    }
    assert_eq!(listed(&clients[0], &id).await, before);

    // Bob edits another line: what Ann has listed is another version now.
    let text = content(&clients[1], &id).await.replace("The end", "And so on");
    let change = json!({"drawer_id": id, "content": text});
    done(&clients[1], "palace_update_drawer", change).await;
    let stale = settling(&before[0], "take", take);
    let why = refused(&clients[0], "palace_settle", stale).await;
    let now = listed(&clients[0], &id).await;
    assert!(
        why.contains("ETAG_MISMATCH") && why.contains(now[0]["etag"].as_str().unwrap()),
        "{why}"
    );
    assert_eq!(readings(&now[0]), readings(&before[0]), "it is still open");
    close(clients).await;
}

#[tokio::test]
async fn settling_does_not_count_as_reading_the_whole_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let clients = two(&path).await;
    let carl = start("carl", &path).await;
    // A short text comes with the answer, and is read with that. A long one is not.
    for (room, more) in [("short", 0), ("long", 30_000)] {
        let texts = ["Ed25519", "ECDSA"]
            .map(|algorithm| format!("{}{}", TEXT.replace("RSA", algorithm), "x".repeat(more)));
        let id = raced(&clients, room, [&texts[0], &texts[1]]).await;
        let conflict = listed(&carl, &id).await.remove(0);
        let take = etag_of(&conflict, "Sign with ECDSA.");
        let settled = done(&carl, "palace_settle", settling(&conflict, "take", take)).await;
        let change = json!({"drawer_id": id, "content": "something else"});
        let changed = done(&carl, "palace_update_drawer", change).await;
        match more {
            0 => {
                assert_eq!(settled["text"], json!(texts[1]), "{settled}");
                assert_eq!(changed.get("replaced_unseen"), None, "{changed}");
            }
            _ => {
                assert_eq!(settled.get("text"), None, "{settled}");
                let replaced = changed["replaced_unseen"]["text"].as_str().unwrap();
                assert!(replaced.starts_with(&texts[1][..400]), "{changed}");
            }
        }
    }
    carl.close().await;
    close(clients).await;
}

/// Files a drawer of two lines, both of which two clients have changed at once. Returns its id.
fn conflicted(drawers: &Drawers, n: usize) -> String {
    let long = |word: &str| format!("{word} {}", "x".repeat(460));
    let item = Item::new(Place::new("w", "r").unwrap(), &format!("one {n}\ntwo {n}")).unwrap();
    let filed = drawers.file(&[item]).unwrap().remove(0);
    let base = filed.etag.parse().unwrap();
    for by in ["ann", "bob"] {
        let content =
            format!("{}\n{}", long(&format!("needle {by} {n}")), long(&format!("{n} {by}")));
        let change = Change { content: Some(&content), base: Some(&base), ..Change::default() };
        drawers.by(Some(by.to_owned())).update(&filed.id, change).unwrap();
    }
    filed.id
}

#[tokio::test]
async fn conflicts_of_all_drawers_come_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let drawers = Drawers::new(Palace::open(&path).unwrap());
    let mut expected = BTreeSet::new();
    for n in 0..60 {
        let id = conflicted(&drawers, n);
        expected.extend([1, 2].map(|number| (id.clone(), number)));
        let calm = Item::new(Place::new("w", "r").unwrap(), &format!("calm {n}")).unwrap();
        drawers.file(&[calm]).unwrap();
    }
    let client = start("ann", &path).await;
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, Value::Null);
    loop {
        let page = done(&client, "palace_conflicts", json!({"cursor": cursor})).await;
        let conflicts = page["conflicts"].as_array().unwrap();
        found.extend(conflicts.iter().map(|one| {
            (one["drawer_id"].as_str().unwrap().to_owned(), one["number"].as_i64().unwrap())
        }));
        pages += 1;
        cursor = page["next_cursor"].clone();
        let Some((drawer_id, _)) = found.last().filter(|_| !cursor.is_null()) else { break };
        // A change of a drawer that was listed before moves nothing.
        let first = &found[0].0;
        assert_ne!(first, drawer_id);
        let change =
            Change { room: Some(if pages % 2 == 0 { "r" } else { "s" }), ..Change::default() };
        drawers.update(first, change).unwrap();
    }
    assert!(pages > 1, "all on one page");
    assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>()), (120, expected));
    for bad in ["x", "1:2:entity/a"] {
        refused(&client, "palace_conflicts", json!({"cursor": bad})).await;
    }
    client.close().await;
}

#[tokio::test]
async fn rows_and_hits_say_how_many_conflicts_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let palace = Palace::open(&path).unwrap();
    let id = conflicted(&Drawers::new(palace.clone()), 7);
    palace.put("notes/a", &json!({"text": "needle"})).unwrap();
    let base = palace.put("notes/b", &json!({"text": "needle", "n": 0})).unwrap().etag;
    for n in 1..=2 {
        let options = WriteOptions::new().base(base.clone());
        palace.with(options).patch("notes/b", &json!({"n": n})).unwrap();
    }
    let client = start("ann", &path).await;
    let item = json!({"wing": "w", "room": "r", "content": "needle, and nothing else"});
    let calm = done(&client, "palace_add_drawer", item).await["drawer_id"].clone();
    for (tool, arguments, list, name, expected) in [
        (
            "palace_list_drawers",
            json!({}),
            "drawers",
            "drawer_id",
            json!({&id: 2, calm.as_str().unwrap(): null}),
        ),
        (
            "palace_search",
            json!({"query": "needle"}),
            "results",
            "drawer_id",
            json!({&id: 2, calm.as_str().unwrap(): null}),
        ),
        (
            "document_search",
            json!({"query": "needle"}),
            "documents",
            "key",
            json!({"notes/a": null, "notes/b": 1}),
        ),
    ] {
        let found = done(&client, tool, arguments).await;
        let rows = found[list].as_array().unwrap().iter();
        let counts = rows.map(|row| {
            let count = row.get("conflicts").cloned().unwrap_or_default();
            (row[name].as_str().unwrap().to_owned(), count)
        });
        assert_eq!(Value::Object(counts.collect()), expected, "{tool}: {found}");
    }
    client.close().await;
}

#[tokio::test]
async fn open_reading_of_a_conflict_is_a_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let versions = ["Ed25519", "ECDSA"].map(|name| {
        TEXT.replace("with RSA", &format!("with {name}"))
            .replace("to a file", &format!("{name} to a disk"))
    });
    let id = raced(&clients, "r", versions.each_ref().map(String::as_str)).await;
    assert_eq!(listed(&clients[0], &id).await.len(), 2);
    for (content, similarity) in [(&versions[0], 1.0), (&versions[1], 1.0)] {
        let check = json!({"content": content});
        let found = done(&clients[0], "palace_check_duplicate", check).await;
        assert_eq!(found["is_duplicate"], true, "{found}");
        assert_eq!(found["matches"][0]["similarity"], similarity, "{found}");
        assert_eq!(found["matches"][0]["conflicts"], 2, "{found}");
    }
    let other = json!({"content": TEXT, "threshold": 1.0});
    let found = done(&clients[0], "palace_check_duplicate", other).await;
    assert_eq!(found["is_duplicate"], false, "{found}");
    close(clients).await;
}
