//! A palace whose files go back to an older state under living processes.

use crate::between_calls::Plan;
use crate::copies::Copied;
use crate::files::{ALL, PALACE, bytes, names, only, open, set, set_number, set_with, shown};
use crate::support::object;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, SimDisk};
use crdt_palace::palace::{Error, Palace, StoreError, WriteOptions};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

const EXT4: u64 = 0xEF53;
const SMB: u64 = 0xFF53_4D42;

/// Two processes that have written, a copy, and what they wrote after it: to their open segments, to sealed ones, or to a
/// snapshot.
fn went_on(disk: &SimDisk, how: usize) -> (Palace, Palace, Copied) {
    let (ours, theirs) = (open(disk.process()).unwrap(), open(disk.process()).unwrap());
    set(&ours, "k", json!({"ours": 1}));
    set(&theirs, "k", json!({"theirs": 1}));
    let copied = Copied::of(disk).unwrap();
    set(&ours, "k", json!({"ours": 2}));
    set(&theirs, "k", json!({"theirs": 2}));
    if how > 0 {
        ours.seal().unwrap();
        theirs.seal().unwrap();
        set(&ours, "k", json!({"sealed": 1}));
    }
    if how > 1 {
        theirs.compact(ALL).unwrap();
        set(&theirs, "k", json!({"compacted": 1}));
    }
    (ours, theirs, copied)
}

#[test]
fn writes_after_a_restore_are_seen_by_fresh_processes() {
    for how in 0..3 {
        for in_place in [false, true] {
            let disk = SimDisk::new(1);
            let (ours, theirs, copied) = went_on(&disk, how);
            let whole = shown(&ours, "k");
            assert_eq!(whole, shown(&theirs, "k"));
            copied.put_back(&disk, in_place);
            let context = format!("{how}, in place: {in_place}");
            let left = shown(&open(disk.process()).unwrap(), "k");
            assert!(
                in_place || left == Some((json!({"ours": 1, "theirs": 1}), false)),
                "{context}"
            );
            assert_eq!(shown(&theirs, "k"), left, "what is gone is not served, {context}");
            assert_eq!(shown(&ours, "k"), left, "what is gone is not served, {context}");
            for (n, palace) in [&ours, &theirs, &ours].into_iter().enumerate() {
                set_number(palace, "k", n as u64);
                let (value, incomplete) = shown(&open(disk.process()).unwrap(), "k").unwrap();
                assert_eq!((value["n"].as_u64(), incomplete), (Some(n as u64), false), "{context}");
            }
            let both = [&ours, &theirs].map(Palace::went_back);
            let gone = whole != left;
            assert!(!gone || both.iter().all(Option::is_some), "{context}: {both:?}");
            assert!(
                !open(disk.process()).unwrap().verify().unwrap().has_problem() || in_place,
                "{context}"
            );
        }
    }
}

/// A restore before the `nth` call of a write. Whether there was such a call.
fn restored_before(nth: u64, how: usize, options: &WriteOptions) -> bool {
    let disk = SimDisk::new(nth);
    let (interrupted, plan) = Plan::new(disk.process());
    let ours = open(interrupted).unwrap();
    let theirs = open(disk.process()).unwrap();
    set(&ours, "k", json!({"ours": 1}));
    set(&theirs, "k", json!({"theirs": 1}));
    let copied = Copied::of(&disk).unwrap();
    set(&theirs, "k", json!({"theirs": 2}));
    if how > 0 {
        set(&ours, "k", json!({"ours": 2}));
        ours.seal().unwrap();
    }
    if how > 1 {
        theirs.seal().unwrap();
        theirs.compact(ALL).unwrap();
    }
    let (elsewhere, copy) = (disk.process(), copied);
    let disk = Arc::new(disk);
    let there = disk.clone();
    plan.before(nth, None, move || {
        drop(elsewhere);
        copy.put_back(&there, false);
    });
    let result = ours.with(options.clone()).patch("k", &object(json!({"during": 1}))).map(drop);
    let happened = plan.end();
    let fresh = shown(&open(disk.process()).unwrap(), "k");
    match result {
        Ok(()) => {
            let (value, incomplete) = fresh.clone().unwrap();
            assert_eq!((&value["during"], incomplete), (&json!(1), false), "{value}");
        }
        // A condition that was checked before.
        Err(Error::Store(StoreError::Busy { .. } | StoreError::OutcomeUnknown { .. })) => {}
        Err(error) => panic!("{error:?}"),
    }
    assert_eq!(shown(&ours, "k"), fresh);
    set_with(&ours, "k", json!({"after": 1}), options).unwrap();
    let (value, incomplete) = shown(&open(disk.process()).unwrap(), "k").unwrap();
    assert_eq!((&value["after"], incomplete), (&json!(1), false), "{value}");
    happened
}

