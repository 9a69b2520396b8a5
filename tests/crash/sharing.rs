//! What many calls at once cost the disk.

use crate::ledger::PALACE;
use bytes::Bytes;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::store::log::{Durability, Log};
use crdt_palace::store::root::Root;
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
