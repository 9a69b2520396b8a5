//! Compaction in the background: it begins when it is due and not before, goes on until nothing is left, and ends.

use crate::background::{COMPACTION, runs};
use crate::between_calls::Plan;
use crate::files::{PALACE, automatic, names, open};
use crate::support::{object, until};
use crdt_palace::fs::sim::{Call, SimDisk};
use crdt_palace::palace::Palace;
use crdt_palace::palace::compact::policy::{OVERDUE_BYTES, STEP_SEGMENT_BYTES};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

const HALF: usize = 500_000;

fn set(palace: &Palace, key: &str, bytes: usize) {
    let text = "x".repeat(bytes);
    palace.patch(key, &object(json!({"text": text}))).unwrap();
}

#[test]
fn background_compaction_compacts_everything_due_and_ends() {
    let disk = SimDisk::new(3);
    let writer = open(disk.process()).unwrap();
    // More than two steps of it, in segments of others.
    let count = (5 * STEP_SEGMENT_BYTES / 2) as usize / (2 * HALF);
    for n in 0..count {
        set(&writer, &format!("a{n}"), HALF);
        set(&writer, &format!("b{n}"), HALF);
        writer.seal().unwrap();
    }
    let palace = automatic(disk.process());
    set(&palace, "last", 1);
    // What the last commit stands in is in use; the thread ends by itself, with the palace open.
    until("nothing is left", || palace.status().unwrap().segments.len() == 1);
    until("it ends", || !runs(COMPACTION));
    let status = palace.status().unwrap();
    assert!(status.snapshots.len() > 1, "in steps, and not at once");
    assert_eq!(palace.get("a0").unwrap().unwrap().value["text"], "x".repeat(HALF));
    // And it can begin again.
    for n in 0..5 {
        set(&writer, &format!("c{n}"), HALF);
        set(&writer, &format!("d{n}"), HALF);
        writer.seal().unwrap();
    }
    set(&palace, "last", 2);
    until("it begins again", || palace.status().unwrap().segments.len() == 1);
}

/// Or a palace that only programs of a moment write would never be compacted.
#[test]
fn closing_waits_for_the_running_compaction_step() {
    let disk = SimDisk::new(3);
    let writer = open(disk.process()).unwrap();
    add(&writer, "a", STEP_SEGMENT_BYTES);
    let palace = automatic(disk.process());
    set(&palace, "last", 1);
    drop(palace);
    assert!(!writer.status().unwrap().snapshots.is_empty());
    let tmp = Path::new(PALACE).join("tmp");
    assert_eq!(names(&disk, tmp.to_str().unwrap()), [""; 0], "nothing is half made");
}

/// So many bytes in sealed segments of somebody else.
fn add(writer: &Palace, kind: &str, bytes: u64) {
    for n in 0..bytes / HALF as u64 + 1 {
        set(writer, &format!("{kind}{n}"), HALF);
        writer.seal().unwrap();
    }
}

fn watched(disk: &SimDisk) -> (Palace, Plan) {
    let (fs, plan) = Plan::new(disk.process());
    (automatic(fs), plan)
}

/// On a machine whose processors are all busy a thread of low priority gets next to nothing: found by an hour of
/// fifty instances, each of which held everything that nobody came to fold.
#[test]
fn overdue_compactions_do_not_yield_to_writers() {
    for (bytes, gives_way) in [(2 << 20, true), (OVERDUE_BYTES, false)] {
        let disk = SimDisk::new(3);
        add(&open(disk.process()).unwrap(), "a", bytes);
        let (palace, plan) = watched(&disk);
        set(&palace, "last", 1);
        until("it is folded", || palace.status().unwrap().segments.len() == 1);
        assert_eq!(plan.gave_way() > 0, gives_way, "{bytes}");
    }
}

#[test]
fn compactions_that_become_overdue_stop_yielding() {
    let disk = SimDisk::new(3);
    let writer = open(disk.process()).unwrap();
    let (palace, plan) = watched(&disk);
    let palace = Arc::new(palace);
    // It has its segment before there is something to fold: the next rename is the compaction's.
    set(&palace, "last", 0);
    add(&writer, "a", 2 << 20);
    let (more, added) = (Arc::new(AtomicBool::new(false)), palace.clone());
    let happened = more.clone();
    plan.before(1, Some(Call::Rename), move || {
        add(&writer, "b", OVERDUE_BYTES);
        set(&added, "last", 1);
        happened.store(true, SeqCst);
    });
    set(&palace, "last", 2);
    until("there is more", || more.load(SeqCst));
    until("it is folded", || {
        set(&palace, "last", 2);
        palace.status().unwrap().segments.len() == 1
    });
    assert_eq!(plan.gave_way(), 1);
}

#[test]
fn segments_that_are_not_due_are_left_alone() {
    let disk = SimDisk::new(3);
    let palace = automatic(disk.process());
    for n in 0..30 {
        set(&palace, "k", n);
        palace.seal().unwrap();
    }
    until("it ends", || !runs(COMPACTION));
    let status = palace.status().unwrap();
    assert_eq!((status.snapshots.len(), status.segments.len()), (0, 30));
}

#[test]
fn auto_compact_off_compacts_nothing() {
    let disk = SimDisk::new(3);
    let palace = open(disk.process()).unwrap();
    for n in 0..4 {
        set(&palace, &format!("k{n}"), 2 * HALF);
        palace.seal().unwrap();
    }
    set(&palace, "last", 1);
    until("it ends", || !runs(COMPACTION));
    assert_eq!(palace.status().unwrap().snapshots.len(), 0);
}
