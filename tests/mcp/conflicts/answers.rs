//! The answer to a write names each reading once: as settled or as open.

use super::{TEXT, listed, raced, settling};
use crate::named_clients::{close, done, two};
use serde_json::{Value, json};

/// The readings of a list of conflicts that are not shown.
fn others(conflicts: &Value) -> Vec<Value> {
    let conflicts = conflicts.as_array().into_iter().flatten();
    let others = conflicts.flat_map(|one| one.get("others").or_else(|| one.get("values")));
    others.flat_map(|others| others.as_array().unwrap()).map(|one| one["value"].clone()).collect()
}

fn assert_apart(answer: &Value) {
    let (settled, open) = (others(&answer["conflicts"]), others(&answer["open_conflicts"]));
    assert!(!open.is_empty(), "{answer}");
    let both: Vec<_> = settled.iter().filter(|reading| open.contains(reading)).collect();
    assert!(both.is_empty(), "{both:?} is settled and open: {answer}");
}

/// Two clients decide on one conflict at once: one for a reading, the other for another text.
#[tokio::test]
async fn reading_that_is_still_open_is_not_listed_as_settled() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let [ann, bob] = &clients;
    let [hers, his] = ["Ed25519", "ECDSA"].map(|name| TEXT.replace("RSA", name));
    for room in ["r", "s"] {
        let id = raced(&clients, room, [&hers, &his]).await;
        done(ann, "palace_get_drawer", json!({"drawer_id": id})).await;
        let conflict = listed(bob, &id).await.remove(0);
        let taken = conflict["others"][0]["etag"].clone();
        done(bob, "palace_settle", settling(&conflict, "take", taken)).await;
        let update = json!({"drawer_id": id, "content": TEXT.replace("RSA", "ML-DSA")});
        assert_apart(&done(ann, "palace_update_drawer", update).await);
    }

    let first = done(ann, "document_put", json!({"key": "k", "value": {"n": 0}})).await;
    for (client, n) in [(ann, 1), (bob, 2)] {
        let put = json!({"key": "k", "value": {"n": n}, "base": first["etag"]});
        done(client, "document_put", put).await;
    }
    let read = done(ann, "document_get", json!({"key": "k"})).await;
    let conflicts = done(bob, "document_conflicts", json!({"key": "k"})).await;
    let taken = &conflicts["conflicts"][0]["others"][0]["etag"];
    let take = json!({"key": "k", "conflict": 1, "take": taken, "etag": conflicts["etag"]});
    done(bob, "document_settle", take).await;
    let put = json!({"key": "k", "value": {"n": 3}, "base": read["etag"]});
    assert_apart(&done(ann, "document_put", put).await);
    close(clients).await;
}

/// A conflict elsewhere in the text, which a call leaves open, is not settled because its place has moved.
#[tokio::test]
async fn settling_one_conflict_names_no_other_as_settled() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let [ann, bob] = &clients;
    let of = |who: &str| TEXT.replace("RSA", who).replace("Mondays", who);
    let id = raced(&clients, "r", [&of("hers"), &of("his")]).await;
    let conflict = listed(bob, &id).await.remove(0);
    let settle = settling(&conflict, "text", json!("Sign with one\nor two.\n"));
    let answer = done(ann, "palace_settle", settle).await;
    assert_apart(&answer);
    assert_eq!(others(&answer["conflicts"]).len(), 1, "{answer}");
    close(clients).await;
}
