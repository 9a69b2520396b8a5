//! A process that takes the last file handles away from itself: the child of tests/it/scarce_resources.rs.

use crate::support::object;
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::{Error, Options, Palace};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::path::Path;

const KEYS: [&str; 3] = ["k", "l", "m"];
const DUE: CompactOptions = CompactOptions::new().extent(Extent::Due);

fn try_open(path: &Path) -> Result<Palace, Error> {
    Options::default().auto_compact(false).open(path)
}

fn open(path: &Path) -> Palace {
    try_open(path).unwrap()
}

fn put(palace: &Palace, key: &str, n: usize) {
    palace.put(key, &object(json!({"n": n}))).unwrap();
}

/// Runs something while the process may have so many more files open.
fn with_spare_handles<T>(spare: usize, run: impl FnOnce() -> T) -> T {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..before }).unwrap();
    let mut taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len() - spare);
    let result = run();
    setrlimit(Resource::Nofile, before).unwrap();
    result
}

/// Makes a snapshot for each key: while they are used each takes a handle.
fn fill(path: &Path) {
    for key in KEYS {
        put(&open(path), key, 0);
        open(path).compact(DUE).unwrap();
    }
}

pub fn reads_are_right_or_fail(dir: &Path) {
    let path = dir.join("palace");
    fill(&path);
    let mut failed = 0;
    for spare in 0..12 {
        let opened = with_spare_handles(spare, || {
            let palace = try_open(&path)?;
            let found = KEYS.map(|key| palace.get(key));
            Ok::<_, Error>((palace, found))
        });
        let Ok((palace, found)) = opened else {
            failed += 1;
            continue;
        };
        for (key, found) in KEYS.iter().zip(found) {
            failed += usize::from(found.is_err());
            for found in found.into_iter().chain([palace.get(key).unwrap()]) {
                assert_eq!(found.expect("it is there").value["n"], 0, "{key}, {spare} handles");
            }
        }
    }
    assert!((3..30).contains(&failed), "{failed} failed");
}

pub fn compactions_skip_nothing(dir: &Path) {
    let mut failed = 0;
    for spare in 0..20 {
        let path = dir.join(spare.to_string());
        fill(&path);
        put(&open(&path), "k", 1);
        let compact = || try_open(&path)?.compact(DUE);
        match with_spare_handles(spare, compact) {
            Ok(report) => assert!(report.skipped.is_empty(), "{report:?}"),
            Err(_) => failed += 1,
        }
        assert_eq!(open(&path).get("k").unwrap().expect("it is there").value["n"], 1);
        assert_eq!(std::fs::read_dir(path.join("quarantine")).unwrap().count(), 0, "{spare}");
    }
    assert!((3..20).contains(&failed), "{failed} failed");
}
