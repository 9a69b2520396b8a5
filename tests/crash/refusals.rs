//! Errors that a writer or a compactor gets when the machine fails, and that they tell the truth.

use crate::files::{PALACE, open};
use crate::support::object;
use crdt_palace::fs::sim::{Call, Failure, SimDisk, SimFs};
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::palace::compact::{CompactOptions, CompactReport};
use crdt_palace::palace::{Condition, Error, Palace, ReadOnlyReason, WriteOptions};
use crdt_palace::store::StoreError;
use crdt_palace::store::seal::Left;
use serde_json::{Map, Value, json};
use std::path::Path;

const NFS: u64 = 0x6969;
const EXT4: u64 = 0xEF53;

fn value(n: u64) -> Map<String, Value> {
    object(json!({"n": n, "text": "one, two, three"}))
}

/// Which of these documents a process that was not there before finds, each as it was written.
fn found(disk: &SimDisk, keys: [&str; 2]) -> [bool; 2] {
    let fresh = open(disk.process()).unwrap();
    keys.map(|key| match fresh.get(key).unwrap() {
        Some(document) => {
            assert_eq!(document.value, value(1), "{key} is there in part");
            true
        }
        None => false,
    })
}

fn with_one_document(seed: u64) -> (SimDisk, Palace) {
    let disk = SimDisk::new(seed);
    let palace = open(disk.process()).unwrap();
    palace.put("kept", &value(1)).unwrap();
    (disk, palace)
}

