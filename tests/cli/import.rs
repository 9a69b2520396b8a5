//! Palaces of MemPalace, made by its own tools (tests/fixtures/mempalace/make.py), through `crdt-palace import`.

use crate::client::{Client, LOG, PALACE, run, stderr, stdout};
use crate::support::{documents, files};
use crdt_palace::memory::drawers::{Change, DrawerQuery, Drawers};
use crdt_palace::palace::Palace;
use rmcp::service::ClientLifecycleMode;
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const VERSIONS: [&str; 2] = ["3.3.5", "3.11.0"];

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mempalace").join(version)
}

fn expected(version: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(version).join("expected.json")).unwrap()).unwrap()
}

/// A copy that a test may change.
fn copy(version: &str, to: &Path) -> PathBuf {
    let to = to.join(version);
    crate::support::copy(&fixture(version), &to);
    to
}

/// In the zone that the fixtures were made in.
fn import(from: &Path, palace: &Path) -> Output {
    import_in("UTC0", from, palace)
}

fn import_in(zone: &str, from: &Path, palace: &Path) -> Output {
    Command::new(PALACE)
        .arg("import")
        .arg(from)
        .arg("--palace")
        .arg(palace)
        .env("TZ", zone)
        .output()
        .unwrap()
}

/// Imports without a problem, and gives what is said.
fn imported(from: &Path, palace: &Path) -> String {
    let before = files(from);
    let output = import(from, palace);
    assert_eq!(stdout(&output), "");
    assert!(before == files(from), "the source was changed: {:?}", files(from).keys());
    stderr(&output)
}

/// The documents that were taken over, by their old ids, each with what is known of it there.
fn by_old_id(palace: &Path, under: &str, list: &str) -> BTreeMap<String, (Value, Value)> {
    let palace = Palace::open_read_only(palace).unwrap();
    let mut found = BTreeMap::new();
    for (key, document) in documents(&palace) {
        if !key.starts_with(under) {
            continue;
        }
        for filing in document.value[list].as_array().unwrap() {
            if let Some(id) = filing["from"]["id"].as_str() {
                let mut value = Value::Object(document.value.clone());
                value["key"] = json!(key);
                assert_eq!(found.insert(id.to_owned(), (value, filing.clone())), None, "{id}");
            }
        }
    }
    found
}

fn chroma(dir: &Path) -> Connection {
    Connection::open(dir.join("palace/chroma.sqlite3")).unwrap()
}

fn graph(dir: &Path) -> Connection {
    let graph = Connection::open(dir.join("knowledge_graph.sqlite3")).unwrap();
    // As MemPalace has it.
    graph.pragma_update(None, "foreign_keys", false).unwrap();
    graph
}

/// A row as Chroma would have it.
fn add_row(chroma: &Connection, id: &str, metadata: &[(&str, &str)]) {
    let sql = "INSERT INTO embeddings (segment_id, embedding_id, seq_id) SELECT s.id, ?1, 1 FROM segments s
        JOIN collections c ON s.collection = c.id WHERE c.name = 'mempalace_drawers' AND s.scope = 'METADATA'";
    chroma.execute(sql, [id]).unwrap();
    let row = chroma.last_insert_rowid();
    for (key, value) in metadata {
        let sql = "INSERT INTO embedding_metadata (id, key, string_value) VALUES (?1, ?2, ?3)";
        chroma.execute(sql, (row, key, value)).unwrap();
    }
}

fn add_drawer(chroma: &Connection, id: &str, text: &str) {
    let metadata = [
        ("chroma:document", text),
        ("wing", "late"),
        ("room", "notes"),
        ("filed_at", "2026-05-30T12:00:00"),
    ];
    add_row(chroma, id, &metadata);
}

fn add_triple(graph: &Connection, id: &str, subject: &str, from: Option<&str>, to: Option<&str>) {
    let sql = "INSERT INTO triples (id, subject, predicate, object, valid_from, valid_to) VALUES (?1, ?2, 'is', 'x', ?3, ?4)";
    graph.execute(sql, (id, subject, from, to)).unwrap();
}

