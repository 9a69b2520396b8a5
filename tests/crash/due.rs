//! Compaction in the background: it begins when it is due and not before, goes on until nothing is left, and ends.

use crate::background::{COMPACTION, runs, until};
use crate::ledger::{PALACE, object};
use crate::machine::open;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::palace::policy::STEP_SEGMENT_BYTES;
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::json;
use std::sync::Arc;

const HALF: usize = 500_000;

fn automatic(disk: &SimDisk) -> Palace {
    Options::default().fs(Arc::new(disk.process())).open(PALACE).unwrap()
}

fn set(palace: &Palace, key: &str, bytes: usize) {
    let text = "x".repeat(bytes);
    palace.patch(key, &object(json!({"text": text})), &WriteOptions::default()).unwrap();
}

#[test]
fn everything_is_folded_once_it_is_due_and_then_it_ends() {
    let disk = SimDisk::new(3);
    let writer = open(disk.process()).unwrap();
    // More than two steps of it, in segments of others.
    let count = (5 * STEP_SEGMENT_BYTES / 2) as usize / (2 * HALF);
    for n in 0..count {
        set(&writer, &format!("a{n}"), HALF);
        set(&writer, &format!("b{n}"), HALF);
        writer.seal().unwrap();
    }
    let palace = automatic(&disk);
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

#[test]
fn what_is_not_due_is_left_alone() {
    let disk = SimDisk::new(3);
    let palace = automatic(&disk);
    for n in 0..30 {
        set(&palace, "k", n);
        palace.seal().unwrap();
    }
    until("it ends", || !runs(COMPACTION));
    let status = palace.status().unwrap();
    assert_eq!((status.snapshots.len(), status.segments.len()), (0, 30));
}

#[test]
fn one_that_is_told_not_to_compact_does_not() {
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
