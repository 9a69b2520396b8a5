//! No client overwrites what it has not seen: whole values that real clients write back, with nothing but the value.

use crate::client::Client;
use crate::http::wire;
use crate::named_clients::{close, done, start, two};
use serde_json::{Value, json};

async fn get(client: &Client, key: &str) -> Value {
    done(client, "document_get", json!({"key": key})).await["value"].clone()
}

async fn put(client: &Client, key: &str, value: Value) -> Value {
    done(client, "document_put", json!({"key": key, "value": value})).await
}

/// Files a text, and gives the drawer's id.
async fn file(client: &Client, content: &str) -> Value {
    let item = json!({"wing": "w", "room": "r", "content": content});
    done(client, "palace_add_drawer", item).await["drawer_id"].clone()
}

async fn read(client: &Client, id: &Value) -> Value {
    done(client, "palace_get_drawer", json!({"drawer_id": id})).await
}

async fn update(client: &Client, id: &Value, content: &str) -> Value {
    done(client, "palace_update_drawer", json!({"drawer_id": id, "content": content})).await
}

/// Everything that a drawer shows: its text, and the values in conflict with it.
fn shown(drawer: &Value) -> String {
    format!("{}\n{}", drawer["content"].as_str().unwrap(), drawer["conflicts"])
}

fn with(mut value: Value, field: &str, to: Value) -> Value {
    value[field] = to;
    value
}

#[tokio::test]
async fn whole_documents_written_back_keep_both_edits() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    put(&ann, "plan", json!({"title": "Plan", "done": false, "in": {"a": 1, "b": 1}})).await;
    let (hers, his) = (get(&ann, "plan").await, get(&bob, "plan").await);
    let first = put(&ann, "plan", with(hers, "title", json!("A plan"))).await;
    assert_eq!((&first["etag"], first.get("merged")), (&first["current_etag"], None), "{first}");

    let his = with(his, "in", json!({"a": 1, "b": 2}));
    let second = put(&bob, "plan", his.clone()).await;
    let both = json!({"title": "A plan", "done": false, "in": {"a": 1, "b": 2}});
    assert_eq!((&second["merged"], &second["value"]), (&json!(true), &both), "{second}");
    assert_ne!(second["etag"], second["current_etag"]);
    assert_eq!(get(&ann, "plan").await, both);

    // The etag of his answer names his own edit alone. So his next text keeps hers, which he has not seen in it.
    let next =
        json!({"key": "plan", "value": with(his, "done", json!(true)), "base": second["etag"]});
    let third = done(&bob, "document_put", next).await;
    let all = with(both, "done", json!(true));
    assert_eq!((&third["merged"], &third["value"]), (&json!(true), &all), "{third}");
    assert_eq!(get(&ann, "plan").await, all);
    close([ann, bob]).await;
}

#[tokio::test]
async fn drawer_texts_written_back_keep_both_edits() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    let id = file(&ann, "one\ntwo\nthree").await;
    read(&bob, &id).await;
    let first = update(&ann, &id, "one, by Ann\ntwo\nthree").await;
    assert_eq!((first.get("merged"), first.get("replaced_unseen")), (None, None), "{first}");
    let second = update(&bob, &id, "one\ntwo\nthree, by Bob").await;
    let both = "one, by Ann\ntwo\nthree, by Bob";
    assert_eq!((&second["merged"], &second["text"]), (&json!(true), &json!(both)), "{second}");
    assert_ne!(second["etag"], second["current_etag"], "{second}");
    let found = read(&ann, &id).await;
    assert_eq!((&found["content"], &found["conflicts"]), (&json!(both), &json!([])), "{found}");
    // Bob goes on from his own text, named by its etag, and still has not seen hers.
    let again = json!({"drawer_id": id, "content": "one\ntwo\nthree, by Bob again", "base": second["etag"]});
    done(&bob, "palace_update_drawer", again).await;
    let found = shown(&read(&ann, &id).await);
    assert!(found.contains("one, by Ann") && found.contains("Bob again"), "{found}");
    close([ann, bob]).await;
}

