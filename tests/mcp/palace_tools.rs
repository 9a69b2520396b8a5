//! The tool set `palace` as clients meet it: every tool, in both protocol eras, and from two servers at once.

use crate::client::{Client, PALACE, eras, run, stderr};
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The names without the prefix, in their order.
const TOOLS: [&str; 29] = [
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
    "undelete_drawer",
    "move_drawers",
    "rename_place",
    "conflicts",
    "settle",
    "kg_query",
    "kg_add",
    "kg_invalidate",
    "kg_supersede",
    "kg_delete",
    "kg_timeline",
    "kg_stats",
    "diary_write",
    "diary_read",
    "changes_since",
];

async fn start(palace: &Path) -> Client {
    Client::start_with(palace, ClientLifecycleMode::Initialize, &[]).await
}

/// Drops what differs from run to run.
fn without(mut value: Value, fields: &[&str]) -> Value {
    for field in fields {
        assert!(value.as_object_mut().unwrap().remove(*field).is_some(), "{field} in {value}");
    }
    value
}

/// Files a text, and gives the drawer's id.
async fn file(client: &Client, wing: &str, room: &str, content: &str) -> String {
    let item = json!({"wing": wing, "room": room, "content": content});
    let added = client.call("palace_add_drawer", item).await.unwrap();
    assert_eq!((&added["durable"], &added["conflicts"]), (&json!(true), &json!([])), "{added}");
    added["drawer_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn palace_tools_are_listed_alike_in_both_eras() {
    let dir = tempfile::tempdir().unwrap();
    for era in eras() {
        let client = Client::start_with(&dir.path().join("palace"), era, &[]).await;
        let tools = client.0.list_all_tools().await.unwrap();
        let names: Vec<String> = tools.iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(names, TOOLS.map(|name| format!("palace_{name}")), "also in this order");
        for tool in &tools {
            let tool = serde_json::to_value(tool).unwrap();
            for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
                assert!(tool["annotations"][hint].is_boolean(), "{hint} of {}", tool["name"]);
            }
            assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
            assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
            assert!(tool["inputSchema"]["properties"].is_object(), "{tool}");
            assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
            assert!(tool["title"].is_string() && tool["description"].is_string(), "{tool}");
            assert!(!tool.to_string().contains(r#""format":"uint"#), "{tool}");
        }
        client.close().await;
    }
    assert!(!dir.path().join("palace").exists(), "nothing was written");
}

#[tokio::test]
async fn tool_prefix_can_be_any_valid_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let options = ["--tool-prefix", "mempalace_", "--tools", "palace,memory,palace"];
    let client = Client::start_with(&path, ClientLifecycleMode::Initialize, &options).await;
    let names: Vec<String> =
        client.0.list_all_tools().await.unwrap().iter().map(|t| t.name.to_string()).collect();
    assert_eq!((names.len(), names[0].as_str()), (TOOLS.len() + 9, "mempalace_status"));
    assert_eq!(names[TOOLS.len()], "create_entities", "the other sets keep their names");
    let said = client.0.peer_info().unwrap().instructions.clone().unwrap();
    assert!(said.contains("mempalace_search") && !said.contains(" palace_"), "{said}");
    let status = client.call("mempalace_status", json!({})).await.unwrap();
    assert_eq!(status["total_drawers"], 0);
    client.close().await;
    let long = "p".repeat(97);
    for bad in ["a b", "ä", "a/", long.as_str()] {
        let output = run(PALACE, &["serve", "--tool-prefix", bad]);
        assert_eq!(output.status.code(), Some(2), "{bad}");
        assert!(stderr(&output).contains("letters, digits"), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn drawers_can_be_added_read_updated_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace")).await;
    let text = "We sign tokens with Ed25519 since the March review.";
    let item = json!({"wing": "atlas", "room": "auth", "content": text, "source_file": "notes.md"});
    let added = client.call("palace_add_drawer", item.clone()).await.unwrap();
    let (id, etag) = (added["drawer_id"].clone(), added["etag"].clone());
    let told = without(added, &["drawer_id", "etag"]);
    let kept = json!({"success": true, "durable": true, "conflicts": [], "wing": "atlas",
        "room": "auth", "chunks": 1, "reason": null});
    assert_eq!(told, kept);
    let again = client.call("palace_add_drawer", item).await.unwrap();
    assert_eq!((&again["reason"], &again["etag"]), (&json!("already_exists"), &etag));

    let drawer = client.call("palace_get_drawer", json!({"drawer_id": id})).await.unwrap();
    assert_eq!((&drawer["content"], &drawer["etag"]), (&json!(text), &etag));
    assert_eq!(drawer["metadata"]["source_files"], json!(["notes.md"]));
    assert_eq!(drawer["metadata"]["updated_by"], "test-client/1.2");

    let change = json!({"drawer_id": id, "content": "Changed.", "room": "crypto"});
    let updated = client.call("palace_update_drawer", change.clone()).await.unwrap();
    assert_eq!((&updated["drawer_id"], &updated["room"]), (&id, &json!("crypto")));
    assert_ne!(updated["etag"], etag);
    let same = client.call("palace_update_drawer", change).await.unwrap();
    assert_eq!((&same["noop"], &updated["noop"]), (&json!(true), &json!(false)));

    let other = file(&client, "atlas", "auth", "another").await;
    let list = client.call("palace_list_drawers", json!({"wing": "atlas", "limit": 1})).await;
    let list = list.unwrap();
    assert_eq!((&list["total"], &list["count"], &list["limit"]), (&json!(2), &json!(1), &json!(1)));
    let rest = json!({"wing": "atlas", "cursor": list["next_cursor"]});
    let rest = client.call("palace_list_drawers", rest).await.unwrap();
    assert_eq!((&rest["count"], &rest["next_cursor"]), (&json!(1), &Value::Null));
    let ids: BTreeSet<&str> = [&list, &rest]
        .map(|page| page["drawers"][0]["drawer_id"].as_str().unwrap())
        .into_iter()
        .collect();
    assert_eq!(ids, BTreeSet::from([id.as_str().unwrap(), other.as_str()]));

    let none = "drawer_atlas_auth_000000000000000000000000";
    let all = json!({"drawer_ids": [id, none, other]});
    let read = client.call("palace_get_drawers", all.clone()).await.unwrap();
    assert_eq!((&read["count"], &read["not_found"]), (&json!(2), &json!([none])));
    assert_eq!(read["drawers"][0]["content"], "Changed.");
    let gone = client.call("palace_delete_drawer", json!({"drawer_id": id})).await.unwrap();
    assert_eq!((&gone["drawer_id"], &gone["durable"]), (&id, &json!(true)));
    let gone = client.call("palace_delete_drawers", all).await.unwrap();
    assert_eq!((&gone["count"], &gone["not_found"]), (&json!(1), &json!([id, none])));
    assert_eq!(gone["deleted"][0]["drawer_id"], other);
    client.close().await;
}

#[tokio::test]
async fn counts_searches_and_duplicate_checks_agree() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace")).await;
    let key = file(&client, "atlas", "auth", "We sign tokens with an Ed25519 key.").await;
    file(&client, "atlas", "ops", "The key of the server room.").await;
    file(&client, "bosun", "ops", "Deploy on Mondays.").await;
    let wings = client.call("palace_list_wings", json!({})).await.unwrap();
    assert_eq!(wings, json!({"wings": {"atlas": 2, "bosun": 1}, "next_cursor": null}));
    let rooms = client.call("palace_list_rooms", json!({"wing": "atlas"})).await.unwrap();
    let expected = json!({"wing": "atlas", "rooms": {"auth": 1, "ops": 1}, "next_cursor": null});
    assert_eq!(rooms, expected);
    let rooms = client.call("palace_list_rooms", json!({})).await.unwrap();
    assert_eq!((&rooms["wing"], &rooms["rooms"]["ops"]), (&json!("all"), &json!(2)));
    let tree = client.call("palace_get_taxonomy", json!({})).await.unwrap();
    let expected = json!({"atlas": {"auth": 1, "ops": 1}, "bosun": {"ops": 1}});
    assert_eq!(tree["taxonomy"], expected);
    let status = client.call("palace_status", json!({})).await.unwrap();
    assert_eq!((&status["total_drawers"], &status["wings"]["atlas"]), (&json!(3), &json!(2)));
    let here = &status["instances"][0];
    assert_eq!((&here["this_server"], &here["client"]), (&json!(true), &json!("test-client/1.2")));

    let query = "Which key do we sign tokens with?";
    let ask = json!({"query": query, "limit": 1, "since": "2020-01-01"});
    let found = client.call("palace_search", ask.clone()).await.unwrap();
    assert_eq!(
        (&found["query"], &found["filters"]["since"]),
        (&json!(query), &json!("2020-01-01"))
    );
    let hit = &found["results"][0];
    assert_eq!((&hit["drawer_id"], &hit["words_matched"]), (&json!(key), &json!(3)));
    assert_eq!((&hit["matched_via"], &hit["wing"]), (&json!("content"), &json!("atlas")));
    let mut next = ask;
    next["cursor"] = found["next_cursor"].clone();
    let found = client.call("palace_search", next).await.unwrap();
    assert_eq!(found["results"][0]["text"], "The key of the server room.");
    assert_eq!(found["next_cursor"], Value::Null);
    let before = json!({"query": "key", "before": "2020-01-01T00:00:00Z"});
    assert_eq!(client.call("palace_search", before).await.unwrap()["results"], json!([]));

    let near = json!({"content": "we sign tokens with an ED25519 key"});
    let matches = client.call("palace_check_duplicate", near).await.unwrap();
    assert_eq!(matches["is_duplicate"], true);
    let expected = json!([{"id": key, "wing": "atlas", "room": "auth", "similarity": 1.0,
        "content": "We sign tokens with an Ed25519 key.", "truncated": false}]);
    assert_eq!(matches["matches"], expected);
    let long = (0..200).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
    file(&client, "bosun", "ops", &long).await;
    let matches = client.call("palace_check_duplicate", json!({"content": long})).await.unwrap();
    let like = &matches["matches"][0];
    assert_eq!(like["truncated"], true, "{like}");
    assert!(long.starts_with(like["content"].as_str().unwrap().trim_end_matches('…')));
    client.close().await;
}

#[tokio::test]
async fn updates_with_a_stale_if_match_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (ann, bob) = (start(&path).await, start(&path).await);
    let id = file(&ann, "w", "r", "the text").await;
    let get = json!({"drawer_id": id});
    let read = ann.call("palace_get_drawer", get.clone()).await.unwrap()["etag"].clone();
    let change =
        |text: &str, etag: &Value| json!({"drawer_id": id, "content": text, "if_match": etag});
    let first = ann.call("palace_update_drawer", change("the text, and Ann's", &read)).await;
    let first = first.unwrap()["etag"].clone();
    // Bob has read the same; and Ann, who has not got her answer, asks again.
    for (client, text) in [(&bob, "the text, and Bob's"), (&ann, "the text, and Ann's")] {
        let error = client.call("palace_update_drawer", change(text, &read)).await.unwrap_err();
        let says = ["ETAG_MISMATCH", &id, first.as_str().unwrap(), "the text, and Ann's"];
        assert!(says.iter().all(|word| error.contains(word)), "{error}");
        let error = client
            .call("palace_delete_drawer", json!({"drawer_id": id, "if_match": read}))
            .await
            .unwrap_err();
        assert!(error.contains("ETAG_MISMATCH"), "{error}");
        let now = bob.call("palace_get_drawer", get.clone()).await.unwrap();
        assert_eq!((&now["content"], &now["etag"]), (&json!("the text, and Ann's"), &first));
    }
    // With a move, it is one commit still.
    let mut both = change("the text, and both", &first);
    both["room"] = json!("s");
    let second = bob.call("palace_update_drawer", both).await.unwrap()["etag"].clone();
    let bad = bob.call("palace_update_drawer", change("x", &json!("latest"))).await.unwrap_err();
    assert!(bad.contains("if_match") && bad.contains("not an etag"), "{bad}");
    let gone = json!({"drawer_id": id, "if_match": second});
    ann.call("palace_delete_drawer", gone.clone()).await.unwrap();
    for tool in ["palace_delete_drawer", "palace_update_drawer"] {
        let mut call = gone.clone();
        if tool == "palace_update_drawer" {
            call["room"] = json!("t");
        }
        let error = bob.call(tool, call).await.unwrap_err();
        assert!(error.contains("there is no drawer"), "{error}");
    }
    ann.close().await;
    bob.close().await;
    let palace = crdt_palace::palace::Palace::open_read_only(&path).unwrap();
    let commits = palace.changes_since(&Default::default(), 10).unwrap().commits;
    let keys: Vec<usize> = commits.iter().map(|commit| commit.keys.len()).collect();
    assert_eq!((keys.len(), keys.iter().sum::<usize>()), (4, 5), "{commits:?}");
}

#[tokio::test]
async fn parts_of_a_long_text_are_of_one_version() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace")).await;
    let long = "ö".repeat(60_000);
    let id = file(&client, "w", "r", &long).await;
    let first = client.call("palace_get_drawer", json!({"drawer_id": id})).await.unwrap();
    let change = json!({"drawer_id": id, "content": "ä".repeat(50_000)});
    client.call("palace_update_drawer", change).await.unwrap();
    let go_on = json!({"drawer_id": id, "offset": first["next_offset"], "version": first["etag"]});
    let check = async || {
        let rest = client.call("palace_get_drawer", go_on.clone()).await.unwrap();
        let whole = [&first, &rest].map(|part| part["content"].as_str().unwrap()).concat();
        assert!(whole == long, "the whole of the text as it was");
        assert_eq!((&rest["etag"], &rest["next_offset"]), (&first["etag"], &Value::Null));
    };
    check().await;
    client.call("palace_delete_drawer", json!({"drawer_id": id})).await.unwrap();
    check().await;
    for (drawer_id, version, word) in [
        (id.as_str(), "latest", "not an etag"),
        (id.as_str(), "0123456789abcdef", "there is no drawer"),
        ("drawer_w_r_0", "0123456789abcdef", "there is no drawer"),
    ] {
        let ask = json!({"drawer_id": drawer_id, "version": version});
        let error = client.call("palace_get_drawer", ask).await.unwrap_err();
        assert!(error.contains(word), "{error}");
    }
    let other = file(&client, "w", "r", "another").await;
    let ask = json!({"drawer_id": other, "version": "0123456789abcdef"});
    let error = client.call("palace_get_drawer", ask).await.unwrap_err();
    assert!(error.contains("no version \"0123456789abcdef\""), "{error}");
    client.close().await;
}

