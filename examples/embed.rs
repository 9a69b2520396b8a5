//! The library, embedded in a program: writes, reads, conditions, search, history, watching and compaction.
//!
//! ```text
//! cargo run --no-default-features --example embed [DIRECTORY]
//! ```
//!
//! Start it twice at once on the same directory: the two processes write the same documents, and neither waits.

use crdt_palace::palace::automerge::transaction::Transactable;
use crdt_palace::palace::automerge::{ObjType, ROOT, ReadDoc};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::feed::Cursor;
use crdt_palace::palace::{Condition, Error, Key, Options, Palace, WriteOptions};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => std::env::temp_dir().join(format!("embed-{}", std::process::id())),
    };
    let palace = Options::default().program("embed 1.0").open(&path)?;
    println!("the palace is {}", path.display());

    write(&palace)?;
    text(&palace)?;
    let moved = move_between(&palace, "account/a", "account/b", 30)?;
    println!("moved 30 in one commit: {moved:?}");
    println!("visits, counted with a condition: {}", count_visit(&palace)?);
    read(&palace)?;
    watch(&palace, &path)?;
    maintain(&palace)?;
    Ok(())
}

/// Makes the object of a document. A value that is no object goes into the field `value`.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// A put writes the whole document, a patch some of its fields. Increments of several processes add up.
fn write(palace: &Palace) -> Result<(), Failure> {
    let plan = object(json!({"title": "Plan", "done": false, "tags": ["today"]}));
    let written = palace.put("notes/plan", &plan)?;
    println!("put notes/plan, version {}", written.etag);

    let options = WriteOptions { by: Some("the example".into()), ..WriteOptions::default() };
    let written = palace.patch("notes/plan", &object(json!({"done": true})), &options)?;
    println!("patched it, version {}", written.etag);

    palace.increment("notes/plan", &["read"], 1, &options)?;
    palace.increment("account/a", &["amount"], 100, &options)?;
    Ok(())
}

/// Edits a text by characters, in an Automerge transaction, so that concurrent edits merge.
fn text(palace: &Palace) -> Result<(), Failure> {
    let options = WriteOptions::default();
    let (length, _) = palace.edit("notes/draft", &options, |tx| {
        let text = match tx.get(ROOT, "text")? {
            Some((_, text)) => text,
            None => tx.put_object(ROOT, "text", ObjType::Text)?,
        };
        let end = tx.length(&text);
        tx.splice_text(&text, end, 0, "One more sentence. ")?;
        Ok(tx.length(&text))
    })?;
    println!("the draft has {length} characters");
    Ok(())
}

/// Changes two documents in one commit: both change, or neither. They hold counters, so concurrent transfers add up.
fn move_between(palace: &Palace, from: &str, to: &str, by: i64) -> Result<Vec<String>, Failure> {
    let mut batch = palace.batch();
    for (key, by) in [(from, -by), (to, by)] {
        batch.write(Key::new(key)?, move |draft| draft.increment(&["amount"], by));
    }
    let receipt = batch.commit(&WriteOptions::default())?;
    Ok(receipt.outcomes.iter().map(|outcome| outcome.key.to_string()).collect())
}

/// Writes on a condition: reads a version, writes only if the document still has it, and starts again if not.
fn count_visit(palace: &Palace) -> Result<i64, Failure> {
    loop {
        let found = palace.get("visits")?;
        let (count, condition) = match &found {
            Some(document) => {
                let count = document.value.get("count").and_then(Value::as_i64).unwrap_or(0);
                (count + 1, Condition::Match(document.etag.clone()))
            }
            None => (1, Condition::Absent),
        };
        let options = WriteOptions { if_match: Some(condition), ..WriteOptions::default() };
        match palace.put_with("visits", &object(json!({"count": count})), &options) {
            Ok(_) => return Ok(count),
            Err(Error::EtagMismatch { .. }) => {
                println!("another process wrote it first; trying again")
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Scans all documents page by page, searches, and lists the history of a document.
fn read(palace: &Palace) -> Result<(), Failure> {
    let mut cursor = None;
    loop {
        let page = palace.scan("", cursor.as_deref(), 100)?;
        for document in &page.documents {
            println!("  {}  {}", document.key, Value::Object(document.value.clone()));
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    for hit in palace.search("sentence*", 10)? {
        println!("found {} ({:.2})", hit.document.key, hit.score);
    }
    for change in palace.history("notes/plan")? {
        println!("  {} by {}, {} operations", change.hash, change.by, change.operations);
    }
    Ok(())
}

/// Waits for a change. The second handle stands for another process: it sees every acknowledged write.
fn watch(palace: &Palace, path: &std::path::Path) -> Result<(), Failure> {
    let other = Palace::open(path)?;
    // A watch sees the changes after it began, so it begins before the write.
    let mut watch = other.watch("notes/")?;
    palace.put("notes/news", &object(json!({"text": "for every watcher"})))?;
    let changed = watch.next(Duration::from_secs(10))?;
    let keys: Vec<String> = changed.iter().map(|key| key.to_string()).collect();
    println!("the other handle saw a change of {}", keys.join(", "));
    Ok(())
}

/// Lists the commits since a cursor, compacts, and prints the status.
fn maintain(palace: &Palace) -> Result<(), Failure> {
    let changes = palace.changes_since(&Cursor::default(), 1_000)?;
    println!(
        "{} commits so far; the next call continues at {}",
        changes.commits.len(),
        changes.cursor
    );
    let report = palace.compact(CompactOptions::default())?;
    println!("compacted {} segments with {} documents", report.segments, report.documents);
    let status = palace.status()?;
    let (segments, snapshots) = (status.segments.len(), status.snapshots.len());
    println!("{segments} segments and {snapshots} snapshots on {}", status.file_system);
    Ok(())
}
