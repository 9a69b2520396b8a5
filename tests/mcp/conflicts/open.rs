//! Conflicts that stay open while clients go on to write the text elsewhere.

use super::{TEXT, content, etag_of, listed, raced, readings, settling};
use crate::client::Client;
use crate::named_clients::{close, done, two};
use serde_json::{Value, json};

/// Both clients read a drawer and then write it back, each with its own change.
async fn both_write(clients: &[Client; 2], id: &Value, change: impl Fn(usize, String) -> String) {
    let mut known = Vec::new();
    for client in clients {
        known.push(content(client, id).await);
    }
    for (n, (client, text)) in clients.iter().zip(known).enumerate() {
        let arguments = json!({"drawer_id": id, "content": change(n, text)});
        done(client, "palace_update_drawer", arguments).await;
    }
}

fn values(conflict: &Value) -> Vec<Value> {
    readings(conflict).into_iter().map(|[value, ..]| value).collect()
}

#[tokio::test]
async fn each_of_two_successive_conflicts_is_settled_by_its_readings() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let signed = ["Ed25519", "ECDSA"].map(|algorithm| TEXT.replace("RSA", algorithm));
    for (room, algorithm, day) in
        [("a", "ECDSA", "Fridays"), ("b", "ECDSA", "Sundays"), ("c", "Ed25519", "Fridays")]
    {
        let id = raced(&clients, room, [&signed[0], &signed[1]]).await;
        let days = ["Fridays", "Sundays"];
        both_write(&clients, &id, |n, text| text.replace("Mondays", days[n])).await;
        let conflicts = listed(&clients[0], &id).await;
        let both: Vec<_> = conflicts.iter().map(values).collect();
        let open = [
            [json!("Sign with ECDSA."), json!("Sign with Ed25519.")],
            [json!("Deploy on Fridays."), json!("Deploy on Sundays.")],
        ];
        assert_eq!(both, open);

        let day = format!("Deploy on {day}.");
        let take = settling(&conflicts[1], "take", etag_of(&conflicts[1], &day));
        done(&clients[1], "palace_settle", take).await;
        let left = listed(&clients[1], &id).await;
        assert_eq!(left.iter().map(values).collect::<Vec<_>>(), open[..1]);
        let algorithm = format!("Sign with {algorithm}.");
        let take = settling(&left[0], "take", etag_of(&left[0], &algorithm));
        done(&clients[0], "palace_settle", take).await;
        let settled = TEXT.replace("Sign with RSA.", &algorithm);
        let settled = settled.replace("Deploy on Mondays.", &day);
        assert_eq!(content(&clients[0], &id).await, settled);
        assert_eq!(listed(&clients[0], &id).await, Vec::<Value>::new());
    }
    close(clients).await;
}

#[tokio::test]
async fn many_open_conflicts_survive_edits_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let lines: Vec<_> = (0..12).map(|n| format!("Line {n}.")).collect();
    let item = json!({"wing": "w", "room": "r", "content": lines.join("\n")});
    let id = done(&clients[0], "palace_add_drawer", item).await["drawer_id"].clone();
    for line in &lines[..9] {
        let words = ["ann", "bob"];
        let changed = |n: usize| line.replace('.', &format!(" of {}.", words[n]));
        both_write(&clients, &id, |n, text| {
            // The reading that is shown is the second one's, or still the line as it was.
            text.replace(line, &changed(n))
        })
        .await;
    }
    let readings_of =
        |n: usize| [json!(format!("Line {n} of ann.")), json!(format!("Line {n} of bob."))];
    let all: Vec<_> = (0..9).map(readings_of).collect();
    let values_of = |conflicts: Vec<Value>| conflicts.iter().map(values).collect::<Vec<_>>();
    assert_eq!(values_of(listed(&clients[0], &id).await), all);
    for line in ["Line 10.", "Line 11."] {
        both_write(&clients, &id, |n, text| {
            text.replace(line, &format!("{line} {line}\nMore {n} behind {line}"))
        })
        .await;
    }
    assert_eq!(values_of(listed(&clients[1], &id).await), all);
    let text = content(&clients[1], &id).await;
    for line in &lines[9..] {
        assert!(text.contains(line.as_str()), "{text}");
    }
    for more in ["More 0 behind Line 10.", "More 1 behind Line 10.", "More 1 behind Line 11."] {
        assert_eq!(text.matches(more).count(), 1, "{text}");
    }
    close(clients).await;
}

#[tokio::test]
async fn edits_beside_an_old_conflict_show_once_and_hide_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let clients = two(&dir.path().join("palace")).await;
    let signed = ["Ed25519", "ECDSA"].map(|algorithm| TEXT.replace("RSA", algorithm));
    let id = raced(&clients, "r", [&signed[0], &signed[1]]).await;
    let end = "The end";
    let mut longer = end.to_owned();
    for round in 1..=8 {
        both_write(&clients, &id, |n, text| match n {
            0 => text.replace(&longer, &format!("{longer} Added L{round}")),
            _ => text.replace(&longer, &format!("Added D{round}.\n{longer}")),
        })
        .await;
        longer += &format!(" Added L{round}");
    }
    let text = content(&clients[0], &id).await;
    let added: Vec<_> = (1..=8).map(|round| format!("Added D{round}.")).collect();
    let behind = "Deploy on Mondays.\nLog to a file.\n";
    assert!(text.ends_with(&format!("{behind}{}\n{longer}", added.join("\n"))), "{text}");
    let conflicts = listed(&clients[0], &id).await;
    let [conflict] = conflicts.as_slice() else { panic!("{conflicts:?}") };
    assert_eq!(values(conflict), [json!("Sign with ECDSA."), json!("Sign with Ed25519.")]);
    close(clients).await;
}