#[test]
fn mempalace_drawers_are_imported_with_all_their_metadata() {
    for version in VERSIONS {
        let (dir, expected) = (crate::support::dir(), expected(version));
        let palace = dir.path().join("palace");
        let said = imported(&fixture(version), &palace);
        let found = by_old_id(&palace, "drawer/", "filings");
        let drawers = expected["drawers"].as_array().unwrap();
        assert_eq!(found.len(), drawers.len(), "{version}: {said}");
        for drawer in drawers {
            let id = drawer["drawer_id"].as_str().unwrap();
            let (document, filing) = &found[id];
            for field in ["wing", "room", "content"] {
                assert_eq!(document[field], drawer[field], "{field} of {id}");
            }
            check_known(id, document, filing, drawer["metadata"].as_object().unwrap());
        }
        // The same words in two files: one drawer.
        let licence = found
            .values()
            .filter(|(d, _)| d["content"].as_str().unwrap().starts_with("The licence"));
        let licence: Vec<_> = licence.collect();
        assert_eq!((licence.len(), &licence[0].0["key"]), (2, &licence[1].0["key"]));
        let lines: Vec<&str> = said.lines().collect();
        let new = drawers.len() - 5;
        assert_eq!(
            lines[0],
            format!(
                "imported {new} new drawers, 4 new diary entries and 4 new facts; 0 already there"
            )
        );
        assert!(lines[1].starts_with("1 drawer had the same text as another one"), "{said}");
        assert!(lines[2].contains("4 closet rows, 1 tunnel"), "{said}");
        assert_eq!(lines[2].contains("3 hallways"), version == "3.11.0", "{said}");
    }
}

/// What MemPalace shows of a drawer is in a field of its own here, or stands beside it as it was.
fn check_known(id: &str, document: &Value, filing: &Value, metadata: &Map<String, Value>) {
    let at = jiff::Timestamp::from_millisecond(filing["at"].as_i64().unwrap()).unwrap();
    let filed_at = metadata["filed_at"].as_str().unwrap();
    assert_eq!(at.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string(), filed_at[..23], "{id}");
    let diary = metadata.contains_key("agent");
    for (key, value) in metadata {
        let kept = match key.as_str() {
            "wing" | "room" => &document[key],
            "agent" | "topic" if diary => &document[key],
            // MemPalace shows the name of the file only; an empty one is none.
            "source_file" => {
                let kept = filing[key].as_str().unwrap_or_default();
                assert!(kept.ends_with(value.as_str().unwrap()), "{kept} of {id}");
                continue;
            }
            "added_by" => &filing[key],
            "chunks" | "parent_drawer_id" | "parent_entry_id" => continue,
            "chunk_index" if metadata.contains_key("chunks") => continue,
            _ => &filing["from"][key],
        };
        assert_eq!(kept, value, "{key} of {id}");
    }
    if diary {
        assert_eq!(document["key"], key_of_entry(document, id), "an entry keeps its id");
    }
}

fn key_of_entry(document: &Value, id: &str) -> String {
    let wing = document["wing"].as_str().unwrap();
    let end = id.strip_prefix(&format!("diary_{wing}_")).unwrap();
    format!("drawer/{wing}/diary/{end}")
}

