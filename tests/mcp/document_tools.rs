//! The tool set `documents`, as clients of both protocol eras meet it.

use crate::client::{Client, eras, texts};
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};
use std::path::Path;

async fn start(palace: &Path, name: &str, era: ClientLifecycleMode) -> Client {
    Client::start_named(name, palace, era, &["--tools", "documents"]).await
}

/// What is structured in the answer, or in the error. It must be what the text says.
async fn call(client: &Client, tool: &'static str, arguments: Value) -> Result<Value, Value> {
    let result = client.result(tool, arguments).await;
    let text = texts(&result).swap_remove(0);
    assert!(text.len() <= 100_000, "{tool}: {} bytes", text.len());
    if result.is_error == Some(true) {
        let Some(structured) = result.structured_content else { return Err(json!(text)) };
        assert!(text.starts_with(structured["message"].as_str().unwrap()), "{text}");
        return Err(structured);
    }
    let structured = result.structured_content.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), structured);
    Ok(structured)
}

async fn done(client: &Client, tool: &'static str, arguments: Value) -> Value {
    call(client, tool, arguments).await.unwrap_or_else(|error| panic!("{tool}: {error}"))
}

async fn refused(client: &Client, tool: &'static str, arguments: Value) -> Value {
    call(client, tool, arguments).await.expect_err(tool)
}

/// Several servers on one palace.
async fn servers(palace: &Path) -> Vec<Client> {
    let mut servers = Vec::new();
    for (name, era) in ["ann", "bob", "carl", "dora"].into_iter().zip(eras().into_iter().cycle()) {
        servers.push(start(palace, name, era).await);
    }
    servers
}

async fn close(servers: Vec<Client>) {
    for server in servers {
        server.close().await;
    }
}

/// The same work in every server at once.
async fn at_once<F: Future>(servers: &[Client], work: impl Fn(usize) -> F) -> Vec<F::Output> {
    let mut running: Vec<_> = (0..servers.len()).map(|n| Box::pin(work(n))).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (work, done) in running.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(result) = work.as_mut().poll(context) {
                *done = Some(result);
            }
        }
        if done.iter().all(Option::is_some) { ().into() } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}

const EACH: i64 = 5;

