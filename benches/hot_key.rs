//! One key that is overwritten again and again: what a write costs when its history is long.

mod common;

use automerge::{AutoCommit, ROOT, transaction::Transactable};
use common::table::{Bar, Table};
use common::{Result, document, median, millis, quick, scratch, timed};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::Value;

const ALL: CompactOptions = CompactOptions::new().all();
const KEY: &str = "notes/plan";

fn main() -> Result {
    let count: u64 = if quick() { 2_000 } else { 20_000 };
    let dir = scratch()?;
    let palace = Options::default().auto_compact(false).open(dir.path())?;
    let buffered = palace.with(WriteOptions::new().buffered());
    for n in 0..count {
        buffered.put(KEY, &document(n))?;
    }
    palace.sync()?;
    let peer = automerge_writes(count)?;
    let mut table = Table::new();
    let took = writes(&palace, count)?;
    let bar = Bar::AtMost(20.0);
    table.beside("the next write", "ms", took, ("Automerge", peer), bar);

    let other = Options::default().auto_compact(false).open(dir.path())?;
    let (_, took) = timed(|| Ok(other.get(KEY)?))?;
    table.figure("another process: load", "ms", millis(took), Bar::None);
    let took = writes(&other, count + 100)?;
    table.beside("another process: the next write", "ms", took, ("Automerge", peer), bar);
    let took = exchanged(&palace, &other, count + 200)?;
    table.beside("two processes in turn: a write", "ms", took, ("Automerge", peer), bar);

    drop(other);
    let (_, took) = timed(|| Ok(palace.compact(ALL)?))?;
    table.figure("fold it", "ms", millis(took), Bar::None);
    let (_, took) = timed(|| Ok(palace.get(KEY)?))?;
    table.figure("read it from the snapshot", "ms", millis(took), Bar::None);
    let (_, took) = timed(|| Ok(palace.put(KEY, &document(count + 300))?))?;
    table.figure("the first write after that: load, write", "ms", millis(took), Bar::None);
    let took = writes(&palace, count + 400)?;
    table.beside("the next write after that", "ms", took, ("Automerge", peer), bar);
    table.print(&format!("One key, overwritten {count} times"));
    Ok(())
}

/// The median of 15 durable writes, in milliseconds.
fn writes(palace: &Palace, first: u64) -> Result<f64> {
    let write = |n| Ok(millis(timed(|| Ok(palace.put(KEY, &document(first + n))?))?.1));
    Ok(median((0..15).map(write).collect::<Result<Vec<f64>>>()?))
}

/// Two handles that overwrite one another: each write takes in the other's first.
fn exchanged(a: &Palace, b: &Palace, first: u64) -> Result<f64> {
    let write = |n: u64| {
        let palace = if n.is_multiple_of(2) { a } else { b };
        Ok(millis(timed(|| Ok(palace.put(KEY, &document(first + n))?))?.1))
    };
    Ok(median((0..16).map(write).collect::<Result<Vec<f64>>>()?))
}

/// The same in plain Automerge, in memory: what the history itself costs.
fn automerge_writes(count: u64) -> Result<f64> {
    let mut plain = AutoCommit::new();
    let mut write = |n| -> Result {
        for (field, value) in document(n) {
            if let Value::String(text) = value {
                plain.put(ROOT, field, text)?;
            }
        }
        plain.commit().ok_or("nothing to commit")?;
        Ok(())
    };
    (0..count).try_for_each(&mut write)?;
    let next = |n| Ok(millis(timed(|| write(count + n))?.1));
    Ok(median((0..15).map(next).collect::<Result<Vec<f64>>>()?))
}