#[tokio::test]
async fn imported_drawers_are_visible_to_clients() {
    for version in VERSIONS {
        let (dir, expected) = (crate::support::dir(), expected(version));
        let palace = dir.path().join("palace");
        // The directory of the palace itself will do as well.
        imported(&fixture(version).join("palace"), &palace);
        let status: Value = serde_json::from_str(&stdout(&run(
            PALACE,
            &["status", "--json", "--palace", palace.to_str().unwrap()],
        )))
        .unwrap();
        let count = |what: &str| status[what].as_array().unwrap().len();
        assert_eq!((count("snapshots"), count("segments")), (1, 0), "all of it is folded");
        stdout(&run(LOG, &["verify", palace.to_str().unwrap()]));

        let client = Client::start_with(&palace, ClientLifecycleMode::Initialize, &[]).await;
        for drawer in expected["drawers"].as_array().unwrap() {
            let content = drawer["content"].as_str().unwrap();
            let found = by_old_id(&palace, "drawer/", "filings");
            let (document, _) = &found[drawer["drawer_id"].as_str().unwrap()];
            let key = document["key"].as_str().unwrap().strip_prefix("drawer/").unwrap();
            let id = match document["agent"].is_string() {
                true => drawer["drawer_id"].as_str().unwrap().to_owned(),
                false => format!("drawer_{}", key.replace('/', "_")),
            };
            let got = client.call("palace_get_drawer", json!({"drawer_id": id})).await.unwrap();
            assert_eq!(got["content"], content, "{id}");
            assert_eq!((&got["wing"], &got["room"]), (&drawer["wing"], &drawer["room"]));
        }
        let found = client
            .call("palace_search", json!({"query": "Ed25519", "wing": "atlas"}))
            .await
            .unwrap();
        assert_eq!(found["results"][0]["text"], "We sign tokens with Ed25519.");
        let diary = client.call("palace_diary_read", json!({"agent_name": "ada"})).await.unwrap();
        let entries: Vec<&str> = diary["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["content"].as_str().unwrap())
            .collect();
        assert_eq!(
            (entries.len(), entries[1], entries[2]),
            (3, "A quiet day.", "Signed the first token.")
        );
        check_facts(&client, version).await;
        client.close().await;
    }
}

async fn check_facts(client: &Client, version: &str) {
    let facts = client.call("palace_kg_query", json!({"entity": "Ada Lovelace"})).await.unwrap();
    let mut shown: Vec<Value> = facts["facts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fact| {
            json!([
                fact["predicate"],
                fact["object"],
                fact["valid_from"],
                fact["valid_to"],
                fact["source_file"],
                fact["source_closet"]
            ])
        })
        .collect();
    shown.sort_by_key(|fact| fact[1].to_string());
    // MemPalace counts the last day in.
    let expected = [
        json!(["works_at", "Acme", "2024-01-01", "2026-03-01T23:59:59Z", null, null]),
        json!(["likes", "Chess", null, null, null, "closet_atlas_1"]),
        json!(["works_at", "Initech", "2026-03-02", null, "cv.md", null]),
    ];
    assert_eq!(shown, expected, "{version}");
    let at = |day: &str| json!({"entity": "Bob", "as_of": day});
    for (day, count) in
        [("2026-02-02T23:59:59Z", 0), ("2026-02-03T12:00:00Z", 1), ("2026-02-04", 0)]
    {
        let facts = client.call("palace_kg_query", at(day)).await.unwrap();
        assert_eq!(facts["count"], count, "{day}: {facts}");
    }
}

#[test]
fn imported_facts_keep_their_metadata() {
    let (dir, expected) = (crate::support::dir(), expected("3.11.0"));
    let palace = dir.path().join("palace");
    imported(&fixture("3.11.0"), &palace);
    let found = by_old_id(&palace, "fact/", "sources");
    for fact in expected["facts"].as_array().unwrap() {
        let (document, source) = &found[fact["id"].as_str().unwrap()];
        for field in ["subject", "predicate", "object"] {
            assert_eq!(document[field], fact[field]);
        }
        assert_eq!(source["from"]["confidence"], fact["confidence"]);
        assert!(source["from"]["extracted_at"].is_string());
        assert_eq!(
            source["from"].get("valid_to").unwrap_or(&Value::Null),
            &fact["valid_to"],
            "as it was said"
        );
    }
}