#[test]
fn writes_during_a_restore_are_whole_for_fresh_processes() {
    for options in [WriteOptions::default(), WriteOptions::new().buffered()] {
        for how in 0..3 {
            let named = |nth: &u64| {
                std::panic::catch_unwind(|| restored_before(*nth, how, &options))
                    .unwrap_or_else(|_| panic!("{options:?}, {how}, before call {nth}"))
            };
            let calls = (1..).take_while(named).count();
            assert!(calls > 10, "only {calls} calls");
        }
    }
}

#[test]
fn restored_palace_tells_how_much_is_gone_and_of_when_the_rest_is() {
    let disk = SimDisk::new(1);
    let (writer, reader) = (open(disk.process()).unwrap(), open(disk.process()).unwrap());
    set_number(&writer, "k", 1);
    let newest = writer.history("k").unwrap()[0].time_ms;
    let copied = Copied::of(&disk).unwrap();
    disk.advance(60_000);
    set_number(&writer, "k", 2);
    set_number(&writer, "k", 3);
    assert_eq!(shown(&reader, "k"), Some((json!({"n": 3}), false)));
    assert!(reader.went_back().is_none() && writer.went_back().is_none());
    copied.put_back(&disk, false);
    for palace in [&reader, &writer] {
        assert_eq!(shown(palace, "k"), Some((json!({"n": 1}), false)));
        let back = palace.went_back().unwrap();
        assert_eq!((back.commits, back.newest_ms), (2, Some(newest)));
    }
    assert!(open(disk.process()).unwrap().went_back().is_none());
}

/// A file that was only renamed, or replaced by the same content, is no loss.
#[test]
fn same_content_in_another_file_is_not_told_as_gone() {
    let disk = SimDisk::new(1);
    let (writer, reader) = (open(disk.process()).unwrap(), open(disk.process()).unwrap());
    set_number(&writer, "k", 1);
    let instance = writer.instance();
    assert_eq!(shown(&reader, "k"), Some((json!({"n": 1}), false)));
    let copied = Copied::of(&disk).unwrap();
    for name in names(&disk, "/home/palace/open") {
        disk.process().remove(&Path::new(PALACE).join("open").join(name)).unwrap();
    }
    copied.put_back(&disk, false);
    for palace in [&writer, &reader] {
        assert_eq!(shown(palace, "k"), Some((json!({"n": 1}), false)));
        assert!(palace.went_back().is_none());
    }
    set_number(&writer, "k", 2);
    assert_eq!(writer.instance(), instance, "nothing was lost");
    for palace in [&writer, &reader, &open(disk.process()).unwrap()] {
        assert_eq!(shown(palace, "k"), Some((json!({"n": 2}), false)));
    }
}

/// Some servers of network file systems make up the time of birth from that of the last change.
#[test]
fn touched_manifest_is_no_other_palace() {
    for fs_type in [EXT4, SMB] {
        let disk = SimDisk::new(1);
        disk.set_fs_type(fs_type);
        let palace = open(disk.process()).unwrap();
        set_number(&palace, "k", 1);
        let instance = palace.instance();
        let manifest = Path::new(PALACE).join("palace.json");
        let content = bytes(&disk, &manifest);
        disk.advance(60_000);
        disk.overwrite(&manifest, &content).unwrap();
        set_number(&palace, "k", 2);
        assert_eq!(palace.instance(), instance, "{fs_type:x}");
    }
}

