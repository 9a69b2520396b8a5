//! What a handle that is open learns of the directory, and what it spares itself.

use crate::between::Plan;
use crate::ledger::{PALACE, object};
use crate::machine::open;
use crdt_palace::fs::sim::{Call, SimDisk};
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn set(palace: &Palace, key: &str, n: u64) {
    palace.patch(key, &object(json!({"n": n})), &WriteOptions::default()).unwrap();
}

fn shown(palace: &Palace, key: &str) -> Option<u64> {
    palace.get(key).unwrap().map(|found| found.value["n"].as_u64().unwrap())
}

/// One snapshot, and a segment that its owner still has.
fn filled(disk: &SimDisk) -> Palace {
    let palace = open(disk.process()).unwrap();
    set(&palace, "k", 1);
    palace.compact(CompactOptions::default()).unwrap();
    set(&palace, "tail", 2);
    palace
}

fn snapshot(disk: &SimDisk) -> PathBuf {
    let directory = Path::new(PALACE).join("snap");
    let names = disk.process().list(&directory).unwrap();
    assert_eq!(names.len(), 1);
    directory.join(&names[0])
}

#[test]
fn a_look_that_finds_nothing_new_opens_nothing() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let (interrupted, plan) = Plan::new(disk.process());
    let reader = Options::default().fs(Arc::new(interrupted)).open(PALACE).unwrap();
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (Some(1), Some(2)));
    plan.before(1, Some(Call::Open), || ());
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (Some(1), Some(2)));
    assert!(!plan.end(), "a file was opened");
}

/// The listing named it, and when it is to be opened it has gone: its successor is in the next listing.
#[test]
fn a_snapshot_that_vanishes_while_it_is_looked_at_is_followed_by_its_successor() {
    let mut happened = 0;
    for nth in 1.. {
        let disk = SimDisk::new(1);
        let owner = filled(&disk);
        let (interrupted, plan) = Plan::new(disk.process());
        let reader = Options::default().fs(Arc::new(interrupted)).open(PALACE).unwrap();
        let (compactor, disk) = (open(disk.process()).unwrap(), disk);
        plan.before(nth, None, move || {
            for _ in 0..2 {
                set(&owner, "other", 3);
                owner.seal().unwrap();
                compactor.compact(CompactOptions::default()).unwrap();
                disk.advance(3_600_000);
            }
        });
        assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (Some(1), Some(2)), "call {nth}");
        if !plan.end() {
            break;
        }
        happened = nth;
    }
    assert!(happened > 10, "{happened} calls");
}

#[test]
fn a_snapshot_that_arrives_in_pieces_is_read_once_it_is_whole() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let (fs, path) = (disk.process(), snapshot(&disk));
    let bytes = read_from(&*fs.open(&path).unwrap(), 0).unwrap();
    fs.remove(&path).unwrap();
    let file = fs.create(&path).unwrap();
    file.write_at(&bytes[..bytes.len() / 2], 0).unwrap();
    let (interrupted, plan) = Plan::new(disk.process());
    let reader = Options::default().fs(Arc::new(interrupted)).open(PALACE).unwrap();
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (None, Some(2)));
    file.write_at(&bytes[bytes.len() / 2..], bytes.len() as u64 / 2).unwrap();
    // It is not tried at every look.
    plan.before(1, Some(Call::Open), || ());
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (None, Some(2)));
    assert!(!plan.end(), "it was tried again at once");
    disk.advance(1_000);
    assert_eq!(shown(&reader, "k"), Some(1));
}

#[test]
fn what_is_taken_away_by_hand_is_not_shown_any_more() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let reader = open(disk.process()).unwrap();
    assert_eq!(shown(&reader, "k"), Some(1));
    disk.process().remove(&snapshot(&disk)).unwrap();
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (None, Some(2)));
}

/// Who reads for months must not keep what others have long folded.
#[test]
fn segments_that_others_folded_are_let_go_of() {
    let disk = SimDisk::new(1);
    let writer = filled(&disk);
    let reader = open(disk.process()).unwrap();
    for n in 0..3 {
        set(&writer, "k", n);
        assert_eq!(shown(&reader, "k"), Some(n));
        assert_eq!(reader.status().unwrap().segments.len(), 1);
        writer.compact(CompactOptions::default()).unwrap();
        assert_eq!(shown(&reader, "k"), Some(n));
        assert_eq!(reader.status().unwrap().segments.len(), 0);
        assert_eq!(writer.status().unwrap().segments.len(), 0);
    }
}