#[test]
fn repeated_imports_add_only_new_items() {
    let dir = crate::support::dir();
    let (source, palace) = (copy("3.11.0", dir.path()), dir.path().join("p"));
    let drawers = expected("3.11.0")["drawers"].as_array().unwrap().len();
    imported(&source, &palace);
    let before = documents(&Palace::open_read_only(&palace).unwrap());
    let again = imported(&source, &palace);
    let none = format!(
        "imported 0 new drawers, 0 new diary entries and 0 new facts; {} already there",
        drawers + 4
    );
    assert_eq!(again.lines().next(), Some(none.as_str()));
    assert_eq!(documents(&Palace::open_read_only(&palace).unwrap()), before);

    add_drawer(&chroma(&source), "drawer_late_notes_1", "A late note.");
    add_triple(&graph(&source), "t_late", "ada_lovelace", Some("2026-11-01"), None);
    let end = "UPDATE triples SET valid_to = '2026-12-01' WHERE object = 'initech'";
    assert_eq!(graph(&source).execute(end, []).unwrap(), 1);
    let later = imported(&source, &palace);
    let some = format!(
        "imported 1 new drawer, 0 new diary entries and 2 new facts; {} already there",
        drawers + 3
    );
    assert_eq!(later.lines().next(), Some(some.as_str()));
    let found = by_old_id(&palace, "fact/", "sources");
    let initech = found.values().find(|(document, _)| document["object"] == "Initech").unwrap();
    assert_eq!(initech.0["ends"], json!(["2026-12-01T23:59:59Z"]));
    assert_eq!(documents(&Palace::open_read_only(&palace).unwrap()).len(), before.len() + 2);
}

#[test]
fn repeated_imports_keep_local_changes() {
    let dir = crate::support::dir();
    let palace = dir.path().join("p");
    imported(&fixture("3.11.0"), &palace);
    let drawers = Drawers::new(Palace::open(&palace).unwrap());
    let page = drawers
        .list(&DrawerQuery {
            wing: Some("atlas"),
            room: Some("decisions"),
            limit: 1,
            ..DrawerQuery::default()
        })
        .unwrap();
    let id = &page.drawers[0].id;
    drawers
        .update(
            id,
            Change { content: Some("Changed here."), room: Some("here"), ..Change::default() },
        )
        .unwrap();
    let count = documents(&Palace::open_read_only(&palace).unwrap()).len();
    let again = imported(&fixture("3.11.0"), &palace);
    assert!(
        again.starts_with("imported 0 new drawers, 0 new diary entries and 0 new facts"),
        "{again}"
    );
    assert_eq!(drawers.get(id).unwrap().content, "Changed here.");
    assert_eq!(documents(&Palace::open_read_only(&palace).unwrap()).len(), count);
}

#[test]
fn imported_times_without_an_offset_are_local() {
    let dir = crate::support::dir();
    let (source, palace) = (copy("3.11.0", dir.path()), dir.path().join("p"));
    add_drawer(&chroma(&source), "drawer_late_notes_1", "A late note.");
    stdout(&import_in("<+02>-2", &source, &palace));
    let found = by_old_id(&palace, "drawer/", "filings");
    let (_, filing) = &found["drawer_late_notes_1"];
    let at = jiff::Timestamp::from_millisecond(filing["at"].as_i64().unwrap()).unwrap();
    assert_eq!(at.to_string(), "2026-05-30T10:00:00Z");
    assert_eq!(filing["from"]["filed_at"], "2026-05-30T12:00:00");
}