#[tokio::test]
async fn concurrently_written_texts_can_each_be_read_whole() {
    use crdt_palace::palace::{Palace, WriteOptions};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let client = start(&path).await;
    let id = file(&client, "w", "r", "before").await;
    let key = format!("drawer/w/r/{}", id.rsplit_once('_').unwrap().1);
    let palace = Palace::open(&path).unwrap();
    let base = palace.get(&key).unwrap().unwrap().etag;
    let texts: BTreeSet<String> = (10..30).map(|n| format!("{n}").repeat(1_000)).collect();
    // As processes do that do not see each other's writes.
    for text in &texts {
        let options = WriteOptions::new().base(base.clone());
        let patch = serde_json::Map::from_iter([("content".to_owned(), json!(text))]);
        palace.with(options).patch(&key, &patch).unwrap();
    }
    let drawer = client.call("palace_get_drawer", json!({"drawer_id": id})).await.unwrap();
    let conflict = &drawer["conflicts"][0];
    let others = conflict["others"].as_array().unwrap();
    assert_eq!(others.len() as i64 + conflict["more"].as_i64().unwrap(), 19, "{conflict}");
    assert!(drawer.get("more_conflicts").is_none(), "{drawer}");
    let change = json!({"drawer_id": id, "content": "settled"});
    let settled = client.call("palace_update_drawer", change).await.unwrap();
    assert_eq!(&settled["conflicts"][0]["others"], &conflict["others"]);
    let mut read = BTreeSet::new();
    for other in others {
        let ask = json!({"drawer_id": id, "version": other["etag"]});
        let whole = client.call("palace_get_drawer", ask).await.unwrap()["content"].clone();
        let start = other["value"].as_str().unwrap().trim_end_matches('…');
        assert!(whole.as_str().unwrap().starts_with(start), "{start}");
        assert!(texts.contains(whole.as_str().unwrap()));
        read.insert(whole.to_string());
    }
    assert_eq!(read.len(), others.len());
    client.close().await;
}

