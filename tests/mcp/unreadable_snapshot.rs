//! A snapshot that cannot be read: every answer warns, so that a model does not take missing documents for
//! absent ones.

use crate::client::{COMPACT, Client, LOG, eras, run, stdout, texts};
use serde_json::{Value, json};
use std::fs;

/// A tool set, a tool of it that writes this text, and one that lists it.
fn sets(text: &str) -> [(&'static str, &'static str, Value, &'static str); 3] {
    let entity = json!({"name": text, "entityType": "thing", "observations": [text]});
    let drawer = json!({"wing": "w", "room": "r", "content": text});
    [
        ("memory", "create_entities", json!({"entities": [entity]}), "read_graph"),
        ("palace", "palace_add_drawer", drawer, "palace_list_drawers"),
        (
            "documents",
            "document_put",
            json!({"key": text, "value": {"text": text}}),
            "document_list",
        ),
    ]
}

#[tokio::test]
async fn every_answer_warns_of_an_unreadable_snapshot() {
    for (n, era) in (0..3).zip(eras().into_iter().cycle()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("palace");
        let [(set, write, before, list), (_, _, after, _)] =
            [&sets("before")[n], &sets("after")[n]];
        let (set, palace) = (["--tools", *set], path.to_str().unwrap());
        let client = Client::start_with(&path, era.clone(), &set).await;
        assert_eq!(texts(&client.result(write, before.clone()).await).len(), 1);
        client.close().await;
        stdout(&run(COMPACT, &[palace]));
        let snapshot = fs::read_dir(path.join("snap")).unwrap().next().unwrap().unwrap().path();
        let good = fs::read(&snapshot).unwrap();
        fs::write(&snapshot, &good[..good.len() / 2]).unwrap();

        let client = Client::start_with(&path, era, &set).await;
        for (tool, arguments, shown) in [
            (*list, &json!({}), Some(false)),
            (write, after, None),
            (*list, &json!({}), Some(true)),
        ] {
            let texts = texts(&client.result(tool, arguments.clone()).await);
            assert_eq!(texts.len(), 2, "{tool}: {texts:?}");
            assert!(
                texts[1].starts_with("WARNING") && texts[1].contains(snapshot.to_str().unwrap()),
                "{texts:?}"
            );
            assert!(texts[1].contains(&format!("`crdt-log verify {palace}`")), "{texts:?}");
            assert!(!texts[0].contains("before"), "{texts:?}");
            if let Some(shown) = shown {
                assert_eq!(texts[0].contains("after"), shown, "{texts:?}");
            }
        }
        assert!(stdout(&run(LOG, &["status", palace])).contains("PROBLEM"));

        fs::write(&snapshot, good).unwrap();
        let texts = texts(&client.result(list, json!({})).await);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains("before") && texts[0].contains("after"), "{texts:?}");
        client.close().await;
    }
}