#[test]
fn imported_facts_name_their_drawer_by_its_new_id() {
    let dir = crate::support::dir();
    let (source, palace) = (copy("3.11.0", dir.path()), dir.path().join("p"));
    let graph = graph(&source);
    add_drawer(&chroma(&source), "drawer_late_notes_1", "A late note.");
    add_triple(&graph, "t_1", "known", None, None);
    add_triple(&graph, "t_2", "unknown", None, None);
    let set = "UPDATE triples SET source_drawer_id = ?2 WHERE id = ?1";
    graph.execute(set, ["t_1", "drawer_late_notes_1"]).unwrap();
    graph.execute(set, ["t_2", "drawer_of_nobody_2"]).unwrap();
    drop(graph);
    imported(&source, &palace);
    let drawer = &by_old_id(&palace, "drawer/", "filings")["drawer_late_notes_1"].0["key"];
    let id = drawer.as_str().unwrap().replace('/', "_");
    let facts = by_old_id(&palace, "fact/", "sources");
    assert_eq!(facts["t_1"].1["drawer"], id);
    assert_eq!(facts["t_1"].1["from"]["source_drawer_id"], "drawer_late_notes_1");
    assert_eq!(facts["t_2"].1["drawer"], "drawer_of_nobody_2");
}

/// In both databases, with a write-ahead log: while somebody has it open, after a crash without and with the
/// log's index, and after it was closed.
#[test]
fn write_ahead_logs_are_imported_and_left_unchanged() {
    let dir = crate::support::dir();
    let live = copy("3.11.0", dir.path());
    let (chroma, graph) = (chroma(&live), graph(&live));
    for connection in [&chroma, &graph] {
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    }
    add_drawer(&chroma, "drawer_late_notes_1", "In the log only.");
    add_triple(&graph, "t_late", "in the log only", None, None);
    for name in ["palace/chroma.sqlite3", "knowledge_graph.sqlite3"] {
        let main = std::fs::read(live.join(name)).unwrap();
        assert!(!main.windows(15).any(|part| part == b"In the log only"), "{name}");
        assert!(
            live.join(format!("{name}-wal")).exists() && live.join(format!("{name}-shm")).exists()
        );
    }
    let crashed = dir.path().join("crashed");
    crate::support::copy(&live, &crashed);
    let check = |from: &Path, to: &str| {
        let palace = dir.path().join(to);
        let said = imported(from, &palace);
        assert!(
            by_old_id(&palace, "drawer/", "filings").contains_key("drawer_late_notes_1"),
            "{to}: {said}"
        );
        assert!(by_old_id(&palace, "fact/", "sources").contains_key("t_late"), "{to}: {said}");
    };
    check(&live, "while it is open");
    check(&crashed, "after a crash");
    for name in ["palace/chroma.sqlite3-shm", "knowledge_graph.sqlite3-shm"] {
        std::fs::remove_file(crashed.join(name)).unwrap();
    }
    check(&crashed, "without the index");
    drop((chroma, graph));
    assert!(!live.join("palace/chroma.sqlite3-wal").exists());
    check(&live, "closed");
}

#[test]
fn hot_journals_are_rolled_back_in_a_copy() {
    let dir = crate::support::dir();
    let live = copy("3.11.0", dir.path());
    let chroma = chroma(&live);
    chroma.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN").unwrap();
    let spoil = "UPDATE embedding_metadata SET string_value = 'spoilt' || string_value WHERE key = 'chroma:document'";
    chroma.execute(spoil, []).unwrap();
    let crashed = dir.path().join("crashed");
    crate::support::copy(&live, &crashed);
    let main = std::fs::read(crashed.join("palace/chroma.sqlite3")).unwrap();
    assert!(
        main.windows(8).any(|part| part == b"spoiltWe"),
        "the transaction has reached the file"
    );
    let palace = dir.path().join("p");
    imported(&crashed, &palace);
    let found = by_old_id(&palace, "drawer/", "filings");
    assert_eq!(found.len(), expected("3.11.0")["drawers"].as_array().unwrap().len());
    assert!(
        found
            .values()
            .all(|(document, _)| !document["content"].as_str().unwrap().starts_with("spoilt"))
    );
}

