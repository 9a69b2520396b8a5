//! Databases of MemPalace: files that were edited anywhere, and sound ones with anything in their rows. Whatever
//! stands in them, what can be taken over is, and once.

use super::input::Input;
use super::palace;
use crdt_palace::memory::MemoryError;
use crdt_palace::memory::mempalace::{Access, DRAWERS, Database, Databases, Report, import};
use crdt_palace::palace::{Document, Palace};
use jiff::tz::TimeZone;
use rusqlite::types::Value;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The tables that are read, as the versions of Chroma and of MemPalace have them. Small pages: few bytes to edit.
const CHROMA: &str = "PRAGMA page_size=512;
    CREATE TABLE collections (id TEXT, name TEXT);
    CREATE TABLE segments (id TEXT, scope TEXT, collection TEXT);
    CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id, seq_id);
    CREATE TABLE embedding_metadata (id INTEGER, key, string_value, int_value, float_value, bool_value);
    CREATE TABLE embedding_metadata_array (id INTEGER, key, string_value, int_value, float_value, bool_value);
    CREATE TABLE embeddings_queue (seq_id INTEGER PRIMARY KEY, topic);
    CREATE TABLE max_seq_id (segment_id TEXT, seq_id);
    INSERT INTO collections VALUES ('c', 'mempalace_drawers'), ('d', 'mempalace_closets');
    INSERT INTO segments VALUES ('s', 'METADATA', 'c'), ('t', 'METADATA', 'd');
    INSERT INTO max_seq_id VALUES ('s', 0);
    INSERT INTO embeddings VALUES (1000, 's', 'good', 1);
    INSERT INTO embedding_metadata (id, key, string_value) VALUES
        (1000, 'chroma:document', 'what is good stays'), (1000, 'wing', 'w'), (1000, 'room', 'r');";

const GRAPH: &str = "PRAGMA page_size=512;
    CREATE TABLE entities (id, name, type, properties);
    CREATE TABLE triples (id, subject, predicate, object, valid_from, valid_to, confidence, source_closet,
        source_file, source_drawer_id, adapter_name, extracted_at);
    INSERT INTO triples (id, subject, predicate, object, source_drawer_id) VALUES ('good', 'Ada', 'is', 'there', 'good');";

const KEYS: [&str; 14] = [
    "chroma:document",
    "wing",
    "room",
    "parent_drawer_id",
    "parent_entry_id",
    "chunk_index",
    "filed_at",
    "topic",
    "agent",
    "type",
    "source_file",
    "added_by",
    "importance",
    "",
];

const TEXTS: [&str; 14] = [
    "",
    "a",
    "good",
    "what is good stays",
    "_registry",
    "_reg_x",
    "diary",
    "wing_scout",
    "2026-05-30T12:00:00",
    "2026-13-45",
    "0000-00-00T00:00:00+99:99",
    "line\nbreak\u{0}\u{1b}[31m",
    "é 日本 \u{202e}",
    "{\"a\":[[[1]]]}",
];

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let dir = tempfile::tempdir().unwrap();
    let (edits_chroma, edits_graph) =
        [(true, false), (false, true), (false, false)][input.below(3)];
    let chroma = file(&dir, "chroma.sqlite3", CHROMA, edits_chroma, &mut input);
    let graph = file(&dir, "graph.sqlite3", GRAPH, edits_graph, &mut input);
    if !edits_chroma && !edits_graph {
        fill(&chroma, &graph, &mut input);
    }
    let disk = palace::with("tmp", "left-behind", b"");
    let target = palace::open(disk.process());
    let first = take_over(&target, &chroma, &graph);
    let again = take_over(&target, &chroma, &graph);
    match (first, again) {
        (Ok(first), Ok(again)) => {
            assert_eq!((again.drawers, again.entries, again.facts), (0, 0, 0), "again: {again:?}");
            assert_eq!(again.bad, first.bad);
            if !edits_chroma && !edits_graph {
                good_is_there(&target);
            }
        }
        (Err(first), Err(again)) => {
            assert!(edits_chroma || edits_graph, "a sound database: {first}");
            assert!(matches!(first, MemoryError::Foreign { .. }), "{first}");
            assert_eq!(first.to_string(), again.to_string());
        }
        (first, again) => panic!("not the same: {first:?}, {again:?}"),
    }
    drop(target);
    palace::serves(&disk);
}