#[tokio::test]
async fn version_read_twice_on_one_connection_is_a_base_twice() {
    let dir = tempfile::tempdir().unwrap();
    let client = start("both", &dir.path().join("palace")).await;
    put(&client, "k", json!({"title": "Plan", "done": false})).await;
    let (one, two) = (get(&client, "k").await, get(&client, "k").await);
    put(&client, "k", with(one, "title", json!("A plan"))).await;
    let second = put(&client, "k", with(two, "done", json!(true))).await;
    assert_eq!(second["merged"], true);
    assert_eq!(get(&client, "k").await, json!({"title": "A plan", "done": true}));
    client.close().await;
}

#[tokio::test]
async fn single_client_gets_exactly_what_it_sent() {
    let dir = tempfile::tempdir().unwrap();
    let client = start("ann", &dir.path().join("palace")).await;
    let (before, after) = (json!({"n": 1, "l": ["a", "b"]}), json!({"n": 2, "l": ["b"]}));
    put(&client, "k", before.clone()).await;
    // Read twice, so that a read is open when the edit is taken back.
    get(&client, "k").await;
    get(&client, "k").await;
    for value in [&after, &before, &after, &after, &before] {
        let written = put(&client, "k", value.clone()).await;
        assert_eq!((written.get("merged"), written.get("replaced_unseen")), (None, None));
        assert_eq!(written["etag"], written["current_etag"], "{written}");
        assert_eq!(&done(&client, "document_history", json!({"key": "k"})).await["key"], "k");
    }
    assert_eq!(get(&client, "k").await, before);
    let id = file(&client, "one").await;
    for text in ["two", "one", "one", "three"] {
        let written = update(&client, &id, text).await;
        assert_eq!((written.get("merged"), written.get("replaced_unseen")), (None, None));
        assert_eq!(written["etag"], written["current_etag"], "{written}");
    }
    assert_eq!(read(&client, &id).await["content"], "three");
    client.close().await;
}

#[tokio::test]
async fn second_write_without_a_read_is_made_from_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    put(&ann, "k", json!({"a": 1, "b": 1, "c": 1})).await;
    get(&bob, "k").await;
    put(&bob, "k", json!({"a": 1, "b": 2, "c": 1})).await;
    // Ann has read nothing since her own write.
    let second = put(&ann, "k", json!({"a": 2, "b": 1, "c": 1})).await;
    assert_eq!(second["value"], json!({"a": 2, "b": 2, "c": 1}), "{second}");
    // The merged value was in the answer, and counts as read: what she sends now is exactly what she wants.
    let third = put(&ann, "k", json!({"a": 2, "b": 3, "c": 1})).await;
    assert_eq!((third.get("merged"), third.get("replaced_unseen")), (None, None), "{third}");
    assert_eq!(get(&bob, "k").await, json!({"a": 2, "b": 3, "c": 1}));
    close([ann, bob]).await;
}

#[tokio::test]
async fn restarted_server_says_what_a_write_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let [ann, bob] = two(&path).await;
    let id = file(&ann, "the text of Ann").await;
    put(&ann, "k", json!({"a": 1, "long": "x".repeat(600)})).await;
    let base = done(&bob, "document_get", json!({"key": "k"})).await;
    let drawer = read(&bob, &id).await;
    bob.close().await;
    let bob = start("bob", &path).await;
    let replaced = &put(&bob, "k", json!({"b": 2})).await["replaced_unseen"];
    assert_eq!((&replaced["etag"], &replaced["by"]), (&base["etag"], &json!("ann/1.2")));
    assert_eq!(replaced["text"].as_str().unwrap().chars().count(), 501, "{replaced}");
    assert!(replaced["at"].is_string());
    let replaced = &update(&bob, &id, "the text of Bob").await["replaced_unseen"];
    assert_eq!(
        (&replaced["etag"], &replaced["text"]),
        (&drawer["etag"], &json!("the text of Ann"))
    );
    // Now it knows what it wrote.
    assert_eq!(update(&bob, &id, "another").await.get("replaced_unseen"), None);
    bob.close().await;

    // With the base it read before, both edits are there.
    let bob = start("bob", &path).await;
    let based = json!({"key": "k", "value": {"a": 1, "c": 3}, "base": base["etag"]});
    let written = done(&bob, "document_put", based).await;
    assert_eq!(written["value"], json!({"b": 2, "c": 3}), "{written}");
    let based = json!({"drawer_id": id, "content": "a third text", "base": drawer["etag"]});
    done(&bob, "palace_update_drawer", based).await;
    let found = shown(&read(&ann, &id).await);
    assert!(found.contains("another") && found.contains("a third text"), "{found}");
    let none = json!({"drawer_id": id, "content": "x", "base": "0123456789abcdef"});
    let error = bob.call("palace_update_drawer", none).await.unwrap_err();
    assert!(error.contains("no version"), "{error}");
    close([ann, bob]).await;
}

