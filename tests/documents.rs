//! The tool set `documents`, as clients of both protocol eras meet it.

mod common;

use common::{Client, PALACE, eras};
use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::TokioChildProcess;
use serde_json::{Value, json};
use std::path::Path;

async fn start(palace: &Path, name: &str, era: ClientLifecycleMode) -> Client {
    let mut command = tokio::process::Command::new(PALACE);
    command.args(["serve", "--tools", "documents", "--palace"]).arg(palace);
    let config = ClientConfig::new(ClientCapabilities::default(), Implementation::new(name, "1"));
    let child = TokioChildProcess::new(command).unwrap();
    Client(config.serve_with_lifecycle(child, era).await.unwrap())
}

/// What is structured in the answer, or in the error. It must be what the text says.
async fn call(client: &Client, tool: &'static str, arguments: Value) -> Result<Value, Value> {
    let arguments = arguments.as_object().unwrap().clone();
    let params = CallToolRequestParams::new(tool).with_arguments(arguments);
    let result = client.0.call_tool(params).await.unwrap();
    let content = serde_json::to_value(&result.content).unwrap();
    let text = content[0]["text"].as_str().unwrap();
    assert!(text.len() <= 100_000, "{tool}: {} bytes", text.len());
    if result.is_error == Some(true) {
        let Some(structured) = result.structured_content else { return Err(json!(text)) };
        assert!(text.starts_with(structured["message"].as_str().unwrap()), "{text}");
        return Err(structured);
    }
    let structured = result.structured_content.unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), structured);
    Ok(structured)
}

async fn done(client: &Client, tool: &'static str, arguments: Value) -> Value {
    call(client, tool, arguments).await.unwrap_or_else(|error| panic!("{tool}: {error}"))
}

async fn refused(client: &Client, tool: &'static str, arguments: Value) -> Value {
    call(client, tool, arguments).await.expect_err(tool)
}

fn etag(answer: &Value) -> &str {
    answer["etag"].as_str().unwrap()
}

#[tokio::test]
async fn every_document_tool_answers_in_both_eras() {
    for era in eras() {
        let dir = tempfile::tempdir().unwrap();
        let client = start(&dir.path().join("palace"), "ann", era).await;
        let plan = json!({"title": "Plan", "tasks": [{"text": "write"}]});
        let put = json!({"key": "notes/plan", "value": plan, "if_match": "absent"});
        let first = done(&client, "document_put", put.clone()).await;
        let expected = json!({"key": "notes/plan", "etag": first["etag"], "changed": true, "durable": true, "conflicts": []});
        assert_eq!(first, expected);

        let got = done(&client, "document_get", json!({"key": "notes/plan"})).await;
        assert_eq!((&got["value"], &got["etag"]), (&plan, &first["etag"]));
        assert_eq!(got["modified"]["by"], "ann/1");
        assert!(got["modified"]["time"].as_str().unwrap().ends_with('Z'), "{got}");
        let part = json!({"key": "notes/plan", "path": "/tasks/0/text"});
        assert_eq!(done(&client, "document_get", part).await["value"], "write");

        let again = refused(&client, "document_put", put).await;
        assert_eq!((&again["error"], &again["current"]["value"]), (&json!("ETAG_MISMATCH"), &plan));

        let patch = json!({"key": "notes/plan", "patch": {"title": null, "done": false}});
        let second = done(&client, "document_patch", patch).await;
        assert_ne!(second["etag"], first["etag"]);
        let got = done(&client, "document_get", json!({"key": "notes/plan"})).await;
        assert_eq!(got["value"], json!({"tasks": [{"text": "write"}], "done": false}));
        let then = json!({"key": "notes/plan", "version": first["etag"]});
        assert_eq!(done(&client, "document_get", then).await["value"], plan);

        let add = |by: i64| json!({"key": "stats", "path": "/visits/today", "by": by});
        assert_eq!(done(&client, "document_increment", add(5)).await["count"], 5);
        assert_eq!(done(&client, "document_increment", add(-2)).await["count"], 3);

        let listed = done(&client, "document_list", json!({})).await;
        let keys: Vec<_> =
            listed["documents"].as_array().unwrap().iter().map(|d| &d["key"]).collect();
        assert_eq!(keys, ["notes/plan", "stats"]);
        assert_eq!(listed["documents"][0]["etag"], second["etag"]);
        let page = done(&client, "document_list", json!({"limit": 1})).await;
        let next = json!({"limit": 1, "cursor": page["next_cursor"]});
        assert_eq!(done(&client, "document_list", next).await["documents"][0]["key"], "stats");

        let found = done(&client, "document_search", json!({"query": "WRITE"})).await;
        assert_eq!(found["documents"].as_array().unwrap().len(), 1);
        assert_eq!(found["documents"][0]["key"], "notes/plan");
        assert_eq!(found["documents"][0]["snippet"], "write");
        let none = json!({"query": "write", "prefix": "stats"});
        assert_eq!(done(&client, "document_search", none).await, json!({"documents": []}));

        let deleted = json!({"key": "notes/plan", "if_match": first["etag"]});
        let stale = refused(&client, "document_delete", deleted).await;
        assert_eq!(
            (&stale["error"], &stale["current"]["etag"]),
            (&json!("ETAG_MISMATCH"), &second["etag"])
        );
        let deleted = json!({"key": "notes/plan", "if_match": second["etag"]});
        assert_eq!(done(&client, "document_delete", deleted).await["changed"], true);
        let gone = refused(&client, "document_get", json!({"key": "notes/plan"})).await;
        assert_eq!(gone["error"], "NOT_FOUND");
        let gone = json!({"key": "notes/plan", "value": {}, "if_match": second["etag"]});
        let gone = refused(&client, "document_put", gone).await;
        assert_eq!((&gone["error"], &gone["current"]), (&json!("ETAG_MISMATCH"), &Value::Null));
        assert!(gone.as_object().unwrap().contains_key("current"), "{gone}");

        let history = done(&client, "document_history", json!({"key": "notes/plan"})).await;
        let versions = history["versions"].as_array().unwrap();
        let kinds: Vec<_> = versions.iter().map(|version| &version["kind"]).collect();
        assert_eq!(kinds, ["delete", "edit", "edit"]);
        assert_eq!(versions[1]["etag"], second["etag"]);
        assert_eq!(versions[1]["follows"], json!([first["etag"]]));
        assert_eq!(versions[0]["by"], "ann/1");

        let restore = json!({"key": "notes/plan", "version": first["etag"], "if_match": "absent"});
        assert_eq!(done(&client, "document_restore", restore).await["changed"], true);
        let got = done(&client, "document_get", json!({"key": "notes/plan"})).await;
        assert_eq!(got["value"], plan);
        let page = json!({"key": "notes/plan", "limit": 3});
        let page = done(&client, "document_history", page).await;
        let next = json!({"key": "notes/plan", "cursor": page["next_cursor"]});
        let rest = done(&client, "document_history", next).await;
        assert_eq!(rest["versions"], json!([versions[2]]), "nothing of the history is undone");

        let none = done(&client, "document_conflicts", json!({"key": "notes/plan"})).await;
        assert_eq!(none["conflicts"], json!([]));
        client.close().await;
    }
}
