//! The tool set `palace` as clients meet it: every tool, in both protocol eras, and from two servers at once.

mod common;

use common::{Client, eras};
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};
use std::path::Path;

async fn start(palace: &Path) -> Client {
    Client::start_with(palace, ClientLifecycleMode::Initialize, &[]).await
}

/// The names without the prefix, in their order.
const TOOLS: [&str; 23] = [
    "status",
    "list_wings",
    "list_rooms",
    "get_taxonomy",
    "search",
    "check_duplicate",
    "add_drawer",
    "get_drawer",
    "get_drawers",
    "list_drawers",
    "update_drawer",
    "delete_drawer",
    "delete_drawers",
    "checkpoint",
    "kg_query",
    "kg_add",
    "kg_invalidate",
    "kg_supersede",
    "kg_timeline",
    "kg_stats",
    "diary_write",
    "diary_read",
    "changes_since",
];

#[tokio::test]
async fn drawers_are_filed_found_changed_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace")).await;
    let text = "We sign tokens with Ed25519 since the March review.";
    let item = json!({"wing": "atlas", "room": "auth", "content": text, "source_file": "notes.md"});
    let added = client.call("palace_add_drawer", item.clone()).await.unwrap();
    let id = added["drawer_id"].as_str().unwrap().to_owned();
    println!("{added:#}");
    let found = client
        .call("palace_search", json!({"query": "which key signs the tokens?"}))
        .await
        .unwrap();
    println!("{found:#}");
    assert_eq!(found["results"][0]["drawer_id"], json!(id));
    let status = client.call("palace_status", json!({})).await.unwrap();
    println!("{status:#}");
    client.close().await;
}
