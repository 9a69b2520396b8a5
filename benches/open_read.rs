//! Opening, reading by key and looking for news in a palace of 100,000 documents, and the memory that
//! it takes, beside the same documents as one Automerge document.

mod common;

use automerge::{AutoCommit, Automerge, ObjType, ROOT, ReadDoc, transaction::Transactable};
use common::child::{self, Child};
use common::large::{copy, documents, kept, single, stepped};
use common::table::{Bar, Table};
use common::{Result, Sequence, document, key, median, micros, millis, percentile, quick, timed};
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::Value;
use std::path::Path;

/// Processes with an open segment.
const WRITERS: u64 = 50;
/// The unfolded tail, in bytes.
const TAIL: u64 = 4 << 20;

fn main() -> Result {
    match child::role() {
        Some((role, arguments)) => work(&role, &arguments),
        None => measure(),
    }
}

fn measure() -> Result {
    let (one, many) = (single()?, stepped()?);
    let automerge = one_document()?;
    let mut table = Table::new();
    open(&mut table, &one, &many, &automerge)?;
    memory(&mut table, &one, &many, &automerge)?;
    read(&mut table, &one, &many)?;
    table.print(&format!("A palace of {} documents", documents()));
    Ok(())
}

fn rounds() -> usize {
    if quick() { 3 } else { 15 }
}

/// The median of some rounds, in milliseconds.
fn milliseconds(rounds: usize, mut work: impl FnMut() -> Result) -> Result<f64> {
    let times = (0..rounds).map(|_| Ok(millis(timed(&mut work)?.1)));
    Ok(median(times.collect::<Result<Vec<f64>>>()?))
}

fn open_and_read(path: &Path) -> Result {
    let palace = Palace::open_read_only(path)?;
    palace.get(&key(documents() / 2))?.ok_or("a document is missing")?;
    Ok(())
}

fn open(table: &mut Table, one: &Path, many: &Path, automerge: &Path) -> Result {
    let peer = milliseconds(if quick() { 1 } else { 3 }, || load_and_read(automerge))?;
    let peer = ("Automerge", peer);
    for (what, path) in [("1 snapshot", one), ("as steps leave it", many)] {
        let took = milliseconds(rounds(), || open_and_read(path))?;
        table.beside(&format!("open, read one; {what}"), "ms", took, peer, Bar::AtMost(10.0));
        table.beside("", "ms", took, peer, Bar::PeerTimes(100.0));
    }
    let tail = with_tail(many)?;
    let took = milliseconds(rounds(), || open_and_read(tail.path()))?;
    table.beside("open, read one; tail of 4 MiB", "ms", took, peer, Bar::AtMost(100.0));
    Ok(())
}

/// A copy with documents that no snapshot holds.
fn with_tail(of: &Path) -> Result<tempfile::TempDir> {
    let dir = copy(of)?;
    let palace = Options::default().auto_compact(false).open(dir.path())?;
    let buffered = palace.with(WriteOptions::new().buffered());
    let new = || {
        Ok::<u64, Box<dyn std::error::Error + Send + Sync>>(
            common::large::size(&dir.path().join("open"))?
                + common::large::size(&dir.path().join("sealed"))?,
        )
    };
    let mut n = documents();
    while new()? < TAIL {
        buffered.put(&key(n), &document(n))?;
        n += 1;
    }
    drop(palace);
    Ok(dir)
}

/// The same documents in the root map of one Automerge document, saved in a file that is kept.
fn one_document() -> Result<std::path::PathBuf> {
    let path = kept("one.automerge")?;
    if !path.exists() {
        eprintln!("building {} (kept for the next run)", path.display());
        let mut all = AutoCommit::new();
        for n in 0..documents() {
            let map = all.put_object(ROOT, key(n), ObjType::Map)?;
            for (field, value) in document(n) {
                if let Value::String(text) = value {
                    all.put(&map, field, text)?;
                }
            }
            if n % 1_000 == 0 {
                all.commit();
            }
        }
        std::fs::write(&path, all.save())?;
    }
    Ok(path)
}

fn load_one(path: &Path) -> Result<Automerge> {
    Ok(Automerge::load(&std::fs::read(path)?)?)
}

fn read_one(all: &Automerge) -> Result {
    let (_, map) = all.get(ROOT, key(documents() / 2))?.ok_or("a document is missing")?;
    all.get(map, "title")?.ok_or("a field is missing")?;
    Ok(())
}