#[test]
fn conditional_writes_are_refused_where_locks_cannot_be_trusted() {
    let (disk, palace) = with_one_document(1);
    disk.set_fs_type(NFS);
    let palace_there = open(disk.process()).unwrap();
    let etag = palace.get("kept").unwrap().unwrap().etag;
    for condition in [Condition::Absent, Condition::Match(etag.clone())] {
        let key = if condition == Condition::Absent { "new" } else { "kept" };
        let options = WriteOptions::new().condition(condition);
        let error = palace_there.with(options.clone()).put(key, &value(2)).unwrap_err();
        assert!(matches!(&error, Error::Store(StoreError::LockUntrusted { .. })), "{error}");
        let text = error.to_string();
        for part in ["nfs", PALACE, "write without a condition"] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(found(&disk, ["kept", "new"]), [true, false], "what was refused was not written");
    palace_there.put("new", &value(1)).unwrap();
    assert_eq!(
        found(&disk, ["kept", "new"]),
        [true, true],
        "without a condition nothing is refused"
    );

    disk.set_fs_type(EXT4);
    let here = open(disk.process()).unwrap();
    let options = WriteOptions::new().if_match(etag);
    here.with(options.clone()).put("kept", &value(2)).unwrap();
    let again = here.with(options.clone()).put("kept", &value(3)).unwrap_err();
    assert!(matches!(again, Error::EtagMismatch { .. }), "{again}");
}

#[test]
fn writes_that_fail_twice_report_an_unknown_outcome() {
    for (seed, call) in [(1, Call::Write), (2, Call::Sync), (3, Call::Write), (4, Call::Sync)] {
        let (disk, palace) = with_one_document(seed);
        disk.fail_nth(call, 1, Failure::Io);
        disk.fail_nth(call, 2, Failure::NoSpace);
        let error = palace.put("doubtful", &value(1)).unwrap_err();
        assert!(
            matches!(&error, Error::Store(StoreError::OutcomeUnknown { .. })),
            "{call:?}: {error}"
        );
        assert!(error.to_string().contains("outcome is unknown"), "{error}");
        let [kept, _] = found(&disk, ["kept", "doubtful"]);
        assert!(kept, "{call:?}: what was acknowledged before is gone");

        // Trying again is the right answer to it: the write happens once.
        palace.put("doubtful", &value(1)).unwrap();
        assert_eq!(found(&disk, ["kept", "doubtful"]), [true, true], "{call:?}");
        disk.power_cut(seed);
        assert_eq!(found(&disk, ["kept", "doubtful"]), [true, true], "{call:?}, power cut");
    }
}

#[test]
fn writes_that_reached_no_file_report_nothing_written() {
    for created_before in [false, true] {
        let disk = SimDisk::new(1);
        if created_before {
            open(disk.process()).unwrap().put("kept", &value(1)).unwrap();
        }
        let palace = open(disk.process()).unwrap();
        let call = if created_before { Call::Create } else { Call::CreateDir };
        disk.fail_nth(call, 1, Failure::NoSpace);
        disk.fail_nth(call, 2, Failure::NoSpace);
        let error = palace.put("new", &value(1)).unwrap_err();
        assert!(matches!(&error, Error::Store(StoreError::NotWritten { .. })), "{error}");
        assert!(error.to_string().contains("nothing was written"), "{error}");
        assert_eq!(found(&disk, ["kept", "new"]), [created_before, false]);
        palace.put("new", &value(1)).unwrap();
        assert_eq!(found(&disk, ["kept", "new"]), [created_before, true]);
    }
}

#[test]
fn palaces_on_a_read_only_mount_say_so_until_it_is_writable() {
    let (disk, palace) = with_one_document(1);
    assert_eq!(palace.read_only(), None);
    disk.mount_read_only(true);
    let begun_there = open(disk.process()).unwrap();
    for palace in [&palace, &begun_there] {
        assert_eq!(palace.read_only(), Some(ReadOnlyReason::MountedReadOnly));
        assert_eq!(palace.status().unwrap().read_only, palace.read_only());
        assert_eq!(palace.get("kept").unwrap().unwrap().value, value(1));
    }
    let error = begun_there.put("new", &value(1)).unwrap_err();
    assert!(error.to_string().contains("nothing was written"), "{error}");
    disk.mount_read_only(false);
    for (palace, key) in [(&palace, "old"), (&begun_there, "new")] {
        assert_eq!(palace.read_only(), None);
        palace.put(key, &value(1)).unwrap();
    }
    assert_eq!(found(&disk, ["old", "new"]), [true, true]);
}

/// A process that is not there any more wrote `kept`, and its segment is still open.
fn a_dead_writer(disk: &SimDisk) {
    let fs = disk.process();
    let palace = open(fs.clone()).unwrap();
    palace.put("kept", &value(1)).unwrap();
    fs.kill();
    drop(palace);
}

/// Everything that is folded, and why the others are not.
fn compact(disk: &SimDisk, adopt: bool) -> (CompactReport, Vec<Left>) {
    let palace = open(disk.process()).unwrap();
    let all = CompactOptions::new().all();
    let options = if adopt { all.adopt() } else { all };
    let report = palace.compact(options).unwrap();
    let left = report.left_open.iter().map(|left| left.reason).collect();
    (report, left)
}

fn copy(from: &SimFs, to: &SimFs, name: &str) {
    let path = Path::new(PALACE).join(name);
    let bytes = read_from(&*from.open(&path).unwrap(), 0).unwrap();
    let copy = to.create(&path).unwrap();
    assert_eq!(copy.write_at(&bytes, 0).unwrap(), bytes.len());
    copy.sync().unwrap();
    to.sync_dir(path.parent().unwrap()).unwrap();
}

/// What lies in a palace that was copied here while it was in use.
fn copied_to_another_machine() -> SimDisk {
    let (disk, other) = (SimDisk::new(1), SimDisk::new(2));
    a_dead_writer(&disk);
    // It has the directories, and nothing in them.
    let (from, to) = (disk.process(), other.process());
    let inside = ["open", "sealed", "snap", "tmp", "trash", "quarantine"];
    let inside = inside.map(|name| format!("{PALACE}/{name}"));
    for directory in ["/home", PALACE].into_iter().chain(inside.iter().map(String::as_str)) {
        let directory = Path::new(directory);
        to.create_dir(directory).unwrap();
        to.sync_dir(directory.parent().unwrap()).unwrap();
    }
    copy(&from, &to, "palace.json");
    for name in from.list(&Path::new(PALACE).join("open")).unwrap() {
        copy(&from, &to, &format!("open/{name}"));
    }
    other
}

fn on_nfs() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.set_fs_type(NFS);
    a_dead_writer(&disk);
    disk
}

#[test]
fn segments_of_possibly_live_owners_stay_until_adopted() {
    for (disk, reason) in
        [(copied_to_another_machine(), Left::OtherMachine), (on_nfs(), Left::LockUntrusted)]
    {
        for _ in 0..2 {
            let (report, left) = compact(&disk, false);
            assert_eq!((report.segments, left), (0, vec![reason]));
            assert_eq!(found(&disk, ["kept", "new"]), [true, false], "it is read all the same");
        }
        let (report, left) = compact(&disk, true);
        assert_eq!((report.segments, report.documents, left), (1, 1, vec![]), "{reason:?}");
        assert_eq!(found(&disk, ["kept", "new"]), [true, false], "{reason:?}");
        disk.power_cut(1);
        assert_eq!(found(&disk, ["kept", "new"]), [true, false], "{reason:?}");
    }
}

#[test]
fn live_writers_are_not_adopted() {
    let (disk, palace) = with_one_document(1);
    disk.set_fs_type(NFS);
    let (report, left) = compact(&disk, true);
    assert_eq!((report.segments, left), (0, vec![Left::Live]));
    palace.put("new", &value(1)).unwrap();
    assert_eq!(found(&disk, ["kept", "new"]), [true, true]);
}
