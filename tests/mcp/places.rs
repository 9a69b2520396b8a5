//! Places as clients meet them: spellings, filters that name nothing, renames, moves of many drawers, undeletes.

use crate::client::{Client, serve};
use crdt_palace::memory::drawers::{Drawers, Item, Place};
use crdt_palace::palace::Palace;
use rmcp::model::ReadResourceRequestParams;
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

async fn start(palace: &Path) -> Client {
    Client::start_with(palace, ClientLifecycleMode::Initialize, &[]).await
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Value {
    client.call(tool, arguments).await.unwrap()
}

/// Files a text, and gives the drawer's id.
async fn file(client: &Client, wing: &str, room: &str, content: &str) -> String {
    let item = json!({"wing": wing, "room": room, "content": content});
    call(client, "palace_add_drawer", item).await["drawer_id"].as_str().unwrap().to_owned()
}

async fn wing_resource(client: &Client, wing: &str) -> Value {
    let read = ReadResourceRequestParams::new(format!("palace://wing/{wing}"));
    let read = serde_json::to_value(client.0.read_resource(read).await.unwrap()).unwrap();
    serde_json::from_str(read["contents"][0]["text"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn every_tool_takes_every_spelling_of_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (a, b) = (start(&path).await, start(&path).await);
    // Two processes file under different spellings at once.
    let ids = tokio::join!(
        file(&a, "My App", "Auth", "the first token"),
        file(&b, "my-app", "auth", "the second token"),
        file(&b, "My App", "auth", "the third token"),
    );
    file(&a, "other", "auth", "one more").await;
    let place = |row: &Value| (row["wing"].clone(), row["room"].clone());
    let shown = (json!("My App"), json!("auth"));
    for client in [&a, &b] {
        let wings = call(client, "palace_list_wings", json!({})).await;
        assert_eq!(wings["wings"], json!({"My App": 3, "other": 1}));
        let rooms = call(client, "palace_list_rooms", json!({})).await;
        assert_eq!(rooms["rooms"], json!({"auth": 4}));
        let tree = call(client, "palace_get_taxonomy", json!({})).await;
        assert_eq!(tree["taxonomy"], json!({"My App": {"auth": 3}, "other": {"auth": 1}}));
        let status = call(client, "palace_status", json!({})).await;
        assert_eq!((&status["wings"], &status["rooms"]), (&wings["wings"], &rooms["rooms"]));
        for (wing, room) in [("MY APP", "AUTH"), ("my_app", "auth"), ("My-App", "Auth")] {
            let rooms = call(client, "palace_list_rooms", json!({"wing": wing})).await;
            assert_eq!((&rooms["wing"], &rooms["rooms"]), (&shown.0, &json!({"auth": 3})));
            let filter = json!({"wing": wing, "room": room});
            let list = call(client, "palace_list_drawers", filter).await;
            assert_eq!((&list["total"], list.get("note")), (&json!(3), None));
            let search = json!({"query": "token", "wing": wing, "room": room});
            let found = call(client, "palace_search", search).await;
            assert_eq!(found["results"].as_array().unwrap().len(), 3);
            let rows = list["drawers"].as_array().unwrap().iter();
            for row in rows.chain(found["results"].as_array().unwrap()) {
                assert_eq!(place(row), shown, "{row}");
            }
            let read = wing_resource(client, &wing.replace(' ', "%20")).await;
            assert_eq!(read, json!({"wing": "My App", "rooms": {"auth": 3}}));
        }
        let resources = client.0.list_all_resources().await.unwrap();
        let uris: Vec<&str> = resources.iter().map(|it| it.uri.as_str()).collect();
        assert_eq!(uris, ["palace://status", "palace://wing/My%20App", "palace://wing/other"]);
        let near = call(client, "palace_check_duplicate", json!({"content": "the first token"}));
        assert_eq!(place(&near.await["matches"][0]), shown);
        let drawer = call(client, "palace_get_drawer", json!({"drawer_id": ids.1})).await;
        assert_eq!(place(&drawer), shown);
        let read = call(client, "palace_get_drawers", json!({"drawer_ids": [ids.0]})).await;
        assert_eq!(place(&read["drawers"][0]), shown);
        // Filing what is there, or moving it to where it is, changes nothing.
        let again = json!({"wing": "MY-APP", "room": "AUTH", "content": "the first token"});
        let again = call(client, "palace_add_drawer", again).await;
        assert_eq!((&again["reason"], place(&again)), (&json!("already_exists"), shown.clone()));
        let there = json!({"drawer_id": ids.0, "wing": "my_app", "room": "AUTH"});
        let there = call(client, "palace_update_drawer", there).await;
        assert_eq!((&there["noop"], place(&there)), (&json!(true), shown.clone()));
        let same = json!({"wing": "MY APP", "room": "AUTH", "content": "the second token"});
        let kept = call(client, "palace_checkpoint", json!({"items": [same]})).await;
        assert_eq!(kept["items"][0]["status"], "already_exists");
        assert_eq!(place(&kept["items"][0]), shown);
    }
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn filters_that_name_nothing_offer_the_nearest_names() {
    let dir = tempfile::tempdir().unwrap();
    let client = start(&dir.path().join("palace")).await;
    let none = call(&client, "palace_list_drawers", json!({"wing": "atlas"})).await;
    let said = "no drawer is in a wing named \"atlas\", and there is no other wing";
    assert_eq!((&none["total"], &none["note"]), (&json!(0), &json!(said)));
    for (wing, room) in [("Atlas", "auth"), ("bosun", "ops"), ("carol", "r"), ("delta", "r")] {
        file(&client, wing, room, "some text").await;
    }
    let said = "no drawer is in a wing named \"altas\"; the nearest names are \"Atlas\", \"delta\", \"bosun\"";
    for (tool, arguments) in [
        ("palace_list_drawers", json!({"wing": "altas"})),
        ("palace_search", json!({"query": "text", "wing": "altas", "room": "auth"})),
        ("palace_list_rooms", json!({"wing": "altas"})),
        ("palace_move_drawers", json!({"wing": "altas", "to_wing": "x"})),
    ] {
        assert_eq!(call(&client, tool, arguments).await["note"], said, "{tool}");
    }
    let rooms = call(&client, "palace_search", json!({"query": "text", "room": "ath"})).await;
    let said =
        "no drawer is in a room named \"ath\"; the nearest names are \"auth\", \"ops\", \"r\"";
    assert_eq!(rooms["note"], said);
    // A search that finds no words in a wing that is there says nothing of names.
    let search = json!({"query": "elephant", "wing": "atlas"});
    assert_eq!(call(&client, "palace_search", search).await.get("note"), None);
    client.close().await;
}

#[tokio::test]
async fn renamed_places_have_one_name_for_all_clients() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (a, b) = (start(&path).await, start(&path).await);
    let id = file(&a, "atlas", "auth", "We sign tokens.").await;
    file(&a, "bosun", "auth", "Another text.").await;
    let to = json!({"wing": "atlas", "to": "bosun"});
    let refused = a.call("palace_rename_place", to.clone()).await.unwrap_err();
    assert!(refused.contains("pass join true"), "{refused}");
    let done = call(&a, "palace_rename_place", json!({"wing": "Atlas", "to": "Compass"})).await;
    assert_eq!((&done["from"], &done["to"]), (&json!("atlas"), &json!("Compass")));
    assert_eq!((&done["drawers"], &done["noop"]), (&json!(1), &json!(false)));
    let tree = json!({"Compass": {"auth": 1}, "bosun": {"auth": 1}});
    assert_eq!(call(&b, "palace_get_taxonomy", json!({})).await["taxonomy"], tree);
    let list = call(&b, "palace_list_drawers", json!({"wing": "atlas"})).await;
    assert_eq!(list["note"], "the wing \"atlas\" is called \"Compass\" now");
    assert_eq!((&list["total"], &list["drawers"][0]["wing"]), (&json!(1), &json!("Compass")));
    assert_eq!(list["drawers"][0]["drawer_id"], id);
    let read = json!({"wing": "Compass", "rooms": {"auth": 1}});
    assert_eq!(
        (wing_resource(&b, "compass").await, wing_resource(&b, "atlas").await),
        (read.clone(), read)
    );
    let room = json!({"wing": "compass", "room": "AUTH", "to": "Login"});
    assert_eq!(call(&b, "palace_rename_place", room).await["to"], "Login");
    let list = call(&a, "palace_list_drawers", json!({"wing": "compass", "room": "auth"})).await;
    assert_eq!(list["note"], "the room \"auth\" is called \"Login\" now");
    assert_eq!(list["drawers"][0]["room"], "Login");
    let joined = json!({"wing": "compass", "to": "bosun", "join": true});
    let joined = call(&b, "palace_rename_place", joined).await;
    assert_eq!((&joined["joined"], &joined["drawers"]), (&json!(true), &json!(2)));
    assert_eq!(call(&a, "palace_list_wings", json!({})).await["wings"], json!({"bosun": 2}));
    // The document is none of those that the document tools list.
    let documents =
        Client::start_with(&path, ClientLifecycleMode::Initialize, &["--tools", "documents"]);
    let documents = documents.await;
    let listed = documents.result("document_list", json!({})).await.structured_content.unwrap();
    assert_eq!(listed["documents"], json!([]));
    for client in [a, b, documents] {
        client.close().await;
    }
}

/// Moves all drawers of a wing by a server that is killed at its first notice of progress, and returns that notice.
fn move_until_progress(palace: &Path) -> Value {
    let (input, output) = (Stdio::piped(), Stdio::piped());
    let mut server = serve(palace, &[]).stdin(input).stdout(output).spawn().unwrap();
    let client = json!({"protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}});
    let moves = json!({"name": "palace_move_drawers", "_meta": {"progressToken": "moves"},
        "arguments": {"wing": "Atlas", "to_wing": "bosun", "to_room": "all"}});
    let mut to = server.stdin.take().unwrap();
    for message in [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": moves}),
    ] {
        writeln!(to, "{message}").unwrap();
    }
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut messages = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let progress = messages.find(|message| message["method"] == "notifications/progress");
    server.kill().unwrap();
    server.wait().unwrap();
    progress.unwrap()["params"].take()
}

#[tokio::test]
async fn moves_of_a_killed_server_are_whole_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let drawers = Drawers::new(Palace::open(&path).unwrap());
    let item = |n: usize| {
        Item::new(Place::new("atlas", &format!("r{}", n % 3)).unwrap(), &format!("text {n}"))
    };
    for part in 0..5 {
        let items: Result<Vec<Item>, _> = (part * 500..part * 500 + 500).map(item).collect();
        drawers.file(&items.unwrap()).unwrap();
    }
    let progress = move_until_progress(&path);
    assert_eq!(progress, json!({"progressToken": "moves", "progress": 500.0, "total": 2_500.0}));
    let counted = |wing| {
        drawers.counts(Some(wing)).unwrap().into_values().flatten().map(|it| it.1).sum::<usize>()
    };
    let (left, moved) = (counted("atlas"), counted("bosun"));
    assert_eq!((left + moved, moved % 500), (2_500, 0), "each commit is whole");
    assert!(moved >= 500, "what was told is on disk");
    let client = start(&path).await;
    let to = json!({"wing": "ATLAS", "to_wing": "bosun", "to_room": "all"});
    let mut dry = to.clone();
    dry["dry_run"] = json!(true);
    let dry = call(&client, "palace_move_drawers", dry).await;
    assert_eq!((dry["moved"].as_u64(), &dry["dry_run"]), (Some(left as u64), &json!(true)));
    let done = call(&client, "palace_move_drawers", to.clone()).await;
    assert_eq!((done["moved"].as_u64(), &done["more"]), (Some(left as u64), &json!(false)));
    let tree = call(&client, "palace_get_taxonomy", json!({})).await;
    assert_eq!(tree["taxonomy"], json!({"bosun": {"all": 2_500}}));
    let again = call(&client, "palace_move_drawers", to).await;
    assert_eq!(again["moved"], 0);
    let refused = client.call("palace_move_drawers", json!({"to_wing": "x"})).await.unwrap_err();
    assert!(refused.contains("drawer_ids"), "{refused}");
    client.close().await;
}

#[tokio::test]
async fn deleted_drawers_come_back_by_one_call() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (a, b) = (start(&path).await, start(&path).await);
    let id = file(&a, "atlas", "auth", "We sign tokens.").await;
    let named = json!({"drawer_id": id});
    let before = call(&a, "palace_get_drawer", named.clone()).await;
    let deleted = call(&b, "palace_delete_drawer", named.clone()).await;
    assert!(deleted["undo"].as_str().unwrap().starts_with("undelete_drawer"), "{deleted}");
    let gone = a.call("palace_get_drawer", named.clone()).await.unwrap_err();
    assert!(gone.contains("was deleted: undelete_drawer"), "{gone}");
    let back = call(&a, "palace_undelete_drawer", named.clone()).await;
    assert_eq!(
        (&back["noop"], &back["undeleted"]["by"]),
        (&json!(false), &json!("test-client/1.2"))
    );
    let after = call(&b, "palace_get_drawer", named.clone()).await;
    assert_eq!((&after["content"], &after["etag"]), (&before["content"], &back["etag"]));
    let then = json!({"drawer_id": id, "version": before["etag"]});
    assert_eq!(call(&b, "palace_get_drawer", then).await["content"], before["content"]);
    let again = call(&b, "palace_undelete_drawer", named).await;
    assert_eq!((&again["noop"], &again["etag"]), (&json!(true), &after["etag"]));
    let none = json!({"drawer_id": "drawer_atlas_auth_000000000000000000000000"});
    let none = b.call("palace_undelete_drawer", none).await.unwrap_err();
    assert!(none.contains("there is no drawer"), "{none}");
    a.close().await;
    b.close().await;
}
