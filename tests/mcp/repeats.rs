//! Calls that are sent again because their answer was lost: no writing tool has a second effect, whatever another client
//! wrote in between, and after a restart of the server too.

use crate::client::Client;
use crate::named_clients::done;
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

type Calls = Vec<(&'static str, Value)>;

/// A call of a tool, and what another client does to its effect before the call is sent again.
struct Case {
    tool: &'static str,
    call: Value,
    between: fn(&Value, &Value) -> Calls,
}

fn case(tool: &'static str, call: Value, between: fn(&Value, &Value) -> Calls) -> Case {
    Case { tool, call, between }
}

async fn start(name: &str, palace: &Path) -> Client {
    let options = ["--tools", "palace,documents,memory"];
    Client::start_named(name, palace, ClientLifecycleMode::Initialize, &options).await
}

async fn file(client: &Client, wing: &str, content: &str) -> Value {
    let item = json!({"wing": wing, "room": "r", "content": content});
    done(client, "palace_add_drawer", item).await["drawer_id"].clone()
}

/// Everything that a client can see, with the versions.
async fn everything(client: &Client) -> Value {
    let listed = done(client, "palace_list_drawers", json!({"limit": 100})).await;
    let ids: Vec<&Value> =
        listed["drawers"].as_array().unwrap().iter().map(|it| &it["drawer_id"]).collect();
    json!([
        done(client, "palace_get_drawers", json!({"drawer_ids": ids})).await,
        done(client, "palace_get_taxonomy", json!({})).await,
        done(client, "palace_kg_timeline", json!({})).await,
        done(client, "palace_diary_read", json!({"agent_name": "Scout", "last_n": 100})).await,
        done(client, "document_list", json!({})).await,
        done(client, "read_graph", json!({})).await,
    ])
}

fn bring_back(_: &Value, call: &Value) -> Calls {
    let ids =
        call["drawer_ids"].as_array().cloned().unwrap_or_else(|| vec![call["drawer_id"].clone()]);
    ids.into_iter().map(|id| ("palace_undelete_drawer", json!({"drawer_id": id}))).collect()
}

fn delete_again(first: &Value, _: &Value) -> Calls {
    let id = ["drawer_id", "entry_id"].into_iter().find_map(|field| first.get(field));
    vec![("palace_delete_drawers", json!({"drawer_ids": [id.unwrap()]})); 2]
}

fn drawer_cases([one, two, three, four, five]: [&Value; 5]) -> Vec<Case> {
    let checkpoint = json!({"items": [{"wing": "save", "room": "r", "content": "A saved text."}]});
    vec![
        case(
            "palace_add_drawer",
            json!({"wing": "add", "room": "r", "content": "x"}),
            delete_again,
        ),
        case("palace_update_drawer", json!({"drawer_id": one, "content": "second"}), |_, call| {
            let id = &call["drawer_id"];
            let third = json!({"drawer_id": id, "content": "third"});
            vec![("palace_get_drawer", json!({"drawer_id": id})), ("palace_update_drawer", third)]
        }),
        case("palace_delete_drawer", json!({"drawer_id": two}), bring_back),
        case("palace_delete_drawers", json!({"drawer_ids": [three]}), bring_back),
        case("palace_undelete_drawer", json!({"drawer_id": four}), delete_again),
        case("palace_checkpoint", checkpoint, |first, _| delete_again(&first["items"][0], first)),
        case(
            "palace_move_drawers",
            json!({"drawer_ids": [five], "to_wing": "moved"}),
            |_, call| {
                let back = json!({"drawer_id": call["drawer_ids"][0], "wing": "back"});
                vec![("palace_update_drawer", back)]
            },
        ),
        case("palace_rename_place", json!({"wing": "named", "to": "renamed"}), |_, _| {
            vec![("palace_rename_place", json!({"wing": "renamed", "to": "named otherwise"}))]
        }),
        case("palace_diary_write", json!({"agent_name": "Scout", "entry": "A day."}), delete_again),
    ]
}

fn fact(object: &str) -> Value {
    json!({"subject": "Ada", "predicate": "likes", "object": object})
}

fn end(object: &'static str) -> Calls {
    vec![("palace_kg_invalidate", fact(object))]
}

fn add(object: &'static str) -> Calls {
    vec![("palace_kg_add", fact(object))]
}

fn fact_cases(wrong: &Value) -> Vec<Case> {
    let supersede =
        json!({"subject": "Ada", "predicate": "likes", "old_object": "milk", "new_object": "oats"});
    vec![
        case("palace_kg_add", fact("tea"), |_, _| end("tea")),
        case("palace_kg_invalidate", fact("ale"), |_, _| add("ale")),
        case("palace_kg_supersede", supersede, |_, _| [end("oats"), add("milk")].concat()),
        case("palace_kg_delete", json!({"triple_id": wrong}), |_, _| add("gin")),
    ]
}

/// Each is of a document that was `{"n": 1}` first, then `{"n": 2}`.
fn document_cases(first: &Value) -> Vec<Case> {
    fn writes(_: &Value, call: &Value) -> Calls {
        let key = &call["key"];
        let value = json!({"n": 100, "text": "another"});
        vec![
            ("document_get", json!({"key": key})),
            ("document_put", json!({"key": key, "value": value})),
        ]
    }
    vec![
        case("document_put", json!({"key": "a", "value": {"n": 3}}), writes),
        case("document_patch", json!({"key": "b", "patch": {"n": 3}}), writes),
        case("document_increment", json!({"key": "c", "path": "/count"}), writes),
        case("document_restore", json!({"key": "d", "version": first}), writes),
        case("document_delete", json!({"key": "e"}), |_, call| {
            vec![("document_restore", json!({"key": call["key"]}))]
        }),
    ]
}

/// Their arguments are the reference's, so that they take no key. What others add beside their effect stays.
fn graph_cases() -> Vec<Case> {
    fn observe(_: &Value, _: &Value) -> Calls {
        let seen = json!([{"entityName": "Bob", "contents": ["is here"]}]);
        vec![("add_observations", json!({"observations": seen}))]
    }
    let entity = json!({"name": "Ada", "entityType": "person", "observations": ["signs"]});
    let relation = json!({"from": "Ada", "to": "Bob", "relationType": "knows"});
    let observed = |field: &str| json!([{"entityName": "Ada", field: ["is on call"]}]);
    vec![
        case("create_entities", json!({"entities": [entity]}), observe),
        case("create_relations", json!({"relations": [relation]}), observe),
        case("add_observations", json!({"observations": observed("contents")}), observe),
        case("delete_observations", json!({"deletions": observed("observations")}), observe),
        case("delete_relations", json!({"relations": [relation]}), observe),
        case("delete_entities", json!({"entityNames": ["Ada"]}), observe),
    ]
}

/// Makes what the calls are about.
async fn cases(ann: &Client, bob: &Client) -> Vec<Case> {
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(file(ann, "w", &format!("first {n}")).await);
    }
    file(ann, "named", "text").await;
    done(ann, "palace_delete_drawer", json!({"drawer_id": ids[3]})).await;
    for object in ["ale", "milk"] {
        done(ann, "palace_kg_add", fact(object)).await;
    }
    let wrong = done(ann, "palace_kg_add", fact("gin")).await["triple_id"].clone();
    let mut first = Value::Null;
    for key in ["a", "b", "c", "d", "e"] {
        let puts = [1, 2].map(|n| json!({"key": key, "value": {"n": n}}));
        for (n, put) in puts.into_iter().enumerate() {
            let written = done(ann, "document_put", put).await;
            if (key, n) == ("d", 0) {
                first = written["etag"].clone();
            }
        }
    }
    let entity = json!({"name": "Bob", "entityType": "person", "observations": []});
    done(bob, "create_entities", json!({"entities": [entity]})).await;
    let [one, two, three, four, five] = &ids[..] else { panic!("{ids:?}") };
    let mut cases = drawer_cases([one, two, three, four, five]);
    cases.extend(fact_cases(&wrong));
    cases.extend(document_cases(&first));
    cases.extend(graph_cases());
    cases
}