#[tokio::test]
async fn delete_after_a_change_waits_for_a_second_call() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    let id = file(&ann, "one").await;
    put(&ann, "k", json!({"n": 1})).await;
    // Bob has seen rows of lists only.
    done(&bob, "palace_list_drawers", json!({})).await;
    done(&bob, "document_list", json!({})).await;
    update(&ann, &id, "two").await;
    let changed = put(&ann, "k", json!({"n": 2})).await;
    for (tool, arguments, text) in [
        ("palace_delete_drawer", json!({"drawer_id": id}), "two"),
        ("document_delete", json!({"key": "k"}), r#"{"n":2}"#),
    ] {
        let stays = done(&bob, tool, arguments.clone()).await;
        let since = &stays["changed_since"];
        assert_eq!((&stays["deleted"], &since["text"]), (&json!(false), &json!(text)), "{stays}");
        assert_eq!(since["by"], "ann/1.2");
        let gone = done(&bob, tool, arguments).await;
        assert_eq!((&gone["deleted"], gone.get("changed_since")), (&json!(true), None), "{gone}");
    }
    assert!(ann.call("palace_get_drawer", json!({"drawer_id": id})).await.is_err());

    // Several at once, and with a base.
    let ids = [file(&ann, "three").await, file(&ann, "four").await];
    done(&bob, "palace_get_drawers", json!({"drawer_ids": ids})).await;
    let now = update(&ann, &ids[1], "five").await;
    let all = json!({"drawer_ids": ids});
    let some = done(&bob, "palace_delete_drawers", all.clone()).await;
    assert_eq!((&some["count"], &some["deleted"][0]["drawer_id"]), (&json!(1), &ids[0]));
    let stays = &some["changed_since"][0];
    assert_eq!((&stays["drawer_id"], &stays["etag"]), (&ids[1], &now["etag"]));
    assert_eq!(done(&bob, "palace_delete_drawers", all).await["count"], 1);
    let based = json!({"key": "k", "base": changed["etag"]});
    put(&ann, "k", json!({"n": 3})).await;
    assert_eq!(done(&bob, "document_delete", based).await["deleted"], false);
    close([ann, bob]).await;
}

