//! One call that only reads (open, read, list, stat) fails: each of them in turn, as EIO and as EMFILE.
//!
//! A file that cannot be read is not absent. A read fails or tells the truth, a write is refused or kept, a
//! compaction removes nothing, and the next try finds everything.

use crate::files::{PALACE, open};
use crate::support::object;
use crdt_palace::fs::sim::{Call, Failure, SimDisk, SimFs};
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Error, Palace, WriteOptions};
use crdt_palace::store::StoreError;
use serde_json::{Value, json};
use std::path::Path;

const ALL: CompactOptions = CompactOptions::new().all();

/// Where `x` stands when somebody looks for it, and whether who looks has followed its writer before.
#[derive(Clone, Copy, Debug)]
enum Place {
    Open,
    Sealed,
    SealedWhileFollowed,
    Snapshot,
    FoldedWhileFollowed,
    /// The whole in `sealed/`, and a beginning under the same name in `open/`, as a copy may leave it.
    Twice,
    /// A part in a snapshot that was superseded, a part in its successor, in `sealed/` and in `open/`.
    Everywhere,
}

const PLACES: [Place; 7] = [
    Place::Open,
    Place::Twice,
    Place::Sealed,
    Place::SealedWhileFollowed,
    Place::Snapshot,
    Place::FoldedWhileFollowed,
    Place::Everywhere,
];

fn set(palace: &Palace, field: &str) -> Result<(), Error> {
    palace.patch("x", &object(json!({ field: 1 }))).map(drop)
}

/// The disk, the writer of `x`, somebody else, and the fields of `x`.
fn world(place: Place) -> (SimDisk, SimFs, Palace, Palace, Vec<&'static str>) {
    let disk = SimDisk::new(5);
    let fs = disk.process();
    let (writer, other) = (open(fs.clone()).unwrap(), open(disk.process()).unwrap());
    set(&writer, "one").unwrap();
    match place {
        Place::Open => {}
        Place::Sealed => writer.seal().unwrap(),
        Place::SealedWhileFollowed => {
            assert!(other.get("x").unwrap().is_some());
            set(&writer, "two").unwrap();
            writer.seal().unwrap();
        }
        Place::Snapshot => drop(writer.compact(ALL).unwrap()),
        Place::FoldedWhileFollowed => {
            assert!(other.get("x").unwrap().is_some());
            set(&writer, "two").unwrap();
            writer.compact(ALL).unwrap();
        }
        Place::Twice => {
            let directory = |name| Path::new(PALACE).join(name);
            let name = fs.list(&directory("open")).unwrap().remove(0);
            let (here, there) = (directory("open").join(&name), directory("sealed").join(&name));
            let beginning = read_from(&*fs.open(&here).unwrap(), 0).unwrap();
            set(&writer, "two").unwrap();
            fs.rename(&here, &there).unwrap();
            fs.create(&here).unwrap().write_at(&beginning, 0).unwrap();
            for name in ["open", "sealed"] {
                fs.sync_dir(&directory(name)).unwrap();
            }
        }
        Place::Everywhere => {
            writer.compact(ALL).unwrap();
            set(&writer, "two").unwrap();
            writer.compact(ALL).unwrap();
            set(&writer, "three").unwrap();
            writer.seal().unwrap();
            set(&writer, "four").unwrap();
            disk.advance(61_000);
        }
    }
    let fields = match place {
        Place::Open | Place::Sealed | Place::Snapshot => vec!["one"],
        Place::SealedWhileFollowed | Place::FoldedWhileFollowed | Place::Twice => {
            vec!["one", "two"]
        }
        Place::Everywhere => vec!["one", "two", "three", "four"],
    };
    (disk, fs, writer, other, fields)
}

fn shown(palace: &Palace) -> Result<Option<Value>, Error> {
    Ok(palace.get("x")?.map(|document| {
        assert!(!document.incomplete, "{document:?}");
        Value::Object(document.value)
    }))
}

fn value(fields: &[&str]) -> Option<Value> {
    Some(Value::Object(fields.iter().map(|field| ((*field).to_owned(), json!(1))).collect()))
}