#[tokio::test]
async fn no_writing_tool_has_a_second_effect_when_its_call_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (mut ann, bob) = (start("ann", &path).await, start("bob", &path).await);
    let mut tried = BTreeSet::from(["palace_settle", "document_settle"].map(str::to_owned));
    let mut again = Vec::new();
    for Case { tool, mut call, between } in cases(&ann, &bob).await {
        let has_key =
            tool.contains('_') && (tool.starts_with("palace_") || tool.starts_with("document_"));
        if has_key {
            call["idempotency_key"] = json!(format!("call of {tool}"));
        }
        let first = done(&ann, tool, call.clone()).await;
        assert_eq!(first.get("repeated"), None, "{tool}: {first}");
        for (tool, call) in between(&first, &call) {
            done(&bob, tool, call).await;
        }
        let before = everything(&bob).await;
        for restarted in [false, true] {
            if restarted {
                ann.close().await;
                ann = start("ann", &path).await;
            }
            let repeated = done(&ann, tool, call.clone()).await;
            if everything(&bob).await != before {
                again.push((tool, restarted));
                break;
            }
            if has_key {
                assert_eq!(repeated["repeated"], true, "{tool}: {repeated}");
                let ids = ["drawer_id", "entry_id", "triple_id", "moved", "count", "to"];
                for field in ids.into_iter().filter(|field| first.get(*field).is_some()) {
                    assert_eq!(repeated[field], first[field], "{tool}: {field}");
                }
            }
        }
        tried.insert(tool.to_owned());
    }
    assert_eq!(again, [], "they had a second effect");
    for tool in ann.0.list_all_tools().await.unwrap() {
        let reads = tool.annotations.unwrap().read_only_hint == Some(true);
        assert!(reads || tried.contains(tool.name.as_ref()), "{} was not tried", tool.name);
    }
    ann.close().await;
    bob.close().await;
}