#[tokio::test]
async fn update_after_the_delete_of_another_brings_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let [ann, bob] = two(&path).await;
    let id = file(&ann, "one\ntwo").await;
    read(&bob, &id).await;
    done(&ann, "palace_delete_drawer", json!({"drawer_id": id})).await;
    let back = update(&bob, &id, "one\ntwo\nthree").await;
    assert_eq!((&back["undeleted"]["by"], back.get("merged")), (&json!("ann/1.2"), None), "{back}");
    let found = read(&ann, &id).await;
    assert_eq!((&found["content"], &found["wing"]), (&json!("one\ntwo\nthree"), &json!("w")));
    assert!(found["metadata"]["filed_at"].is_string(), "{found}");

    // A server that knows nothing brings it back too, also with the same text.
    done(&ann, "palace_delete_drawer", json!({"drawer_id": id})).await;
    bob.close().await;
    let bob = start("bob", &path).await;
    let back = update(&bob, &id, "one\ntwo\nthree").await;
    assert_eq!((&back["undeleted"]["by"], &back["noop"]), (&json!("ann/1.2"), &json!(false)));
    assert_eq!(read(&ann, &id).await["content"], "one\ntwo\nthree");
    // Not one that this client has deleted itself.
    done(&bob, "palace_delete_drawer", json!({"drawer_id": id})).await;
    let call = json!({"drawer_id": id, "content": "four"});
    let error = bob.call("palace_update_drawer", call).await.unwrap_err();
    assert!(error.contains("there is no drawer"), "{error}");

    put(&ann, "k", json!({"n": 1, "m": 1})).await;
    get(&bob, "k").await;
    done(&ann, "document_delete", json!({"key": "k"})).await;
    let back = put(&bob, "k", json!({"n": 1, "m": 2})).await;
    assert_eq!(back["undeleted"]["by"], "ann/1.2", "{back}");
    assert_eq!(get(&ann, "k").await, json!({"n": 1, "m": 2}));
    close([ann, bob]).await;
}

#[tokio::test]
async fn part_of_a_value_or_an_old_version_is_no_base() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    let long = "a line of a long text\n".repeat(60);
    let id = file(&ann, &long).await;
    let first = put(&ann, "k", json!({"a": 1, "b": {"c": 1}})).await;
    put(&ann, "k", json!({"a": 2, "b": {"c": 1}})).await;
    done(&bob, "palace_search", json!({"query": "long"})).await;
    done(&bob, "palace_list_drawers", json!({})).await;
    done(&bob, "palace_changes_since", json!({"since": "2020-01-01"})).await;
    let replaced = update(&bob, &id, "short").await["replaced_unseen"].clone();
    assert!(replaced["text"].as_str().unwrap().starts_with("a line of"), "{replaced}");

    done(&bob, "document_get", json!({"key": "k", "path": "/b"})).await;
    done(&bob, "document_get", json!({"key": "k", "version": first["etag"]})).await;
    done(&bob, "document_search", json!({"query": "1"})).await;
    done(&bob, "document_list", json!({})).await;
    let replaced = put(&bob, "k", json!({"a": 3})).await["replaced_unseen"].clone();
    assert_eq!(replaced["text"], r#"{"a":2,"b":{"c":1}}"#);
    close([ann, bob]).await;
}

#[tokio::test]
async fn every_way_to_see_a_whole_value_makes_a_base() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    let long = "ö".repeat(60_000);
    for (n, see) in
        ["search", "list", "get_drawers", "check_duplicate", "mismatch", "parts"].iter().enumerate()
    {
        let text =
            if *see == "parts" { long.clone() } else { format!("the words number{n} of Ann") };
        let id = file(&ann, &text).await;
        match *see {
            "search" => {
                drop(done(&bob, "palace_search", json!({"query": format!("number{n}")})).await)
            }
            "list" => drop(done(&bob, "palace_list_drawers", json!({})).await),
            "get_drawers" => {
                drop(done(&bob, "palace_get_drawers", json!({"drawer_ids": [id]})).await)
            }
            "check_duplicate" => {
                drop(done(&bob, "palace_check_duplicate", json!({"content": text})).await)
            }
            "mismatch" => {
                let call = json!({"drawer_id": id, "content": "x", "if_match": "0123456789abcdef"});
                let error = bob.call("palace_update_drawer", call).await.unwrap_err();
                assert!(error.ends_with(&format!("\ncurrent: {text}")), "{error}");
            }
            _ => {
                let first = read(&bob, &id).await;
                let next = json!({"drawer_id": id, "offset": first["next_offset"], "version": first["etag"]});
                // It is not the present version any more when its second part is read.
                update(&ann, &id, &format!("{long}, and more")).await;
                done(&bob, "palace_get_drawer", next).await;
            }
        }
        let before = update(&ann, &id, &format!("{text}, and more of Ann")).await;
        let written = update(&bob, &id, &format!("{text}, and Bob")).await;
        assert_eq!(written.get("replaced_unseen"), None, "{see}: {written}");
        assert_ne!(written["etag"], written["current_etag"], "{see}");
        let settled = json!({"drawer_id": id, "content": format!("settled {n}"), "if_match": written["current_etag"]});
        done(&ann, "palace_update_drawer", settled).await;
        assert!(before["etag"].is_string());
    }
    close([ann, bob]).await;
}

