//! Clients with names, each with a server of its own that offers drawers and documents.

use crate::client::{Client, texts};
use rmcp::service::ClientLifecycleMode;
use serde_json::Value;
use std::path::Path;

pub async fn start(name: &str, palace: &Path) -> Client {
    let options = ["--tools", "palace,documents"];
    Client::start_named(name, palace, ClientLifecycleMode::Initialize, &options).await
}

/// Two clients on one palace.
pub async fn two(palace: &Path) -> [Client; 2] {
    [start("ann", palace).await, start("bob", palace).await]
}

pub async fn close(clients: impl IntoIterator<Item = Client>) {
    for client in clients {
        client.close().await;
    }
}

pub async fn done(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let result = client.result(tool, arguments).await;
    assert_ne!(result.is_error, Some(true), "{tool}: {:?}", texts(&result));
    result.structured_content.unwrap()
}