#[tokio::test]
async fn checkpoints_are_one_commit_and_skip_duplicates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let client = start(&path).await;
    let old = file(&client, "w", "r", "the quick brown fox jumps over the lazy dog").await;
    let item = |room: &str, content: &str| json!({"wing": "w", "room": room, "content": content});
    let items = json!([
        item("s", "The quick brown fox jumps over the lazy dog!"),
        item("r", "the quick brown fox jumps over the lazy dog"),
        item("s", "something new"),
    ]);
    let diary = json!({"agent_name": "Scout", "entry": "filed three", "topic": "work"});
    let saved = client.call("palace_checkpoint", json!({"items": items, "diary": diary})).await;
    let saved = saved.unwrap();
    let status: Vec<&str> =
        saved["items"].as_array().unwrap().iter().map(|i| i["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["duplicate", "already_exists", "filed"], "{saved}");
    assert_eq!(saved["items"][0]["drawer_id"], old);
    assert_eq!((&saved["durable"], &saved["success"]), (&json!(true), &json!(true)));
    let entry = saved["diary"]["entry_id"].as_str().unwrap().to_owned();
    let written = json!({"agent_name": "Scout", "entry": "a second one", "wing": "w"});
    let written = client.call("palace_diary_write", written).await.unwrap();
    assert_eq!((&written["topic"], &written["wing"]), (&json!("general"), &json!("w")));
    let read = client.call("palace_diary_read", json!({"agent_name": "Scout", "last_n": 5})).await;
    let read = read.unwrap();
    assert_eq!((&read["total"], &read["showing"]), (&json!(2), &json!(2)), "{read}");
    assert_eq!(read["entries"][1]["entry_id"], entry);
    assert_eq!(read["entries"][1]["topic"], "work");
    assert_eq!(read["entries"][0]["content"], "a second one");
    client.close().await;
    let palace = crdt_palace::palace::Palace::open_read_only(&path).unwrap();
    let commits = palace.changes_since(&Default::default(), 10).unwrap().commits;
    assert_eq!(commits.len(), 3, "{commits:?}");
}

#[tokio::test]
async fn facts_can_be_asserted_ended_replaced_and_queried() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace")).await;
    let works = |object: &str| json!({"subject": "Ada", "predicate": "works_at", "object": object});
    let mut add = works("Acme");
    add["valid_from"] = json!("2024-01-01");
    add["source_file"] = json!("cv.md");
    let added = client.call("palace_kg_add", add.clone()).await.unwrap();
    assert_eq!((&added["fact"], &added["noop"]), (&json!("Ada → works_at → Acme"), &json!(false)));
    let again = client.call("palace_kg_add", add).await.unwrap();
    assert_eq!((&again["triple_id"], &again["noop"]), (&added["triple_id"], &json!(true)));
    let change = json!({"subject": "Ada", "predicate": "works_at", "old_object": "Acme",
        "new_object": "Bolt", "at": "2025-01-01"});
    let done = client.call("palace_kg_supersede", change).await.unwrap();
    assert_eq!(
        (&done["superseded_id"], &done["ended"]),
        (&added["triple_id"], &json!("2025-01-01"))
    );
    assert_eq!((&done["fact"], &done["durable"]), (&json!("Ada → works_at → Bolt"), &json!(true)));

    let then = json!({"entity": "ada", "as_of": "2024-06-01"});
    let known = client.call("palace_kg_query", then).await.unwrap();
    assert_eq!(known["count"], 1);
    let fact = without(known["facts"][0].clone(), &["triple_id"]);
    let expected = json!({"direction": "outgoing", "subject": "Ada", "predicate": "works_at",
        "object": "Acme", "valid_from": "2024-01-01", "valid_to": "2025-01-01", "current": false, "future": false,
        "source_closet": null, "source_file": "cv.md", "source_drawer_id": null});
    assert_eq!(fact, expected);
    let none = json!({"entity": "Ada", "direction": "incoming"});
    assert_eq!(client.call("palace_kg_query", none).await.unwrap()["facts"], json!([]));
    let mut end = works("Bolt");
    end["ended"] = json!("2026-01-01");
    let ended = client.call("palace_kg_invalidate", end).await.unwrap();
    assert_eq!((&ended["ended"], &ended["noop"]), (&json!("2026-01-01"), &json!(false)));
    let line = client.call("palace_kg_timeline", json!({"entity": "Ada"})).await.unwrap();
    let objects = [&line["timeline"][0]["object"], &line["timeline"][1]["object"]];
    assert_eq!((objects, &line["count"]), ([&json!("Acme"), &json!("Bolt")], &json!(2)));
    let stats = client.call("palace_kg_stats", json!({})).await.unwrap();
    let expected = json!({"entities": 3, "triples": 2, "current_facts": 0, "expired_facts": 2,
        "future_facts": 0, "relationship_types": ["works_at"], "truncated": false});
    assert_eq!(stats, expected);
    client.close().await;
}

