//! The library in a program of its own: everything that it does, in the order in which one meets it.
//!
//! ```text
//! cargo run --no-default-features --example embed [DIRECTORY]
//! ```
//!
//! Start it twice at once on the same directory: neither waits for the other.

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
    look_after(&palace)?;
    Ok(())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// A put states the whole document, a patch some fields; increments add up, whoever makes them.
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

/// A text that several people may edit at once is edited by characters, in an Automerge transaction.
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

/// Both documents change, or neither. These are counters, so transfers made at the same time add up.
fn move_between(palace: &Palace, from: &str, to: &str, by: i64) -> Result<Vec<String>, Failure> {
    let mut batch = palace.batch();
    for (key, by) in [(from, -by), (to, by)] {
        batch.write(Key::new(key)?, move |draft| draft.increment(&["amount"], by));
    }
    let receipt = batch.commit(&WriteOptions::default())?;
    Ok(receipt.outcomes.iter().map(|outcome| outcome.key.to_string()).collect())
}

/// "Only if nobody changed it": read, decide, write on that condition, and begin again on a mismatch.
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
            Err(Error::EtagMismatch { .. }) => println!("somebody else was here; again"),
            Err(error) => return Err(error.into()),
        }
    }
}

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

/// A second handle stands for another process: it sees what was acknowledged, and can wait for it.
fn watch(palace: &Palace, path: &std::path::Path) -> Result<(), Failure> {
    let other = Palace::open(path)?;
    let mut watch = other.watch("notes/")?;
    palace.put("notes/news", &object(json!({"text": "for whoever watches"})))?;
    let changed = watch.next(Duration::from_secs(10))?;
    println!("the other handle was told of {changed:?}");
    Ok(())
}

fn look_after(palace: &Palace) -> Result<(), Failure> {
    let changes = palace.changes_since(&Cursor::default(), 1_000)?;
    println!("{} commits so far; go on from {}", changes.commits.len(), changes.cursor);
    let report = palace.compact(CompactOptions::default())?;
    println!("compaction folded {} segments, {} documents", report.segments, report.documents);
    let status = palace.status()?;
    let (segments, snapshots) = (status.segments.len(), status.snapshots.len());
    println!("{segments} segments and {snapshots} snapshots on {}", status.file_system);
    Ok(())
}
