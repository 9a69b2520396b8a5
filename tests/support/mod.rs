//! Helpers that several test binaries share: handles, seeds, the child program, and the content of a palace
//! as one value that can be compared.
#![allow(dead_code, reason = "each test binary uses its part of it")]

pub mod edits;

use crdt_palace::fs::sim::SplitMix;
use crdt_palace::palace::compact::{CompactOptions, CompactReport};
use crdt_palace::palace::verify::Verification;
use crdt_palace::palace::{Document, Error, Options, Palace};
use crdt_palace::store::StoreError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The fields of a JSON object.
pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A handle that compacts only when it is told to.
pub fn manual(path: &Path) -> Palace {
    Options::default().auto_compact(false).open(path).unwrap()
}

/// A directory that is removed when it is dropped.
// The child program has no development dependencies.
#[cfg(test)]
pub fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The path of the child program, tests/programs/child.rs. Cargo gives it to the tests, and not to the program itself,
/// which has this module too.
const CHILD: Option<&str> = option_env!("CARGO_BIN_EXE_crdt-palace-test-child");

pub fn child_program() -> &'static str {
    CHILD.unwrap()
}

/// The child program in a role.
pub fn child(role: &str) -> Command {
    let mut command = Command::new(child_program());
    command.arg(role);
    command
}

/// Every document, deleted ones left out, page by page.
pub fn documents(palace: &Palace) -> BTreeMap<String, Document> {
    let (mut found, mut cursor) = (BTreeMap::new(), None);
    loop {
        let page = palace.scan_page("", cursor.as_deref(), 97).unwrap();
        for document in page.documents {
            let key = document.key.as_str().to_owned();
            assert_eq!(found.insert(key, document), None, "a document is in two pages");
        }
        match page.cursor {
            None => return found,
            next => cursor = next,
        }
    }
}

/// Compacts everything, and waits for whoever is at it already.
pub fn compact_all(palace: &Palace) -> CompactReport {
    compact_with(palace, CompactOptions::new().all())
}

/// Compacts, and waits for whoever is at it already.
pub fn compact_with(palace: &Palace, options: CompactOptions) -> CompactReport {
    loop {
        match palace.compact(options) {
            Err(Error::Store(StoreError::Busy { .. })) => std::thread::yield_now(),
            done => return done.unwrap(),
        }
    }
}

pub fn verification(path: &Path) -> Verification {
    Palace::open_read_only(path).unwrap().verify().unwrap()
}

pub fn assert_no_problem(path: &Path, context: &str) {
    let found = verification(path);
    assert!(!found.has_problem(), "{context}: {:#?}", found.findings);
}

/// The names in one of a palace's directories, sorted.
pub fn names(path: &Path, directory: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path.join(directory)) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Copies a directory and everything in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every regular file below a directory with its content.
pub fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// Waits until something holds. The limit is for a run that has gone wrong.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never happens that {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The seeds to try: `default` of them, or as many as `CRDT_PALACE_SEEDS` says; from
/// `CRDT_PALACE_SEED` on, to play one again.
pub fn seeds(default: u64) -> impl Iterator<Item = u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (first, count) = (number("CRDT_PALACE_SEED"), number("CRDT_PALACE_SEEDS"));
    let start = first.unwrap_or(1);
    let count = count.unwrap_or(if first.is_some() { 1 } else { default });
    start..start + count
}

/// A sequence of random numbers that a seed decides.
pub struct Dice(SplitMix);

impl Dice {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds start far apart.
        Dice(SplitMix::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    pub fn roll(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}