/// Damage is reported for itself, and must not keep a process from reading the rest.
#[test]
fn damaged_log_hides_no_document_when_a_segment_goes() {
    let disk = SimDisk::new(1);
    let writer = open(disk.process()).unwrap();
    let author = "an author that is named nowhere else";
    set_with(&writer, "k", json!({"n": 1}), &WriteOptions::new().by(author)).unwrap();
    writer.seal().unwrap();
    writer.compact(ALL).unwrap();
    let snapshot = only(&disk, "/home/palace/snap");
    let mut damaged = bytes(&disk, &snapshot);
    let places = damaged.windows(author.len()).enumerate();
    let places: Vec<_> =
        places.filter(|(_, at)| *at == author.as_bytes()).map(|(n, _)| n).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|place| damaged[place] ^= 1);
    disk.overwrite(&snapshot, &damaged).unwrap();
    set_number(&writer, "gone", 1);
    let other = open(disk.process()).unwrap();
    set_number(&other, "left", 1);
    let reader = open(disk.process()).unwrap();
    assert_eq!(shown(&reader, "gone"), Some((json!({"n": 1}), false)));
    writer.seal().unwrap();
    disk.process().remove(&only(&disk, "/home/palace/sealed")).unwrap();
    for _ in 0..2 {
        assert_eq!(shown(&reader, "left"), Some((json!({"n": 1}), false)));
        assert_eq!(shown(&reader, "gone"), None);
    }
}

/// A process that read on would show one content and then another; one that read all again for ever would answer nobody.
#[test]
fn file_that_shows_two_contents_fails_reads_until_it_shows_one() {
    let disk = SimDisk::new(1);
    let writer = open(disk.process()).unwrap();
    set_number(&writer, "k", 1);
    writer.seal().unwrap();
    let (interrupted, plan) = Plan::new(disk.process());
    let reader = open(interrupted).unwrap();
    plan.blank(Some(16));
    for _ in 0..2 {
        let error = reader.get("k").unwrap_err();
        assert!(matches!(error, Error::Store(StoreError::WentBack { .. })), "{error:?}");
    }
    plan.blank(None);
    assert_eq!(shown(&reader, "k"), Some((json!({"n": 1}), false)));
}

#[test]
fn deleted_segment_is_told_as_gone() {
    let disk = SimDisk::new(1);
    let (writer, reader) = (open(disk.process()).unwrap(), open(disk.process()).unwrap());
    set_number(&writer, "k", 1);
    writer.seal().unwrap();
    assert_eq!(shown(&reader, "k"), Some((json!({"n": 1}), false)));
    disk.process().remove(&only(&disk, "/home/palace/sealed")).unwrap();
    for palace in [&reader, &writer] {
        assert_eq!(shown(palace, "k"), None);
        assert_eq!(palace.went_back().map(|back| back.commits), Some(1));
    }
}

/// A person who restores a copy removes the snapshot that was made since.
#[test]
fn compaction_whose_snapshot_was_removed_keeps_its_inputs() {
    let removed_before = |nth: &u64| {
        let disk = Arc::new(SimDisk::new(*nth));
        let (interrupted, plan) = Plan::new(disk.process());
        let palace = open(interrupted).unwrap();
        set_number(&palace, "k", 1);
        palace.seal().unwrap();
        let there = disk.clone();
        plan.before(*nth, Some(Call::SyncDir), move || {
            for name in names(&there, "/home/palace/snap") {
                there.process().remove(&Path::new(PALACE).join("snap").join(name)).unwrap();
            }
        });
        drop(palace.compact(ALL));
        let happened = plan.end();
        let fresh = open(disk.process()).unwrap();
        assert_eq!(shown(&fresh, "k"), Some((json!({"n": 1}), false)), "before sync {nth}");
        happened
    };
    assert!((1..).take_while(removed_before).count() > 0);
}

/// What is written then stands behind a gap, and what it builds on is gone.
#[test]
fn file_cut_off_just_before_a_write_does_not_count() {
    let disk = Arc::new(SimDisk::new(1));
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = open(interrupted).unwrap();
    set(&palace, "k", json!({"before": 1}));
    let copied = Copied::of(&disk).unwrap();
    set(&palace, "k", json!({"gone": 1}));
    let there = disk.clone();
    plan.before(1, Some(Call::Write), move || copied.put_back(&there, true));
    set(&palace, "k", json!({"during": 1}));
    assert!(plan.end());
    let (value, incomplete) = shown(&open(disk.process()).unwrap(), "k").unwrap();
    assert_eq!((&value["before"], &value["during"], incomplete), (&json!(1), &json!(1), false));
}