#[test]
fn bad_rows_are_named_and_good_rows_imported() {
    let dir = crate::support::dir();
    let (source, palace) = (copy("3.11.0", dir.path()), dir.path().join("p"));
    let (chroma, graph) = (chroma(&source), graph(&source));
    add_row(&chroma, "drawer_without_text", &[("wing", "late"), ("room", "notes")]);
    add_drawer(&chroma, "drawer_of_bytes", "x");
    let bytes = "UPDATE embedding_metadata SET string_value = x'ff00' WHERE string_value = 'x'";
    chroma.execute(bytes, []).unwrap();
    add_drawer(&chroma, "drawer_blank", " \n");
    add_row(
        &chroma,
        "drawer_odd_place",
        &[("chroma:document", "odd"), ("wing", "-a/b"), ("room", "c")],
    );
    add_row(
        &chroma,
        "_reg_1",
        &[("chroma:document", "[registry]"), ("room", "_registry"), ("wing", "a")],
    );
    chroma.execute("INSERT INTO embeddings_queue (seq_id, operation, topic, id) SELECT 1000, 2,
        'persistent://default/default/' || id, 'drawer_queued' FROM collections WHERE name = 'mempalace_drawers'", []).unwrap();
    add_triple(&graph, "t_backwards", "a", Some("2026-02-01"), Some("2026-01-01"));
    add_triple(&graph, "t_some_day", "a", Some("some day"), None);
    drop((chroma, graph));
    let before = files(&source);
    let output = import(&source, &palace);
    assert_eq!(output.status.code(), Some(1));
    assert!(before == files(&source));
    let said = stderr(&output);
    for (id, why) in [
        ("drawer_without_text", "no text"),
        ("drawer_of_bytes", "bytes where text should be"),
        ("drawer_blank", "it is empty"),
        ("1 write", "Chroma's queue"),
        ("t_backwards", "is before the beginning, 2026-02-01"),
        ("t_some_day", "is not a date"),
    ] {
        let line = said.lines().find(|line| line.starts_with(&format!("{id}: not imported: ")));
        assert!(line.is_some_and(|line| line.contains(why)), "{id}: {said}");
    }
    let found = by_old_id(&palace, "drawer/", "filings");
    assert_eq!(found.len(), expected("3.11.0")["drawers"].as_array().unwrap().len() + 1);
    let (document, filing) = &found["drawer_odd_place"];
    assert_eq!((&document["wing"], &filing["from"]["wing"]), (&json!("a_b"), &json!("-a/b")));
    assert_eq!(by_old_id(&palace, "fact/", "sources").len(), 4);
}

#[test]
fn sources_that_are_no_mempalace_are_refused_with_a_reason() {
    let dir = crate::support::dir();
    let palace = dir.path().join("p");
    let refused = |from: &Path, words: &[&str]| {
        let output = import(from, &palace);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!palace.exists(), "nothing was created");
    };
    let empty = dir.path().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    refused(&empty, &["chroma.sqlite3", "palace/chroma.sqlite3"]);
    let ours = dir.path().join("ours");
    imported(&fixture("3.11.0"), &ours);
    refused(&ours, &["crdt-palace already", "crdt-compact --into"]);

    let other = empty.join("chroma.sqlite3");
    std::fs::write(&other, "This is a text, and by far not the database that its name says it is.")
        .unwrap();
    refused(&empty, &["chroma.sqlite3", "not a database"]);
    std::fs::remove_file(&other).unwrap();
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE collections (id TEXT)").unwrap();
    refused(&empty, &["no column collections.name", "no supported version of Chroma"]);
    let source = copy("3.11.0", dir.path());
    chroma(&source).execute("UPDATE collections SET name = 'other'", []).unwrap_err();
    chroma(&source).execute("UPDATE collections SET name = name || '_2'", []).unwrap();
    refused(&source, &["no collection mempalace_drawers", "mempalace_drawers_2"]);
}

