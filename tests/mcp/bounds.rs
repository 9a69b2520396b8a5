//! Every tool of every set, driven to its limits: no result is longer than `docs/MCP.md` promises.

use crdt_palace::fs::sim::SimDisk;
use crdt_palace::mcp::{Offer, Server, ToolSet};
use crdt_palace::memory::drawers::{Drawers, Item, Place};
use crdt_palace::palace::{Key, Options, Palace, WriteOptions};
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, PaginatedRequestParams, Tool};
use rmcp::service::{RoleClient, RunningService};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most bytes of JSON in a result.
const RESULT_BYTES: usize = 100_000;

/// Tools whose results have no bound, each with the reason.
const UNBOUNDED: [(&str, &str); 6] = [
    ("create_entities", "it answers with what it created, as the reference does"),
    ("create_relations", "it answers with what it created, as the reference does"),
    ("add_observations", "it answers with what it added, as the reference does"),
    ("read_graph", "it answers with the whole graph, as the reference does"),
    ("search_nodes", "it answers with all that it found, as the reference does"),
    ("open_nodes", "it answers with all that was named, as the reference does"),
];

/// Tools whose results are short whatever the palace holds.
const SHORT: [&str; 13] = [
    "palace_add_drawer",
    "palace_check_duplicate",
    "palace_delete_drawer",
    "palace_diary_write",
    "palace_kg_add",
    "palace_kg_delete",
    "palace_kg_invalidate",
    "palace_kg_supersede",
    "palace_rename_place",
    "palace_undelete_drawer",
    "palace_update_drawer",
    "document_delete",
    "delete_observations",
];

/// Documents with long keys, and versions of one document: together more than a result holds.
const DOCUMENTS: usize = 300;
const VERSIONS: usize = 150;

/// As many pages as no list here has.
const PAGES: usize = 1_000;

