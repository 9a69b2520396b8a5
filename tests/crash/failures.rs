//! Failures at the moments when they hurt most: promises made before are kept, and no new promise is made.

use crate::background::{SYNC, runs};
use crate::between_calls::Plan;
use crate::files::{PALACE, automatic, names, open, set, set_with, shown};
use crate::support::{object, until};
use crdt_palace::format::key::Key;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::{Error, Palace, WriteOptions, chain};
use crdt_palace::store::StoreError;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Enough power cuts to see every outcome.
const CUTS: u64 = 24;

fn durable() -> WriteOptions {
    WriteOptions::default()
}

fn buffered() -> WriteOptions {
    WriteOptions::new().buffered()
}

/// After any power cut, a fresh process sees exactly this, and nothing waits for what is lost.
fn assert_survives(disk: &SimDisk, key: &str, expected: &Value, context: &str) {
    for cut in 0..CUTS {
        let fork = disk.fork();
        fork.power_cut(cut);
        let found = shown(&open(fork.process()).unwrap(), key);
        assert_eq!(found, Some((expected.clone(), false)), "{context}, power cut {cut}");
    }
}

fn is_unknown(result: &Result<(), Error>) -> bool {
    matches!(result, Err(Error::Store(StoreError::OutcomeUnknown { .. })))
}

#[test]
fn lost_buffered_commits_are_reported_once_and_not_used() {
    for seed in 0..CUTS {
        let disk = SimDisk::new(seed);
        let palace = open(disk.process()).unwrap();
        set(&palace, "other", json!({"n": 0}));
        // The next sync fails, and so does the new segment. Who meets that is left open: the write
        // below, or the thread that syncs buffered commits.
        disk.fail_nth(Call::Sync, 1, Failure::NoSpace);
        disk.fail_nth(Call::Create, 1, Failure::NoSpace);
        set_with(&palace, "k", json!({"n": 1}), &buffered()).unwrap();
        drop(set_with(&palace, "other", json!({"n": 2}), &durable()));
        let told: Vec<_> = (0..3).map(|_| palace.sync()).collect();
        assert!(
            is_unknown(&told[0]),
            "seed {seed}: nobody says that commits may be lost: {told:?}"
        );
        assert!(told[1].is_ok() && told[2].is_ok(), "seed {seed}: said more than once: {told:?}");
        set(&palace, "k", json!({"n": 1}));
        set(&palace, "k", json!({"m": 2}));
        assert_survives(&disk, "k", &json!({"n": 1, "m": 2}), &format!("seed {seed}"));
    }
}

#[test]
fn failed_syncs_are_reported_once() {
    let disk = SimDisk::new(1);
    let palace = open(disk.process()).unwrap();
    set(&palace, "other", json!({"n": 0}));
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    disk.fail_nth(Call::Create, 1, Failure::Io);
    set_with(&palace, "k", json!({"n": 1}), &buffered()).unwrap();
    assert!(is_unknown(&palace.sync()));
    palace.sync().unwrap();
}

#[test]
fn syncs_reach_every_dependency_of_buffered_commits() {
    let disk = SimDisk::new(1);
    let owners = [open(disk.process()).unwrap(), open(disk.process()).unwrap()];
    for (owner, key) in owners.iter().zip(["k", "l"]) {
        set_with(owner, key, json!({"n": 1}), &buffered()).unwrap();
    }
    let palace = open(disk.process()).unwrap();
    for key in ["k", "l"] {
        set_with(&palace, key, json!({"m": 1}), &buffered()).unwrap();
    }
    palace.sync().unwrap();
    for key in ["k", "l"] {
        assert_survives(&disk, key, &json!({"n": 1, "m": 1}), key);
    }
}

#[test]
fn buffered_commits_become_durable_by_themselves() {
    let disk = SimDisk::new(1);
    let palace = open(disk.process()).unwrap();
    set(&palace, "k", json!({"n": 0}));
    for n in 1..4 {
        set_with(&palace, "k", json!({"n": n}), &buffered()).unwrap();
        until("it is on disk", || {
            let fork = disk.fork();
            fork.power_cut(n);
            open(fork.process()).unwrap().get("k").unwrap().unwrap().value["n"] == n
        });
        until("the thread ends", || !runs(SYNC));
    }
}