#[tokio::test]
async fn facts_show_offsets_and_the_future_and_can_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace")).await;
    let add = |object: &str, from: &str| json!({"subject": "Ada", "predicate": "works_at", "object": object, "valid_from": from});
    let added = client.call("palace_kg_add", add("Acme", "2026-03-01T10:00:00+09:00")).await;
    let added = added.unwrap();
    assert_eq!(added["valid_from"], "2026-03-01T01:00:00Z");
    assert_eq!(added["valid_from_offset"], "+09:00");
    client.call("palace_kg_add", add("Bolt", "2026-03-01T09:00:00+09:00")).await.unwrap();
    client.call("palace_kg_add", add("Core", "9000-01-01")).await.unwrap();
    let known = client.call("palace_kg_query", json!({"entity": "Ada"})).await.unwrap();
    let counts = ["active_facts", "historical_facts", "future_facts"].map(|field| &known[field]);
    assert_eq!(counts, [&json!(2), &json!(0), &json!(1)]);
    let facts = known["facts"].as_array().unwrap();
    let [bolt, acme, core] = [0, 1, 2].map(|n| &facts[n]);
    // Midnight in UTC is a time here, and is shown as one.
    assert_eq!(bolt["valid_from"], "2026-03-01T00:00:00Z");
    assert_eq!((&acme["valid_from_offset"], &acme["object"]), (&json!("+09:00"), &json!("Acme")));
    let states = [bolt, core].map(|fact| [&fact["current"], &fact["future"]]);
    assert_eq!(states, [[&json!(true), &json!(false)], [&json!(false), &json!(true)]]);
    assert_eq!(core.get("valid_from_offset"), None);
    assert_eq!(client.call("palace_kg_stats", json!({})).await.unwrap()["future_facts"], 1);

    let wrong = json!({"triple_id": added["triple_id"]});
    let deleted = client.call("palace_kg_delete", wrong.clone()).await.unwrap();
    let again = client.call("palace_kg_delete", wrong).await.unwrap();
    assert_eq!((&deleted["noop"], &again["noop"]), (&json!(false), &json!(true)));
    assert_eq!(deleted["etag"], again["etag"]);
    let line = client.call("palace_kg_timeline", json!({})).await.unwrap();
    assert_eq!((&line["count"], &line["future_facts"]), (&json!(2), &json!(1)));
    let end = json!({"subject": "Ada", "predicate": "works_at", "object": "Bolt",
        "ended": "2026-04-01T10:00:00+09:00"});
    let ended = client.call("palace_kg_invalidate", end).await.unwrap();
    assert_eq!(ended["ended_offset"], "+09:00");
    let back = client.call("palace_kg_add", add("Acme", "2026-03-01T10:00:00+09:00")).await;
    let back = back.unwrap();
    assert_eq!((&back["noop"], &back["triple_id"]), (&json!(false), &added["triple_id"]));
    client.close().await;
}