fn open(disk: &SimDisk, program: &str) -> Palace {
    let options = Options::default().fs(Arc::new(disk.process()));
    options.auto_compact(false).program(program).open("/p").unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A client of a server with all sets, which notes how long the results are.
struct Client {
    of: RunningService<RoleClient, ()>,
    /// The longest result of each tool that was called with success.
    longest: RefCell<BTreeMap<String, usize>>,
}

impl Client {
    async fn of(palace: Palace) -> Self {
        Self::with(palace, vec![ToolSet::Palace, ToolSet::Documents, ToolSet::Memory]).await
    }

    async fn with(palace: Palace, sets: Vec<ToolSet>) -> Self {
        let server = Server::new(palace, &Offer { sets, ..Offer::default() });
        let (here, there) = tokio::io::duplex(1 << 16);
        drop(tokio::spawn(async move { server.serve(there).await.unwrap().waiting().await }));
        Client { of: ().serve(here).await.unwrap(), longest: RefCell::default() }
    }

    /// Calls a tool, and measures its result, structure and `_meta` together, and the same as text.
    async fn result(&self, tool: &str, arguments: Value) -> Result<Value, String> {
        let mut arguments = arguments.as_object().unwrap().clone();
        // What is ignored is named in the answer.
        arguments.extend((0..6).map(|n| (format!("{}{n}", "\u{1}".repeat(90)), json!(n))));
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self.of.call_tool(params).await.unwrap();
        let content = serde_json::to_value(&result.content).unwrap();
        let texts = content.as_array().unwrap().iter();
        let text = texts.map(|part| part["text"].as_str().unwrap().len()).sum::<usize>();
        let structure = result.structured_content.as_ref().map_or(0, |it| it.to_string().len());
        let meta = result.meta.as_ref().map_or(0, |it| serde_json::to_string(it).unwrap().len());
        let length = text.max(structure + meta);
        if !UNBOUNDED.iter().any(|(name, _)| *name == tool) || result.is_error == Some(true) {
            assert!(length <= RESULT_BYTES, "{tool}: {length} bytes");
        }
        if result.is_error == Some(true) {
            return Err(content[0]["text"].as_str().unwrap().to_owned());
        }
        let mut longest = self.longest.borrow_mut();
        let longest = longest.entry(tool.to_owned()).or_default();
        *longest = (*longest).max(length);
        Ok(result.structured_content.unwrap())
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let error = |error: String| panic!("{tool}: {}", &error[..error.len().min(500)]);
        self.result(tool, arguments).await.unwrap_or_else(error)
    }

    /// Follows the cursors of a list to its end: all pages.
    async fn pages(&self, tool: &str, mut arguments: Value) -> Vec<Value> {
        let (mut pages, mut seen) = (Vec::new(), BTreeSet::new());
        loop {
            let page = self.call(tool, arguments.clone()).await;
            let next = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            let goes_on = page.get("more") != Some(&json!(false));
            pages.push(page);
            let Some(next) = next.filter(|_| goes_on) else { return pages };
            assert!(seen.insert(next.clone()) && pages.len() < PAGES, "{tool} does not end");
            // Where a time was given to begin with, the cursor takes its place.
            arguments.as_object_mut().unwrap().remove("since");
            arguments["cursor"] = json!(next);
        }
    }
}

/// The items of a list on all of its pages.
fn items(pages: &[Value], list: &str) -> Vec<Value> {
    pages.iter().flat_map(|page| page[list].as_array().unwrap().clone()).collect()
}

/// A name of the greatest length that ends with a number.
fn name(n: usize) -> String {
    format!("{}{n:04}", "\u{4e1c}".repeat(124))
}

/// A drawer in a place with the longest names that fit.
fn item(n: usize, content: &str) -> Value {
    json!({"wing": name(n), "room": "\u{4e1c}".repeat(18), "content": content})
}

/// A client of a palace in which every list is too long for one result.
async fn furnished(disk: &SimDisk) -> Client {
    let client = Client::of(open(disk, &"p".repeat(1_000))).await;
    wings(&client, disk).await;
    facts(&client).await;
    documents(&client, disk).await;
    for _ in 0..8 {
        let entry = json!({"agent_name": "Scout", "entry": "\"".repeat(60_000)});
        client.call("palace_diary_write", entry).await;
    }
    graph(&client).await;
    // Other processes, which live as long as the test does.
    for n in 0..40 {
        let other = open(disk, &"\"".repeat(1_000));
        let options = WriteOptions::new().by("\"".repeat(200));
        other.with(options).put(&format!("other/{n}"), &Map::new()).unwrap();
        std::mem::forget(other);
    }
    // So that reads do not go through everything that was written here.
    drop(open(disk, "test").compact(Default::default()).unwrap());
    client
}

/// Many wings, and one wing with many rooms.
async fn wings(client: &Client, disk: &SimDisk) {
    let items: Vec<Value> = (0..100).map(|n| item(n, &format!("text {n}"))).collect();
    let call = json!({"items": items, "idempotency_key": "k".repeat(200)});
    let saved = client.call("palace_checkpoint", call.clone()).await;
    assert!(saved["left_out"].as_i64().unwrap() > 0, "{}", saved["left_out"]);
    let again = client.call("palace_checkpoint", call).await;
    assert_eq!((&again["repeated"], &again["left_out"]), (&json!(true), &saved["left_out"]));
    let drawers = Drawers::new(open(disk, "test"));
    let file = |wing: &str, room: &str, text: String| {
        Item::new(Place::new(wing, room).unwrap(), &text).unwrap()
    };
    let room = "\u{4e1c}".repeat(18);
    let wings = (100..300).map(|n| file(&name(n), &room, format!("text {n}")));
    let rooms = (0..1_600).map(|n| file("w", &name(n), format!("room {n}")));
    drawers.file(&wings.chain(rooms).collect::<Vec<_>>()).unwrap();
}

/// Facts of one entity, and predicates, in the longest words.
async fn facts(client: &Client) {
    let long = |n: usize| format!("{}{n:04}", "\u{1f600}".repeat(496));
    for n in 0..120 {
        let fact = json!({"subject": long(0), "predicate": long(n), "object": long(n + 1),
            "source_closet": "\"".repeat(50_000), "source_file": "f".repeat(50_000)});
        client.call("palace_kg_add", fact).await;
    }
    let (subject, predicate) = (long(0), long(5));
    let change = json!({"subject": subject, "predicate": predicate, "old_object": long(6), "new_object": long(900)});
    client.call("palace_kg_supersede", change).await;
    let end = json!({"subject": subject, "predicate": predicate, "object": long(900)});
    let ended = client.call("palace_kg_invalidate", end.clone()).await;
    client.call("palace_kg_delete", json!({"triple_id": ended["triple_id"]})).await;
    client.call("palace_kg_add", end).await;
}

/// Documents of which every field is in conflict.
const CONFLICTED: [&str; 5] = ["to-read", "to-put", "to-patch", "to-restore", "to-count"];

/// Fields with long names and long values, which `n` tells apart.
fn fields(n: usize) -> Map<String, Value> {
    let field = |f: usize| {
        (format!("{f:03}{}", "\u{1}".repeat(900)), json!(format!("{n}{}", "x".repeat(600 * n))))
    };
    (0..30).map(field).collect()
}

/// Documents under the longest keys, a long history, and many conflicts.
async fn documents(client: &Client, disk: &SimDisk) {
    let options = WriteOptions::new().by("\u{1}".repeat(5_000));
    let value = object(json!({"text": format!("needle {}", "\"".repeat(300))}));
    let palace = open(disk, "test");
    let mut batch = palace.batch();
    for n in 0..DOCUMENTS {
        let (key, value) = (format!("{}{n:04}", "\"".repeat(508)), &value);
        batch.write(Key::new(&key).unwrap(), move |draft| draft.put(value));
    }
    batch.commit().unwrap();
    for n in 0..VERSIONS {
        palace.with(options.clone()).put("history", &object(json!({"n": n}))).unwrap();
    }
    for key in CONFLICTED {
        let base = palace.with(options.clone()).put(key, &fields(0)).unwrap().etag;
        for n in 1..=6 {
            let options = options.clone().base(base.clone());
            palace.with(options).put(key, &fields(n)).unwrap();
        }
    }
    let put = json!({"key": "long", "value": {"text": "\"\u{1}".repeat(120_000)}});
    client.call("document_put", put).await;
}

/// Entities and relations that are together far longer than a result.
async fn graph(client: &Client) {
    let entity = |n: usize| json!({"name": format!("{}{n:04}", "\"".repeat(490)), "entityType": "t", "observations": ["x".repeat(100)]});
    let entities: Vec<Value> = (0..1_000).map(entity).collect();
    client.call("create_entities", json!({"entities": entities})).await;
    let of = |n: usize| entities[n]["name"].clone();
    let relations: Vec<Value> =
        (1..200).map(|n| json!({"from": of(0), "to": of(n), "relationType": "knows"})).collect();
    client.call("create_relations", json!({"relations": relations})).await;
    let more = json!([{"entityName": of(0), "contents": (0..1_200).map(|n| format!("{n:0100}")).collect::<Vec<_>>()}]);
    client.call("add_observations", json!({"observations": more})).await;
    client.call("read_graph", json!({})).await;
    client.call("search_nodes", json!({"query": "x"})).await;
    let names: Vec<Value> = (0..1_000).map(of).collect();
    client.call("open_nodes", json!({"names": names})).await;
    client.call("delete_relations", json!({"relations": relations})).await;
    let gone = json!([{"entityName": of(0), "observations": ["x".repeat(100)]}]);
    client.call("delete_observations", json!({"deletions": gone})).await;
    client.call("delete_entities", json!({"entityNames": names})).await;
}

async fn palace_lists(client: &Client) {
    let status = client.call("palace_status", json!({})).await;
    assert_eq!(status["truncated"], true);
    assert!(!status["instances"].as_array().unwrap().is_empty());
    let wings = client.pages("palace_list_wings", json!({})).await;
    let count =
        |field| wings.iter().map(|page| page[field].as_object().unwrap().len()).sum::<usize>();
    assert_eq!(count("wings"), 302, "with those of a room, and of the diary");
    client.pages("palace_list_rooms", json!({"wing": "w"})).await;
    let tree = client.pages("palace_get_taxonomy", json!({})).await;
    let rooms = tree.iter().flat_map(|page| page["taxonomy"].as_object().unwrap().values());
    let rooms = rooms.map(|rooms| rooms.as_object().unwrap().len()).sum::<usize>();
    assert_eq!(rooms, 300 + 1_600 + 1, "each room of each wing is on one page");
    assert!(tree.len() > 5);
    let listed = client.pages("palace_list_drawers", json!({"limit": 100})).await;
    let drawers: BTreeSet<String> =
        items(&listed, "drawers").iter().map(|it| it["drawer_id"].to_string()).collect();
    assert_eq!(json!(drawers.len()), listed[0]["total"]);
    let long = json!({"query": "text", "limit": 100});
    let found = client.pages("palace_search", long).await;
    assert!(items(&found, "results").len() >= 300);
    let spaces = json!({"query": "text", "wing": format!("{}w", " ".repeat(200_000))});
    client.call("palace_search", spaces).await;
    client.call("palace_check_duplicate", json!({"content": "text 1", "threshold": 0.01})).await;
    let entity = format!("{}0000", "\u{1f600}".repeat(496));
    let whole = json!({"entity": entity, "full_source": true});
    let known = client.pages("palace_kg_query", whole).await;
    assert_eq!(json!(items(&known, "facts").len()), known[0]["count"]);
    let line = client.pages("palace_kg_timeline", json!({"full_source": true})).await;
    assert_eq!(items(&line, "timeline").len(), 121);
    assert_eq!(client.call("palace_kg_stats", json!({})).await["truncated"], true);
    let diary =
        client.pages("palace_diary_read", json!({"agent_name": "scout", "last_n": 100})).await;
    let entries: BTreeSet<String> =
        items(&diary, "entries").iter().map(|it| it["entry_id"].to_string()).collect();
    assert_eq!(entries.len(), 8, "each entry is on one page");
    let since = json!({"since": "1960-01-01", "limit": 100, "include_own": true});
    client.pages("palace_changes_since", since).await;
}

/// A drawer with the longest text, many sources and many texts that were written at once.
async fn drawers(client: &Client, disk: &SimDisk) {
    let quotes = "\"".repeat(100_000);
    for n in 0..25 {
        let (source, by) =
            (format!("/d/{n:04}{}", "\"".repeat(993)), format!("{n:04}{}", "\"".repeat(996)));
        let filed = json!({"wing": "long", "room": "r", "content": quotes, "source_file": source, "added_by": by});
        client.call("palace_add_drawer", filed).await;
    }
    let other = json!({"wing": "long", "room": "r", "content": quotes[..90_000]});
    let other = client.call("palace_add_drawer", other).await["drawer_id"].clone();
    let palace = open(disk, "test");
    let drawer = &palace.scan_page("drawer/long/r/", None, 10).unwrap().documents;
    let drawer = drawer.iter().find(|it| it.value["content"] == json!(quotes)).unwrap();
    for n in 0..40 {
        let by = format!("{n}{}", "\"".repeat(5_000));
        let options = WriteOptions::new().base(drawer.etag.clone()).by(by);
        let value = json!({"content": format!("{n}{}", &quotes[..99_990]), "note": format!("{n}{}", "\u{1}".repeat(9_000))});
        palace.with(options).patch(drawer.key.as_str(), &object(value)).unwrap();
    }
    let listed = client.call("palace_list_drawers", json!({"wing": "long"})).await;
    let ids: Vec<Value> =
        items(&[listed], "drawers").iter().map(|it| it["drawer_id"].clone()).collect();
    assert_eq!(ids.len(), 2);
    for id in &ids {
        let (mut offset, mut length) = (json!(0), 0);
        while !offset.is_null() {
            let part = json!({"drawer_id": id, "offset": offset, "full_source": true});
            let part = client.call("palace_get_drawer", part).await;
            length += part["content"].as_str().unwrap().chars().count();
            offset = part["next_offset"].clone();
        }
        assert!(length >= 90_000);
    }
    // Ids twice, and ids that name nothing.
    let unknown = (0..200).map(|n| json!(format!("{n:04}{}", "x".repeat(596))));
    let all: Vec<Value> =
        ids.iter().chain(&ids).cloned().chain(unknown).chain(ids.clone()).collect();
    let whole = json!({"drawer_ids": all, "full_source": true});
    let pages = client.pages("palace_get_drawers", whole).await;
    let shown: Vec<Value> =
        items(&pages, "drawers").iter().map(|it| it["drawer_id"].clone()).collect();
    assert_eq!(shown, ids, "each once");
    assert_eq!(items(&pages, "not_found").len(), 200);
    let longest = ids.iter().find(|id| **id != other).unwrap();
    let conflicts = items(&client.pages("palace_conflicts", json!({})).await, "conflicts");
    let paths: Vec<_> = conflicts.iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths, ["/content", "/note"]);
    let note = &conflicts[1];
    let take = json!({"drawer_id": longest, "conflict": 2, "take": note["shown"]["etag"], "etag": note["etag"]});
    let settled = client.call("palace_settle", take).await;
    assert_eq!(settled["open_conflicts"].as_array().unwrap().len(), 1, "{settled}");
    let settle = json!({"drawer_id": longest, "content": "settled"});
    let settled = client.call("palace_update_drawer", settle).await;
    assert!(!settled["conflicts"].as_array().unwrap().is_empty(), "{settled}");
    client.call("palace_delete_drawer", json!({"drawer_id": other})).await;
    client.call("palace_undelete_drawer", json!({"drawer_id": other})).await;
    client.call("palace_delete_drawer", json!({"drawer_id": other})).await;
    // The nearest names are as long as names can be.
    for (wing, room) in [(name(7_000), Value::Null), ("w".to_owned(), json!(name(7_000)))] {
        let wanted = json!({"wing": wing, "room": room, "limit": 100});
        let list = client.call("palace_list_drawers", wanted).await;
        assert!(list["note"].as_str().unwrap().len() > 1_500, "{list}");
    }
    let rename = json!({"wing": name(1), "to": name(7_000)});
    client.call("palace_rename_place", rename).await;
}

