//! An abandoned instance: its promised commits are still read and durable, and its lost commits are reported.

use crate::between_calls::{Plan, seal_all};
use crate::files::{PALACE, names, open, set_with, shown};
use bytes::Bytes;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::{Error, Palace, WriteOptions, chain};
use crdt_palace::store::StoreError;
use crdt_palace::store::group_commit::{Durability, Log, Ticket};
use crdt_palace::store::root::Root;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const CUTS: u64 = 8;

fn set(palace: &Palace, key: &str, value: Value, durability: Durability) -> Result<(), Error> {
    let options = WriteOptions::new().durability(durability);
    set_with(palace, key, value, &options)
}

/// The process itself, one that starts now, and one that starts after a power cut all see this.
fn assert_kept(disk: &SimDisk, palace: &Palace, key: &str, expected: &Value, context: &str) {
    let expected = Some((expected.clone(), false));
    // Without the values: they are long.
    assert!(shown(palace, key) == expected, "{context}: the process itself");
    assert!(shown(&open(disk.process()).unwrap(), key) == expected, "{context}: another");
    for cut in 0..CUTS {
        let fork = disk.fork();
        fork.power_cut(cut);
        let found = shown(&open(fork.process()).unwrap(), key);
        assert!(found == expected, "{context}: power cut {cut}");
    }
}

/// No segment can be made.
fn fill(disk: &SimDisk) {
    disk.fail_nth(Call::Create, 1, Failure::NoSpace);
    disk.fail_nth(Call::Create, 2, Failure::NoSpace);
}

/// A palace whose segment is full of buffered commits of `a` and `b`, and what both are.
fn full_segment(disk: &SimDisk) -> (Palace, Value) {
    let palace = open(disk.process()).unwrap();
    let text = json!({"text": "x".repeat(600_000)});
    for key in ["a", "b"] {
        set(&palace, key, text.clone(), Durability::Buffered).unwrap();
    }
    (palace, text)
}

fn log(disk: &SimDisk) -> Log {
    let root = Root::open(Arc::new(disk.process()), Path::new(PALACE), false).unwrap();
    Log::new(Arc::new(root), Arc::default(), "test".to_owned())
}

fn enqueue(log: &Log, bytes: usize) -> Ticket {
    log.enqueue(log.instance().unwrap(), Bytes::from(vec![7; bytes])).unwrap()
}

fn is_refused(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::NotWritten { .. }))
}

#[test]
fn sealed_commits_are_kept_when_no_new_segment_can_be_created() {
    let disk = SimDisk::new(1);
    let (palace, text) = full_segment(&disk);
    fill(&disk);
    let failed = set(&palace, "c", json!({"n": 1}), Durability::Durable);
    assert!(matches!(failed, Err(Error::Store(StoreError::NotWritten { .. }))), "{failed:?}");
    for key in ["a", "b"] {
        assert_kept(&disk, &palace, key, &text, key);
    }
    palace.sync().unwrap();
    assert_eq!(shown(&palace, "c"), None);
}

#[test]
fn commits_in_sealed_segments_stay_durable() {
    let disk = SimDisk::new(2);
    let log = log(&disk);
    let sealed = enqueue(&log, 2 << 20);
    // Somebody who asked for less wrote it along.
    log.wait(sealed, Durability::Buffered).unwrap();
    let next = enqueue(&log, 1);
    fill(&disk);
    let failed = log.wait(next, Durability::Durable);
    assert!(is_refused(&failed), "{failed:?}");
    log.wait(sealed, Durability::Durable).unwrap();
    assert_eq!(log.written(sealed.instance), sealed.sequence);
    log.report_lost().unwrap();
}

#[test]
fn syncs_without_commits_create_no_segment() {
    let disk = SimDisk::new(3);
    let log = log(&disk);
    let full = enqueue(&log, 2 << 20);
    log.wait(full, Durability::Buffered).unwrap();
    fill(&disk);
    log.sync().unwrap();
    let count = |directory: &str| names(&disk, &format!("{PALACE}/{directory}")).len();
    assert_eq!((count("open"), count("sealed")), (0, 1));
    disk.heal();
    let next = enqueue(&log, 1);
    assert_eq!((next.instance, next.sequence), (full.instance, 2));
    log.wait(next, Durability::Durable).unwrap();
}