#[tokio::test]
async fn resources_and_pieces_of_documents_make_a_base() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    put(&ann, "short", json!({"a": 1, "b": 1})).await;
    let ask = rmcp::model::ReadResourceRequestParams::new("palace://document/short");
    bob.0.read_resource(ask).await.unwrap();
    put(&ann, "short", json!({"a": 2, "b": 1})).await;
    assert_eq!(put(&bob, "short", json!({"a": 1, "b": 2})).await["value"], json!({"a": 2, "b": 2}));

    let long = json!({"a": 1, "b": 1, "long": "x".repeat(150_000)});
    put(&ann, "long", long.clone()).await;
    let first = done(&bob, "document_get", json!({"key": "long"})).await;
    put(&ann, "long", with(long.clone(), "a", json!(2))).await;
    let next = json!({"key": "long", "cursor": first["next_cursor"]});
    assert_eq!(done(&bob, "document_get", next).await.get("next_cursor"), None);
    let written = put(&bob, "long", with(long, "b", json!(2))).await;
    assert_eq!((&written["merged"], &written["differing_paths"]), (&json!(true), &json!(["/a"])));
    close([ann, bob]).await;
}

#[tokio::test]
async fn patches_and_counts_keep_what_their_client_has_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    put(&ann, "k", json!({"a": 1, "b": 1})).await;
    get(&bob, "k").await;
    done(&ann, "document_patch", json!({"key": "k", "patch": {"a": 2}})).await;
    let patched = done(&bob, "document_patch", json!({"key": "k", "patch": {"a": 3}})).await;
    assert_eq!(patched["open_conflicts"][0]["path"], "/a", "{patched}");
    // A client that has read nothing is told which of the fields it replaced.
    let carl = start("carl", &dir.path().join("palace")).await;
    let patched = done(&carl, "document_patch", json!({"key": "k", "patch": {"b": 4}})).await;
    assert_eq!(patched["replaced_unseen"]["text"], r#"{"b":1}"#);
    let added = done(&carl, "document_patch", json!({"key": "k", "patch": {"new": 1}})).await;
    assert_eq!(added.get("replaced_unseen"), None, "it replaced nothing");
    let counted = done(&ann, "document_increment", json!({"key": "n", "path": "/n"})).await;
    assert_eq!(counted["count"], 1);
    // Her own count is part of what she knows: the number she writes is not added to it.
    get(&ann, "n").await;
    done(&ann, "document_increment", json!({"key": "n", "path": "/n", "by": 4})).await;
    put(&ann, "n", json!({"n": 5, "of": "Ann"})).await;
    assert_eq!(get(&bob, "n").await, json!({"n": 5, "of": "Ann"}));
    let restore = json!({"key": "n", "version": counted["etag"]});
    let restored = done(&carl, "document_restore", restore).await;
    assert_eq!(restored["replaced_unseen"]["text"], r#"{"n":5,"of":"Ann"}"#, "{restored}");
    close([ann, bob, carl]).await;
}

/// An increment is made on the present version, also if its client has not read that. If the client then writes all of the
/// document as it read it, with the number that it was told, nothing is added a second time.
#[tokio::test]
async fn number_told_by_an_increment_is_not_added_again() {
    let dir = tempfile::tempdir().unwrap();
    let [ann, bob] = two(&dir.path().join("palace")).await;
    let count = json!({"key": "k", "path": "/n", "by": 3});
    done(&ann, "document_increment", count.clone()).await;
    get(&ann, "k").await;
    // Nothing else was written, so her number is the one that stands.
    assert_eq!(done(&ann, "document_increment", count.clone()).await["count"], 6);
    assert_eq!(put(&ann, "k", json!({"n": 6, "a": 1})).await.get("merged"), None);

    get(&ann, "k").await;
    done(&bob, "document_patch", json!({"key": "k", "patch": {"b": 1}})).await;
    assert_eq!(done(&ann, "document_increment", count.clone()).await["count"], 9);
    let told = put(&ann, "k", json!({"n": 9, "a": 1})).await;
    assert_eq!(told["merged"], true, "{told}");
    assert_eq!(told["value"], json!({"n": 9, "a": 1, "b": 1}));

    // One more than she was told is one more.
    get(&ann, "k").await;
    done(&bob, "document_increment", count.clone()).await;
    assert_eq!(done(&ann, "document_increment", count.clone()).await["count"], 15);
    let told = put(&ann, "k", json!({"n": 16, "a": 1, "b": 1})).await;
    assert_eq!(told.get("merged"), None, "{told}");
    assert_eq!(get(&bob, "k").await["n"], 16);

    // The number that she read before is no wish to take back what was counted since.
    get(&ann, "k").await;
    done(&bob, "document_patch", json!({"key": "k", "patch": {"b": 2}})).await;
    assert_eq!(done(&ann, "document_increment", count).await["count"], 19);
    put(&ann, "k", json!({"n": 16, "a": 2, "b": 1})).await;
    assert_eq!(get(&bob, "k").await, json!({"n": 19, "a": 2, "b": 2}));
}

#[tokio::test]
async fn three_agents_write_back_whole_documents_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let names = ["ann", "bob", "carl"];
    let mut agents = Vec::new();
    for name in names {
        agents.push(start(name, &path).await);
    }
    put(&agents[0], "k", json!({"list": ["first"], "fields": {}})).await;
    for round in 0..3 {
        let mut read = Vec::new();
        for agent in &agents {
            read.push(get(agent, "k").await);
        }
        for ((agent, name), mut value) in agents.iter().zip(names).zip(read) {
            value["list"].as_array_mut().unwrap().push(json!(format!("{name} {round}")));
            value["fields"][name] = json!(round);
            put(agent, "k", value).await;
        }
    }
    let end = get(&agents[0], "k").await;
    assert_eq!(end["fields"], json!({"ann": 2, "bob": 2, "carl": 2}));
    let mut items: Vec<&str> =
        end["list"].as_array().unwrap().iter().map(|i| i.as_str().unwrap()).collect();
    items.sort_unstable();
    let mut expected: Vec<String> =
        names.iter().flat_map(|name| (0..3).map(move |round| format!("{name} {round}"))).collect();
    expected.push("first".to_owned());
    expected.sort_unstable();
    assert_eq!(items, expected);
    close(agents).await;
}

#[test]
fn calls_without_a_session_say_what_they_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let server = wire::Server::start(&dir.path().join("palace"), None);
    let (old, new) =
        (wire::Client::with_session(&server, "old"), wire::Client::without_session(&server, "new"));
    let first = old.call("document_put", &json!({"key": "k", "value": {"a": 1, "b": 1}}));
    new.call("document_get", &json!({"key": "k"}));
    let written = new.call("document_put", &json!({"key": "k", "value": {"a": 1, "b": 2}}));
    assert_eq!(written["replaced_unseen"]["text"], r#"{"a":1,"b":1}"#, "{written}");
    // The client with a session goes on from its own write, and the one without names a base.
    let written = old.call("document_put", &json!({"key": "k", "value": {"a": 2, "b": 1}}));
    assert_eq!(written["value"], json!({"a": 2, "b": 2}), "{written}");
    let based = json!({"key": "k", "value": {"a": 1, "b": 1, "c": 1}, "base": first["etag"]});
    let written = new.call("document_put", &based);
    assert_eq!(written["value"], json!({"a": 2, "b": 2, "c": 1}), "{written}");
}