#[tokio::test]
async fn every_document_tool_answers_in_both_eras() {
    for era in eras() {
        let dir = tempfile::tempdir().unwrap();
        let client = start(&dir.path().join("palace"), "ann", era).await;
        let plan = json!({"title": "Plan", "tasks": [{"text": "write"}]});
        let put = json!({"key": "notes/plan", "value": plan, "if_match": "absent"});
        let first = done(&client, "document_put", put.clone()).await;
        let expected = json!({"key": "notes/plan", "etag": first["etag"], "current_etag": first["etag"],
            "changed": true, "durable": true, "conflicts": []});
        assert_eq!(first, expected);

        let got = done(&client, "document_get", json!({"key": "notes/plan"})).await;
        assert_eq!((&got["value"], &got["etag"]), (&plan, &first["etag"]));
        assert_eq!(got["modified"]["by"], "ann/1.2");
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
        assert_eq!(versions[0]["by"], "ann/1.2");

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

#[tokio::test]
async fn a_shared_counter_is_exact_with_if_match_and_retry() {
    let dir = tempfile::tempdir().unwrap();
    let servers = servers(&dir.path().join("palace")).await;
    done(&servers[0], "document_put", json!({"key": "counter", "value": {"n": 5}})).await;
    let retries = at_once(&servers, async |n| {
        let (client, mut retries) = (&servers[n], 0);
        for _ in 0..EACH {
            let mut seen = done(client, "document_get", json!({"key": "counter"})).await;
            loop {
                let next = json!({"n": seen["value"]["n"].as_i64().unwrap() + 1});
                let put = json!({"key": "counter", "value": next, "if_match": seen["etag"]});
                match call(client, "document_put", put).await {
                    Ok(_) => break,
                    // What is there now came with the refusal: no read is needed.
                    Err(refused) if refused["error"] == "ETAG_MISMATCH" => {
                        seen = refused["current"].clone()
                    }
                    // Locks are waited for at most 2 s.
                    Err(refused) => assert_eq!(refused["error"], "BUSY", "{refused}"),
                }
                retries += 1;
            }
        }
        retries
    })
    .await;
    let end = done(&servers[3], "document_get", json!({"key": "counter"})).await;
    assert_eq!(end["value"]["n"], 5 + EACH * 4, "after {retries:?} retries");
    assert_eq!(end.get("conflicts"), None);
    close(servers).await;
}

#[tokio::test]
async fn a_shared_counter_is_exact_with_increments_and_no_retry() {
    let dir = tempfile::tempdir().unwrap();
    let servers = servers(&dir.path().join("palace")).await;
    let add = |by: i64| json!({"key": "counter", "path": "/n", "by": by});
    done(&servers[0], "document_increment", add(5)).await;
    at_once(&servers, async |n| {
        for _ in 0..EACH {
            done(&servers[n], "document_increment", json!({"key": "counter", "path": "/n"})).await;
        }
    })
    .await;
    let end = done(&servers[3], "document_get", json!({"key": "counter"})).await;
    assert_eq!((&end["value"]["n"], end.get("conflicts")), (&json!(5 + EACH * 4), None));
    close(servers).await;
}

#[tokio::test]
async fn edits_with_the_same_base_are_kept_as_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let servers = servers(&dir.path().join("palace")).await;
    let value = json!({"n": 5, "other": 1});
    let base = done(&servers[0], "document_put", json!({"key": "counter", "value": value})).await;
    let written = at_once(&servers, async |n| {
        let value = json!({"n": 6 + n, "other": 1});
        let put = json!({"key": "counter", "value": value, "base": base["etag"]});
        done(&servers[n], "document_put", put).await
    })
    .await;
    let told = written.iter().map(|answer| {
        assert_eq!(answer["conflicts"], json!([]), "nobody has decided anything");
        answer["open_conflicts"][0]["others"].as_array().map_or(0, Vec::len)
    });
    // Whoever came last was told at once.
    assert_eq!(told.max(), Some(3));

    let shown = done(&servers[1], "document_get", json!({"key": "counter"})).await;
    let listed = done(&servers[2], "document_conflicts", json!({"key": "counter"})).await;
    let [conflict] = listed["conflicts"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    let mut expected = shown["conflicts"][0].clone();
    (expected["key"], expected["number"]) = (json!("counter"), json!(1));
    expected["etag"] = shown["etag"].clone();
    assert_eq!(conflict, &expected);
    assert_eq!(
        (&conflict["path"], &conflict["shown"]["value"]),
        (&json!("/n"), &shown["value"]["n"])
    );
    let mut sides = conflict["others"].as_array().unwrap().clone();
    sides.push(conflict["shown"].clone());
    sides.sort_by_key(|side| side["value"].as_i64());
    let values: Vec<_> =
        sides.iter().map(|side| (&side["value"], side["by"].as_str().unwrap())).collect();
    let expected = [(6, "ann/1.2"), (7, "bob/1.2"), (8, "carl/1.2"), (9, "dora/1.2")]
        .map(|(n, by)| (json!(n), by));
    assert_eq!(values, expected.each_ref().map(|(n, by)| (n, *by)));
    for (side, n) in sides.iter().zip(6..) {
        let then = json!({"key": "counter", "version": side["etag"], "path": "/n"});
        assert_eq!(done(&servers[0], "document_get", then).await["value"], n);
    }

    // Who has read it and writes the field again decides, and is told what that has ended.
    let decide = json!({"key": "counter", "patch": {"n": 9}});
    let decided = done(&servers[1], "document_patch", decide).await;
    let [ended] = decided["conflicts"].as_array().unwrap().as_slice() else { panic!("{decided}") };
    assert_eq!(ended["path"], "/n");
    let mut gone: Vec<_> =
        ended["values"].as_array().unwrap().iter().map(|v| v["value"].as_i64().unwrap()).collect();
    gone.sort_unstable();
    assert_eq!(gone, [6, 7, 8]);
    let end = done(&servers[3], "document_get", json!({"key": "counter"})).await;
    assert_eq!((&end["value"]["n"], end.get("conflicts")), (&json!(9), None));
    close(servers).await;
}

#[tokio::test]
async fn deletes_from_an_old_base_keep_later_writes() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace"), "ann", eras()[0].clone()).await;
    let base = done(&client, "document_put", json!({"key": "k", "value": {"n": 1}})).await;
    done(&client, "document_patch", json!({"key": "k", "patch": {"m": 2}})).await;
    let delete = json!({"key": "k", "base": base["etag"]});
    assert_eq!(done(&client, "document_delete", delete).await["changed"], false);
    let got = done(&client, "document_get", json!({"key": "k"})).await;
    assert_eq!(got["value"], json!({"n": 1, "m": 2}));
    client.close().await;
}

#[tokio::test]
async fn wrong_document_calls_are_explained_and_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace"), "ann", eras()[1].clone()).await;
    let first =
        done(&client, "document_put", json!({"key": "k", "value": {"n": 1, "l": []}})).await;
    let deep = (0..70).fold(json!(1), |inner, _| json!({"in": inner}));
    let value = |value: Value| json!({"key": "k", "value": value});
    let stranger = "00000000000000ff";
    let cases: [(&'static str, Value, &str, &[&str]); 17] = [
        (
            "document_put",
            value(json!({"text": "x".repeat(2 << 20)})),
            "INVALID",
            &["1048576", "nothing was written"],
        ),
        ("document_put", value(deep), "INVALID", &["64"]),
        ("document_put", json!({"key": "k", "value": {}, "if_match": "*"}), "INVALID", &["absent"]),
        (
            "document_put",
            json!({"key": "k", "value": {}, "base": stranger}),
            "NO_SUCH_VERSION",
            &["document_history"],
        ),
        (
            "document_put",
            json!({"key": "k", "value": {}, "if_match": stranger}),
            "ETAG_MISMATCH",
            &["if_match"],
        ),
        ("document_put", json!({"key": "a\nb", "value": {}}), "INVALID", &["control"]),
        (
            "document_put",
            json!({"key": "entity/Ada", "value": {}}),
            "RESERVED",
            &["\"entity/\"", "its own tools"],
        ),
        (
            "document_restore",
            json!({"key": "relation/x", "version": stranger}),
            "RESERVED",
            &["relation/"],
        ),
        (
            "document_restore",
            json!({"key": "k", "version": stranger}),
            "NO_SUCH_VERSION",
            &["document_history"],
        ),
        (
            "document_increment",
            json!({"key": "k", "path": "/n"}),
            "INVALID",
            &["a number", "document_patch"],
        ),
        ("document_increment", json!({"key": "k", "path": "n"}), "INVALID", &["JSON pointer"]),
        ("document_delete", json!({"key": "none"}), "NOT_FOUND", &["document_list"]),
        ("document_get", json!({"key": "k", "path": "/m"}), "NOT_FOUND", &["\"l\"", "\"n\""]),
        ("document_get", json!({"key": "k", "cursor": "x"}), "INVALID", &["next_cursor"]),
        ("document_list", json!({"limit": 0}), "INVALID", &["1 to 1000"]),
        ("document_search", json!({"query": "..."}), "INVALID", &["letter"]),
        ("document_history", json!({"key": "none"}), "NOT_FOUND", &["document_list"]),
    ];
    for (tool, arguments, error, words) in cases {
        let refused = refused(&client, tool, arguments).await;
        assert_eq!(refused["error"], error, "{tool}: {refused}");
        for word in words {
            assert!(refused["message"].as_str().unwrap().contains(word), "{tool}: {refused}");
        }
    }
    let misspelt = json!({"key": "k", "value": {}, "ifmatch": "absent"});
    let refused = refused(&client, "document_put", misspelt).await;
    assert!(refused.as_str().unwrap().contains("ifmatch"), "{refused}");
    let got = done(&client, "document_get", json!({"key": "k"})).await;
    assert_eq!(got["etag"], first["etag"]);
    client.close().await;
}

#[tokio::test]
async fn document_results_are_bounded_and_continue_by_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace"), "ann", eras()[0].clone()).await;
    let long = json!({"text": "\"é\n".repeat(100_000), "short": 1});
    let base = done(&client, "document_put", json!({"key": "long", "value": long})).await;
    let (mut text, mut cursor) = (String::new(), Value::Null);
    loop {
        let page = done(&client, "document_get", json!({"key": "long", "cursor": cursor})).await;
        text.push_str(page["json_piece"].as_str().unwrap());
        if cursor.is_null() {
            // What others write meanwhile does not mix with it.
            done(&client, "document_patch", json!({"key": "long", "patch": {"short": 2}})).await;
        }
        let Some(next) = page.get("next_cursor") else { break };
        cursor = next.clone();
    }
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), long);
    let short = json!({"key": "long", "path": "/short"});
    assert_eq!(done(&client, "document_get", short).await["value"], 2);
    let refused = json!({"key": "long", "value": {}, "if_match": base["etag"]});
    let refused = refused_with(&client, refused).await;
    assert!(refused["current"]["bytes"].as_i64().unwrap() > 100_000, "{refused}");

    // Every field in conflict, with long values.
    let fields = |by: &str| {
        let field = |n: u32| (format!("f{n:03}"), json!(by.repeat(2_000)));
        Value::Object((0..100).map(field).collect())
    };
    let base = done(&client, "document_put", json!({"key": "many", "value": fields("a")})).await;
    for by in ["b", "c"] {
        let put = json!({"key": "many", "value": fields(by), "base": base["etag"]});
        done(&client, "document_put", put).await;
    }
    let got = done(&client, "document_get", json!({"key": "many", "path": "/f000"})).await;
    assert_eq!(got["conflicts"].as_array().unwrap().len(), 1);
    let got = done(&client, "document_get", json!({"key": "many"})).await;
    let shown = got["conflicts"].as_array().unwrap().len() as i64;
    assert_eq!(shown + got["more_conflicts"].as_i64().unwrap(), 100);
    let (mut paths, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page =
            done(&client, "document_conflicts", json!({"key": "many", "cursor": cursor})).await;
        paths.extend(page["conflicts"].as_array().unwrap().iter().map(|c| c["path"].clone()));
        let Some(next) = page.get("next_cursor") else { break };
        cursor = next.clone();
    }
    assert_eq!(paths, (0..100).map(|n| json!(format!("/f{n:03}"))).collect::<Vec<_>>());
    let settled = done(&client, "document_put", json!({"key": "many", "value": {}})).await;
    let shown = settled["conflicts"].as_array().unwrap().len() as i64;
    assert_eq!(shown + settled["more_conflicts"].as_i64().unwrap(), 100);
    client.close().await;
}

