//! A palace that is deleted and made again by another process while this one runs.

use crate::between::Plan;
use crate::ledger::{PALACE, object};
use crate::machine::open;
use crdt_palace::format::id::PalaceId;
use crdt_palace::format::manifest::Manifest;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{SimDisk, SimFs};
use crdt_palace::palace::{Condition, Error, Options, Palace, WriteOptions};
use crdt_palace::store::StoreError;
use crdt_palace::store::log::Durability;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const NEW: PalaceId = PalaceId(*b"a palace anew...");

/// What is left of `rm -r` and a creation, for whoever looks: the directories, without what was in them,
/// and another `palace.json`.
fn replace(fs: &SimFs) {
    let palace = Path::new(PALACE);
    for directory in ["open", "sealed", "snap"] {
        for name in fs.list(&palace.join(directory)).unwrap() {
            fs.remove(&palace.join(directory).join(name)).unwrap();
        }
        fs.sync_dir(&palace.join(directory)).unwrap();
    }
    fs.remove(&palace.join("palace.json")).unwrap();
    let file = fs.create(&palace.join("palace.json")).unwrap();
    file.write_at(Manifest::new(NEW, fs.now_ms()).encode().as_bytes(), 0).unwrap();
    file.sync().unwrap();
    fs.sync_dir(palace).unwrap();
}

fn set(palace: &Palace, value: Value, options: &WriteOptions) -> Result<(), Error> {
    palace.patch("k", &object(value), options).map(drop)
}

fn shown(palace: &Palace) -> Option<(Value, bool)> {
    palace.get("k").unwrap().map(|document| (Value::Object(document.value), document.incomplete))
}

/// It is replaced before the `nth` call of a write. Whether there was such a call.
fn replaced_before(nth: u64, compacted: bool, options: &WriteOptions) -> bool {
    let disk = SimDisk::new(nth);
    let (interrupted, plan) = Plan::new(disk.process());
    let palace =
        Options::default().fs(Arc::new(interrupted)).auto_compact(false).open(PALACE).unwrap();
    set(&palace, json!({"old": 1}), &WriteOptions::default()).unwrap();
    if compacted {
        palace.compact(Default::default()).unwrap();
    }
    let fs = disk.process();
    let before = palace.status().unwrap().this_instance;
    plan.before(nth, None, move || replace(&fs));
    let key = if options.if_match.is_some() { "new" } else { "k" };
    let result = palace.patch(key, &object(json!({"during": 1})), options).map(drop);
    let happened = plan.end();
    let fresh = open(disk.process()).unwrap();
    match &result {
        Ok(()) => {
            let found = fresh.get(key).unwrap().unwrap_or_else(|| panic!("it is lost"));
            assert!(!found.incomplete, "it waits for what was deleted: {found:?}");
            assert_eq!(palace.get(key).unwrap(), Some(found));
        }
        Err(Error::Store(StoreError::OutcomeUnknown { .. } | StoreError::NotWritten { .. })) => {}
        Err(Error::Store(StoreError::Replaced { .. })) => {}
        Err(error) => panic!("{error:?}"),
    }
    if happened {
        assert_eq!(palace.get("k").unwrap(), fresh.get("k").unwrap(), "what is gone is not served");
    }
    set(&palace, json!({"after": 1}), &WriteOptions::default()).unwrap();
    let (own, theirs) = (shown(&palace), shown(&open(disk.process()).unwrap()));
    assert_eq!(own, theirs);
    // One that is not acknowledged may be there, and wait for what was deleted.
    let unknown = matches!(&result, Err(Error::Store(StoreError::OutcomeUnknown { .. })));
    let is_whole = |found: &(Value, bool)| found.0["after"] == 1 && (!found.1 || unknown);
    let whole = own.as_ref().is_some_and(is_whole);
    assert!(whole, "{own:?} after {result:?}");
    // The numbers of the old one are taken, in files that may come back.
    let after = palace.status().unwrap().this_instance;
    assert!(!happened || after != before, "it goes on as the same instance");
    happened
}

#[test]
fn a_palace_that_is_replaced_during_a_write_keeps_what_is_acknowledged() {
    let buffered = WriteOptions { durability: Durability::Buffered, ..WriteOptions::default() };
    let absent = WriteOptions { if_match: Some(Condition::Absent), ..WriteOptions::default() };
    for options in [WriteOptions::default(), buffered, absent] {
        for compacted in [false, true] {
            let mut nth = 1;
            let run = |nth| {
                std::panic::catch_unwind(|| replaced_before(nth, compacted, &options))
                    .unwrap_or_else(|_| panic!("{options:?}, compacted {compacted}, call {nth}"))
            };
            while run(nth) {
                nth += 1;
            }
            assert!(nth > 5, "only {nth} calls");
        }
    }
}
