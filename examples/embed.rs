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
use crdt_palace::palace::{Error, Key, Options, Palace, WriteOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => std::env::temp_dir().join(format!("embed-{}", std::process::id())),
    };
    let palace = Options::new().program("embed 1.0").open(&path)?;
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

/// A note. Any type that serializes to a JSON object is a document.
#[derive(Serialize, Deserialize)]
struct Note {
    title: String,
    done: bool,
    tags: Vec<String>,
}

/// A put writes the whole document, a patch some of its fields. Increments of several processes add up.
fn write(palace: &Palace) -> Result<(), Failure> {
    let note = Note { title: "Plan".to_owned(), done: false, tags: vec!["today".to_owned()] };
    let written = palace.put("notes/plan", &note)?;
    println!("put notes/plan, version {}", written.etag);

    let named = palace.with(WriteOptions::new().by("the example"));
    let written = named.patch("notes/plan", &json!({"done": true}))?;
    println!("patched it, version {}", written.etag);

    named.increment("account/a", &["amount"], 100)?;
    let plan: Note = palace.get_as("notes/plan")?.ok_or("it was written")?;
    println!("{}: done is {}, with {} tags", plan.title, plan.done, plan.tags.len());
    Ok(())
}

/// Edits a text by characters, in an Automerge transaction, so that concurrent edits merge.
fn text(palace: &Palace) -> Result<(), Failure> {
    let (length, _) = palace.edit("notes/draft", |tx| {
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
    let receipt = batch.commit()?;
    Ok(receipt.outcomes.iter().map(|outcome| outcome.key.to_string()).collect())
}

/// Writes on a condition: reads a version, writes only if the document still has it, and starts again if not.
fn count_visit(palace: &Palace) -> Result<i64, Failure> {
    loop {
        let (count, condition) = match palace.get("visits")? {
            Some(document) => {
                let count = document.value.get("count").and_then(|count| count.as_i64());
                (count.unwrap_or(0) + 1, WriteOptions::new().if_match(document.etag))
            }
            None => (1, WriteOptions::new().if_absent()),
        };
        match palace.with(condition).put("visits", &json!({"count": count})) {
            Ok(_) => return Ok(count),
            Err(Error::EtagMismatch { .. }) => {
                println!("another process wrote it first; trying again")
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Scans all documents, searches, and lists the history of a document.
fn read(palace: &Palace) -> Result<(), Failure> {
    for document in palace.scan("") {
        let document = document?;
        println!("  {}  {}", document.key, serde_json::to_string(&document.value)?);
    }
    for hit in palace.search("sentence*").prefix("notes/").limit(10).hits()? {
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
    palace.put("notes/news", &json!({"text": "for every watcher"}))?;
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
    let report = palace.compact(CompactOptions::new())?;
    println!("compacted {} segments with {} documents", report.segments, report.documents);
    let status = palace.status()?;
    println!("{} segments and {} snapshots", status.segments.len(), status.snapshots.len());
    Ok(())
}
