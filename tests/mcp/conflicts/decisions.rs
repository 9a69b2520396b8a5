//! What a client decides stays decided beside what another client writes at the same time: also if it goes back to an earlier
//! text, or takes what is shown already.

use super::{TEXT, content, etag_of, listed, raced, readings, refused, settling};
use crate::client::Client;
use crate::named_clients::{close, done, two};
use serde_json::{Value, json};

async fn update(client: &Client, id: &Value, text: &str) -> Value {
    done(client, "palace_update_drawer", json!({"drawer_id": id, "content": text})).await
}

/// Bob takes back his own edit, or one of Ann's, while Ann edits another line. Both write what both have read.
#[tokio::test]
async fn edit_that_is_taken_back_does_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let [ann, bob] = &clients;
    let secret = |text: &str| text.replace("Log to", "Secret: hunter2.\nLog to");
    let fridays = |text: &str| text.replace("Mondays", "Fridays");
    let signed = TEXT.replace("RSA", "Ed25519");
    type Edit<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(Edit<'_>, Edit<'_>); 3] = [
        (&secret, &|text| text.replace("Secret: hunter2.\n", "")),
        (&fridays, &|text| text.replace("Fridays", "Mondays")),
        (&secret, &|text| text.replace("Ed25519", "RSA")),
    ];
    for (n, (edit, back)) in cases.into_iter().enumerate() {
        for bob_first in [true, false] {
            let id = raced(&clients, &format!("r{n}{bob_first}"), [&signed, &edit(TEXT)]).await;
            let merged = content(ann, &id).await;
            assert_eq!(merged, edit(&signed));
            assert_eq!(content(bob, &id).await, merged);
            let (hers, his) = (merged.replace("Plan", "The plan"), back(&merged));
            if bob_first {
                update(bob, &id, &his).await;
            }
            update(ann, &id, &hers).await;
            if !bob_first {
                update(bob, &id, &his).await;
            }
            let stands = content(ann, &id).await;
            assert_eq!(stands, back(&hers), "{n}, bob first: {bob_first}");
            assert_eq!(listed(ann, &id).await, Vec::<Value>::new());
        }
    }
    close(clients).await;
}

#[tokio::test]
async fn taking_the_shown_reading_settles_beside_an_edit_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let [ann, bob] = &clients;
    let signed = ["Ed25519", "ECDSA"].map(|algorithm| TEXT.replace("RSA", algorithm));
    let id = raced(&clients, "r", [&signed[0], &signed[1]]).await;
    let conflict = listed(bob, &id).await.remove(0);
    let read = content(ann, &id).await;
    let shown = conflict["shown"]["value"].as_str().unwrap();
    let take = settling(&conflict, "take", etag_of(&conflict, shown));
    done(bob, "palace_settle", take).await;
    update(ann, &id, &read.replace("The end", "Fin")).await;
    assert_eq!(content(bob, &id).await, read.replace("The end", "Fin"));
    assert_eq!(listed(bob, &id).await, Vec::<Value>::new());
    close(clients).await;
}

/// A patch that names a field in conflict decides for the value that it gives.
#[tokio::test]
async fn two_decisions_on_one_field_are_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let put = |n: u64| json!({"key": "k", "value": {"n": n}});
    done(&clients[0], "document_put", put(0)).await;
    for client in &clients {
        done(client, "document_get", json!({"key": "k"})).await;
    }
    for (client, n) in clients.iter().zip(1..) {
        done(client, "document_put", put(n)).await;
    }
    let mut shown = Value::Null;
    for client in &clients {
        shown = done(client, "document_get", json!({"key": "k"})).await["value"]["n"].clone();
    }
    for (client, n) in clients.iter().zip([json!(3), shown.clone()]) {
        done(client, "document_patch", json!({"key": "k", "patch": {"n": n}})).await;
    }
    let list = done(&clients[0], "document_conflicts", json!({"key": "k"})).await;
    let found = readings(&list["conflicts"][0]).into_iter().map(|[value, ..]| value);
    let mut expected = [json!(3), shown];
    expected.sort_by_key(Value::to_string);
    assert_eq!(found.collect::<Vec<_>>(), expected);
    close(clients).await;
}

/// Ann reads the text that her write was merged to, and changes its first and last line.
#[tokio::test]
async fn client_that_reads_after_a_merge_goes_on_from_what_it_read() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let [ann, bob] = &clients;
    let item = json!({"wing": "w", "room": "r", "content": TEXT});
    let id = done(ann, "palace_add_drawer", item).await["drawer_id"].clone();
    content(bob, &id).await;
    update(bob, &id, &TEXT.replace("Log to a", "Secret: hunter2.\nLog to the")).await;
    let answer = update(ann, &id, &TEXT.replace("RSA", "Ed25519")).await;
    assert_eq!(answer["merged"], true);
    let read = content(ann, &id).await;
    let his =
        content(bob, &id).await.replace("Secret: hunter2.\n", "").replace("Mondays", "Fridays");
    update(bob, &id, &his).await;
    update(ann, &id, &read.replace("Plan", "The plan").replace("The end", "Fin")).await;
    let expected = his.replace("Plan", "The plan").replace("The end", "Fin");
    assert_eq!(content(bob, &id).await, expected);
    assert_eq!(listed(bob, &id).await, Vec::<Value>::new());
    close(clients).await;
}

/// With the version alone, a client would call again and replace what it has not seen.
#[tokio::test]
async fn mismatch_names_no_version_without_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let [ann, bob] = &clients;
    for (text, fits) in [("short".to_owned(), true), ("x\n".repeat(46_000), false)] {
        let item = json!({"wing": "w", "room": "r", "content": text});
        let added = done(ann, "palace_add_drawer", item).await;
        let id = added["drawer_id"].clone();
        let changed = format!("{text}more");
        let now = update(ann, &id, &changed).await["etag"].as_str().unwrap().to_owned();
        let stale = json!({"drawer_id": id, "content": "mine", "if_match": added["etag"]});
        let error = refused(bob, "palace_update_drawer", stale).await;
        assert_eq!(error.contains(&now), fits, "{:.300}", error);
        assert_eq!(error.contains(&format!("current: {changed}")), fits, "{:.300}", error);
        assert_eq!(error.contains("too long to stand here"), !fits, "{:.300}", error);
    }
    close(clients).await;
}