#[tokio::test]
async fn changes_since_reports_other_writers_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (mine, other) = (start(&path).await, start(&path).await);
    file(&other, "w", "r", "before").await;
    let first = mine.call("palace_changes_since", json!({})).await.unwrap();
    assert_eq!((&first["changes"], &first["more"]), (&json!([]), &json!(false)));
    file(&mine, "w", "r", "my own").await;
    let one = file(&other, "w", "r", "one").await;
    let fact = json!({"subject": "a", "predicate": "b", "object": "c"});
    other.call("palace_kg_add", fact).await.unwrap();
    let cursor = json!({"cursor": first["next_cursor"], "limit": 1});
    let news = mine.call("palace_changes_since", cursor.clone()).await.unwrap();
    assert_eq!((&news["count"], &news["more"]), (&json!(1), &json!(true)));
    assert_eq!(
        news["changes"][0]["changed"],
        json!([{"kind": "drawer", "id": one, "did": ["filed"]}])
    );
    assert_eq!(news["changes"][0]["by"], "test-client/1.2");
    let rest = json!({"cursor": news["next_cursor"]});
    let news = mine.call("palace_changes_since", rest).await.unwrap();
    assert_eq!((&news["count"], &news["more"]), (&json!(1), &json!(false)));
    assert_eq!(news["changes"][0]["changed"][0]["kind"], "fact");
    let own = json!({"cursor": first["next_cursor"], "include_own": true});
    assert_eq!(mine.call("palace_changes_since", own).await.unwrap()["count"], 3);
    mine.close().await;
    // A server that did not give the cursor knows from it what was told.
    let fresh = start(&path).await;
    let news = fresh.call("palace_changes_since", json!({"cursor": first["next_cursor"]})).await;
    let news = news.unwrap();
    assert_eq!((&news["approximate"], &news["count"]), (&json!(false), &json!(3)), "{news}");
    let since = json!({"since": "2020-01-01"});
    assert_eq!(fresh.call("palace_changes_since", since).await.unwrap()["count"], 4);
    for bad in [json!({"cursor": "x"}), json!({"cursor": "1-a", "since": "2020-01-01"})] {
        let error = fresh.call("palace_changes_since", bad).await.unwrap_err();
        assert!(error.contains("pass"), "{error}");
    }
    fresh.close().await;
    other.close().await;
}

