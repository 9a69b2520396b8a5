//! Creating and opening a palace on a disk where one call fails: the error is reported, or the work is done.

use crate::between_calls::Plan;
use crate::files::{PALACE, automatic, open};
use crate::support::object;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::store::StoreError;
use crdt_palace::store::root::Root;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

const CALLS: [Call; 11] = [
    Call::Create,
    Call::CreateDir,
    Call::Write,
    Call::WriteNote,
    Call::Sync,
    Call::SyncDir,
    Call::Rename,
    Call::Remove,
    Call::Open,
    Call::List,
    Call::Stat,
];

fn root(disk: &SimDisk, read_only: bool) -> Result<Root, StoreError> {
    Root::open(Arc::new(disk.process()), Path::new(PALACE), read_only)
}

/// Whatever fails while it is made: what was acknowledged is there after any power cut, and the next attempt
/// completes what is there.
#[test]
fn first_commits_of_a_new_palace_survive_power_cuts() {
    let content = object(json!({"n": 1}));
    let mut failed = 0;
    for call in CALLS {
        for nth in 1..30 {
            let disk = SimDisk::new(nth);
            disk.fail_nth(call, nth, Failure::Io);
            let done = open(disk.process()).and_then(|palace| {
                palace.put("k", &content)?;
                // It may seal when it is closed.
                std::mem::forget(palace);
                Ok(())
            });
            disk.heal();
            failed += u32::from(done.is_err());
            for cut in 0..8 {
                let fork = disk.fork();
                fork.power_cut(cut);
                let palace = open(fork.process()).unwrap();
                let found = palace.get("k").unwrap().map(|found| found.value);
                let kept = found.as_ref() == Some(&content) || found.is_none() && done.is_err();
                assert!(kept, "{call:?} {nth}, cut {cut}: {found:?}");
                palace.put("k", &content).unwrap();
                assert_eq!(palace.get("k").unwrap().unwrap().value, content);
            }
        }
    }
    // One failure is often no reason to give up.
    assert!(failed >= 5, "only {failed} failures mattered");
}

/// Both want to be the first. One is, and neither is told that it failed.
#[test]
fn two_processes_creating_a_palace_at_once_create_one() {
    for nth in 1.. {
        let disk = SimDisk::new(nth);
        let (interrupted, plan) = Plan::new(disk.process());
        let palace = automatic(interrupted);
        let other = disk.process();
        plan.before(nth, None, move || {
            open(other).unwrap().put("theirs", &object(json!({"n": 2}))).unwrap();
        });
        palace.put("ours", &object(json!({"n": 1}))).unwrap();
        if !plan.end() {
            assert!(nth > 20, "only {nth} calls");
            return;
        }
        for reader in [open(disk.process()).unwrap(), palace] {
            for (key, n) in [("ours", 1), ("theirs", 2)] {
                assert_eq!(reader.get(key).unwrap().unwrap().value["n"], n, "{key}, call {nth}");
            }
            assert_eq!(reader.verify().unwrap().findings.len(), 0, "call {nth}");
        }
        assert_eq!(disk.process().list(&Path::new(PALACE).join("tmp")).unwrap(), [""; 0]);
    }
}

#[test]
fn failed_calls_while_opening_are_errors() {
    let disk = SimDisk::new(1);
    open(disk.process()).unwrap().put("k", &object(json!({"n": 1}))).unwrap();
    let id = root(&disk, true).unwrap().palace();
    assert!(id.is_some());
    for call in [Call::Stat, Call::Open] {
        disk.fail_nth(call, 1, Failure::Io);
        assert!(root(&disk, false).is_err(), "{call:?}");
    }
    let empty = SimDisk::new(1);
    for directory in ["/home", PALACE] {
        empty.process().create_dir(Path::new(directory)).unwrap();
    }
    empty.fail_nth(Call::List, 1, Failure::Io);
    assert!(root(&empty, false).is_err());
    assert_eq!(root(&empty, false).unwrap().palace(), None);
    assert!(matches!(root(&empty, true), Err(StoreError::NoPalace { .. })));
    // Something is in it that no creation leaves.
    empty.process().create(&Path::new(PALACE).join("letter.txt")).unwrap();
    assert!(matches!(root(&empty, false), Err(StoreError::NotAPalace { .. })));
}

#[test]
fn files_in_place_of_the_directory_are_reported() {
    let disk = SimDisk::new(1);
    disk.process().create_dir(Path::new("/home")).unwrap();
    disk.process().create(Path::new(PALACE)).unwrap();
    let error = root(&disk, false).unwrap_err();
    assert!(matches!(error, StoreError::NotADirectory { .. }), "{error}");
}

#[test]
fn palaces_created_after_the_open_are_found() {
    let disk = SimDisk::new(1);
    let early = root(&disk, false).unwrap();
    let reader = open(disk.process()).unwrap();
    assert_eq!((early.palace(), reader.get("k").unwrap()), (None, None));
    let writer = open(disk.process()).unwrap();
    writer.put("k", &object(json!({"n": 1}))).unwrap();
    let id = writer.status().unwrap().palace;
    assert_eq!(reader.get("k").unwrap().unwrap().value["n"], 1);
    assert!(id.is_some());
    assert_eq!(reader.status().unwrap().palace, id);
    assert_eq!(early.palace(), None);
    early.refresh().unwrap();
    assert_eq!(early.palace(), id);
    assert!(!early.is_replaced().unwrap());
    disk.fail_nth(Call::Stat, 1, Failure::Io);
    assert!(early.is_replaced().is_err(), "nobody can say");
    disk.process().remove(&Path::new(PALACE).join("palace.json")).unwrap();
    let gone = early.is_replaced();
    assert!(matches!(gone, Err(StoreError::Gone { .. })), "{gone:?}");
}
