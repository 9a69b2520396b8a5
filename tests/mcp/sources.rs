//! Paths of sources: shown by name unless a client asks for more, and stored whole.

use crate::client::{Client, texts};
use crdt_palace::palace::Palace;
use rmcp::model::ReadResourceRequestParams;
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};
use std::path::Path;

const SOURCE: &str = "/home/ann/secret-project/notes.md";

async fn start(palace: &Path) -> Client {
    Client::start_with(palace, ClientLifecycleMode::Initialize, &[]).await
}

/// A client of a palace with a drawer and a fact that come from a file, and the drawer's id.
async fn furnished(palace: &Path) -> (Client, Value) {
    let client = start(palace).await;
    let id = client.call("palace_add_drawer", drawer(SOURCE)).await.unwrap()["drawer_id"].clone();
    client.call("palace_kg_add", fact(SOURCE)).await.unwrap();
    (client, id)
}

fn drawer(source: &str) -> Value {
    json!({"wing": "w", "room": "r", "content": "We sign with Ed25519.", "source_file": source})
}

fn fact(source: &str) -> Value {
    json!({"subject": "Ann", "predicate": "signs", "object": "tokens", "source_file": source})
}

#[tokio::test]
async fn source_paths_are_shown_by_name_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (client, id) = furnished(&dir.path().join("palace")).await;
    let ids = json!([id]);
    // The calls that show a source, and where.
    for (tool, arguments, place) in [
        ("palace_get_drawer", json!({"drawer_id": id}), "/metadata/source_files/0"),
        ("palace_get_drawers", json!({"drawer_ids": ids}), "/drawers/0/metadata/source_files/0"),
        ("palace_kg_query", json!({"entity": "Ann"}), "/facts/0/source_file"),
        ("palace_kg_timeline", json!({}), "/timeline/0/source_file"),
    ] {
        for (full, shown) in [(None, "notes.md"), (Some(false), "notes.md"), (Some(true), SOURCE)] {
            let mut arguments = arguments.clone();
            if let Some(full) = full {
                arguments["full_source"] = json!(full);
            }
            let answer = client.call(tool, arguments).await.unwrap();
            assert_eq!(answer.pointer(place), Some(&json!(shown)), "{tool} {full:?}: {answer}");
        }
    }
    let found = client.call("palace_search", json!({"query": "sign"})).await.unwrap();
    assert_eq!(found["results"][0]["source_file"], "notes.md");
    client.close().await;
}

#[tokio::test]
async fn no_answer_names_the_directory_of_a_source_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let (client, id) = furnished(&dir.path().join("palace")).await;
    let content = json!({"content": "We sign with Ed25519."});
    let moved = json!({"drawer_ids": [id], "to_room": "s"});
    for (tool, arguments) in [
        ("palace_status", json!({})),
        ("palace_add_drawer", drawer(SOURCE)),
        ("palace_get_drawer", json!({"drawer_id": id})),
        ("palace_get_drawers", json!({"drawer_ids": [id]})),
        ("palace_list_drawers", json!({})),
        ("palace_search", json!({"query": "sign notes secret"})),
        ("palace_check_duplicate", content),
        ("palace_kg_add", fact(SOURCE)),
        ("palace_kg_query", json!({"entity": "Ann"})),
        ("palace_kg_timeline", json!({})),
        ("palace_kg_stats", json!({})),
        ("palace_changes_since", json!({"since": "2000-01-01", "include_own": true})),
        ("palace_conflicts", json!({})),
        ("palace_update_drawer", json!({"drawer_id": id, "content": "We sign."})),
        ("palace_move_drawers", moved),
        ("palace_delete_drawer", json!({"drawer_id": id})),
        ("palace_undelete_drawer", json!({"drawer_id": id})),
    ] {
        let answer = client.call(tool, arguments).await.unwrap().to_string();
        assert!(!answer.contains("secret-project"), "{tool}: {answer}");
    }
    client.close().await;
}

#[tokio::test]
async fn names_that_are_written_back_leave_the_stored_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (client, id) = furnished(&path).await;
    for source in ["notes.md", SOURCE] {
        let again = client.call("palace_add_drawer", drawer(source)).await.unwrap();
        assert_eq!((&again["drawer_id"], &again["reason"]), (&id, &json!("already_exists")));
        client.call("palace_kg_add", fact(source)).await.unwrap();
    }
    let palace = Palace::open(&path).unwrap();
    let stored = |prefix: &str, list: &str, field: &str| {
        let found = palace.scan_page(prefix, None, 10).unwrap().documents;
        let sources = found[0].value[list].as_array().unwrap().clone();
        sources.into_iter().map(|one| one[field].clone()).collect::<Vec<_>>()
    };
    assert_eq!(stored("drawer/", "filings", "source_file"), [SOURCE]);
    assert_eq!(stored("fact/", "sources", "file"), [SOURCE]);
    // Another file of that name is another source, and is shown once: both have one name.
    let other = "/home/bob/notes.md";
    client.call("palace_add_drawer", drawer(other)).await.unwrap();
    client.call("palace_kg_add", fact(other)).await.unwrap();
    assert_eq!(stored("drawer/", "filings", "source_file"), [SOURCE, other]);
    assert_eq!(stored("fact/", "sources", "file"), [SOURCE, other]);
    let shown = client.call("palace_get_drawer", json!({"drawer_id": id})).await.unwrap();
    assert_eq!(shown["metadata"]["source_files"], json!(["notes.md"]));
    client.close().await;
}

/// The tools for documents show drawers and facts alike. They write none.
#[tokio::test]
async fn documents_show_sources_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (client, id) = furnished(&path).await;
    client.close().await;
    let stored = || {
        let palace = Palace::open(&path).unwrap();
        let all = |prefix| palace.scan_page(prefix, None, 9).unwrap().documents.remove(0);
        ["drawer/", "fact/"].map(all)
    };
    let before = stored();
    assert!(before.iter().all(|one| json!(one.value).to_string().contains(SOURCE)));
    let tools = ["--tools=palace,documents"];
    let client = Client::start_with(&path, ClientLifecycleMode::Initialize, &tools).await;
    for document in &before {
        let key = document.key.as_str();
        let prefix = key.split_inclusive('/').next().unwrap();
        for (tool, arguments) in [
            ("document_get", json!({"key": key})),
            ("document_get", json!({"key": key, "version": document.etag.to_string()})),
            ("document_search", json!({"query": "secret", "prefix": prefix})),
            ("document_search", json!({"query": "notes", "prefix": prefix})),
            ("document_conflicts", json!({"key": key})),
            ("document_history", json!({"key": key})),
        ] {
            let result = client.result(tool, arguments.clone()).await;
            assert_ne!(result.is_error, Some(true), "{tool}: {:?}", texts(&result));
            let answer = serde_json::to_string(&result).unwrap();
            assert!(!answer.contains("secret-project"), "{tool} {arguments}: {answer}");
            assert!(tool != "document_get" || answer.contains("notes.md"), "{answer}");
        }
        let uri = format!("palace://document/{}", key.replace('/', "%2F").replace(' ', "%20"));
        let read = client.0.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
        let text = serde_json::to_string(&read).unwrap();
        assert!(text.contains("notes.md") && !text.contains("secret-project"), "{text}");
    }
    let full = json!({"drawer_id": id, "full_source": true});
    let shown = client.call("palace_get_drawer", full).await.unwrap();
    assert_eq!(shown["metadata"]["source_files"], json!([SOURCE]));
    client.close().await;
    assert_eq!(stored().map(|one| one.value), before.map(|one| one.value));
}
