//! File systems that lack what the kernel's own have: renames that refuse a taken name, and one cache for
//! all names of a file.

use crate::between_calls::Plan;
use crate::files::{PALACE, names, open, set_number, shown};
use crate::support::object;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Error, Left, StoreError, chain};
use serde_json::json;

const FUSE: u64 = 0x6573_5546;

fn number(n: u64) -> Option<(serde_json::Value, bool)> {
    Some((json!({"n": n}), false))
}

/// With FUSE, a file that gets its name by a link is another node than the one that its writer has open.
#[test]
fn writes_are_seen_where_a_link_makes_another_node() {
    let disk = SimDisk::new(1);
    disk.rename_by_link();
    let [one, two] = [1, 2].map(|_| open(disk.process()).unwrap());
    set_number(&one, "a", 1);
    for n in 2..9 {
        assert_eq!(shown(&two, "a"), number(n - 1));
        set_number(&two, "b", n);
        assert_eq!(shown(&one, "b"), number(n));
        set_number(&one, "a", n);
    }
    // The lock of a segment holds for the file that has its name.
    let report = open(disk.process()).unwrap().compact(CompactOptions::default()).unwrap();
    assert_eq!(
        report.left_open.iter().map(|left| left.reason).collect::<Vec<_>>(),
        [Left::Live; 2]
    );
    // Segments that follow a full one, and one that a compactor reads, are seen as well.
    one.seal().unwrap();
    assert_eq!(shown(&two, "a"), number(8));
    set_number(&one, "a", 9);
    assert_eq!(shown(&two, "a"), number(9));
}

/// With the rule left out, a process that has the segment open never sees what is written next.
#[test]
fn mutant_segment_named_by_a_link_hides_its_writes() {
    let disk = SimDisk::new(1);
    disk.rename_by_link();
    let (mutant, plan) = Plan::new(disk.process());
    plan.never_replace();
    let [one, two] = [open(mutant).unwrap(), open(disk.process()).unwrap()];
    set_number(&one, "a", 1);
    assert_eq!(shown(&two, "a"), number(1));
    set_number(&one, "a", 2);
    assert_eq!(shown(&two, "a"), number(1), "it was acknowledged");
    assert_eq!(shown(&open(disk.process()).unwrap(), "a"), number(2), "it is there");
}

#[test]
fn writes_that_others_would_not_see_are_refused() {
    let disk = SimDisk::new(1);
    disk.set_fs_type(FUSE);
    let before = open(disk.process()).unwrap();
    set_number(&before, "a", 1);
    disk.hide_writes_after_renames();
    let (files, palace) = (names(&disk, &format!("{PALACE}/open")), open(disk.process()).unwrap());
    for _ in 0..2 {
        let refused = palace.put("a", &object(json!({"n": 2}))).unwrap_err();
        let Error::Store(StoreError::NotWritten { source }) = &refused else {
            panic!("{refused:?}")
        };
        assert!(matches!(**source, StoreError::Invisible { .. }), "{refused:?}");
        let told = chain(&refused);
        assert!(told.contains("nothing was written") && told.contains("(fuse)"), "{told}");
    }
    assert_eq!(names(&disk, &format!("{PALACE}/open")), files);
    assert_eq!(names(&disk, &format!("{PALACE}/tmp")), [""; 0]);
    assert_eq!(shown(&palace, "a"), number(1), "it can still be read");
}

/// A trial changes the disk five times, and only where the kernel does not keep the promise by itself.
#[test]
fn local_disks_are_not_tried_and_others_once_a_segment() {
    let operations = |fs_type: Option<u64>| {
        let disk = SimDisk::new(1);
        if let Some(fs_type) = fs_type {
            disk.set_fs_type(fs_type);
        }
        let palace = open(disk.process()).unwrap();
        let write = |n| {
            let before = disk.operations();
            set_number(&palace, "a", n);
            disk.operations() - before
        };
        let (first, second) = (write(1), write(2));
        palace.seal().unwrap();
        (first, second, write(3))
    };
    let (local, other) = (operations(None), operations(Some(FUSE)));
    assert_eq!(other, (local.0 + 5, local.1, local.2 + 5));
}