#[test]
fn commits_without_changes_are_as_durable_as_requested() {
    let disk = SimDisk::new(2);
    let (one, other) = (open(disk.process()).unwrap(), open(disk.process()).unwrap());
    set(&one, "own", json!({"n": 0}));
    set(&other, "mine", json!({"n": 0}));
    set_with(&one, "own", json!({"n": 1}), &buffered()).unwrap();
    set(&one, "own", json!({"n": 1}));
    assert_survives(&disk, "own", &json!({"n": 1}), "this process wrote it");
    set_with(&one, "theirs", json!({"n": 1}), &buffered()).unwrap();
    set(&other, "theirs", json!({"n": 1}));
    assert_survives(&disk, "theirs", &json!({"n": 1}), "another process wrote it");
}

/// `k` was written by a process whose disk failed, and which then died: what is in its segment can be
/// read and synced, and is not on disk all the same, so that whoever builds on it has to write it again.
/// And a process that has its segment open, with a plan for its calls.
fn unreliable_foundation(seed: u64) -> (Arc<SimDisk>, Palace, Plan) {
    let disk = Arc::new(SimDisk::new(seed));
    let first = disk.process();
    let dead = open(first.clone()).unwrap();
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = open(interrupted).unwrap();
    set(&dead, "k", json!({"n": 0}));
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    disk.fail_nth(Call::Create, 1, Failure::Io);
    // Or its place would tell.
    disk.fail_nth(Call::Rename, 1, Failure::Io);
    set_with(&dead, "k", json!({"n": 1}), &buffered()).unwrap();
    drop(dead.sync());
    disk.heal();
    first.kill();
    set(&palace, "mine", json!({"n": 0}));
    (disk, palace, plan)
}

#[test]
fn commits_wait_for_the_commits_they_rescue() {
    let (disk, palace, plan) = unreliable_foundation(3);
    // Another thread writes for all that are queued, before what is carried along is among them.
    let thread = palace.clone();
    let other = move || set(&thread, "other", json!({"n": 1}));
    plan.before(1, Some(Call::Sync), other);
    set(&palace, "k", json!({"m": 1}));
    assert!(plan.end(), "it went another way");
    assert_survives(&disk, "k", &json!({"n": 1, "m": 1}), "built on what nobody promised");
}

/// `other` met a failed sync of what `one` has written to `first` and `k`, and wrote to `first` all the same. From then on
/// the pages are clean, written or not, and nobody is told twice. Whether the place of the segment tells of it.
fn failed_sync_of_another_s(seed: u64, told: bool) -> (SimDisk, Palace, Palace) {
    let disk = SimDisk::new(seed);
    let (one, other) = (open(disk.process()).unwrap(), open(disk.process()).unwrap());
    set(&one, "first", json!({"n": 1}));
    set(&other, "mine", json!({"n": 1}));
    set_with(&one, "k", json!({"n": 1}), &buffered()).unwrap();
    set_with(&one, "first", json!({"n": 2}), &buffered()).unwrap();
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    if !told {
        disk.fail_nth(Call::Rename, 1, Failure::Io);
    }
    set(&other, "first", json!({"m": 1}));
    disk.heal();
    (disk, one, other)
}

#[test]
fn segments_of_others_are_not_trusted_after_a_failed_sync() {
    for told in [true, false] {
        let (disk, _one, other) = failed_sync_of_another_s(8, told);
        set(&other, "k", json!({"m": 1}));
        assert_survives(&disk, "first", &json!({"n": 2, "m": 1}), "at the failure");
        assert_survives(&disk, "k", &json!({"n": 1, "m": 1}), "after the failure");
    }
}

/// The kernel tells a failed sync to those who have the file open, once: who opens it later hears yes.
#[test]
fn segments_are_not_trusted_after_another_process_failed_a_sync() {
    let (disk, one, _other) = failed_sync_of_another_s(9, true);
    let later = open(disk.process()).unwrap();
    set(&later, "k", json!({"m": 1}));
    assert_survives(&disk, "k", &json!({"n": 1, "m": 1}), "after the failure");
    // And its owner hears of it, whatever the kernel says.
    set(&one, "first", json!({"l": 1}));
    assert_survives(&disk, "first", &json!({"n": 2, "m": 1, "l": 1}), "the owner");
}

