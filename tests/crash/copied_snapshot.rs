//! A snapshot copied in from a copy of the palace that claims to supersede a local one. The local snapshot is
//! retired only after the copy was read as a whole and is durable.

use crate::between_calls::Plan;
use crate::files::{ALL, DUE, at, bytes, names, options};
use crate::support::object;
use crdt_palace::format::filename::parse_snapshot;
use crdt_palace::format::id::SnapshotId;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::Palace;
use crdt_palace::palace::compact::CompactReport;
use crdt_palace::snapshot::{Builder, Meta, Snapshot, Source};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Longer than a superseded snapshot stays for the sake of readers.
const MINUTES_MS: i64 = 120_000;
const DOCUMENTS: usize = 40;
const PAGE_BYTES: usize = 4 << 10;

fn key(n: usize) -> String {
    format!("document/{n}")
}

/// A palace of one snapshot with some pages.
fn palace(disk: &SimDisk, path: &str) -> Palace {
    let palace = at(disk, path);
    for n in 0..DOCUMENTS {
        let text = format!("what {n} says ").repeat(20);
        palace.put(&key(n), &object(json!({"n": n, "text": text}))).unwrap();
    }
    palace.compact(ALL).unwrap();
    palace
}

/// How many of them can be read. None may be absent, or another.
fn readable(palace: &Palace) -> usize {
    let found = (0..DOCUMENTS).filter_map(|n| Some((n, palace.get(&key(n)).ok()?)));
    let right = |(n, found): (usize, Option<_>)| {
        let document: crdt_palace::palace::Document =
            found.unwrap_or_else(|| panic!("{n} is absent"));
        assert_eq!((&document.value["n"], document.incomplete), (&json!(n), false));
    };
    found.map(right).count()
}

fn write(disk: &SimDisk, path: &Path, content: &[u8]) {
    let fs = disk.process();
    if fs.stat(path).is_ok() {
        fs.remove(path).unwrap();
    }
    fs.create(path).unwrap().write_at(content, 0).unwrap();
}

fn copy(disk: &SimDisk, from: &str, to: &str) {
    for directory in ["", "open", "sealed", "snap", "tmp", "trash", "quarantine"] {
        disk.process().create_dir(&Path::new(to).join(directory)).unwrap();
    }
    for name in ["palace.json".to_owned()]
        .into_iter()
        .chain(names(disk, &format!("{from}/snap")).into_iter().map(|name| format!("snap/{name}")))
    {
        write(disk, &Path::new(to).join(&name), &bytes(disk, &Path::new(from).join(&name)));
    }
}

/// The one snapshot in `/p`, and the name and the bytes of one that a copy made of it long ago.
fn superseded_by_a_copy(disk: &SimDisk) -> (PathBuf, PathBuf, Vec<u8>) {
    palace(disk, "/p");
    copy(disk, "/p", "/q");
    let there = at(disk, "/q");
    there.put("more", &object(json!({"n": 1}))).unwrap();
    let made = there.compact(ALL).unwrap().published.unwrap();
    disk.advance(MINUTES_MS);
    let name = format!("{made}.snap");
    let content = bytes(disk, &Path::new("/q/snap").join(&name));
    let [here] = &names(disk, "/p/snap")[..] else { panic!("one snapshot") };
    (Path::new("/p/snap").join(here), Path::new("/p/snap").join(name), content)
}

fn opens(path: &Path, content: &[u8]) -> bool {
    let id = parse_snapshot(path.file_name().unwrap().to_str().unwrap()).unwrap();
    Snapshot::open(Source::Bytes(content.to_vec()), id).is_ok()
}

fn told(report: &CompactReport) -> Vec<&PathBuf> {
    report.skipped.iter().map(|skipped| &skipped.path).collect()
}

/// As a tool leaves it that gives the copy its length first.
#[test]
fn half_copied_successors_retire_nothing() {
    let disk = SimDisk::new(1);
    let (here, brought, content) = superseded_by_a_copy(&disk);
    let mut tried = 0;
    for upto in (PAGE_BYTES..content.len()).step_by(PAGE_BYTES) {
        let mut half = content.clone();
        half[upto..].fill(0);
        if !opens(&brought, &half) {
            continue;
        }
        tried += 1;
        let disk = disk.fork();
        at(&disk, "/p").put("new", &object(json!({"n": 2}))).unwrap();
        write(&disk, &brought, &half);
        let palace = at(&disk, "/p");
        let report = palace.compact(ALL).unwrap();
        let pages = upto / PAGE_BYTES;
        assert!(disk.process().stat(&here).is_ok(), "{pages} pages: what is here was given up");
        assert_eq!((told(&report), report.segments), (vec![&brought], 1), "{pages} pages");
        readable(&palace);
        // Whoever copies it gives up, or finishes.
        let given_up = disk.fork();
        given_up.process().remove(&brought).unwrap();
        let palace = at(&given_up, "/p");
        assert_eq!(readable(&palace), DOCUMENTS, "{pages} pages");
        assert_eq!(palace.get("new").unwrap().unwrap().value["n"], 2);
        write(&disk, &brought, &content);
        let report = at(&disk, "/p").compact(ALL).unwrap();
        assert_eq!((told(&report), disk.process().stat(&here).is_ok()), (vec![], false));
        assert_eq!(readable(&at(&disk, "/p")), DOCUMENTS, "{pages} pages");
    }
    assert!(tried > 3, "only {tried} of the halves can be opened");
}

