//! Group commit: the appends and syncs that concurrent calls cost.

use crate::between_calls::Plan;
use crate::files::{PALACE, open};
use crate::support::object;
use bytes::Bytes;
use crdt_palace::fs::Fs;
use crdt_palace::fs::os::OsFs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::WriteOptions;
use crdt_palace::store::group_commit::{Durability, Log};
use crdt_palace::store::root::Root;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

#[test]
fn commits_in_flight_share_one_append_and_one_sync() {
    let disk = SimDisk::new(1);
    let root = Root::open(Arc::new(disk.process()), Path::new(PALACE), false).unwrap();
    let log = Log::new(Arc::new(root), Arc::default(), "test".to_owned());
    let instance = log.instance().unwrap();
    let enqueue = |n: u32| log.enqueue(instance, Bytes::from(format!("commit {n}"))).unwrap();
    log.wait(enqueue(0), Durability::Durable).unwrap();

    let before = disk.operations();
    let tickets: Vec<_> = (1..=20).map(enqueue).collect();
    assert_eq!(disk.operations(), before, "nothing is written before somebody waits");
    log.wait(tickets[0], Durability::Durable).unwrap();
    assert_eq!(disk.operations(), before + 2, "one append and one sync for all of them");
    for ticket in tickets {
        log.wait(ticket, Durability::Durable).unwrap();
    }
    assert_eq!(disk.operations(), before + 2, "the others were done with it");
}

#[test]
fn sealed_dependencies_need_no_sync_by_dependents() {
    let disk = SimDisk::new(1);
    let owner = open(disk.process()).unwrap();
    let buffered = WriteOptions::new().buffered();
    // The eleventh fills the first segment, and the twelfth starts another.
    let text = "x".repeat(100_000);
    for n in 0..12 {
        owner.with(buffered.clone()).put(&format!("k{n}"), &object(json!({"text": text}))).unwrap();
    }
    let other = open(disk.process()).unwrap();
    other.put("its own", &object(json!({"n": 1}))).unwrap();
    let before = disk.operations();
    other.put("k10", &object(json!({"n": 4}))).unwrap();
    assert_eq!(disk.operations(), before + 2, "an append and a sync of its own segment");
}

/// Who waits sleeps until the end of a turn of somebody else. One who is not woken would sleep for ever, if
/// nobody comes after it: so there are many short rounds.
#[test]
fn waiters_for_another_turn_are_all_woken() {
    let dir = tempfile::tempdir().unwrap();
    // Real syncs take long enough for others to come meanwhile.
    let root = Root::open(Arc::new(OsFs), &dir.path().join("palace"), false).unwrap();
    let log = Arc::new(Log::new(Arc::new(root), Arc::default(), "test".to_owned()));
    let instance = log.instance().unwrap();
    for round in 0..60 {
        let (sender, finished) = std::sync::mpsc::channel();
        for writer in 0..12 {
            let (log, sender) = (log.clone(), sender.clone());
            std::thread::spawn(move || {
                for n in 0..2 {
                    let ticket = log.enqueue(instance, Bytes::from(format!("{writer} {n}")));
                    let durable = (round + writer + n) % 3 > 0;
                    let durability =
                        if durable { Durability::Durable } else { Durability::Buffered };
                    log.wait(ticket.unwrap(), durability).unwrap();
                }
                sender.send(writer).unwrap();
            });
        }
        for done in 0..12 {
            // The limit is for a run that has gone wrong.
            let limit = std::time::Duration::from_secs(60);
            assert!(finished.recv_timeout(limit).is_ok(), "only {done} in round {round}");
        }
    }
    log.sync().unwrap();
    assert!(!log.has_unsynced());
}