#[test]
fn imports_are_reported_even_if_compaction_fails() {
    let dir = tempfile::tempdir().unwrap();
    let palace = dir.path().join("palace");
    Palace::open(&palace).unwrap().put("a", &serde_json::Map::new()).unwrap();
    std::fs::create_dir(palace.join("LOCK")).unwrap(); // no compaction can lock it
    let said = imported(&fixture("3.11.0"), &palace);
    assert!(said.contains("new drawers, 4 new diary entries and 4 new facts"), "{said}");
    assert!(said.contains("not everything is compacted, because"), "{said}");
    assert!(said.contains("LOCK"), "{said}");
}

#[test]
fn mempalace_configuration_names_palace_and_collection() {
    let dir = tempfile::tempdir().unwrap();
    let source = copy("3.11.0", dir.path());
    let (home, elsewhere) = (dir.path().join("home"), dir.path().join("home/elsewhere"));
    std::fs::create_dir(&home).unwrap();
    let chroma = chroma(&source);
    // Chroma refuses a name that is in use by its other collection of drawers.
    let renamed = "UPDATE collections SET name = 'my_drawers' WHERE name = 'mempalace_drawers'";
    chroma.execute(renamed, []).unwrap();
    drop(chroma);
    std::fs::rename(source.join("palace"), &elsewhere).unwrap();
    let configure = |text: Value| {
        std::fs::write(source.join("config.json"), text.to_string()).unwrap();
    };
    let import = |from: &Path| {
        let palace = dir.path().join("p");
        let mut command = Command::new(PALACE);
        command.arg("import").arg(from).arg("--palace").arg(&palace).env("HOME", &home);
        command.env("TZ", "UTC0").output().unwrap()
    };
    std::fs::write(source.join("config.json"), "{\"palace_path\": ").unwrap();
    let output = import(&source);
    let said = stderr(&output);
    assert_ne!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("config.json cannot be read") && said.contains("line 1"), "{said}");
    configure(json!({"palace_path": "~/nowhere"}));
    let said = stderr(&import(&source));
    assert!(said.contains("config.json names ") && said.contains("home/nowhere"), "{said}");
    configure(json!({"palace_path": "~/elsewhere"}));
    let said = stderr(&import(&source));
    assert!(said.contains("no collection mempalace_drawers"), "{said}");
    assert!(said.contains("my_drawers") && said.contains("collection_name"), "{said}");
    configure(json!({"palace_path": "~/elsewhere", "collection_name": "my_drawers"}));
    let output = import(&source);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    // The drawers are where the configuration says, the graph and the lists lie beside it.
    assert!(said.contains("4 new diary entries and 4 new facts"), "{said}");
    assert!(said.contains("tunnel"), "{said}");
}

#[test]
fn prose_dates_become_periods() {
    let dir = tempfile::tempdir().unwrap();
    let (source, palace) = (copy("3.11.0", dir.path()), dir.path().join("p"));
    let graph = graph(&source);
    for (id, from, to) in [
        ("t_month", Some("March 2026"), None),
        ("t_same", Some("2026-03"), Some("2026-03")),
        ("t_year", Some("2025"), Some("June 2025")),
        ("t_day", Some("5 March 2026"), Some("March 7, 2026")),
    ] {
        add_triple(&graph, id, id, from, to);
    }
    drop(graph);
    let output = import(&source, &palace);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found = by_old_id(&palace, "fact/", "sources");
    let period = |id: &str| {
        let (document, source) = &found[id];
        let [from, to] = ["valid_from", "valid_to"];
        let texts = [document[from].clone(), document[to].clone()];
        (texts, [source["from"][from].clone(), source["from"][to].clone()])
    };
    assert_eq!(
        period("t_month"),
        ([json!("2026-03-01"), json!(null)], [json!("March 2026"), json!(null)])
    );
    let march = [json!("2026-03-01"), json!("2026-04-01")];
    assert_eq!(period("t_same"), (march, [json!("2026-03"), json!("2026-03")]));
    assert_eq!(period("t_year").0, [json!("2025-01-01"), json!("2025-07-01")]);
    assert_eq!(period("t_day").0, [json!("2026-03-05"), json!("2026-03-07T23:59:59Z")]);
    // Again, nothing is new.
    assert!(stderr(&import(&source, &palace)).contains("0 new facts"));
}