/// Runs something for each call that may fail. It says whether something failed visibly.
fn each_look(least: usize, run: impl Fn(Call, u64, Failure) -> bool) {
    let mut seen = 0;
    for call in [Call::Open, Call::Read, Call::List, Call::Stat] {
        for nth in 1..=20 {
            for failure in [Failure::Io, Failure::NoHandle] {
                let guarded = std::panic::AssertUnwindSafe(|| run(call, nth, failure));
                let failed = std::panic::catch_unwind(guarded)
                    .unwrap_or_else(|_| panic!("{call:?} number {nth} fails with {failure:?}"));
                seen += usize::from(failed);
            }
        }
    }
    assert!(seen >= least, "only {seen} of the failures were met");
}

#[test]
fn failed_calls_fail_the_read_and_never_hide_a_document() {
    for place in PLACES {
        each_look(10, |call, nth, failure| {
            let (disk, _, _writer, other, fields) = world(place);
            disk.fail_nth(call, nth, failure);
            let found = shown(&other);
            if let Ok(found) = &found {
                assert_eq!(*found, value(&fields), "{place:?}");
            }
            if let Ok(page) = other.scan_page("", None, 10) {
                assert_eq!(page.documents.len(), 1, "{place:?}");
            }
            disk.heal();
            // The same process: what it had read before the failure is not forgotten.
            assert_eq!(shown(&other).unwrap(), value(&fields), "{place:?}, afterwards");
            found.is_err()
        });
    }
}

#[test]
fn failed_calls_refuse_a_write_or_leave_it_whole() {
    for place in PLACES {
        each_look(10, |call, nth, failure| {
            let (disk, _, _writer, other, mut fields) = world(place);
            disk.fail_nth(call, nth, failure);
            let written = set(&other, "mine");
            disk.heal();
            let present = shown(&other).unwrap().unwrap().get("mine").is_some();
            match &written {
                Ok(()) => assert!(present, "{place:?}: lost"),
                Err(Error::Store(StoreError::OutcomeUnknown { .. })) => {}
                Err(error) => assert!(!present, "{place:?}: written in spite of {error:?}"),
            }
            if present {
                fields.push("mine");
            }
            set(&other, "again").unwrap();
            fields.push("again");
            assert_eq!(shown(&other).unwrap(), value(&fields), "{place:?}");
            disk.power_cut(nth);
            let fresh = open(disk.process()).unwrap();
            assert_eq!(shown(&fresh).unwrap(), value(&fields), "{place:?}, after a power cut");
            written.is_err()
        });
    }
}

#[test]
fn failed_calls_never_make_a_document_absent_to_a_condition() {
    let absent = WriteOptions::new().if_absent();
    for place in PLACES {
        each_look(80, |call, nth, failure| {
            let (disk, _, _writer, other, fields) = world(place);
            disk.fail_nth(call, nth, failure);
            let result = other.with(absent.clone()).put("x", &object(json!({"instead": 1})));
            assert!(result.is_err(), "{place:?}: {result:?}");
            disk.heal();
            assert_eq!(shown(&other).unwrap(), value(&fields), "{place:?}");
            true
        });
    }
}

#[test]
fn failed_calls_never_make_a_compaction_lose_or_quarantine() {
    for place in PLACES {
        each_look(10, |call, nth, failure| {
            let (disk, fs, writer, other, fields) = world(place);
            fs.kill();
            drop(writer);
            disk.fail_nth(call, nth, failure);
            let done = other.compact(ALL);
            disk.heal();
            if let Ok(report) = &done {
                assert!(report.skipped.is_empty(), "{place:?}: a good file is left: {report:?}");
            }
            let fs = disk.process();
            let suspects = fs.list(&Path::new(PALACE).join("quarantine")).unwrap();
            assert!(suspects.is_empty(), "{place:?}: a good file is called damaged: {suspects:?}");
            let fresh = open(fs).unwrap();
            assert_eq!(shown(&fresh).unwrap(), value(&fields), "{place:?}");
            assert_eq!(shown(&other).unwrap(), value(&fields), "{place:?}, the compactor");
            let findings = fresh.verify().unwrap();
            assert!(!findings.has_problem(), "{place:?}: {findings:?}");
            let report = fresh.compact(ALL).unwrap();
            assert!(report.skipped.is_empty(), "{place:?}: {report:?}");
            assert_eq!(shown(&other).unwrap(), value(&fields), "{place:?}, compacted again");
            done.is_err()
        });
    }
}
