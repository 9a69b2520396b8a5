//! One key that is overwritten again and again: what a write costs when its history is long.

mod common;

use automerge::{AutoCommit, ROOT, transaction::Transactable};
use common::table::{Bar, Table};
use common::{Result, document, median, millis, quick, scratch, timed};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::{Value, json};

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
    let (stale, took) = after_stale_writes(if quick() { 1_000 } else { 10_000 })?;
    table.figure(&format!("the last of {STALE} stale sessions' writes"), "ms", stale, Bar::None);
    table.figure("the next write by one that has read", "ms", took, Bar::AtMost(20.0));
    table.print(&format!("One key, overwritten {count} times"));
    Ok(())
}

/// Number of sessions that write from what they have seen long ago.
const STALE: usize = 50;
/// Lines of the text of a drawer.
const LINES: usize = 40;

/// Writes of sessions to one drawer, each from its own last write. Returns the median time of the last ones, and that of
/// the next writes by a session that reads the text before each.
fn after_stale_writes(count: usize) -> Result<(f64, f64)> {
    const DRAWER: &str = "drawer/w/r/0000";
    let dir = scratch()?;
    let palace = Options::default().auto_compact(false).open(dir.path())?;
    let lines: Vec<String> = (0..LINES).map(|n| format!("This is line {n} of a text.")).collect();
    palace.put(DRAWER, &json!({"content": lines.join("\n")}))?;
    let sessions: Vec<_> = (0..STALE).map(|_| palace.session()).collect();
    sessions.iter().try_for_each(|session| session.get(DRAWER).map(drop))?;
    let mut texts = vec![lines; STALE];
    let mut took = Vec::new();
    for n in 0..count {
        let who = n % STALE;
        let (Some(session), Some(text)) = (sessions.get(who), texts.get_mut(who)) else { continue };
        if let Some(line) = text.get_mut(who % LINES) {
            *line = format!("This is line {who} of a text, written {n} times.");
        }
        let value = json!({"content": text.join("\n")});
        took.push(millis(timed(|| Ok(session.put(DRAWER, &value)?))?.1));
    }
    let last = median(took.split_off(took.len().saturating_sub(15)));
    let session = palace.session();
    let next = |n: usize| {
        let read = session.get(DRAWER)?.ok_or("the drawer is gone")?;
        let text = read.value.get("content").and_then(Value::as_str).unwrap_or_default();
        let value = json!({"content": format!("{text}\nAdded line {n}.")});
        Ok(millis(timed(|| Ok(session.put(DRAWER, &value)?))?.1))
    };
    Ok((last, median((0..5).map(next).collect::<Result<Vec<f64>>>()?)))
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
