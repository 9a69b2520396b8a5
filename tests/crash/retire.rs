//! Each step of taking something away, while another process does the same or the disk fails.

use crate::between::Plan;
use crate::ledger::{PALACE, object};
use crate::machine::open;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::store::retire::{TMP_MS, left_behind, quarantine, retire};
use crdt_palace::store::root::Root;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn inside(name: &str) -> PathBuf {
    Path::new(PALACE).join(name)
}

/// A palace, and a process that uses it.
fn palace() -> (SimDisk, Root, Plan) {
    let disk = SimDisk::new(1);
    open(disk.process()).unwrap().put("k", &object(json!({"n": 1}))).unwrap();
    let (interrupted, plan) = Plan::new(disk.process());
    let root = Root::open(Arc::new(interrupted), Path::new(PALACE), false).unwrap();
    (disk, root, plan)
}

fn write(disk: &SimDisk, name: &str, content: &[u8]) -> PathBuf {
    let path = inside(name);
    disk.process().create(&path).unwrap().write_at(content, 0).unwrap();
    path
}

fn content(disk: &SimDisk, name: &str) -> Vec<u8> {
    read_from(&*disk.process().open(&inside(name)).unwrap(), 0).unwrap()
}

fn count(disk: &SimDisk, directory: &str) -> usize {
    disk.process().list(&inside(directory)).unwrap().len()
}

#[test]
fn what_another_retired_already_is_retired() {
    let (disk, root, _) = palace();
    write(&disk, "snap/x", b"x");
    disk.fail_nth(Call::Rename, 1, Failure::Io);
    assert!(retire(&root, "snap", "x").is_err());
    assert_eq!((count(&disk, "snap"), count(&disk, "trash")), (1, 0));
    for _ in 0..2 {
        retire(&root, "snap", "x").unwrap();
        assert_eq!((count(&disk, "snap"), count(&disk, "trash")), (0, 1));
    }
}

#[test]
fn what_another_removed_from_tmp_is_not_left_behind() {
    let (disk, root, plan) = palace();
    let path = inside("tmp/x");
    let asked = |disk: &SimDisk| left_behind(&root, &path, disk.process().now_ms());
    assert!(!asked(&disk).unwrap(), "there is none");
    write(&disk, "tmp/x", b"x");
    assert!(!asked(&disk).unwrap(), "it is new");
    disk.advance(TMP_MS + 10_000);
    assert!(asked(&disk).unwrap());
    for call in [Call::Open, Call::Stat] {
        disk.fail_nth(call, 1, Failure::Io);
        assert!(asked(&disk).is_err(), "{call:?}");
    }
    let fs = disk.process();
    let gone = path.clone();
    plan.before(1, Some(Call::Stat), move || fs.remove(&gone).unwrap());
    assert!(!asked(&disk).unwrap(), "it is gone");
    assert!(plan.end());
}

#[test]
fn a_damaged_file_is_copied_once_whoever_does_it() {
    let (disk, root, plan) = palace();
    let path = write(&disk, "snap/x", b"damaged");
    disk.fail_nth(Call::Open, 1, Failure::Io);
    assert!(quarantine(&root, &path, "x", "why").is_err());
    disk.fail_nth(Call::Rename, 1, Failure::Io);
    assert!(quarantine(&root, &path, "x", "why").is_err());
    assert_eq!(count(&disk, "quarantine"), 0);
    // Another process is a little faster.
    let other = disk.process();
    plan.before(1, Some(Call::Rename), move || {
        other.create(&inside("quarantine/x")).unwrap().write_at(b"theirs", 0).unwrap();
    });
    let before = count(&disk, "tmp");
    quarantine(&root, &path, "x", "why").unwrap();
    assert!(plan.end());
    assert_eq!(count(&disk, "tmp"), before, "nothing is left there");
    assert_eq!(content(&disk, "quarantine/x"), b"theirs");
    assert_eq!(content(&disk, "quarantine/x.txt"), b"why");
    quarantine(&root, &path, "x", "again").unwrap();
    assert_eq!(content(&disk, "quarantine/x.txt"), b"why");
}
