//! Each step of removing a file, while another process does the same or the disk fails.

use crate::between_calls::{Plan, before_each_look};
use crate::files::{PALACE, bytes, open};
use crate::support::object;
use crdt_palace::format::id::SnapshotId;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::Left;
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::store::purge::{TMP_MS, left_behind};
use crdt_palace::store::root::Root;
use crdt_palace::store::seal::{seal_dead, seal_failed};
use crdt_palace::store::{
    publish::verify_and_sync,
    quarantine::quarantine,
    retire::{retire, retire_unchanged},
};
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
    bytes(disk, &inside(name))
}

fn count(disk: &SimDisk, directory: &str) -> usize {
    disk.process().list(&inside(directory)).unwrap().len()
}

#[test]
fn files_retired_by_another_process_count_as_retired() {
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
fn failed_segments_are_moved_away_once() {
    let (disk, root, _) = palace();
    let writer = open(disk.process()).unwrap();
    writer.put("k", &object(json!({"n": 2}))).unwrap();
    let [name] = &disk.process().list(&inside("open")).unwrap()[..] else { panic!("one segment") };
    let sealed = count(&disk, "sealed");
    let path = inside("open").join(name);
    disk.fail_nth(Call::Open, 1, Failure::Io);
    assert!(seal_failed(&root, &path).is_err());
    assert_eq!((count(&disk, "open"), count(&disk, "sealed")), (1, sealed));
    for _ in 0..2 {
        seal_failed(&root, &path).unwrap();
        assert_eq!((count(&disk, "open"), count(&disk, "sealed")), (0, sealed + 1));
    }
}

#[test]
fn files_whose_stat_fails_are_not_missing() {
    let (disk, root, _) = palace();
    let none = SnapshotId([9; 16]);
    let path = write(&disk, "snap/x", b"x");
    let seen = disk.process().modified(&path).unwrap();
    disk.fail_nth(Call::Stat, 1, Failure::Io);
    assert!(verify_and_sync(&root, none).is_err());
    assert!(!verify_and_sync(&root, none).unwrap(), "it is gone");
    let retired = || (count(&disk, "snap"), count(&disk, "trash"));
    let before = retired();
    disk.fail_nth(Call::Stat, 1, Failure::Io);
    assert!(retire_unchanged(&root, "snap", "x", seen).is_err());
    assert_eq!(retired(), before);
    for _ in 0..2 {
        retire_unchanged(&root, "snap", "x", seen).unwrap();
        assert_eq!(retired(), (before.0 - 1, before.1 + 1));
    }
}

/// It would take the place of what somebody copied there; and where locks say nothing, its writer may be on another
/// machine.
#[test]
fn failed_segments_stay_where_they_cannot_be_moved() {
    const NFS: u64 = 0x6969;
    for (there, untrusted) in [(true, false), (false, true)] {
        let (disk, root, _) = palace();
        let writer = open(disk.process()).unwrap();
        writer.put("k", &object(json!({"n": 2}))).unwrap();
        let names = disk.process().list(&inside("open")).unwrap();
        let sealed = inside("sealed").join(&names[0]);
        if there {
            write(&disk, sealed.strip_prefix(PALACE).unwrap().to_str().unwrap(), b"a copy");
        }
        if untrusted {
            disk.set_fs_type(NFS);
        }
        seal_failed(&root, &inside("open").join(&names[0])).unwrap();
        assert_eq!(disk.process().list(&inside("open")).unwrap(), names, "there: {there}");
        let copies = disk.process().list(&inside("sealed")).unwrap();
        assert_eq!(copies.contains(&names[0]), there);
        assert!(!there || bytes(&disk, &sealed) == b"a copy");
    }
}

#[test]
fn files_removed_from_tmp_by_others_are_no_leftovers() {
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
fn damaged_files_are_quarantined_once_by_all_processes() {
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

/// The one segment in `open/`, whose writer is killed, with what was in it after each of two writes.
fn dead_segment(disk: &SimDisk) -> (String, [Vec<u8>; 2]) {
    let fs = disk.process();
    let writer = open(fs.clone()).unwrap();
    let mut contents = [1, 2].map(|n| {
        writer.patch("k", &object(json!({ n.to_string(): n }))).unwrap();
        let name = fs.list(&inside("open")).unwrap().remove(0);
        (name.clone(), content(disk, &format!("open/{name}")))
    });
    fs.kill();
    drop(writer);
    let name = std::mem::take(&mut contents[0].0);
    (name, contents.map(|(_, content)| content))
}

/// Somebody copied files while they were written. Neither may take the other's place.
#[test]
fn longer_copy_of_a_segment_is_kept_in_any_directory() {
    for sealed_is_longer in [false, true] {
        let disk = SimDisk::new(1);
        let (name, [short, long]) = dead_segment(&disk);
        let (open_one, sealed) = if sealed_is_longer { (short, long) } else { (long, short) };
        disk.process().remove(&inside("open").join(&name)).unwrap();
        write(&disk, &format!("open/{name}"), &open_one);
        write(&disk, &format!("sealed/{name}"), &sealed);
        let palace = open(disk.process()).unwrap();
        for round in 0..3 {
            let found = palace.get("k").unwrap().unwrap();
            assert_eq!(found.value, object(json!({"1": 1, "2": 2})), "{round}");
            assert!(!found.incomplete);
            let report = palace.compact(CompactOptions::default()).unwrap();
            assert_eq!(report.left_open.len(), usize::from(round == 0), "{report:?}");
        }
        assert_eq!((count(&disk, "open"), count(&disk, "sealed")), (0, 0));
    }
}

/// Somebody copies a longer one over the only segment, before the `nth` such call of a compaction. Whether there was
/// such a call.
fn grows_before(nth: u64, call: Call, in_place: bool) -> bool {
    let disk = SimDisk::new(nth);
    let (name, [short, long]) = dead_segment(&disk);
    disk.process().remove(&inside("open").join(&name)).unwrap();
    let path = write(&disk, &format!("sealed/{name}"), &short);
    disk.advance(1_000);
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = open(interrupted).unwrap();
    let fs = disk.process();
    plan.before(nth, Some(call), move || {
        let there = fs.stat(&path).is_ok();
        if there && in_place {
            let at = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
            fs.open_lock(&path).unwrap().write_at(&long[at..], at as u64).unwrap();
            return;
        }
        if there {
            fs.remove(&path).unwrap();
        }
        fs.create(&path).unwrap().write_at(&long, 0).unwrap();
    });
    palace.compact(CompactOptions::default()).unwrap();
    let happened = plan.end();
    let expected = if happened { json!({"1": 1, "2": 2}) } else { json!({"1": 1}) };
    let palace = open(disk.process()).unwrap();
    for _ in 0..2 {
        let found = palace.get("k").unwrap().unwrap();
        assert_eq!((found.value, found.incomplete), (object(expected.clone()), false));
        palace.compact(CompactOptions::default()).unwrap();
    }
    assert_eq!(count(&disk, "sealed"), 0);
    happened
}

/// Two copies of a palace on one machine: one has sealed its short copy of a segment as a dead process's, and folds it
/// when the longer one comes.
#[test]
fn segments_that_grew_during_a_compaction_stay() {
    for in_place in [false, true] {
        before_each_look(&format!("in place: {in_place}"), |nth, call| {
            grows_before(nth, call, in_place)
        });
    }
}

#[test]
fn seals_by_another_compactor_are_no_failure_open_errors_are() {
    let disk = SimDisk::new(1);
    let (name, _) = dead_segment(&disk);
    let (interrupted, plan) = Plan::new(disk.process());
    let root = Root::open(Arc::new(interrupted), Path::new(PALACE), false).unwrap();
    disk.fail_nth(Call::Open, 1, Failure::Io);
    assert!(seal_dead(&root, false).is_err());
    let (fs, from, to) = (disk.process(), inside("open").join(&name), inside("sealed").join(&name));
    let sealed = to.clone();
    plan.before(1, Some(Call::Open), move || fs.rename(&from, &to).unwrap());
    let done = seal_dead(&root, false).unwrap();
    assert!(plan.end() && done.sealed.is_empty() && done.left.is_empty(), "{done:?}");

    let (fs, from, to) = (disk.process(), sealed, inside("open").join(&name));
    fs.rename(&from, &to).unwrap();
    disk.fail_nth(Call::Rename, 1, Failure::Io);
    assert!(seal_dead(&root, false).is_err());
    plan.before(1, Some(Call::Rename), move || fs.rename(&to, &from).unwrap());
    let done = seal_dead(&root, false).unwrap();
    assert!(plan.end() && done.sealed.is_empty() && done.left.is_empty(), "{done:?}");
}

#[test]
fn segments_from_before_a_reboot_are_sealed() {
    let disk = SimDisk::new(1);
    dead_segment(&disk);
    let before = disk.process().host();
    disk.power_cut(1);
    let after = disk.process().host();
    assert!(before.boot != after.boot && before.machine == after.machine);
    let report = open(disk.process()).unwrap().compact(CompactOptions::default()).unwrap();
    assert_eq!((report.sealed, report.segments, report.left_open.len()), (1, 1, 0), "{report:?}");
}

#[test]
fn locks_count_only_if_both_sides_can_trust_flock() {
    const EXT4: u64 = 0xEF53;
    const NFS: u64 = 0x6969;
    for (there, here) in [(NFS, EXT4), (EXT4, NFS), (EXT4, EXT4)] {
        let disk = SimDisk::new(1);
        disk.set_fs_type(there);
        dead_segment(&disk);
        disk.set_fs_type(here);
        let root = Root::open(Arc::new(disk.process()), Path::new(PALACE), false).unwrap();
        let done = seal_dead(&root, false).unwrap();
        let left: Vec<_> = done.left.iter().map(|(_, reason)| *reason).collect();
        if (there, here) == (EXT4, EXT4) {
            assert_eq!((done.sealed.len(), left), (1, vec![]));
        } else {
            assert_eq!((done.sealed.len(), left), (0, vec![Left::LockUntrusted]));
        }
    }
}