async fn delete_many(client: &Client) {
    let listed = client.pages("palace_list_drawers", json!({"limit": 100})).await;
    let ids: Vec<Value> =
        items(&listed, "drawers").iter().map(|it| it["drawer_id"].clone()).collect();
    let unknown = (0..50).map(|n| json!(format!("{n:04}{}", "x".repeat(20_000))));
    let ids: Vec<Value> = ids.into_iter().take(250).chain(unknown).collect();
    let moves = json!({"drawer_ids": ids, "to_room": "moved"});
    let moved = client.call("palace_move_drawers", moves).await;
    let entries = moved["diary_entries"].as_i64().unwrap();
    assert_eq!(moved["moved"].as_i64().unwrap() + entries, 250, "{moved}");
    let deleted = client.call("palace_delete_drawers", json!({"drawer_ids": ids})).await;
    let lists = [&deleted["deleted"], &deleted["not_found"]];
    let named: usize = lists.iter().map(|list| list.as_array().unwrap().len()).sum();
    assert_eq!(
        (&deleted["count"], deleted["left_out"].as_i64()),
        (&json!(250), Some(300 - named as i64))
    );
}

async fn document_lists(client: &Client) {
    let listed = client.pages("document_list", json!({"limit": 1_000})).await;
    assert_eq!(items(&listed, "documents").len(), DOCUMENTS + 40 + 2 + CONFLICTED.len());
    let found = client.pages("document_search", json!({"query": "needle", "limit": 100})).await;
    assert_eq!(items(&found, "documents").len(), DOCUMENTS);
    let history = client.pages("document_history", json!({"key": "history", "limit": 500})).await;
    assert_eq!(items(&history, "versions").len(), VERSIONS);
    let conflicts = client.pages("document_conflicts", json!({"key": "to-read"})).await;
    assert_eq!(items(&conflicts, "conflicts").len(), 30);
    for key in ["to-read", "long"] {
        client.pages("document_get", json!({"key": key})).await;
    }
    let got = client.call("document_get", json!({"key": "to-read"})).await;
    assert!(got["more_conflicts"].as_i64().unwrap() > 0, "{}", got["more_conflicts"]);
    let all = client.pages("document_conflicts", json!({})).await;
    assert_eq!(items(&all, "conflicts").len(), 30 * CONFLICTED.len());
    let take = &conflicts[0]["conflicts"][0];
    let take = json!({"key": "to-read", "conflict": 1, "take": take["shown"]["etag"], "etag": take["etag"]});
    let settled = client.call("document_settle", take).await;
    assert!(!settled["open_conflicts"].as_array().unwrap().is_empty(), "{settled}");
    // Each of these settles all conflicts, or leaves them open and says so.
    let put = json!({"key": "to-put", "value": {}});
    let settled = client.call("document_put", put).await;
    assert!(settled["more_conflicts"].as_i64().unwrap() > 0, "{}", settled["more_conflicts"]);
    client.call("document_patch", json!({"key": "to-patch", "patch": fields(9)})).await;
    let versions = client.pages("document_history", json!({"key": "to-restore"})).await;
    let first = items(&versions, "versions").pop().unwrap()["etag"].clone();
    client.call("document_restore", json!({"key": "to-restore", "version": first})).await;
    let base = client.call("document_get", json!({"key": "to-count"})).await["etag"].clone();
    let count = json!({"key": "to-count", "path": "/n", "base": base});
    let counted = client.call("document_increment", count).await;
    assert!(counted["more_open_conflicts"].as_i64().unwrap() > 0, "{counted}");
    client.call("document_delete", json!({"key": "to-read"})).await;
    let stale = json!({"key": "long", "value": {}, "if_match": "0123456789abcdef"});
    assert!(client.result("document_put", stale).await.is_err());
}

