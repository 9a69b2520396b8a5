//! Commits rescued by another process: all that are needed, and no more.

use crate::between_calls::Plan;
use crate::files::{PALACE, bytes, names, open};
use crate::support::object;
use crdt_palace::format::record::{Kind, decode_commit};
use crdt_palace::format::scan::scan;
use crdt_palace::fs::sim::{Call, SimDisk};
use crdt_palace::palace::{Key, Palace, WriteOptions};
use crdt_palace::store::root::Root;
use crdt_palace::store::seal::seal_dead;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn segments(disk: &SimDisk) -> BTreeSet<PathBuf> {
    let below = |directory: &str| {
        let directory = Path::new(PALACE).join(directory);
        names(disk, directory.to_str().unwrap()).into_iter().map(move |name| directory.join(name))
    };
    below("open").chain(below("sealed")).collect()
}

/// How many changes a segment holds.
fn changes(disk: &SimDisk, path: &Path) -> usize {
    let bytes = bytes(disk, path);
    let records = scan(&bytes, 0).records.into_iter();
    let commits = records.filter(|record| record.kind == Kind::Commit);
    commits.map(|record| decode_commit(record.body).unwrap().len()).sum()
}

/// Two changes, in one commit.
fn write(palace: &Palace, n: u64) {
    let mut batch = palace.batch();
    for key in ["a", "b"] {
        let field = object(json!({ format!("w{n}"): n }));
        batch.write(Key::new(key).unwrap(), move |draft| draft.patch(&field));
    }
    batch.commit().unwrap();
}

/// So many processes one after the other, which write so often each and are killed. Their segments stay where they
/// are, or are sealed by somebody else. Gives how many changes each wrote.
fn killed_one_after_the_other(disk: &SimDisk, count: u64, writes: u64, sealed: bool) -> Vec<usize> {
    let mut written = Vec::new();
    let first = open(disk.process()).unwrap();
    first.put("first", &object(json!({"n": 1}))).unwrap();
    for process in 0..count {
        let before = segments(disk);
        let fs = disk.process();
        let palace = open(fs.clone()).unwrap();
        (0..writes).for_each(|n| write(&palace, process * writes + n));
        fs.kill();
        drop(palace);
        let known = |path: &&PathBuf| !before.iter().any(|b| b.file_name() == path.file_name());
        let own = segments(disk).iter().find(known).unwrap().clone();
        written.push(changes(disk, &own));
        if sealed {
            let root = Root::open(Arc::new(disk.process()), Path::new(PALACE), false).unwrap();
            assert_eq!(seal_dead(&root, false).unwrap().sealed.len(), 1);
        }
    }
    for cut in 0..20 {
        let fork = disk.fork();
        fork.power_cut(cut);
        let palace = open(fork.process()).unwrap();
        for key in ["a", "b"] {
            let found = palace.get(key).unwrap().unwrap();
            assert_eq!(found.value.len() as u64, count * writes, "{key}, power cut {cut}");
            assert!(!found.incomplete, "{key}, power cut {cut}");
        }
    }
    written
}

/// The others were found in their place before their owner wrote on.
#[test]
fn only_the_last_write_of_a_killed_process_is_rescued() {
    for sealed in [true, false] {
        let written = killed_one_after_the_other(&SimDisk::new(1), 4, 5, sealed);
        assert_eq!(written, [10, 12, 12, 12], "sealed {sealed}");
    }
}

/// Each is killed before it can write on, so that its successor has to carry along all that it carried.
#[test]
fn commits_are_rescued_only_once_along_a_chain_of_processes() {
    for sealed in [true, false] {
        let written = killed_one_after_the_other(&SimDisk::new(2), 10, 1, sealed);
        let each: Vec<_> = (1..=10).map(|n| 2 * n).collect();
        assert_eq!(written, each, "sealed {sealed}");
    }
}

/// Written while the thread that syncs puts on disk what an earlier one builds on: then its own record is synced with
/// the earlier one's, and only what it builds on is left.
#[test]
fn dependencies_of_buffered_commits_become_durable() {
    let disk = SimDisk::new(1);
    let handle = |fs| open(fs).unwrap();
    let quick = WriteOptions::new().buffered();
    for key in ["a", "b"] {
        // Killed, as it were, before its sync.
        let (fs, plan) = Plan::new(disk.process());
        let dead = handle(fs);
        dead.put("begun", &object(json!({"n": 1}))).unwrap();
        plan.skip(Call::Sync);
        dead.with(quick.clone()).patch(key, &object(json!({"theirs": 1}))).unwrap();
        std::mem::forget(dead);
    }
    let (fs, plan) = Plan::new(disk.process());
    let palace = handle(fs);
    palace.put("begun", &object(json!({"n": 2}))).unwrap();
    let (other, ours) = (palace.clone(), object(json!({"ours": 2})));
    let (then, patch) = (quick.clone(), ours.clone());
    plan.before(1, Some(Call::Sync), move || {
        drop(other.with(then.clone()).patch("b", &patch).unwrap())
    });
    palace.with(quick.clone()).patch("a", &ours).unwrap();
    let whole = json!({"theirs": 1, "ours": 2});
    crate::support::until("all is on disk", || {
        (0..10).all(|seed| {
            let fork = disk.fork();
            fork.power_cut(seed);
            let palace = open(fork.process()).unwrap();
            ["a", "b"].into_iter().all(|key| {
                let found = palace.get(key).unwrap();
                found.is_some_and(|document| serde_json::Value::Object(document.value) == whole)
            })
        })
    });
    assert!(plan.end());
}
