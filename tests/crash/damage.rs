//! Truncated files and flipped bytes, as the whole library meets them.

use crate::chance::Chance;
use crate::files::{PALACE, only, open};
use crate::support::object;
use crdt_palace::format::scan::scan;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::palace::Palace;
use crdt_palace::palace::compact::CompactOptions;
use serde_json::json;
use std::path::{Path, PathBuf};

const DOCUMENTS: u64 = 4;

fn put(palace: &Palace, n: u64) {
    let value = json!({"n": n, "text": format!("document {n}"), "list": [n, n + 1]});
    palace.put(&format!("doc/{n}"), &object(value)).unwrap();
}

fn shows(palace: &Palace, n: u64) -> Result<bool, crdt_palace::palace::Error> {
    let found = palace.get(&format!("doc/{n}"))?;
    if let Some(document) = &found {
        let value = json!({"n": n, "text": format!("document {n}"), "list": [n, n + 1]});
        assert_eq!(document.value, object(value), "a wrong value is served");
    }
    Ok(found.is_some())
}

/// The same disk with other bytes in a file.
fn with(disk: &SimDisk, path: &Path, bytes: &[u8]) -> SimDisk {
    let fork = disk.fork();
    fork.process().write_note(path, bytes).unwrap();
    fork
}

fn has_problem(disk: &SimDisk) -> bool {
    let palace = open(disk.process()).unwrap();
    // What stops the verification is told as well.
    palace.verify().map_or(true, |found| found.has_problem())
}

/// One process wrote four documents, one record each, and was killed.
fn one_segment() -> (SimDisk, PathBuf, Vec<u8>) {
    let disk = SimDisk::new(1);
    let fs = disk.process();
    let palace = open(fs.clone()).unwrap();
    (0..DOCUMENTS).for_each(|n| put(&palace, n));
    fs.kill();
    drop(palace);
    let fs = disk.process();
    let path = only(&disk, &format!("{PALACE}/open"));
    let bytes = read_from(&*fs.open(&path).unwrap(), 0).unwrap();
    (disk, path, bytes)
}

/// Every byte of the records, and some of the room behind them.
fn in_all_of_it(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let used = scan(bytes, 0).end(0) as usize;
    assert!(used + 100 < bytes.len(), "there is room");
    (0..used + 20).chain((used + 20..bytes.len()).step_by(97))
}

#[test]
fn segments_cut_at_any_byte_serve_the_commits_before_the_cut() {
    let (disk, path, bytes) = one_segment();
    let ends: Vec<u64> = scan(&bytes, 0).records.iter().map(|record| record.end()).collect();
    for cut in in_all_of_it(&bytes) {
        let disk = with(&disk, &path, &bytes[..cut]);
        let palace = open(disk.process()).unwrap();
        for n in 0..DOCUMENTS {
            let whole = ends[n as usize + 1] <= cut as u64;
            assert_eq!(shows(&palace, n).unwrap(), whole, "document {n}, cut at {cut}");
        }
        let headless = (cut as u64) < ends[0];
        // No writer leaves a file that ends right behind a record.
        let between = ends.contains(&(cut as u64));
        assert_eq!(has_problem(&disk), headless || between, "cut at {cut}");
        if cut % 16 == 0 {
            put(&palace, DOCUMENTS);
            compact(&disk, cut);
            assert!(shows(&open(disk.process()).unwrap(), DOCUMENTS).unwrap(), "cut at {cut}");
        }
    }
}

#[test]
fn segments_with_any_flipped_byte_lose_one_record_and_report_it() {
    let (disk, path, bytes) = one_segment();
    let records: Vec<_> = scan(&bytes, 0).records.iter().map(|r| r.offset..r.end()).collect();
    for at in in_all_of_it(&bytes) {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        let disk = with(&disk, &path, &bad);
        // None: a byte of the room behind the last record.
        let hit = records.iter().position(|record| record.contains(&(at as u64)));
        let check = |palace: &Palace| {
            for n in 0..DOCUMENTS {
                let whole = hit != Some(n as usize + 1);
                assert_eq!(shows(palace, n).unwrap(), whole, "document {n}, flip at {at}");
            }
        };
        check(&open(disk.process()).unwrap());
        let last = hit.is_none_or(|hit| hit == records.len() - 1);
        assert_eq!(has_problem(&disk), !last, "flip at {at}");
        if at % 16 == 0 {
            compact(&disk, at);
            check(&open(disk.process()).unwrap());
            assert_eq!(has_problem(&disk), !last, "flip at {at}: compaction hid it");
        }
    }
}

