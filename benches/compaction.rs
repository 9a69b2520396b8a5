//! What compaction costs: the bytes it writes, the time it takes, and what writers notice of it.

mod common;

use automerge::{Automerge, Change};
use common::child::{self, Child};
use common::large::{Steps, copy, documents, stepped};
use common::table::{Bar, Table};
use common::{Result, document, key, median, micros, millis, percentile, quick, scratch, timed};
use crdt_palace::merge::{Doc, Stamp};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Options, WriteOptions};
use std::path::Path;
use std::time::{Duration, Instant};

const ALL: CompactOptions = CompactOptions::new().all();

fn main() -> Result {
    match child::role() {
        Some((role, arguments)) => work(&role, &arguments),
        None => measure(),
    }
}

fn measure() -> Result {
    let mut table = Table::new();
    amplification(&mut table)?;
    fold(&mut table)?;
    writers(&mut table)?;
    table.print(&format!("Compaction, {} documents", documents()));
    Ok(())
}

/// Measured while the large palace was built.
fn amplification(table: &mut Table) -> Result {
    let steps = Steps::of_large()?;
    let per_byte = |bytes: u64| bytes as f64 / steps.appended as f64;
    let what = format!("bytes given to write, a byte appended; {} steps", steps.steps);
    table.figure(&what, "", per_byte(steps.given), Bar::AtMost(15.0));
    table.figure("bytes of dirty pages", "", per_byte(steps.dirtied), Bar::AtMost(15.0));
    table.figure("bytes of snapshots", "", per_byte(steps.published), Bar::AtMost(15.0));
    table.figure("LOCK held, longest step", "s", steps.lock_ms as f64 / 1e3, Bar::AtMost(2.0));
    let mean = steps.elapsed_ms as f64 / steps.steps as f64;
    table.figure("a step, mean", "ms", mean, Bar::None);
    Ok(())
}

/// A tail becomes a snapshot, beside Automerge applying the same changes to fresh documents.
fn fold(table: &mut Table) -> Result {
    let count: u64 = if quick() { 2_000 } else { 10_000 };
    let changes = (0..count).map(change).collect::<Result<Vec<_>>>()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..if quick() { 1 } else { 5 } {
        theirs.push(millis(timed(|| apply_fresh(&changes))?.1));
        let dir = scratch()?;
        let palace = Options::default().auto_compact(false).open(dir.path())?;
        let buffered = palace.with(WriteOptions::new().buffered());
        for n in 0..count {
            buffered.put(&key(n), &document(n))?;
        }
        palace.seal()?;
        let (report, took) = timed(|| Ok(palace.compact(ALL)?))?;
        if report.documents != count {
            return Err(format!("{} documents instead of {count}", report.documents).into());
        }
        ours.push(millis(took));
    }
    let peer = ("Automerge", median(theirs));
    let what = format!("fold, verify, publish {count} documents");
    table.beside(&what, "ms", median(ours), peer, Bar::AtMostTimesPeer(4.0));
    Ok(())
}

fn change(n: u64) -> Result<Vec<u8>> {
    let stamp = Stamp { actor: [7; 16], time_ms: 1_700_000_000_000, by: "bench", undoes: "" };
    let change = Doc::new().put(&stamp, None, &document(n))?.ok_or("no change")?;
    Ok(change.bytes)
}

fn apply_fresh(changes: &[Vec<u8>]) -> Result {
    for change in changes {
        let mut fresh = Automerge::new();
        fresh.apply_changes([Change::try_from(&change[..])?])?;
        std::hint::black_box(&fresh);
    }
    Ok(())
}

/// What two writers notice.
fn writers(table: &mut Table) -> Result {
    let seconds = if quick() { 1 } else { 8 };
    let rounds = if quick() { 1 } else { 3 };
    let kinds = ["none", "automatic", "all"];
    let mut slowest = vec![Vec::new(); kinds.len()];
    let mut typical = vec![Vec::new(); kinds.len()];
    for _ in 0..rounds {
        for (n, kind) in kinds.iter().enumerate() {
            let (half, most) = write_while(kind, seconds)?;
            typical.get_mut(n).ok_or("no such kind")?.push(half);
            slowest.get_mut(n).ok_or("no such kind")?.push(most);
        }
    }
    let slowest: Vec<f64> = slowest.into_iter().map(median).collect();
    let typical: Vec<f64> = typical.into_iter().map(median).collect();
    let ([none, automatic, all], [half_none, half_automatic, half_all]) =
        (&slowest[..], &typical[..])
    else {
        return Err("a kind is missing".into());
    };
    let peer = ("no compaction", *none);
    let bar = Bar::AtMostTimesPeer(2.0);
    table.beside("2 writers, 99 of 100; automatic steps", "us", *automatic, peer, bar);
    table.beside("2 writers, 99 of 100; All elsewhere", "us", *all, peer, bar);
    let peer = ("no compaction", *half_none);
    table.beside("2 writers, half; automatic steps", "us", *half_automatic, peer, Bar::None);
    table.beside("2 writers, half; All elsewhere", "us", *half_all, peer, Bar::None);
    Ok(())
}

/// The median and the 99th percentile of a commit, in microseconds.
fn write_while(kind: &str, seconds: u64) -> Result<(f64, f64)> {
    let dir = copy(&stepped()?)?;
    let path = dir.path().to_str().ok_or("a path that is no text")?;
    let length = seconds.to_string();
    let mut writers = Vec::new();
    for n in ["1", "2"] {
        writers.push(Child::start("writer", &[n, path, &length, kind])?);
    }
    writers.iter_mut().try_for_each(|child| child.hear().map(drop))?;
    let compactor = match kind {
        "all" => Some(Child::start("compactor", &[path])?),
        _ => None,
    };
    writers.iter_mut().try_for_each(|child| child.say("go"))?;
    let mut times = Vec::new();
    for writer in &mut writers {
        let line = writer.hear()?;
        for time in line.split(' ') {
            times.push(time.parse()?);
        }
    }
    drop(compactor);
    Ok((percentile(&mut times, 0.5), percentile(&mut times, 0.99)))
}

fn work(role: &str, arguments: &[String]) -> Result {
    match (role, arguments) {
        ("writer", [n, path, seconds, kind]) => writer(n, path, seconds, kind == "automatic"),
        // Again and again, until it is killed.
        ("compactor", [path]) => loop {
            Options::default().auto_compact(false).open(path)?.compact(ALL)?;
        },
        _ => Err("no such role".into()),
    }
}

fn writer(n: &str, path: &str, seconds: &str, auto_compact: bool) -> Result {
    let palace = Options::default().auto_compact(auto_compact).open(Path::new(path))?;
    let first: u64 = n.parse::<u64>()? << 40;
    palace.put(&key(first), &document(first))?;
    child::ready()?;
    let until = Instant::now() + Duration::from_secs(seconds.parse()?);
    let mut times = Vec::new();
    let mut next = first + 1;
    while Instant::now() < until {
        let document = document(next);
        let (_, took) = timed(|| Ok(palace.put(&key(next), &document)?))?;
        times.push(format!("{:.0}", micros(took)));
        next += 1;
    }
    println!("{}", times.join(" "));
    Ok(())
}
