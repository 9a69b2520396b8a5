//! A palace that is deleted and made again by another process while this one runs.

use crate::between_calls::{Plan, before_each_look};
use crate::files::{ALL, PALACE, bytes, names, open, set_with, shown};
use crate::support::object;
use bytes::Bytes;
use crdt_palace::format::id::PalaceId;
use crdt_palace::format::manifest::Manifest;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk, SimFs};
use crdt_palace::palace::{Error, WriteOptions};
use crdt_palace::store::StoreError;
use crdt_palace::store::group_commit::{Durability, Log};
use crdt_palace::store::root::Root;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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

/// It is replaced before the `nth` call of a write, by a process that has written before or only read. Whether there was
/// such a call.
fn replaced_before(
    nth: u64,
    compacted: bool,
    wrote: bool,
    (options, key): (&WriteOptions, &str),
) -> bool {
    let disk = SimDisk::new(nth);
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = open(interrupted).unwrap();
    let other = open(disk.process()).unwrap();
    set_with(
        if wrote { &palace } else { &other },
        "k",
        json!({"old": 1}),
        &WriteOptions::default(),
    )
    .unwrap();
    assert_eq!(palace.get("k").unwrap().unwrap().value["old"], 1);
    drop(other);
    if compacted {
        palace.compact(Default::default()).unwrap();
    }
    let fs = disk.process();
    let before = palace.status().unwrap().this_instance;
    plan.before(nth, None, move || replace(&fs));
    let result = palace.with(options.clone()).patch(key, &object(json!({"during": 1}))).map(drop);
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
    set_with(&palace, "k", json!({"after": 1}), &WriteOptions::default()).unwrap();
    let (own, theirs) = (shown(&palace, "k"), shown(&open(disk.process()).unwrap(), "k"));
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
fn palaces_replaced_during_a_write_keep_acknowledged_commits() {
    let buffered = WriteOptions::new().buffered();
    let absent = WriteOptions::new().if_absent();
    for (options, key) in [(WriteOptions::default(), "k"), (buffered, "k"), (absent, "new")] {
        for (compacted, wrote) in [(false, true), (true, true), (false, false)] {
            let mut nth = 1;
            let run = |nth| {
                std::panic::catch_unwind(|| replaced_before(nth, compacted, wrote, (&options, key)))
                    .unwrap_or_else(|_| {
                        panic!("{options:?}, compacted {compacted}, wrote {wrote}, call {nth}")
                    })
            };
            while run(nth) {
                nth += 1;
            }
            assert!(nth > 5, "only {nth} calls");
        }
    }
}

/// What is written into the mount point would be out of sight once the disk is back.
#[test]
fn palaces_on_a_missing_device_are_not_empty_nor_recreated() {
    let disk = SimDisk::new(1);
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = open(interrupted).unwrap();
    let write = |n: u64| set_with(&palace, "k", json!({"n": n}), &WriteOptions::default());
    write(1).unwrap();
    plan.unmount(true);
    for _ in 0..2 {
        for error in [palace.get("k").unwrap_err(), write(2).unwrap_err()] {
            assert!(matches!(error, Error::Store(StoreError::Unmounted { .. })), "{error:?}");
        }
    }
    plan.unmount(false);
    assert_eq!(shown(&palace, "k"), Some((json!({"n": 1}), false)));
    write(3).unwrap();
    assert_eq!(shown(&open(disk.process()).unwrap(), "k"), Some((json!({"n": 3}), false)));
}

#[test]
fn devices_that_cannot_be_queried_count_as_the_same() {
    let disk = SimDisk::new(1);
    let (interrupted, plan) = Plan::new(disk.process());
    let root = Root::open(Arc::new(interrupted), Path::new(PALACE), false).unwrap();
    root.ensure_created().unwrap();
    root.forget();
    plan.unmount(true);
    disk.fail_nth(Call::Stat, 1, Failure::Io);
    let error = root.refresh().unwrap_err();
    assert!(matches!(error, StoreError::Fs(_)), "{error:?}");
    // Who has not looked since hears it from its write.
    assert!(matches!(root.ensure_created(), Err(StoreError::Unmounted { .. })));
}

/// The palace without what is being written.
const DIRECTORIES: [&str; 4] = ["sealed", "snap", "tmp", "trash"];

type Copied = BTreeMap<PathBuf, Vec<u8>>;

fn copied(disk: &SimDisk) -> Copied {
    let inside = |directory: &str| {
        let directory = Path::new(PALACE).join(directory);
        let all = names(disk, directory.to_str().unwrap());
        all.into_iter().map(|name| directory.join(name)).collect::<Vec<_>>()
    };
    let paths = DIRECTORIES.into_iter().flat_map(inside);
    let manifest = Path::new(PALACE).join("palace.json");
    paths.chain([manifest]).map(|path| (path.clone(), bytes(disk, &path))).collect()
}

/// `mv p old; mv copy p`, for whoever looks.
fn replace_by(fs: &SimFs, copy: &Copied) {
    for directory in DIRECTORIES.map(|name| Path::new(PALACE).join(name)) {
        for name in fs.list(&directory).unwrap() {
            fs.remove(&directory.join(name)).unwrap();
        }
    }
    fs.remove(&Path::new(PALACE).join("palace.json")).unwrap();
    for (path, content) in copy {
        fs.create(path).unwrap().write_at(content, 0).unwrap();
    }
}

/// A copy takes the place of the palace before the `nth` such call of a compaction. Whether there was such a call.
fn moved_before(nth: u64, call: Call, disk: &SimDisk, copy: &Copied, value: &Value) -> bool {
    let disk = disk.fork();
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = open(interrupted).unwrap();
    let (fs, content) = (disk.process(), copy.clone());
    plan.before(nth, Some(call), move || replace_by(&fs, &content));
    let report = palace.compact(ALL);
    if !plan.end() {
        return false;
    }
    let there = copied(&disk);
    let missing: Vec<_> = copy.keys().filter(|path| !there.contains_key(*path)).collect();
    // It may have begun after that, and then it may.
    let replaced = matches!(report, Err(Error::Store(StoreError::Replaced { .. })));
    assert!(!replaced || missing.is_empty(), "{missing:?}");
    assert_eq!(
        shown(&open(disk.process()).unwrap(), "k"),
        Some((value.clone(), false)),
        "{report:?}"
    );
    true
}

/// What the compaction made is not in the copy, so what it was made from must stay there.
#[test]
fn compactions_remove_nothing_from_a_copy_put_in_place() {
    const TWO_DAYS_MS: i64 = 2 * 24 * 60 * 60 * 1_000;
    let disk = SimDisk::new(1);
    let palace = open(disk.process()).unwrap();
    let write = |value| set_with(&palace, "k", value, &WriteOptions::default()).unwrap();
    write(json!({"one": 1}));
    palace.compact(ALL).unwrap();
    disk.process().create(&Path::new(PALACE).join("tmp/left")).unwrap();
    let early = copied(&disk);
    write(json!({"two": 2}));
    palace.compact(ALL).unwrap();
    disk.advance(TWO_DAYS_MS);
    write(json!({"three": 3}));
    drop(palace);
    let late = copied(&disk);
    let whole = json!({"one": 1, "two": 2, "three": 3});
    for (copy, value) in [(early, json!({"one": 1})), (late, whole)] {
        before_each_look(&format!("of {value}"), |nth, call| {
            moved_before(nth, call, &disk, &copy, &value)
        });
    }
}

/// Its bytes are on disk then, and nobody finds them.
#[test]
fn seals_in_a_replaced_palace_make_nothing_durable() {
    let disk = SimDisk::new(1);
    let root = Root::open(Arc::new(disk.process()), Path::new(PALACE), false).unwrap();
    let log = Log::new(Arc::new(root), Arc::default(), "test".to_owned());
    let full = Bytes::from(vec![7; 2 << 20]);
    let ticket = log.enqueue(log.instance().unwrap(), full).unwrap();
    log.wait(ticket, Durability::Buffered).unwrap();
    replace(&disk.process());
    let gone = log.wait(ticket, Durability::Durable);
    assert!(matches!(gone, Err(StoreError::OutcomeUnknown { .. })), "{gone:?}");
}
