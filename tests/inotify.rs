//! A process that reads very often does not list the directories each time: inotify tells it of new names. It
//! must miss nothing all the same.
//!
//! A binary of its own, because the tests count the inotify queues of their process.

#[path = "support/mod.rs"]
mod support;

use crdt_palace::fs::os::OsFs;
use crdt_palace::palace::Palace;
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::store::own_segments::OwnSegments;
use crdt_palace::store::rescan::Catalog;
use crdt_palace::store::root::Root;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use support::object;

/// This process's inotify queues are counted.
static ALONE: Mutex<()> = Mutex::new(());

fn queues() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
    targets.filter(|target| target == Path::new("anon_inode:inotify")).count()
}

/// Looks, often, until this process asks the kernel.
fn look_until_it_listens(mut look: impl FnMut()) {
    for _ in 0..1_000_000 {
        if queues() > 0 {
            return;
        }
        (0..300).for_each(|_| look());
    }
    panic!("it never asked the kernel");
}

fn document(n: u64) -> Map<String, Value> {
    object(json!({ "n": n }))
}

#[test]
fn frequent_readers_see_every_change_of_another_process() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    Palace::open(&path).unwrap().put("first", &document(0)).unwrap();
    let reader = Palace::open(&path).unwrap();
    let n = |key: &str| reader.get(key).unwrap().map(|found| found.value["n"].clone());
    for round in 0..20u64 {
        let [a, b] = [format!("a/{round}"), format!("b/{round}")];
        look_until_it_listens(|| assert_eq!(n("first"), Some(json!(0))));

        let writer = Palace::open(&path).unwrap();
        writer.put(&a, &document(round)).unwrap();
        assert_eq!(n(&a), Some(json!(round)), "a new segment");
        writer.put(&a, &document(round + 1)).unwrap();
        assert_eq!(n(&a), Some(json!(round + 1)), "a known segment");

        writer.seal().unwrap();
        writer.put(&b, &document(round)).unwrap();
        assert_eq!(n(&b), Some(json!(round)), "after a seal");

        let all = CompactOptions::new().all();
        writer.seal().unwrap();
        writer.compact(all).unwrap();
        std::fs::remove_dir_all(path.join("trash")).unwrap();
        let both = (n(&a), n(&b));
        assert_eq!(both, (Some(json!(round + 1)), Some(json!(round))), "after a compaction");
        let live = reader.status().unwrap().snapshots.len();
        assert!(live >= 1, "{live} snapshots");
    }
}

#[test]
fn disowned_segments_are_found_by_the_next_rescan() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let writer = Palace::open(&path).unwrap();
    writer.put("a", &document(1)).unwrap();
    let segment = writer.status().unwrap().segments[0].segment;

    let root = Arc::new(Root::open(Arc::new(OsFs), &path, true).unwrap());
    let own = Arc::new(OwnSegments::default());
    own.add(segment, writer.status().unwrap().segments[0].instance.unwrap());
    let mut catalog = Catalog::new(root, own.clone());
    look_until_it_listens(|| assert_eq!(catalog.rescan().unwrap().commits.len(), 0));
    own.abandon(segment);
    assert_eq!(catalog.rescan().unwrap().commits.len(), 1);
}

#[test]
fn occasional_readers_use_no_inotify_instance() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let palace = Palace::open(dir.path().join("palace")).unwrap();
    for n in 0..100 {
        palace.put("a", &document(n)).unwrap();
    }
    assert_eq!(queues(), 0);
}