/// A batch of a process that could not put it on disk: its outcome is unknown, and its bytes are shown, and gone after a
/// power cut. On one of its documents another process builds. Whether the place of the segment tells of it.
fn lost_batch(seed: u64, told: bool) -> (Arc<SimDisk>, Palace, Plan) {
    let disk = Arc::new(SimDisk::new(seed));
    let one = open(disk.process()).unwrap();
    let (interrupted, plan) = Plan::new(disk.process());
    let other = open(interrupted).unwrap();
    for key in ["a", "b"] {
        set(&one, key, json!({"n": 0}));
    }
    set(&other, "mine", json!({"n": 1}));
    set_with(&one, "b", json!({"n": 1}), &buffered()).unwrap();
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    disk.fail_nth(Call::Create, 1, Failure::NoSpace);
    if !told {
        disk.fail_nth(Call::Rename, 1, Failure::Io);
    }
    let mut batch = one.with(durable()).batch();
    for key in ["a", "b"] {
        batch.write(Key::new(key).unwrap(), |draft| draft.patch(&object(json!({"batch": 1}))));
    }
    assert!(is_unknown(&batch.commit().map(drop)));
    disk.heal();
    (disk, other, plan)
}

/// Found by seed 2013365 of `seeded_faults`.
#[test]
fn rescued_commits_are_whole_and_include_their_dependencies() {
    for told in [true, false] {
        let (disk, other, _) = lost_batch(10, told);
        set(&other, "a", json!({"m": 1}));
        assert_survives(&disk, "a", &json!({"n": 0, "batch": 1, "m": 1}), "what was built on");
        assert_survives(&disk, "b", &json!({"n": 1, "batch": 1}), "the rest of the batch");
    }
}

/// Found by seed 2000334 of `seeded_faults`.
#[test]
fn power_cuts_keep_no_commit_without_the_commits_it_rescues() {
    let (disk, other, plan) = lost_batch(11, true);
    let (kept, written) = (Arc::new(Mutex::new(None)), disk.clone());
    let keep = kept.clone();
    // The first is that of the segment it builds on; then its bytes are written, and wait for the second.
    plan.before(2, Some(Call::Sync), move || *keep.lock().unwrap() = Some(written.fork()));
    set(&other, "a", json!({"m": 1}));
    assert!(plan.end(), "it went another way");
    let written = kept.lock().unwrap().take().unwrap();
    let mut there = 0;
    for cut in 0..10 * CUTS {
        let fork = written.fork();
        fork.power_cut(cut);
        let found = open(fork.process()).unwrap().get("a").unwrap().unwrap();
        assert!(!found.incomplete, "power cut {cut}");
        there += u64::from(found.value == object(json!({"n": 0, "batch": 1, "m": 1})));
    }
    assert!((1..10 * CUTS).contains(&there), "{there}");
}

#[test]
fn full_segments_that_cannot_be_sealed_are_disowned_visibly() {
    let disk = SimDisk::new(12);
    let palace = open(disk.process()).unwrap();
    let text = "x".repeat(600_000);
    for key in ["a", "b"] {
        set(&palace, key, json!({ "text": text }));
    }
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    set(&palace, "c", json!({"n": 1}));
    let count = |directory: &str| names(&disk, &format!("{PALACE}/{directory}")).len();
    assert_eq!((count("sealed"), count("open")), (1, 1));
    assert_survives(&disk, "b", &json!({ "text": text }), "in the full one");
    assert_survives(&disk, "c", &json!({"n": 1}), "in the next one");
}

#[test]
fn rescued_commits_are_visible_to_their_rescuer() {
    let disk = SimDisk::new(7);
    let first = disk.process();
    let (dead, palace) = (open(first.clone()).unwrap(), open(disk.process()).unwrap());
    set_with(&dead, "k", json!({"n": 1}), &buffered()).unwrap();
    set_with(&palace, "k", json!({"m": 1}), &buffered()).unwrap();
    set_with(&dead, "k", json!({"later": 1}), &buffered()).unwrap();
    first.kill();
    // A look at something else: the last change is known, and not in the loaded document yet.
    assert_eq!(palace.get("other").unwrap(), None);
    palace.sync().unwrap();
    let whole = json!({"n": 1, "m": 1, "later": 1});
    assert_eq!(Value::Object(palace.get("k").unwrap().unwrap().value), whole);
    set(&palace, "k", json!({"again": 1}));
    let whole = json!({"n": 1, "m": 1, "later": 1, "again": 1});
    assert_survives(&disk, "k", &whole, "carried along");
}

#[test]
fn failed_commits_are_not_saved_by_the_commits_they_rescue() {
    let (disk, palace, plan) = unreliable_foundation(4);
    let (thread, other) = (palace.clone(), disk.clone());
    let fail = move || {
        other.fail_nth(Call::Write, 1, Failure::Io);
        other.fail_nth(Call::Write, 2, Failure::Io);
        assert!(set_with(&thread, "other", json!({"n": 1}), &durable()).is_err());
    };
    plan.before(1, Some(Call::Sync), fail);
    let result = set_with(&palace, "k", json!({"m": 1}), &durable());
    assert!(plan.end(), "it went another way");
    assert!(is_unknown(&result), "{result:?}");
    set(&palace, "k", json!({"m": 2}));
    assert_survives(&disk, "k", &json!({"n": 1, "m": 2}), "written again");
}

