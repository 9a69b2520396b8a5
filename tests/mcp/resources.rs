//! Resources: reading and subscribing by URI, and notices of changes, with several servers on one palace.

use crate::client::{Client, Listener, eras, soon, transport};
use crate::support::object;
use rmcp::ServiceExt;
use rmcp::model::{
    ErrorCode, ErrorData, PaginatedRequestParams, ReadResourceRequestParams,
    SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{ClientLifecycleMode, Peer, RoleClient, RunningService, ServiceError};
use serde_json::{Value, json};
use std::path::Path;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const GRAPH: &str = "memory://knowledge-graph";
const STATUS: &str = "palace://status";
const PLAN: &str = "palace://document/notes%2Fplan";
const OTHER: &str = "palace://document/notes%2Fother";

async fn start(palace: &Path, tools: &str, era: ClientLifecycleMode) -> Client {
    Client::start_with(palace, era, &["--tools", tools]).await
}

/// A client of an era before 2026-07-28, and what it hears.
async fn listener(
    palace: &Path,
) -> (RunningService<RoleClient, Listener>, UnboundedReceiver<String>) {
    listener_with(palace, "memory,documents").await
}

async fn listener_with(
    palace: &Path,
    tools: &str,
) -> (RunningService<RoleClient, Listener>, UnboundedReceiver<String>) {
    let (sender, heard) = unbounded_channel();
    (Listener(sender).serve(transport(palace, &["--tools", tools])).await.unwrap(), heard)
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Value {
    client.call(tool, arguments).await.unwrap()
}

async fn put(client: &Client, key: &str, n: u32) {
    call(client, "document_put", json!({"key": key, "value": {"n": n}})).await;
}

async fn read(peer: &Peer<RoleClient>, uri: &str) -> Value {
    let read = peer.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
    let read = serde_json::to_value(read).unwrap();
    assert_eq!(
        (&read["contents"][0]["uri"], &read["contents"][0]["mimeType"]),
        (&json!(uri), &json!("application/json"))
    );
    serde_json::from_str(read["contents"][0]["text"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn resources_match_the_tool_sets() {
    let dir = tempfile::tempdir().unwrap();
    for era in eras() {
        for (tools, fixed, templates, list_changes) in [
            ("memory", &[GRAPH][..], &[][..], false),
            ("documents", &[STATUS], &["palace://document/{key}"], true),
            ("documents,memory", &[GRAPH, STATUS], &["palace://document/{key}"], true),
            ("palace", &[STATUS], &["palace://wing/{wing}"], true),
        ] {
            let client = start(&dir.path().join("palace"), tools, era.clone()).await;
            let resources = client.0.list_all_resources().await.unwrap();
            let uris: Vec<&str> = resources.iter().map(|resource| resource.uri.as_str()).collect();
            assert_eq!(uris, fixed, "{tools}");
            let found = client.0.list_all_resource_templates().await.unwrap();
            let found: Vec<&str> = found.iter().map(|found| &*found.uri_template).collect();
            assert_eq!(found, templates, "{tools}");
            let server = client.0.peer_info().unwrap();
            let offered = server.capabilities.resources.as_ref().unwrap();
            assert_eq!(offered.list_changed == Some(true), list_changes, "{tools}");
            let other = if tools == "memory" { STATUS } else { "palace://wing/none" };
            let none = client.0.read_resource(ReadResourceRequestParams::new(other)).await;
            assert!(none.is_err(), "{tools}");
            client.close().await;
        }
    }
    assert!(!dir.path().join("palace").exists(), "looking at the resources left a trace");
}

fn protocol_error(error: ServiceError) -> ErrorData {
    match error {
        ServiceError::McpError(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn prompts_are_neither_declared_nor_listed() {
    let dir = tempfile::tempdir().unwrap();
    for era in eras() {
        let client = start(&dir.path().join("palace"), "palace,memory,documents", era).await;
        assert_eq!(client.0.peer_info().unwrap().capabilities.prompts, None);
        let refused = protocol_error(client.0.list_prompts(None).await.unwrap_err());
        assert_eq!(refused.code, ErrorCode::METHOD_NOT_FOUND);
        client.close().await;
    }
}

#[tokio::test]
async fn documents_are_listed_page_by_page_and_read_by_uri() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let palace = crdt_palace::palace::Palace::open(&path).unwrap();
    let value = json!({"n": 1});
    let key = |n: u32| format!("notes/{n:03} ü");
    for key in (0..250).map(key).chain(["entity/Ada".to_owned()]) {
        palace.put(&key, &object(value.clone())).unwrap();
    }
    for era in eras() {
        let client = start(&path, "documents", era).await;
        let (mut names, mut pages, mut cursor) = (Vec::new(), 0, None);
        loop {
            let asked = PaginatedRequestParams::default().with_cursor(cursor);
            let page = client.0.list_resources(Some(asked)).await.unwrap();
            names.extend(page.resources.into_iter().map(|resource| (resource.uri, resource.name)));
            pages += 1;
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let document = |n: u32| (format!("palace://document/notes%2F{n:03}%20%C3%BC"), key(n));
        let status = (STATUS.to_owned(), "status".to_owned());
        let expected: Vec<_> = [status].into_iter().chain((0..250).map(document)).collect();
        assert_eq!((names, pages), (expected, 3));
        let bad = PaginatedRequestParams::default().with_cursor(Some("x".to_owned()));
        assert!(
            client.0.list_resources(Some(bad)).await.unwrap_err().to_string().contains("-32602")
        );

        for uri in [&document(7).0, "palace://document/notes/007%20ü"] {
            let found = read(client.0.peer(), uri).await;
            assert_eq!((&found["key"], &found["value"]), (&json!(key(7)), &value));
            assert_eq!(found["etag"].as_str().unwrap().len(), 16);
        }
        let entity = read(client.0.peer(), "palace://document/entity%2FAda").await;
        assert_eq!(entity["value"], value, "not listed, but there");
        let status = read(client.0.peer(), STATUS).await;
        assert_eq!(status["segments"][0]["state"], "live");
        let none = "palace://document/none";
        let missing = protocol_error(
            client.0.read_resource(ReadResourceRequestParams::new(none)).await.unwrap_err(),
        );
        assert!(missing.message.contains("no such resource"), "{missing}");
        assert_eq!(missing.data, Some(json!({"uri": none})));
        client.close().await;
    }
}

#[tokio::test]
#[expect(deprecated, reason = "clients of eras before 2026-07-28 ask in this way")]
async fn subscribers_hear_only_of_their_uris() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let writer = start(&path, "documents", eras()[1].clone()).await;
    let (subscriber, mut heard) = listener(&path).await;
    let (bystander, mut overheard) = listener(&path).await;
    bystander.subscribe(SubscribeRequestParams::new(GRAPH)).await.unwrap();
    // Before there is such a document, or a palace.
    subscriber.subscribe(SubscribeRequestParams::new(PLAN)).await.unwrap();
    for n in 0..3 {
        put(&writer, "notes/other", n).await;
        put(&writer, "notes/plan", n).await;
        assert_eq!(soon(heard.recv()).await.unwrap(), PLAN);
        let found = read(subscriber.peer(), PLAN).await;
        assert_eq!(found["value"], json!({"n": n}));
    }
    subscriber.subscribe(SubscribeRequestParams::new(OTHER)).await.unwrap();
    for n in 4..7 {
        put(&writer, "notes/other", n).await;
        assert_eq!(soon(heard.recv()).await.unwrap(), OTHER, "nobody wrote the plan");
    }
    subscriber.unsubscribe(UnsubscribeRequestParams::new(PLAN)).await.unwrap();
    put(&writer, "notes/plan", 7).await;
    put(&writer, "notes/other", 7).await;
    // A notice of the plan that was on its way already may still come; the last is of what it asked for.
    while soon(heard.recv()).await.unwrap() != OTHER {}
    assert!(subscriber.subscribe(SubscribeRequestParams::new("palace://none")).await.is_err());
    subscriber.cancel().await.unwrap();
    while let Some(notice) = heard.recv().await {
        assert_eq!(notice, OTHER, "after it was unsubscribed");
    }
    let entity = json!({"entities": [{"name": "e", "entityType": "t", "observations": []}]});
    let memory = start(&path, "memory", eras()[0].clone()).await;
    call(&memory, "create_entities", entity).await;
    assert_eq!(soon(overheard.recv()).await.unwrap(), GRAPH, "told of documents of others");
    bystander.cancel().await.unwrap();
    memory.close().await;
    writer.close().await;
}

#[tokio::test]
async fn listeners_of_the_new_era_hear_of_each_uri_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let [old, new] = eras();
    let writer = start(&path, "documents", old).await;
    let listener = start(&path, "documents", new).await;
    let asked = [PLAN, OTHER, STATUS, GRAPH];
    let asked =
        SubscriptionFilter::builder().resource_subscriptions(asked).resources_list_changed();
    let mut subscription = listener.0.peer().listen(asked.build()).await.unwrap();
    let granted = subscription.acknowledged().clone();
    let uris = [PLAN, OTHER, STATUS].map(str::to_owned).to_vec();
    assert_eq!(granted.resource_subscriptions, Some(uris), "the graph is not offered");
    assert_eq!(granted.resources_list_changed, Some(true));
    // What was granted is told of at once, since nobody knows what happened before; then what is written.
    let mut next = async || {
        let notice =
            serde_json::to_value(soon(subscription.next()).await.unwrap().unwrap()).unwrap();
        let method = notice["method"].as_str().unwrap().to_owned();
        notice["params"]["uri"].as_str().map_or(method, str::to_owned)
    };
    let list = "notifications/resources/list_changed";
    let mut first = [next().await, next().await, next().await, next().await];
    first.sort();
    assert_eq!(first, [list, OTHER, PLAN, STATUS]);
    for (key, uri) in [("notes/plan", PLAN), ("notes/other", OTHER), ("notes/plan", PLAN)] {
        put(&writer, key, 1).await;
        call(&writer, "document_increment", json!({"key": key, "path": "/count"})).await;
        // The status and the list change with it, at a pace of their own.
        while next().await != uri {}
    }
    listener.close().await;
    writer.close().await;
}

#[tokio::test]
async fn clients_that_read_the_list_hear_of_its_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let writer = start(&path, "documents", eras()[1].clone()).await;
    let (reader, mut heard) = listener(&path).await;
    assert_eq!(reader.list_all_resources().await.unwrap().len(), 2);
    put(&writer, "notes/plan", 1).await;
    assert_eq!(soon(heard.recv()).await.unwrap(), "list");
    let listed = reader.list_all_resources().await.unwrap();
    assert_eq!(listed[2].uri, PLAN);
    call(&writer, "document_delete", json!({"key": "notes/plan"})).await;
    assert_eq!(soon(heard.recv()).await.unwrap(), "list");
    assert_eq!(reader.list_all_resources().await.unwrap().len(), 2);
    // A burst is told of as long as it lasts, and once a second at most.
    let (begun, mut told) = (std::time::Instant::now(), 0);
    for n in 0..50 {
        put(&writer, &format!("notes/{n}"), 1).await;
    }
    while reader.list_all_resources().await.unwrap().len() < 52 {
        assert_eq!(soon(heard.recv()).await.unwrap(), "list");
        told += 1;
    }
    reader.cancel().await.unwrap();
    let seconds = begun.elapsed().as_secs();
    while heard.recv().await.is_some() {
        told += 1;
    }
    assert!(told <= seconds + 2, "{told} notices in {seconds} s");
    writer.close().await;
}

#[tokio::test]
async fn wings_are_listed_page_by_page_before_the_documents() {
    let dir = tempfile::tempdir().unwrap();
    let sets = "palace,documents";
    for era in eras() {
        let client = start(&dir.path().join("palace"), sets, era).await;
        put(&client, "notes/plan", 1).await;
        put(&client, "notes/other", 1).await;
        // A checkpoint leaves out what is much like what is there.
        let text = |n| format!("one{n} two{n} three{n}");
        let item = |n| json!({"wing": format!("wing {n:03}"), "room": "r", "content": text(n)});
        for items in [0..90, 90..150] {
            let items: Vec<Value> = items.map(item).collect();
            call(&client, "palace_checkpoint", json!({"items": items})).await;
        }
        let mut expected = vec![STATUS.to_owned()];
        expected.extend((0..150).map(|n| format!("palace://wing/wing%20{n:03}")));
        expected.extend([OTHER, PLAN].map(str::to_owned));
        let (mut uris, mut pages, mut cursor) = (Vec::new(), Vec::new(), None::<String>);
        loop {
            let request = PaginatedRequestParams::default().with_cursor(cursor);
            let page = client.0.list_resources(Some(request)).await.unwrap();
            pages.push(page.resources.len());
            uris.extend(page.resources.into_iter().map(|resource| resource.uri));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((uris, pages), (expected, vec![101, 52]));
        let wing = read(client.0.peer(), "palace://wing/wing%20007").await;
        assert_eq!(wing, json!({"wing": "wing 007", "rooms": {"r": 1}}));
        client.close().await;
    }
}

#[tokio::test]
async fn clients_that_read_the_list_hear_of_added_and_removed_wings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let writer = start(&path, "palace", eras()[1].clone()).await;
    let file = async |wing: &str, content: &str| {
        let item = json!({"wing": wing, "room": "r", "content": content});
        let added = call(&writer, "palace_add_drawer", item).await;
        json!({"drawer_id": added["drawer_id"]})
    };
    let stays = file("atlas", "a text that stays").await;
    let (reader, mut heard) = listener_with(&path, "palace").await;
    assert_eq!(reader.list_all_resources().await.unwrap().len(), 2);
    let goes = file("bosun", "a text that goes").await;
    assert_eq!(soon(heard.recv()).await.unwrap(), "list");
    assert_eq!(reader.list_all_resources().await.unwrap().len(), 3);
    call(&writer, "palace_delete_drawer", goes).await;
    assert_eq!(soon(heard.recv()).await.unwrap(), "list");
    assert_eq!(reader.list_all_resources().await.unwrap().len(), 2);
    let moved = json!({"drawer_id": stays["drawer_id"], "wing": "castle"});
    call(&writer, "palace_update_drawer", moved).await;
    assert_eq!(soon(heard.recv()).await.unwrap(), "list");
    let listed = reader.list_all_resources().await.unwrap();
    assert_eq!(listed[1].uri, "palace://wing/castle");
    reader.cancel().await.unwrap();
    writer.close().await;
}
