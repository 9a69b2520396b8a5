//! A process that takes the room for another stack away from itself: the child of tests/it/scarce_resources.rs.

use crate::support::{object, until};
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::palace::{Options, Palace, WriteOptions};
use crdt_palace::store::group_commit::Durability;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Runs something while there is no room for the stack of another thread.
fn without_threads(run: impl FnOnce()) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    let used: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let before = getrlimit(Resource::As);
    // In KiB. A stack has 2048.
    setrlimit(Resource::As, Rlimit { current: Some((used + 1024) << 10), ..before }).unwrap();
    let thread = std::thread::Builder::new().spawn(|| ());
    run();
    setrlimit(Resource::As, before).unwrap();
    assert!(thread.is_err(), "there was room for a thread");
}

fn put(palace: &Palace, key: &str, durability: Durability) {
    let options = WriteOptions::new().durability(durability);
    palace.with(options.clone()).put(key, &object(json!({"n": 1}))).unwrap();
}

fn open(disk: &SimDisk, auto_compact: bool) -> Palace {
    let fs = Arc::new(disk.process());
    Options::default().fs(fs).auto_compact(auto_compact).open("/p").unwrap()
}

pub fn a_later_commit_starts_the_sync() {
    let disk = SimDisk::new(1);
    let palace = open(&disk, false);
    put(&palace, "first", Durability::Durable);
    without_threads(|| put(&palace, "a", Durability::Buffered));
    put(&palace, "b", Durability::Buffered);
    let survives = |seed| {
        let fork = disk.fork();
        fork.power_cut(seed);
        let palace = open(&fork, false);
        ["a", "b"].iter().all(|key| palace.get(key).unwrap().is_some())
    };
    until("a thread syncs what is buffered", || (0..8).all(survives));
}

pub fn a_later_commit_starts_the_compaction() {
    let disk = SimDisk::new(2);
    let palace = open(&disk, true);
    for n in 0..crdt_palace::palace::compact::policy::SEGMENTS_DUE {
        put(&palace, &format!("k{n}"), Durability::Durable);
        palace.seal().unwrap();
    }
    let snapshots = || disk.process().list(Path::new("/p/snap")).unwrap().len();
    without_threads(|| put(&palace, "due", Durability::Durable));
    assert_eq!(snapshots(), 0, "it was started too early for this test");
    put(&palace, "later", Durability::Durable);
    until("a thread compacts", || snapshots() > 0);
}