#[tokio::test]
async fn two_servers_filing_and_ending_the_same_agree() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let servers = [start(&path).await, start(&path).await];
    let fact = json!({"subject": "s", "predicate": "p", "object": "o"});
    servers[0].call("palace_kg_add", fact.clone()).await.unwrap();
    // Both are instances that have written, also if one files everything before the other does.
    let other = json!({"subject": "t", "predicate": "p", "object": "o"});
    servers[1].call("palace_kg_add", other).await.unwrap();
    let all = |server: usize| {
        let (servers, fact) = (&servers, &fact);
        async move {
            let mut ids = Vec::new();
            for n in 0..20 {
                ids.push(file(&servers[server], "w", "r", &format!("text {n}")).await);
            }
            let mut end = fact.clone();
            end["ended"] = json!(format!("2030-0{}-01", server + 2));
            servers[server].call("palace_kg_invalidate", end).await.unwrap();
            ids
        }
    };
    let (a, b) = tokio::join!(all(0), all(1));
    assert_eq!(a, b);
    for server in &servers {
        let tree = server.call("palace_get_taxonomy", json!({})).await.unwrap();
        assert_eq!(tree["taxonomy"], json!({"w": {"r": 20}}));
        for id in &a {
            let drawer = server.call("palace_get_drawer", json!({"drawer_id": id})).await.unwrap();
            assert_eq!(drawer["conflicts"], json!([]), "{drawer}");
        }
        let known = server.call("palace_kg_query", json!({"entity": "s"})).await.unwrap();
        assert_eq!(known["facts"][0]["valid_to"], "2030-02-01", "the earliest");
        let status = server.call("palace_status", json!({})).await.unwrap();
        assert_eq!(status["instances"].as_array().unwrap().len(), 2);
    }
    for server in servers {
        server.close().await;
    }
}