/// The copy is whole, and nobody has synced it.
#[test]
fn power_cuts_lose_no_successor_that_retired_something() {
    let disk = SimDisk::new(1);
    let (here, brought, content) = superseded_by_a_copy(&disk);
    write(&disk, &brought, &content);
    for extent in [DUE, ALL] {
        let disk = disk.fork();
        at(&disk, "/p").compact(extent).unwrap();
        assert!(disk.process().stat(&here).is_err(), "it is superseded");
        for seed in 0..20 {
            let disk = disk.fork();
            disk.power_cut(seed);
            assert_eq!(readable(&at(&disk, "/p")), DOCUMENTS, "cut {seed}");
        }
    }
}

#[test]
fn successors_that_cannot_be_synced_retire_nothing() {
    let disk = SimDisk::new(1);
    let (here, brought, content) = superseded_by_a_copy(&disk);
    write(&disk, &brought, &content);
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    assert!(at(&disk, "/p").compact(ALL).is_err());
    assert!(disk.process().stat(&here).is_ok(), "it was given up");
}

/// What was read is not what is there when it is synced.
#[test]
fn successors_that_are_copied_again_retire_nothing() {
    let disk = SimDisk::new(1);
    let (here, brought, content) = superseded_by_a_copy(&disk);
    write(&disk, &brought, &content);
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = options(interrupted).open("/p").unwrap();
    let other = disk.fork();
    let half = content[..content.len() / 2].to_vec();
    let (fs, path) = (disk.process(), brought.clone());
    plan.before(1, Some(Call::Sync), move || {
        fs.remove(&path).unwrap();
        fs.create(&path).unwrap().write_at(&half, 0).unwrap();
    });
    let report = palace.compact(ALL).unwrap();
    assert!(plan.end() && disk.process().stat(&here).is_ok(), "{report:?}");
    at(&other, "/p").compact(ALL).unwrap();
    assert!(other.process().stat(&here).is_err(), "it is superseded");
}

/// The live one was made from a snapshot that was made from ours, and knows nothing of ours.
#[test]
fn whole_chains_are_retired_for_the_live_snapshot() {
    for whole in [true, false] {
        let disk = SimDisk::new(1);
        let (here, between, _) = superseded_by_a_copy(&disk);
        let there = |path: &Path| Path::new("/q/snap").join(path.file_name().unwrap());
        disk.process().remove(&there(&here)).unwrap();
        let palace = at(&disk, "/q");
        palace.put("more", &object(json!({"n": 2}))).unwrap();
        let last = palace.compact(ALL).unwrap().published.unwrap();
        disk.advance(MINUTES_MS);
        let last = Path::new("/p/snap").join(format!("{last}.snap"));
        write(&disk, &between, &bytes(&disk, &there(&between)));
        let mut content = bytes(&disk, &there(&last));
        if !whole {
            let end = content.len() - PAGE_BYTES;
            content[end..].fill(0);
        }
        assert!(opens(&last, &content));
        write(&disk, &last, &content);
        at(&disk, "/p").compact(ALL).unwrap();
        let left: BTreeSet<_> = names(&disk, "/p/snap").into_iter().collect();
        let of = |paths: &[&PathBuf]| -> BTreeSet<String> {
            paths.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        let expected = if whole { of(&[&last]) } else { of(&[&here, &between, &last]) };
        assert_eq!(left, expected, "whole: {whole}");
        if whole {
            assert_eq!(readable(&at(&disk, "/p")), DOCUMENTS);
        }
    }
}

/// No program of ours makes such. Neither can be read, and both are kept.
#[test]
fn snapshots_that_supersede_each_other_both_stay() {
    let disk = SimDisk::new(1);
    let palace = palace(&disk, "/p").status().unwrap().palace.unwrap();
    let ids = [SnapshotId([1; 16]), SnapshotId([2; 16])];
    for (snapshot, other) in [(ids[0], ids[1]), (ids[1], ids[0])] {
        let meta = Meta {
            snapshot,
            palace,
            created_ms: 0,
            covers: Vec::new(),
            supersedes: vec![other],
            beside: Vec::new(),
            all_readings: true,
            appended: 0,
            documents: 0,
            commits: 0,
        };
        let (_, content) = Builder::in_memory(meta).unwrap().finish_bytes().unwrap();
        write(&disk, &Path::new("/p/snap").join(format!("{snapshot}.snap")), &content);
    }
    let report = at(&disk, "/p").compact(ALL).unwrap();
    let there = names(&disk, "/p/snap");
    let stay = ids.iter().all(|id| there.contains(&format!("{id}.snap")));
    assert!(stay && report.cleared == 0, "{there:?}");
}
