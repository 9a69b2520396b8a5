//! The two locks: who holds one is told, and who waits for the other gets it.

use crate::between::Plan;
use crate::ledger::{PALACE, object};
use crate::machine::open;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::Error;
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::store::StoreError;
use crdt_palace::store::lock::{CAS_WAIT, compaction_holder, conditional, try_compaction};
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
fn who_compacts_is_named_and_others_leave_it_to_them() {
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
fn who_waits_for_a_conditional_write_gets_its_turn() {
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