async fn refused_with(client: &Client, put: Value) -> Value {
    refused(client, "document_put", put).await
}

#[tokio::test]
async fn document_listings_and_searches_page_within_their_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let palace = crdt_palace::palace::Palace::open(&path).unwrap();
    let value = json!({"text": "word"});
    let mut batch = palace.batch();
    let key = |n: u32| format!("notes/{}{n:03}", "k".repeat(300));
    let others = ["entity/a", "drawer/x", "relation/b", "zebra"].map(str::to_owned);
    for key in (0..500).map(key).chain(others) {
        let key = crdt_palace::format::key::Key::new(&key).unwrap();
        batch.write(key, |draft| draft.put(value.as_object().unwrap()));
    }
    batch.commit().unwrap();
    let client = start(&path, "ann", eras()[1].clone()).await;
    for (tool, limit) in [("document_list", 1_000), ("document_search", 100)] {
        let (mut keys, mut pages, mut cursor) = (Vec::new(), 0, Value::Null);
        loop {
            let mut asked = json!({"limit": limit, "cursor": cursor});
            if tool == "document_search" {
                asked["query"] = json!("wor*");
            }
            let page = done(&client, tool, asked).await;
            let documents = page["documents"].as_array().unwrap();
            keys.extend(documents.iter().map(|found| found["key"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(next) = page.get("next_cursor") else { break };
            cursor = next.clone();
        }
        let expected: Vec<String> = (0..500).map(key).chain(["zebra".to_owned()]).collect();
        assert_eq!(keys, expected, "{tool}");
        assert!(pages > 1, "{tool}: all in one");
    }
    let entities = done(&client, "document_list", json!({"prefix": "entity/"})).await;
    assert_eq!(entities["documents"][0]["key"], "entity/a");
    let entity = done(&client, "document_get", json!({"key": "entity/a"})).await;
    assert_eq!(entity["value"], value);
    client.close().await;
}

#[tokio::test]
async fn document_tools_are_described_for_models_and_programs() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace"), "ann", eras()[1].clone()).await;
    let tools = client.0.list_all_tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    let verbs = [
        "get",
        "put",
        "patch",
        "increment",
        "list",
        "search",
        "delete",
        "history",
        "conflicts",
        "settle",
        "restore",
    ];
    assert_eq!(names, verbs.map(|verb| format!("document_{verb}")), "also in this order");
    for tool in &tools {
        let tool = serde_json::to_value(tool).unwrap();
        let name = tool["name"].as_str().unwrap();
        let hint = |hint: &str| tool["annotations"][hint].as_bool().unwrap();
        let writes = ["put", "patch", "increment", "delete", "settle", "restore"]
            .iter()
            .any(|verb| name.ends_with(verb));
        assert_eq!((hint("readOnlyHint"), hint("openWorldHint")), (!writes, false), "{name}");
        let again = !writes || ["document_delete", "document_settle"].contains(&name);
        assert_eq!(hint("idempotentHint"), again, "with base a repeated {name} adds once more");
        assert_eq!(hint("destructiveHint"), writes && name != "document_increment", "{name}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        let properties = tool["inputSchema"]["properties"].as_object().unwrap();
        for (argument, schema) in properties {
            assert!(schema["description"].as_str().unwrap().len() > 5, "{argument} of {name}");
        }
        let names_version = properties.contains_key("if_match") && properties.contains_key("base");
        assert_eq!(names_version, writes && name != "document_settle", "{name}");
        let output = &tool["outputSchema"];
        assert_eq!(
            (&output["type"], output["anyOf"].as_array().unwrap().len()),
            (&json!("object"), 2)
        );
        assert!(output["properties"]["error"]["enum"].is_array(), "{output}");
        assert!(!tool.to_string().contains("$ref"), "some clients cannot follow it: {tool}");
        assert!(!tool.to_string().contains("\"uint"), "some clients warn of it: {tool}");
        assert!(tool["title"].as_str().unwrap().contains(' '), "{tool}");
        let description = tool["description"].as_str().unwrap();
        assert!(description.len() > 10 && !description.contains('\n'), "{description}");
    }
    client.close().await;
    assert!(!dir.path().join("palace").exists(), "looking at the tools left a trace");
}

/// The words stand in the answers of all tools that can find the lock taken.
#[tokio::test]
async fn writes_that_find_the_lock_taken_say_that_nothing_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let options = ["--tools", "palace,documents"];
    let client = Client::start_with(&path, ClientLifecycleMode::Initialize, &options).await;
    let item = json!({"wing": "w", "room": "r", "content": "text"});
    let filed = client.call("palace_add_drawer", item).await.unwrap();
    let put = client.call("document_put", json!({"key": "k", "value": {}})).await.unwrap();
    let lock = std::fs::File::create(path.join("CAS")).unwrap();
    lock.lock().unwrap();
    let (id, version) = (&filed["drawer_id"], &filed["etag"]);
    let calls = [
        ("palace_update_drawer", json!({"drawer_id": id, "content": "new", "if_match": version})),
        ("palace_delete_drawer", json!({"drawer_id": id, "if_match": version})),
        ("document_put", json!({"key": "k", "value": {"n": 1}, "if_match": put["etag"]})),
    ];
    for (tool, arguments) in calls {
        let error = client.call(tool, arguments).await.unwrap_err();
        assert!(
            error.contains("CAS is locked") && error.contains("nothing was written"),
            "{error}"
        );
    }
    drop(lock);
    client.close().await;
}
