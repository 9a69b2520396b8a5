//! Many calls in flight, in one server and in several: the load that loses writes elsewhere.

use crate::client::{Client, observations};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;

async fn servers(palace: &Path, count: usize) -> Vec<Arc<Client>> {
    let mut servers = Vec::new();
    for _ in 0..count {
        servers.push(Arc::new(Client::start(palace).await));
    }
    servers
}

async fn close(servers: Vec<Arc<Client>>) {
    for server in servers {
        Arc::into_inner(server).unwrap().close().await;
    }
}

/// 20 calls at once, spread over so many servers; a server that was not there before counts.
async fn twenty(count: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let all = servers(&path, count).await;
    let mut calls = JoinSet::new();
    for n in 0..20 {
        let server = all[n % count].clone();
        calls.spawn(async move {
            let entity =
                json!({"name": format!("e{n:02}"), "entityType": "t", "observations": ["x"]});
            server.call("create_entities", json!({"entities": [entity]})).await.unwrap()
        });
    }
    for made in calls.join_all().await {
        assert_eq!(made["entities"].as_array().unwrap().len(), 1);
    }
    let fresh = Client::start(&path).await;
    let graph = fresh.call("read_graph", json!({})).await.unwrap();
    let names: Vec<&str> = graph["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entity| entity["name"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (0..20).map(|n| format!("e{n:02}")).collect();
    assert_eq!(names, expected);
    fresh.close().await;
    close(all).await;
}

#[tokio::test]
async fn twenty_calls_in_one_server_are_all_kept() {
    twenty(1).await;
}

#[tokio::test]
async fn twenty_calls_over_two_servers_are_all_kept() {
    twenty(2).await;
}

#[tokio::test]
async fn twenty_calls_over_eight_servers_are_all_kept() {
    twenty(8).await;
}

#[tokio::test]
async fn eight_servers_adding_to_one_entity_keep_equal_texts_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let all = servers(&path, 8).await;
    let mut calls = JoinSet::new();
    for (n, server) in all.iter().cloned().enumerate() {
        calls.spawn(async move {
            // Whoever comes first creates it, and nobody knows who that is.
            let own = format!("created by {n}");
            let entity = json!({"name": "e", "entityType": "t", "observations": [own]});
            let made = server.call("create_entities", json!({"entities": [entity]})).await.unwrap();
            let add = json!([{"entityName": "e", "contents": ["the same", format!("own {n}")]}]);
            server.call("add_observations", json!({"observations": add})).await.unwrap();
            made["entities"].as_array().unwrap().len() == 1
        });
    }
    let creators = calls.join_all().await.into_iter().filter(|created| *created).count();
    assert!(creators >= 1);
    let graph = all[0].call("read_graph", json!({})).await.unwrap();
    let texts = observations(&graph, "e");
    let count = |start: &str| texts.iter().filter(|text| text.starts_with(start)).count();
    assert_eq!(count("the same"), 1, "{texts:?}");
    assert_eq!(count("own "), 8, "{texts:?}");
    assert_eq!(count("created by "), creators, "{texts:?}");
    // And all the others see the same.
    for server in &all {
        assert_eq!(server.call("read_graph", json!({})).await.unwrap(), graph);
    }
    let one = json!([{"entityName": "e", "observations": ["the same"]}]);
    all[3].call("delete_observations", json!({"deletions": one})).await.unwrap();
    let graph = all[5].call("read_graph", json!({})).await.unwrap();
    assert!(!observations(&graph, "e").contains(&"the same".to_owned()));
    close(all).await;
}

#[tokio::test]
async fn acknowledged_writes_are_visible_to_other_servers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let all = servers(&path, 2).await;
    for n in 0..50 {
        let name = format!("e{n}");
        let (writer, reader) = (&all[n % 2], &all[(n + 1) % 2]);
        let entity = json!({"name": name, "entityType": "t", "observations": ["x"]});
        writer.call("create_entities", json!({"entities": [entity]})).await.unwrap();
        let opened = reader.call("open_nodes", json!({"names": [name]})).await.unwrap();
        assert_eq!(opened["entities"], json!([entity]));
        let relation = json!({"from": name, "to": "e0", "relationType": "follows"});
        let made = reader.call("create_relations", json!({"relations": [relation]})).await.unwrap();
        assert_eq!(made["relations"], json!([relation]));
    }
    close(all).await;
}