#[test]
fn palaces_of_another_user_created_meanwhile_are_left_alone() {
    let disk = SimDisk::new(5);
    let owner = disk.process();
    owner.create_dir(Path::new("/home")).unwrap();
    let stranger = open(disk.strange_process()).unwrap();
    assert_eq!(stranger.read_only(), None, "there is nothing yet that could belong to anybody");
    let made = open(owner).unwrap();
    set(&made, "k", json!({"n": 1}));
    let before = disk.operations();
    let conditional = WriteOptions::new().if_absent();
    for options in [durable(), conditional] {
        let error = set_with(&stranger, "new", json!({"n": 1}), &options).unwrap_err();
        let text = chain(&error);
        assert!(text.contains("only the owner"), "{text}");
        assert!(!is_unknown(&Err(error)), "nothing was written");
    }
    assert_eq!(disk.operations(), before, "nothing was even tried");
    assert_eq!(stranger.get("k").unwrap().unwrap().value["n"], 1);
}

#[test]
fn panics_during_a_write_are_errors_for_all_waiting_threads() {
    // Each call of a write panics in turn, as a bug in the middle of it would.
    for nth in 1.. {
        let disk = SimDisk::new(6);
        let (interrupted, plan) = Plan::new(disk.process());
        let palace = open(interrupted).unwrap();
        set(&palace, "k", json!({"first": 1}));
        plan.before(nth, None, || panic!("a bug, for the test"));
        let attempt = || set_with(&palace, "k", json!({"second": 1}), &durable());
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt));
        if !plan.end() {
            assert!(nth > 5, "only {nth} calls");
            break;
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = palace.clone();
        std::thread::spawn(move || {
            sender.send(set_with(&thread, "k", json!({"third": 1}), &durable())).unwrap();
        });
        // The limit is for a run that has gone wrong.
        let third = receiver.recv_timeout(std::time::Duration::from_secs(60));
        third.unwrap_or_else(|_| panic!("after call {nth}: a writer waits for ever")).unwrap();
        let shown = palace.get("k").unwrap().unwrap();
        let acknowledged = matches!(done, Ok(Ok(())));
        assert!(!acknowledged || shown.value.contains_key("second"), "call {nth}");
        assert_survives(&disk, "k", &Value::Object(shown.value), &format!("call {nth}"));
    }
}

#[test]
fn panics_during_a_compaction_do_not_end_compaction() {
    let disk = SimDisk::new(7);
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = automatic(interrupted);
    let text = "x".repeat(700_000);
    for key in ["a", "b"] {
        set(&palace, key, json!({"text": text}));
    }
    palace.seal().unwrap();
    let (sender, panics) = std::sync::mpsc::channel();
    // The commit lists three directories, and after it the compactor the first of its own.
    plan.before(4, Some(Call::List), move || {
        sender.send(()).unwrap();
        panic!("a bug, for the test");
    });
    set(&palace, "c", json!({"n": 0}));
    // The limits are for a run that has gone wrong.
    let limit = std::time::Duration::from_secs(60);
    panics.recv_timeout(limit).unwrap();
    let start = std::time::Instant::now();
    for n in 1.. {
        // Something new to fold, and somebody to notice it.
        palace.seal().unwrap();
        set(&palace, "c", json!({"n": n}));
        if !palace.status().unwrap().snapshots.is_empty() {
            break;
        }
        assert!(start.elapsed() < limit, "nothing is compacted any more");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(palace.get("a").unwrap().unwrap().value["text"], text);
}

#[test]
fn first_writes_of_a_new_instance_are_durable_when_acknowledged() {
    let disk = SimDisk::new(1);
    let palace = open(disk.process()).unwrap();
    // The numbers of the instance that is given up are higher than those of the one after it.
    for n in 1..=3 {
        set(&palace, "k", json!({ "n": n }));
    }
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    disk.fail_nth(Call::Create, 1, Failure::NoHandle);
    assert!(is_unknown(&set_with(&palace, "other", json!({"n": 1}), &durable())));
    let before = disk.operations();
    set(&palace, "k", json!({"m": 1}));
    assert!(disk.operations() > before, "nothing was written");
    assert_survives(&disk, "k", &json!({"n": 3, "m": 1}), "after an instance was given up");
}
