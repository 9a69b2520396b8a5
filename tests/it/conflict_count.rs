//! Documents with open conflicts are counted, wherever they are.

use crdt_palace::fs::os::OsFs;
use crdt_palace::palace::into::merge_into;
use crdt_palace::palace::{Palace, WriteOptions};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Writes a value, and two others from it.
fn conflict(palace: &Palace, key: &str) {
    let first = palace.put(key, &json!({"n": 0})).unwrap().etag;
    for n in [1, 2] {
        palace.with(WriteOptions::new().base(first.clone())).put(key, &json!({"n": n})).unwrap();
    }
}

fn count(palace: &Palace) -> usize {
    let found = palace.count_conflicts("").unwrap();
    assert!(!found.at_least);
    found.documents
}

/// Copies the files of one palace beside those of another.
fn copy(from: &Path, to: &Path) {
    for directory in ["open", "sealed", "snap"] {
        let Ok(files) = std::fs::read_dir(from.join(directory)) else { continue };
        std::fs::create_dir_all(to.join(directory)).unwrap();
        for file in files.map(Result::unwrap) {
            std::fs::copy(file.path(), to.join(directory).join(file.file_name())).unwrap();
        }
    }
    std::fs::copy(from.join("palace.json"), to.join("palace.json")).unwrap();
}

#[test]
fn conflicts_count_before_and_after_compaction_until_settled() {
    let dir = tempfile::tempdir().unwrap();
    let palace = Palace::open(dir.path().join("palace")).unwrap();
    let plain = json!({"conflicts": [{"path": "/n"}], "text": "\"conflicts\":[{\"path\":"});
    palace.put("plain", &plain).unwrap();
    (0..5).for_each(|n| conflict(&palace, &format!("k{n}")));
    assert_eq!(count(&palace), 5);
    palace.compact(Default::default()).unwrap();
    assert_eq!(count(&palace), 5);
    // Settled in the tail, and deleted: neither is open any more, though their rows say so.
    palace.put("k0", &json!({"n": 3})).unwrap();
    palace.delete("k1").unwrap();
    conflict(&palace, "k5");
    assert_eq!((count(&palace), palace.count_conflicts("k5").unwrap().documents), (4, 1));
    palace.compact(Default::default()).unwrap();
    assert_eq!(count(&palace), 4);
}

#[test]
fn conflicts_that_only_two_snapshots_together_show_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
    {
        let palace = Palace::open(&here).unwrap();
        palace.put("k", &json!({"n": 0})).unwrap();
    }
    std::fs::create_dir(&there).unwrap();
    copy(&here, &there);
    for (path, n) in [(&here, 1), (&there, 2)] {
        let palace = Palace::open(path).unwrap();
        palace.put("k", &json!({"n": n})).unwrap();
        palace.compact(Default::default()).unwrap();
        assert_eq!(count(&palace), 0);
    }
    let into = dir.path().join("into");
    let sources = [here.clone(), there.clone()];
    let report = merge_into(Arc::new(OsFs), &into, &sources, &BTreeSet::new()).unwrap();
    assert_eq!((report.in_conflict.documents, report.in_conflict.at_least), (1, false));
    assert_eq!(count(&Palace::open(&into).unwrap()), 1);

    copy(&there, &here);
    let both = Palace::open(&here).unwrap();
    assert_eq!(both.status().unwrap().snapshots.len(), 2);
    assert_eq!(count(&both), 1, "the copies' snapshots know nothing of each other");
}

#[test]
fn statuses_that_are_made_at_once_take_no_test_for_an_owner() {
    let dir = tempfile::tempdir().unwrap();
    let [live, copied] = ["live", "copied"].map(|name| dir.path().join(name));
    let palace = Palace::open(&live).unwrap();
    palace.put("k", &json!({"n": 0})).unwrap();
    std::fs::create_dir(&copied).unwrap();
    copy(&live, &copied); // no process holds the lock of the copied segment
    let read = Palace::open_read_only(&copied).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let status = read.status().unwrap();
                    assert_eq!((status.instances.len(), status.segments.len()), (0, 1));
                }
            });
        }
    });
}
