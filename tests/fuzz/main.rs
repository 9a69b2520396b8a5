//! The fuzz targets as ordinary tests: over a corpus that a fuzzer found, and over what seeded changes make of
//! it. `CRDT_PALACE_FUZZ_RUNS` says how many of those each target gets, and `CRDT_PALACE_SEED` which are the first;
//! a failure says its seed. The fuzzer itself is in `fuzz/`.

#[path = "../support/mod.rs"]
mod support;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use support::Dice;

/// Seeded runs of each target, unless the environment says otherwise.
const RUNS: u64 = 60;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut found: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    assert!(found.len() >= 3, "{name} has hardly a corpus");
    found
}

fn try_one(name: &str, bytes: &[u8], context: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| targets::run(name, bytes))) {
        eprintln!("{context}: failed on {bytes:02x?}");
        std::panic::resume_unwind(panic);
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn all_of(name: &str) {
    let corpus = corpus(name);
    for (path, bytes) in &corpus {
        try_one(name, bytes, &path.display().to_string());
    }
    let first = number("CRDT_PALACE_SEED", 1);
    for seed in first..first + number("CRDT_PALACE_FUZZ_RUNS", RUNS) {
        let bytes = variation(&corpus, seed);
        try_one(name, &bytes, &format!("CRDT_PALACE_SEED={seed}"));
    }
}

/// One file of a corpus with a few changes, some of them pieces of another.
fn variation(corpus: &[(PathBuf, Vec<u8>)], seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes = corpus[dice.below(corpus.len())].1.clone();
    for _ in 0..1 + dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, dice.roll() as u8),
            2 => {
                let other = &corpus[dice.below(corpus.len())].1;
                let from = dice.below(other.len() + 1);
                let until = (from + dice.below(40)).min(other.len());
                drop(bytes.splice(at..at, other[from..until].iter().copied()));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = dice.roll() as u8;
                }
            }
        }
    }
    bytes
}

/// All targets can run a second time, built as users have the program. This fails if it is not.
#[test]
fn assertions_are_off_where_they_are_said_to_be() {
    let off = std::env::var_os("CRDT_PALACE_WITHOUT_ASSERTIONS").is_some();
    assert!(!(off && cfg!(debug_assertions)), "built with debug assertions");
}

#[test]
fn records_of_any_bytes_do_no_harm() {
    all_of("record");
}

#[test]
fn segments_of_any_bytes_do_no_harm() {
    all_of("segment");
}

#[test]
fn snapshots_of_any_bytes_do_no_harm() {
    all_of("snapshot");
}

#[test]
fn changes_of_any_bytes_do_no_harm() {
    all_of("change");
}

#[test]
fn imports_of_any_bytes_do_no_harm() {
    all_of("import");
}

#[cfg(feature = "mcp")]
#[test]
fn tool_arguments_of_any_shape_do_no_harm() {
    all_of("mcp");
}

#[cfg(feature = "mcp")]
#[test]
fn mempalace_databases_of_any_bytes_do_no_harm() {
    all_of("mempalace");
}

#[cfg(feature = "mcp")]
#[test]
fn messages_of_any_bytes_are_answered() {
    all_of("messages");
}
