//! The two locks: the holder of the compaction lock is named, and a thread that waits for the other lock gets
//! it.

use crate::between_calls::Plan;
use crate::files::{PALACE, open};
use crate::support::object;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::Error;
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::store::StoreError;
use crdt_palace::store::lock::{CAS_WAIT, Guard, compaction_holder, conditional, try_compaction};
use crdt_palace::store::root::Root;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn palace() -> SimDisk {
    let disk = SimDisk::new(1);
    open(disk.process()).unwrap().put("k", &object(json!({"n": 1}))).unwrap();
    disk
}

fn root(fs: impl Fs + 'static) -> Root {
    Root::open(Arc::new(fs), Path::new(PALACE), false).unwrap()
}

#[test]
fn compactors_name_the_process_that_holds_the_lock() {
    let disk = palace();
    let (compactor, asking) = (root(disk.process()), root(disk.process()));
    assert!(compaction_holder(&asking).unwrap().is_none(), "there is no LOCK yet");
    let guard = try_compaction(&compactor, "a program").unwrap().unwrap();
    let holder = compaction_holder(&asking).unwrap().unwrap();
    let expected = format!("pid {} a program", std::process::id());
    assert_eq!((holder.resource.as_str(), holder.holder.as_str()), ("compaction", &expected[..]));
    assert!(holder.acquired_ms > 0);
    assert!(try_compaction(&asking, "another").unwrap().is_none());
    let refused = open(disk.process()).unwrap().compact(CompactOptions::default());
    let Err(Error::Store(StoreError::Busy { path, holder })) = refused else { panic!() };
    assert_eq!((path.as_path(), holder), (&*Path::new(PALACE).join("LOCK"), expected));

    // What is written in it is for people; somebody may be writing it just now.
    disk.process().write_note(&path, b"{\"reso").unwrap();
    assert_eq!(compaction_holder(&asking).unwrap().unwrap().holder, "unknown");
    disk.fail_nth(Call::Open, 1, Failure::Io);
    assert!(compaction_holder(&asking).is_err());
    drop(guard);
    assert!(compaction_holder(&asking).unwrap().is_none());
    assert!(try_compaction(&asking, "another").unwrap().is_some());
}

#[test]
fn locks_on_an_unlinked_file_do_not_count() {
    let disk = palace();
    let (interrupted, plan) = Plan::new(disk.process());
    let (root, fs, cas) = (root(interrupted), disk.process(), Path::new(PALACE).join("CAS"));
    let (other, name) = (fs.clone(), cas.clone());
    plan.before_lock(move || other.remove(&name).unwrap());
    let guard = conditional(&root).unwrap();
    let is_held = || fs.open(&cas).is_ok_and(|file| file.is_locked().unwrap());
    assert!(is_held(), "whoever comes next takes another file for the lock");
    drop(guard);
    assert!(!is_held());
}

#[test]
fn lock_holders_notice_that_the_lock_file_was_replaced() {
    let disk = palace();
    let (root, fs, cas) = (root(disk.process()), disk.process(), Path::new(PALACE).join("CAS"));
    let guard = conditional(&root).unwrap();
    guard.still_there(&root).unwrap();
    disk.fail_nth(Call::Stat, 2, Failure::Io);
    let failed = guard.still_there(&root);
    assert!(matches!(failed, Err(StoreError::Fs(_))), "a failure to look is no answer: {failed:?}");
    fs.remove(&cas).unwrap();
    let refused = |guard: &Guard| match guard.still_there(&root) {
        Err(StoreError::Busy { path, .. }) => path == cas,
        _ => false,
    };
    assert!(refused(&guard), "it is gone");
    let other = conditional(&root).unwrap();
    assert!(refused(&guard), "another has its name");
    other.still_there(&root).unwrap();
}

#[test]
fn conditional_writes_that_wait_get_their_turn() {
    let disk = palace();
    let (interrupted, plan) = Plan::new(disk.process());
    let waiting = root(interrupted);
    let held = conditional(&root(disk.process())).unwrap();
    // Each attempt opens the file.
    plan.before(3, Some(Call::Open), move || drop(held));
    let got = conditional(&waiting).unwrap();
    assert!(plan.end());

    let start = Instant::now();
    let Err(StoreError::Busy { path, .. }) = conditional(&root(disk.process())) else { panic!() };
    assert_eq!(path, Path::new(PALACE).join("CAS"));
    assert!(start.elapsed() >= CAS_WAIT);
    drop(got);
    conditional(&root(disk.process())).unwrap();
}