#[tokio::test]
async fn bad_palace_arguments_are_explained_and_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let client = start(&path).await;
    let ids: Vec<String> = (0..501).map(|n| format!("drawer_w_r_{n:024}")).collect();
    let item = |content: &str| json!({"wing": "w", "room": "r", "content": content});
    let mut misspelt = item("x");
    misspelt["sourcefile"] = json!("y");
    let calls = [
        ("palace_add_drawer", misspelt, "source_file"),
        ("palace_add_drawer", json!({"wing": "w", "room": "r"}), "content"),
        ("palace_add_drawer", item(&"x".repeat(100_001)), "split it"),
        ("palace_add_drawer", json!({"wing": "a/b", "room": "r", "content": "x"}), "letters"),
        ("palace_search", json!({"query": "x".repeat(10_001)}), "10000"),
        ("palace_search", json!({"query": "!?"}), "no word"),
        ("palace_search", json!({"query": "x", "limit": -1}), "1 to 100"),
        ("palace_search", json!({"query": "x", "since": "soon"}), "2026-03-01"),
        ("palace_search", json!({"query": "x", "cursor": "y"}), "cursor"),
        ("palace_list_drawers", json!({"limit": 0}), "1 to 100"),
        ("palace_list_drawers", json!({"offset": -1}), "negative"),
        ("palace_get_drawer", json!({"drawer_id": "drawer_w_r_0"}), "there is no drawer"),
        ("palace_get_drawers", json!({"drawer_ids": ids}), "500"),
        ("palace_delete_drawers", json!({"drawer_ids": ids}), "500"),
        ("palace_delete_drawer", json!({"drawer_id": "x"}), "there is no drawer"),
        ("palace_update_drawer", json!({"drawer_id": "x", "room": "y"}), "there is no drawer"),
        ("palace_checkpoint", json!({"items": []}), "1 to 100"),
        ("palace_check_duplicate", json!({"content": "x", "threshold": 2.0}), "threshold"),
        ("palace_kg_query", json!({"entity": "x", "direction": "up"}), "outgoing"),
        (
            "palace_kg_invalidate",
            json!({"subject": "a", "predicate": "b", "object": "c"}),
            "never asserted",
        ),
        ("palace_kg_delete", json!({"triple_id": "t_0"}), "there is no fact"),
        (
            "palace_kg_add",
            json!({"subject": "a", "predicate": "b", "object": "c", "valid_from": "2026-03-02",
                "valid_to": "2026-03-01"}),
            "before the beginning",
        ),
        ("palace_diary_read", json!({"agent_name": "x", "last_n": 0}), "1 to 100"),
    ];
    for (tool, arguments, word) in calls {
        let error = client.call(tool, arguments).await.unwrap_err();
        assert!(error.contains(word), "{tool}: {error}");
    }
    client.close().await;
    assert!(!path.exists(), "nothing was written");
}

#[tokio::test]
async fn palace_results_are_bounded_and_everything_stays_reachable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let client = start(&path).await;
    let long = format!("needle {}", "\"ö ".repeat(33_000));
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(file(&client, "w", "r", &format!("{n} {}", &long[..100_000])).await);
    }
    let huge = file(&client, "w", "r", &long).await;
    let (mut whole, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let ask = json!({"drawer_id": huge, "offset": offset});
        let drawer = client.call("palace_get_drawer", ask).await.unwrap();
        assert!(drawer.to_string().len() < 100_000);
        whole.push_str(drawer["content"].as_str().unwrap());
        offset = drawer["next_offset"].clone();
    }
    assert_eq!(whole, long);
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let ask = json!({"drawer_ids": ids, "cursor": cursor});
        let read = client.call("palace_get_drawers", ask).await.unwrap();
        assert!(read.to_string().len() < 100_000);
        let drawers = read["drawers"].as_array().unwrap();
        seen.extend(drawers.iter().map(|d| d["drawer_id"].as_str().unwrap().to_owned()));
        cursor = read["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let found =
        client.call("palace_search", json!({"query": "needle", "limit": 100})).await.unwrap();
    assert_eq!(found["results"].as_array().unwrap().len(), 6);
    assert!(found.to_string().len() < 100_000);
    client.close().await;
}