fn load_and_read(path: &Path) -> Result {
    read_one(&load_one(path)?)
}

fn memory(table: &mut Table, one: &Path, many: &Path, automerge: &Path) -> Result {
    let peer = ("Automerge", private("idle-automerge", automerge)?);
    for (what, path) in [("1 snapshot", one), ("as steps leave it", many)] {
        let used = private("idle", path)?;
        table.beside(&format!("idle reader; {what}"), "MB", used, peer, Bar::AtMost(20.0));
    }
    Ok(())
}

/// The private memory of a child that read one document, in megabytes.
fn private(role: &str, path: &Path) -> Result<f64> {
    let path = path.to_str().ok_or("a path that is no text")?;
    let quick: &[&str] = if quick() { &["--quick"] } else { &[] };
    let mut child = Child::start(role, &[&[path], quick].concat())?;
    child.hear()?;
    let used = child.private_megabytes()?;
    child.say("done")?;
    Ok(used)
}

fn work(role: &str, arguments: &[String]) -> Result {
    let path = Path::new(arguments.first().ok_or("no path")?);
    match role {
        "idle" => {
            let palace = Palace::open(path)?;
            palace.get(&key(documents() / 2))?.ok_or("a document is missing")?;
            child::ready()?;
            drop(palace);
        }
        "idle-automerge" => {
            let all = load_one(path)?;
            read_one(&all)?;
            child::ready()?;
            drop(all);
        }
        _ => return Err("no such role".into()),
    }
    Ok(())
}

fn read(table: &mut Table, one: &Path, many: &Path) -> Result {
    // The store is measured, not the disk: `many` is in the page cache, because it is a fresh copy.
    for file in std::fs::read_dir(one.join("snap"))? {
        std::io::copy(&mut std::fs::File::open(file?.path())?, &mut std::io::sink())?;
    }
    let lone = Palace::open_read_only(one)?;
    lone.get(&key(0))?.ok_or("a document is missing")?;
    let took = reads(|key| Ok(lone.get_unrefreshed(key)?.is_some()), key)?;
    table.figure("read by key, no rescan; 1 snapshot", "us", took.0, Bar::AtMost(50.0));
    table.figure("   99 of 100", "us", took.1, Bar::None);

    let dir = copy(many)?;
    let writers = writers(dir.path())?;
    let palace = Palace::open(dir.path())?;
    let snapshots = palace.status()?.snapshots.len();
    let took = reads(|key| Ok(palace.get(key)?.is_some()), key)?;
    let what = format!("read by key, rescan; {snapshots} snapshots, {} segments", writers.len());
    table.figure(&what, "us", took.0, Bar::AtMost(300.0));
    table.figure("   99 of 100", "us", took.1, Bar::None);
    let took = reads(|key| Ok(palace.get_unrefreshed(key)?.is_some()), key)?;
    table.figure("   without the rescan", "us", took.0, Bar::None);

    // A document of the tail, so that no snapshot is asked and what remains is the rescan.
    let small = |_| "small/0".to_owned();
    let with = reads(|key| Ok(palace.get(key)?.is_some()), small)?;
    let without = reads(|key| Ok(palace.get_unrefreshed(key)?.is_some()), small)?;
    let what = format!("rescan, nothing new; {} segments", writers.len());
    table.figure(&what, "us", with.0 - without.0, Bar::AtMost(150.0));
    Ok(())
}

/// Handles with an open segment each.
fn writers(path: &Path) -> Result<Vec<Palace>> {
    let start = |n| {
        let palace = Options::default().auto_compact(false).open(path)?;
        palace.put(&format!("small/{n}"), &document(n))?;
        Ok(palace)
    };
    (0..WRITERS).map(start).collect()
}

/// Half of the reads take less than the first value, 99 of 100 less than the second, in microseconds.
fn reads(read: impl Fn(&str) -> Result<bool>, name: impl Fn(u64) -> String) -> Result<(f64, f64)> {
    let mut sequence = Sequence::new(7);
    let mut times = Vec::new();
    for _ in 0..if quick() { 500 } else { 5_000 } {
        let key = name(sequence.below(documents()));
        let (found, took) = timed(|| read(&key))?;
        if !found {
            return Err(format!("{key} is missing").into());
        }
        times.push(micros(took));
    }
    Ok((percentile(&mut times, 0.5), percentile(&mut times, 0.99)))
}