/// One leads a turn; the commits of some others are in it, and those of the rest have to wait for the next. All come to
/// their end, although nobody comes after them.
fn all_come_to_their_end(in_turn: u32, later: u32) {
    let disk = SimDisk::new(1);
    let (interrupted, plan) = Plan::new(disk.process());
    let root = Root::open(Arc::new(interrupted), Path::new(PALACE), false).unwrap();
    let log = Arc::new(Log::new(Arc::new(root), Arc::default(), "test".to_owned()));
    let instance = log.instance().unwrap();
    let enqueue = |n: u32| log.enqueue(instance, Bytes::from(format!("commit {n}"))).unwrap();
    log.wait(enqueue(0), Durability::Durable).unwrap();
    let (sender, finished) = std::sync::mpsc::channel();
    let wait = |ticket| {
        let (log, sender) = (log.clone(), sender.clone());
        std::thread::spawn(move || {
            log.wait(ticket, Durability::Durable).unwrap();
            sender.send(()).unwrap();
        });
        // Asleep by then, or else it finds what it waits for done, which is no less right.
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let (go_on, stopped) = std::sync::mpsc::channel();
    plan.before(1, Some(Call::Sync), move || stopped.recv().unwrap());
    let together: Vec<_> = (0..=in_turn).map(enqueue).collect();
    together.into_iter().for_each(wait);
    (0..later).map(enqueue).for_each(wait);
    go_on.send(()).unwrap();
    for done in 0..=in_turn + later {
        // The limit is for a run that has gone wrong.
        let limit = std::time::Duration::from_secs(60);
        assert!(finished.recv_timeout(limit).is_ok(), "only {done} of {in_turn} and {later}");
    }
}

/// One of those who sleep until the end of a turn was written by it, the other has to lead the next.
#[test]
fn finished_waiters_do_not_take_the_wake_up_of_others() {
    all_come_to_their_end(1, 1);
}

#[test]
fn end_of_a_turn_wakes_every_waiter_of_its_commits() {
    all_come_to_their_end(3, 0);
}

#[test]
fn commits_durable_before_a_failure_succeed() {
    let disk = SimDisk::new(1);
    let root = Root::open(Arc::new(disk.process()), Path::new(PALACE), false).unwrap();
    let log = Log::new(Arc::new(root), Arc::default(), "test".to_owned());
    let instance = log.instance().unwrap();
    let enqueue = |n: u32| log.enqueue(instance, Bytes::from(format!("commit {n}"))).unwrap();
    let [durable, buffered] = [enqueue(1), enqueue(2)];
    log.wait(buffered, Durability::Durable).unwrap();
    let lost = enqueue(3);
    log.wait(lost, Durability::Buffered).unwrap();
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    disk.fail_nth(Call::Create, 1, Failure::NoSpace);
    assert!(log.wait(lost, Durability::Durable).is_err());
    log.wait(durable, Durability::Durable).unwrap();
    log.wait(buffered, Durability::Durable).unwrap();
    log.wait(lost, Durability::Buffered).unwrap();
    assert!(log.wait(lost, Durability::Durable).is_err());
    assert!(log.report_lost().is_err() && log.report_lost().is_ok(), "said once");
    assert_ne!(log.instance().unwrap(), instance);
    // Of what was promised nothing is lost.
    let durable = log.enqueue(log.instance().unwrap(), Bytes::from("commit")).unwrap();
    disk.fail_nth(Call::Create, 1, Failure::NoSpace);
    disk.fail_nth(Call::Create, 2, Failure::NoSpace);
    assert!(log.wait(durable, Durability::Durable).is_err());
    log.report_lost().unwrap();
}

/// Readers read a segment up to a limit, so a turn that writes for many ends before it.
#[test]
fn segments_stay_bounded_however_much_is_queued() {
    const MIB: usize = 1 << 20;
    let disk = SimDisk::new(1);
    let root = Root::open(Arc::new(disk.process()), Path::new(PALACE), false).unwrap();
    let log = Log::new(Arc::new(root), Arc::default(), "test".to_owned());
    let instance = log.instance().unwrap();
    let body = Bytes::from(vec![7; MIB]);
    let tickets: Vec<_> = (0..40).map(|_| log.enqueue(instance, body.clone()).unwrap()).collect();
    log.wait(*tickets.last().unwrap(), Durability::Durable).unwrap();
    let fs = disk.process();
    let lengths: Vec<_> = ["open", "sealed"]
        .iter()
        .flat_map(|directory| {
            let directory = Path::new(PALACE).join(directory);
            let names = fs.list(&directory).unwrap();
            let length = |name: String| fs.stat(&directory.join(name)).unwrap().len as usize;
            names.into_iter().map(length).collect::<Vec<_>>()
        })
        .collect();
    assert!(lengths.iter().sum::<usize>() > 40 * MIB, "{lengths:?}");
    assert!(lengths.iter().all(|length| *length < 18 * MIB), "{lengths:?}");
}