/// Both settle calls name the version of the list, which is another one once a conflict is settled.
#[tokio::test]
async fn settling_again_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (ann, bob) = (start("ann", &path).await, start("bob", &path).await);
    let id = file(&ann, "w", "text").await;
    let first = done(&ann, "document_put", json!({"key": "k", "value": {"n": 1}})).await;
    done(&bob, "palace_get_drawer", json!({"drawer_id": id})).await;
    for (client, n) in [(&ann, 2), (&bob, 3)] {
        let update = json!({"drawer_id": id, "content": format!("text {n}")});
        done(client, "palace_update_drawer", update).await;
        let put = json!({"key": "k", "value": {"n": n}, "base": first["etag"]});
        done(client, "document_put", put).await;
    }
    let drawers = done(&ann, "palace_conflicts", json!({})).await["conflicts"][0]["etag"].clone();
    let documents = done(&ann, "document_conflicts", json!({"key": "k"})).await["etag"].clone();
    let calls = [
        ("palace_settle", json!({"drawer_id": id, "conflict": 1, "text": "x", "etag": drawers})),
        ("document_settle", json!({"key": "k", "conflict": 1, "value": 4, "etag": documents})),
    ];
    for (tool, call) in calls {
        done(&ann, tool, call.clone()).await;
        let before = everything(&bob).await;
        assert!(ann.call(tool, call.clone()).await.unwrap_err().contains("ETAG_MISMATCH"));
        let restarted = start("ann", &path).await;
        assert!(restarted.call(tool, call).await.unwrap_err().contains("ETAG_MISMATCH"));
        restarted.close().await;
        assert_eq!(everything(&bob).await, before, "{tool}");
    }
    ann.close().await;
    bob.close().await;
}