#[test]
fn wrong_files_are_one_message_and_pipes_come_from_stdin() {
    let dir = tempfile::tempdir().unwrap();
    let (wrong, palace) = (dir.path().join("wrong.txt"), dir.path().join("p"));
    std::fs::write(&wrong, "not a graph\n".repeat(200)).unwrap();
    let output = import(&wrong, &palace);
    let said = stderr(&output);
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("wrong.txt is no memory.jsonl"), "{said}");
    assert!(
        said.contains(r#"Line 1: "not a graph" is no JSON. A line that can be imported: {"#),
        "{said}"
    );
    // What it names can be imported.
    let line = said.split_once("be imported: ").unwrap().1;
    std::fs::write(&wrong, line).unwrap();
    assert!(stderr(&import(&wrong, &palace)).contains("imported 1 entity"));
    for (text, words) in [
        ("{\"a\":1}\n", "Line 1: missing field `type`. "),
        ("\n[1]\n", "Line 2: invalid type: sequence, expected a map. "),
        ("\u{1b}[31m\n", r#"Line 1: "\u{1b}[31m" is no JSON. "#),
    ] {
        std::fs::write(&wrong, text).unwrap();
        let said = stderr(&import(&wrong, &palace));
        assert!(said.contains(words), "{said}");
    }
    // One good line makes it a memory.jsonl with many bad ones.
    let good = r#"{"type":"entity","name":"a","entityType":"t","observations":[]}"#;
    std::fs::write(&wrong, format!("{}{good}\n", "bad\n".repeat(100))).unwrap();
    let said = stderr(&import(&wrong, &palace));
    assert!(
        said.contains("and 80 more lines not imported") && said.contains("imported 1 entity"),
        "{said}"
    );

    let pipe = dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let said = stderr(&import(&pipe, &palace));
    assert!(said.contains("a pipe, not a regular file"), "{said}");
    let command = format!(
        "printf '%s\\n' '{}' | {PALACE} import - --palace '{}'",
        good.replace("\"a\"", "\"b\""),
        palace.display()
    );
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("imported 1 entity"), "{}", stderr(&output));
}

#[test]
fn files_of_mempalace_that_are_no_files_are_named() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::symlink;
    type Put = fn(&Path);
    let wrong: [(&str, Put); 3] = [
        ("a pipe, not a regular file", |at| {
            mknodat(CWD, at, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }),
        ("a directory, not a regular file", |at| std::fs::create_dir(at).unwrap()),
        ("a link to a file that is not there", |at| symlink("nowhere", at).unwrap()),
    ];
    let names = [
        "knowledge_graph.sqlite3",
        "config.json",
        "palace/chroma.sqlite3",
        "palace/chroma.sqlite3-journal",
        "knowledge_graph.sqlite3-wal",
        "knowledge_graph.sqlite3-shm",
    ];
    for name in names {
        for (why, put) in wrong {
            let dir = tempfile::tempdir().unwrap();
            let (source, palace) = (copy("3.11.0", dir.path()), dir.path().join("p"));
            let file = source.join(name);
            drop(std::fs::remove_file(&file));
            put(&file);
            let output = import(&source, &palace);
            let said = stderr(&output);
            assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{name} {said}");
            assert!(said.contains(file.file_name().unwrap().to_str().unwrap()), "{name}: {said}");
            assert!(said.contains(why), "{name}: {said}");
            assert!(!palace.exists(), "{name}: {said}");
        }
    }
    // What is not there is no error.
    let dir = tempfile::tempdir().unwrap();
    let (source, palace) = (copy("3.11.0", dir.path()), dir.path().join("p"));
    std::fs::remove_file(source.join("knowledge_graph.sqlite3")).unwrap();
    let output = import(&source, &palace);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("there was no knowledge graph to import"));
}