fn compact(disk: &SimDisk, at: usize) {
    let all = CompactOptions::new().all();
    let done = open(disk.process()).unwrap().compact(all);
    done.unwrap_or_else(|error| panic!("at {at}: {error}"));
}

/// Two snapshots, the first one to be damaged, and a tail.
fn two_snapshots() -> (SimDisk, PathBuf, Vec<u8>) {
    let disk = SimDisk::new(2);
    let fs = disk.process();
    let palace = open(fs.clone()).unwrap();
    (0..DOCUMENTS).for_each(|n| put(&palace, n));
    palace.compact(CompactOptions::default()).unwrap();
    let path = only(&disk, &format!("{PALACE}/snap"));
    put(&palace, DOCUMENTS);
    palace.compact(CompactOptions::default()).unwrap();
    assert_eq!(fs.list(path.parent().unwrap()).unwrap().len(), 2);
    put(&palace, DOCUMENTS + 1);
    let bytes = read_from(&*fs.open(&path).unwrap(), 0).unwrap();
    (disk, path, bytes)
}

fn check_snapshot(disk: &SimDisk, what: &str) {
    let palace = open(disk.process()).unwrap();
    let lost = (0..DOCUMENTS).filter(|n| !matches!(shows(&palace, *n), Ok(true))).count();
    let reported = has_problem(disk);
    assert!(lost == 0 || reported, "{what}: {lost} documents are gone, and nobody says so");
    let harmed = (DOCUMENTS..DOCUMENTS + 2).find(|n| !matches!(shows(&palace, *n), Ok(true)));
    assert_eq!(harmed, None, "{what}: a document of another file is harmed");
    // A page of them may fail, but must not lie.
    if let Ok(page) = palace.scan_page("", None, 100) {
        let missing = DOCUMENTS as usize + 2 - page.documents.len();
        assert!(missing == 0 || reported, "{what}: {missing} are missing in a scan");
    }
    // It may fail as well, but must not take away what it could not read.
    drop(palace.compact(CompactOptions::new().all()));
    let again = open(disk.process()).unwrap();
    let now = (0..DOCUMENTS).filter(|n| !matches!(shows(&again, *n), Ok(true))).count();
    assert_eq!(now, lost, "{what}: compaction changed what is there");
    // A damaged file whose every document was read is replaced, and nothing is wrong any more.
    assert!(lost == 0 || has_problem(disk), "{what}: compaction hid the damage");
}

#[test]
fn truncated_snapshots_are_reported_and_harm_nothing_else() {
    let (disk, path, bytes) = two_snapshots();
    let mut chance = Chance::new(3);
    let pages = (0..bytes.len()).step_by(4096);
    let anywhere: Vec<_> = (0..200).map(|_| chance.below(bytes.len())).collect();
    for cut in pages.chain(anywhere) {
        check_snapshot(&with(&disk, &path, &bytes[..cut]), &format!("cut at {cut}"));
    }
}

#[test]
fn snapshots_with_a_flipped_byte_are_reported_and_contained() {
    let (disk, path, bytes) = two_snapshots();
    let mut chance = Chance::new(4);
    let pages: Vec<_> =
        (0..bytes.len()).step_by(4096).map(|page| page + chance.below(4096)).collect();
    let anywhere: Vec<_> = (0..500).map(|_| chance.below(bytes.len())).collect();
    for at in pages.into_iter().chain(anywhere) {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << chance.below(8);
        check_snapshot(&with(&disk, &path, &bad), &format!("flip at {at}"));
    }
}