fn take_over(palace: &Palace, chroma: &Path, graph: &Path) -> Result<Report, MemoryError> {
    let database = |path| Database { path, access: Access::Immutable };
    let source = Databases {
        drawers: database(chroma),
        collection: DRAWERS,
        facts: Some(database(graph)),
        zone: TimeZone::UTC,
    };
    let mut report = Report::default();
    import(palace, &source, &mut report, &mut |_, _| {}).map(|()| report)
}

fn good_is_there(palace: &Palace) {
    let found = palace.scan_page("drawer/", None, 1_000).unwrap().documents;
    let good = |document: &Document| document.value["content"] == "what is good stays";
    assert!(found.iter().any(good), "{found:?}");
}

/// A database as this schema makes it; if it is to be edited, some of its bytes are others.
fn file(
    dir: &TempDir,
    name: &str,
    schema: &'static str,
    edit: bool,
    input: &mut Input<'_>,
) -> PathBuf {
    let path = dir.path().join(name);
    let mut bytes = made(schema).clone();
    while edit && !input.is_empty() {
        let at = (usize::from(input.byte()) << 8 | usize::from(input.byte())) % bytes.len();
        bytes[at] = input.byte();
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

fn made(schema: &'static str) -> &'static Vec<u8> {
    static MADE: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    MADE[usize::from(schema == GRAPH)].get_or_init(|| {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema).unwrap();
        connection.serialize("main").unwrap().to_vec()
    })
}

/// Rows of any types, with what is often in them.
fn fill(chroma: &Path, graph: &Path, input: &mut Input<'_>) {
    let (chroma, graph) = (Connection::open(chroma).unwrap(), Connection::open(graph).unwrap());
    for connection in [&chroma, &graph] {
        connection.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN").unwrap();
    }
    for _ in 0..24 {
        if input.is_empty() {
            break;
        }
        match input.below(5) {
            0 => {
                let sql = "INSERT INTO embeddings (segment_id, embedding_id) VALUES (?1, ?2)";
                let segment = ["s", "t", "none"][input.below(3)];
                chroma.execute(sql, params![segment, value(input)]).unwrap();
            }
            n @ 1..=2 => {
                let table = ["embedding_metadata", "embedding_metadata_array"][n - 1];
                let sql = format!("INSERT INTO {table} VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
                // Rows of embeddings are numbered from the good one on.
                let row = 1_001 + input.below(8) as i64;
                let key = match input.byte() {
                    0 => value(input),
                    n => Value::from(KEYS[usize::from(n) % KEYS.len()].to_owned()),
                };
                let mut more = [const { Value::Null }; 4];
                more[input.below(4)] = value(input);
                let [text, int, float, truth] = more;
                chroma.execute(&sql, params![row, key, text, int, float, truth]).unwrap();
            }
            3 => {
                let sql = "INSERT INTO entities VALUES (?1, ?2, ?3, ?4)";
                let row = params![value(input), value(input), value(input), value(input)];
                graph.execute(sql, row).unwrap();
            }
            _ => {
                let sql = "INSERT INTO triples VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
                let row: Vec<Value> = (0..12).map(|_| value(input)).collect();
                graph.execute(sql, rusqlite::params_from_iter(row)).unwrap();
            }
        }
    }
    for connection in [chroma, graph] {
        connection.execute_batch("COMMIT").unwrap();
    }
}

fn value(input: &mut Input<'_>) -> Value {
    match input.byte() {
        0 => Value::Null,
        1 => Value::Blob(input.some().to_vec()),
        2 => Value::Integer(input.odd_number() as i64),
        3 => Value::Real(f64::from_bits(input.number())),
        4 => Value::Text(String::from_utf8_lossy(input.some()).into_owned()),
        // As long as a text of MemPalace may be, and longer than a key.
        5 => Value::Text("long ".repeat(input.below(200) * 20)),
        n => Value::Text(TEXTS[usize::from(n) % TEXTS.len()].to_owned()),
    }
}