/// Whether a value is as a schema says, for the parts of JSON Schema that the tools' schemas use.
fn fits(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    let fail = |why: &str| Err(format!("{why}: {value} is not {schema}"));
    let Some(schema) = schema.as_object() else { return Ok(()) };
    if let Some(reference) = schema.get("$ref") {
        let target = root.pointer(reference.as_str().unwrap().trim_start_matches('#')).unwrap();
        return fits(value, target, root);
    }
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        return match any.iter().any(|schema| fits(value, schema, root).is_ok()) {
            true => Ok(()),
            false => fail("anyOf"),
        };
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("an unknown type {other}"),
    };
    let typed = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        other => panic!("no type: {other} in {schema:?}"),
    };
    if !typed {
        return fail("type");
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"], root)?;
    }
    let Some(fields) = value.as_object() else { return Ok(()) };
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            return fail("required");
        }
    }
    for (name, field) in fields {
        let known = schema.get("properties").and_then(|known| known.get(name));
        match known.or(schema.get("additionalProperties")) {
            Some(schema) => fits(field, schema, root)?,
            None => return fail(name),
        }
    }
    Ok(())
}

#[tokio::test]
async fn palace_results_match_their_schemas() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace")).await;
    let id = file(&client, "w", "r", "some words in a drawer").await;
    let gone = file(&client, "w", "r", "soon gone").await;
    let goes = file(&client, "w", "r", "goes too").await;
    let fact = json!({"subject": "s", "predicate": "p", "object": "o", "source_closet": "c"});
    let other = json!({"subject": "s", "predicate": "p", "object": "wrong"});
    let wrong = client.call("palace_kg_add", other).await.unwrap();
    let item = json!({"wing": "w", "room": "r", "content": "new text"});
    let like = json!({"wing": "w", "room": "s", "content": "some words in a drawer"});
    let diary = json!({"agent_name": "A", "entry": "e"});
    let differs = file(&client, "w", "r", "before").await;
    let read = client.call("palace_get_drawer", json!({"drawer_id": differs})).await.unwrap();
    for content in ["mine", "yours"] {
        let change = json!({"drawer_id": differs, "content": content, "base": read["etag"]});
        client.call("palace_update_drawer", change).await.unwrap();
    }
    let open = client.call("palace_conflicts", json!({})).await.unwrap()["conflicts"][0].clone();
    let settle = json!({"drawer_id": differs, "conflict": 1, "take": open["shown"]["etag"], "etag": open["etag"]});
    let arguments = |tool: &str| match tool {
        "list_rooms" | "list_drawers" => json!({"wing": "w"}),
        "search" => json!({"query": "words"}),
        "check_duplicate" => json!({"content": "some words in a drawer"}),
        "add_drawer" => item.clone(),
        "get_drawer" => json!({"drawer_id": id}),
        "get_drawers" => json!({"drawer_ids": [id, "none"]}),
        "update_drawer" => json!({"drawer_id": id, "room": "t"}),
        "delete_drawer" => json!({"drawer_id": gone}),
        "delete_drawers" => json!({"drawer_ids": [goes]}),
        "undelete_drawer" => json!({"drawer_id": gone}),
        "move_drawers" => json!({"drawer_ids": [id, "none"], "to_room": "u"}),
        "rename_place" => json!({"wing": "w", "to": "v"}),
        "conflicts" => json!({"drawer_id": differs}),
        "settle" => settle.clone(),
        "checkpoint" => json!({"items": [item, like], "diary": diary}),
        "kg_query" => json!({"entity": "s"}),
        "kg_add" | "kg_invalidate" => {
            let mut fact = fact.clone();
            if tool == "kg_invalidate" {
                fact.as_object_mut().unwrap().remove("source_closet");
                fact["object"] = json!("new");
            }
            fact
        }
        "kg_delete" => json!({"triple_id": wrong["triple_id"]}),
        "kg_supersede" => {
            json!({"subject": "s", "predicate": "p", "old_object": "o", "new_object": "new"})
        }
        "diary_write" => diary.clone(),
        "diary_read" => json!({"agent_name": "A"}),
        "changes_since" => json!({"since": "2020-01-01", "include_own": true}),
        _ => json!({}),
    };
    let mut tools = client.0.list_all_tools().await.unwrap();
    // What is asked for must have been written.
    let order = ["kg_add", "kg_query", "kg_supersede", "kg_invalidate"];
    tools.sort_by_key(|tool| order.iter().position(|name| tool.name.ends_with(name)));
    for tool in tools {
        let name: &'static str = tool.name.to_string().leak();
        let short = name.strip_prefix("palace_").unwrap();
        let result = client.call(name, arguments(short)).await.unwrap();
        let schema = Value::Object(tool.output_schema.unwrap().as_ref().clone());
        fits(&result, &schema, &schema).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    assert!(fits(&json!({"a": "x"}), &schema, &schema).is_err(), "this check can fail");
    assert!(fits(&json!({"b": 1}), &schema, &schema).is_err(), "this check can fail");
    client.close().await;
}