/// Where it stands they are not known to be on disk, so that they are written again by whoever builds on them.
#[test]
fn segments_that_cannot_be_sealed_are_read_where_they_are() {
    let fails: [&[(Call, u64)]; 4] = [
        &[(Call::Write, 1)],
        &[(Call::Sync, 1)],
        &[(Call::Rename, 1)],
        &[(Call::Rename, 1), (Call::Rename, 2)],
    ];
    for calls in fails {
        let context = format!("{calls:?}");
        let disk = SimDisk::new(4);
        let (palace, text) = full_segment(&disk);
        for (call, nth) in calls {
            disk.fail_nth(*call, *nth, Failure::Io);
        }
        fill(&disk);
        let failed = set(&palace, "c", json!({"n": 1}), Durability::Durable);
        assert!(failed.is_err(), "{context}");
        disk.heal();
        let expected = Some((text.clone(), false));
        assert!(shown(&open(disk.process()).unwrap(), "b") == expected, "{context}: another");
        assert!(shown(&palace, "b") == expected, "{context}: the process itself");
        set(&palace, "b", json!({"n": 1}), Durability::Durable).unwrap();
        let whole = json!({"text": text["text"], "n": 1});
        assert_kept(&disk, &palace, "b", &whole, &context);
    }
}

#[test]
fn segments_sealed_by_another_process_are_read_where_they_are() {
    let disk = SimDisk::new(5);
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = open(interrupted).unwrap();
    set(&palace, "a", json!({"n": 1}), Durability::Buffered).unwrap();
    let other = disk.process();
    plan.before(1, Some(Call::Write), move || seal_all(&other));
    fill(&disk);
    let failed = set(&palace, "c", json!({"n": 1}), Durability::Durable);
    assert!(plan.end(), "it went another way");
    assert!(matches!(failed, Err(Error::Store(StoreError::OutcomeUnknown { .. }))), "{failed:?}");
    for key in ["a", "c"] {
        let theirs = shown(&open(disk.process()).unwrap(), key);
        assert_eq!(theirs, Some((json!({"n": 1}), false)), "{key}: it is there");
        assert_eq!(shown(&palace, key), theirs, "{key}: the process itself");
    }
}

/// Found by review: a client that tries again and again on a full disk gives up an instance each time.
#[test]
fn long_abandoned_instances_are_forgotten() {
    let disk = SimDisk::new(6);
    let log = log(&disk);
    let durable = enqueue(&log, 1);
    log.wait(durable, Durability::Durable).unwrap();
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    disk.fail_nth(Call::Create, 1, Failure::NoSpace);
    assert!(log.wait(enqueue(&log, 1), Durability::Durable).is_err());
    log.wait(durable, Durability::Durable).unwrap();
    let mut last = durable;
    for _ in 0..300 {
        fill(&disk);
        last = enqueue(&log, 1);
        assert!(is_refused(&log.wait(last, Durability::Durable)));
    }
    assert!(is_refused(&log.wait(last, Durability::Buffered)), "the last one is known");
    // Another instance has this number by now, and has it on disk.
    log.wait(enqueue(&log, 1), Durability::Durable).unwrap();
    let forgotten = log.wait(durable, Durability::Durable);
    assert!(matches!(forgotten, Err(StoreError::OutcomeUnknown { .. })), "{forgotten:?}");
}

/// Found by review: on a file system where a renamed file counts as another one, a commit made segments until
/// the disk was full.
#[test]
fn segments_that_always_lose_their_name_are_an_error() {
    let disk = SimDisk::new(7);
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = open(interrupted).unwrap();
    set(&palace, "a", json!({"n": 1}), Durability::Durable).unwrap();
    let other = disk.process();
    plan.before_each(Call::Write, 100, move || seal_all(&other));
    let error = set(&palace, "a", json!({"n": 2}), Durability::Durable).unwrap_err();
    assert!(!plan.end(), "it tried until nobody disturbed it");
    assert!(matches!(error, Error::Store(StoreError::OutcomeUnknown { .. })), "{error:?}");
    assert!(chain(&error).contains("lost its name"), "{}", chain(&error));
    let segments = names(&disk, &format!("{PALACE}/sealed")).len();
    assert!(segments < 20, "{segments} segments for one commit");
    set(&palace, "a", json!({"m": 1}), Durability::Durable).unwrap();
    assert_kept(&disk, &palace, "a", &json!({"n": 2, "m": 1}), "it goes on");
}