/// Errors repeat arguments: each text that a tool takes, far too long, and an argument that it does not take.
async fn errors(client: &Client, tools: &[Tool]) {
    let long = "\"".repeat(300_000);
    for tool in tools {
        let properties = tool.input_schema["properties"].as_object().unwrap();
        let ready: Map<String, Value> = properties
            .iter()
            .filter(|(_, schema)| schema["type"] == "string")
            .map(|(name, _)| (name.clone(), json!("x")))
            .collect();
        for field in ready.keys().map(String::as_str).chain([long.as_str()]) {
            let mut arguments = ready.clone();
            arguments.insert(field.to_owned(), json!(long));
            // It may be fine, as a text to look for: then the result is bounded.
            drop(client.result(&tool.name, Value::Object(arguments)).await);
        }
    }
}

/// Reads pages of the list of resources, at most so many, and returns their number.
async fn resources(client: &Client, most: usize) -> usize {
    let (mut cursor, mut pages) = (None, 0);
    loop {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = client.of.list_resources(Some(params)).await.unwrap();
        let length = serde_json::to_string(&page).unwrap().len();
        assert!(length <= RESULT_BYTES, "a page of {length} bytes");
        (cursor, pages) = (page.next_cursor, pages + 1);
        if cursor.is_none() || pages == most {
            return pages;
        }
    }
}

#[tokio::test]
async fn no_result_of_any_tool_is_longer_than_promised() {
    let disk = SimDisk::new(1);
    let client = furnished(&disk).await;
    palace_lists(&client).await;
    drawers(&client, &disk).await;
    document_lists(&client).await;
    // The first pages have the wings.
    assert_eq!(resources(&client, 2).await, 2);
    let documents = Client::with(open(&disk, "test"), vec![ToolSet::Documents]).await;
    assert!(resources(&documents, PAGES).await > 5);
    delete_many(&client).await;
    let tools = client.of.list_all_tools().await.unwrap();
    errors(&client, &tools).await;

    let (longest, mut wrong) = (client.longest.borrow(), Vec::new());
    for tool in tools.iter().map(|tool| &*tool.name) {
        let Some(longest) = longest.get(tool) else {
            panic!("{tool} was not driven to its limits")
        };
        let unbounded = UNBOUNDED.iter().any(|(name, _)| *name == tool);
        let (what, fine) = match longest {
            _ if unbounded => ("needs no exception", *longest > RESULT_BYTES),
            _ if SHORT.contains(&tool) => ("can be long", *longest < 20_000),
            _ => ("was not driven to its limits", *longest > 10_000),
        };
        if !fine {
            wrong.push(format!("{tool} {what}: {longest} bytes at most"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
