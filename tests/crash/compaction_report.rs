//! Reports of compactions and offline merges, and how long superseded snapshots stay.

use crate::between_calls::Plan;
use crate::files::{ALL, DUE, at, bytes, names, options, set_number};
use crate::support::object;
use crdt_palace::format::key::Key;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::compact::{CompactOptions, CompactReport};
use crdt_palace::palace::into::merge_into;
use crdt_palace::palace::status::Status;
use crdt_palace::palace::{Error, Palace};
use crdt_palace::store::StoreError;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// As docs/CONCURRENCY.md says: readers that listed them must be able to open them.
const SUPERSEDED_MS: i64 = 60_000;

const DRY: CompactOptions = ALL.dry_run();

fn length(status: &Status) -> u64 {
    status.segments.iter().map(|s| s.bytes).sum::<u64>()
        + status.snapshots.iter().map(|s| s.bytes).sum::<u64>()
}

/// Two segments and a snapshot: three commits, of four changes to three documents.
fn filled(disk: &SimDisk, path: &str) -> Palace {
    let palace = at(disk, path);
    set_number(&palace, "a", 1);
    palace.compact(ALL).unwrap();
    for n in 2..4 {
        let mut batch = palace.batch();
        for key in [&format!("b{n}"), "c"] {
            batch.write(Key::new(key).unwrap(), move |draft| draft.put(&object(json!({"n": n}))));
        }
        batch.commit().unwrap();
        palace.seal().unwrap();
    }
    palace
}

fn counts(report: &CompactReport) -> [u64; 5] {
    let CompactReport { segments, snapshots, changes, documents, commits, .. } = *report;
    [segments as u64, snapshots as u64, changes, documents, commits]
}

#[test]
fn compactions_report_what_they_did_and_dry_runs_predict_it() {
    let disk = SimDisk::new(1);
    let palace = filled(&disk, "/p");
    let before = length(&palace.status().unwrap());
    let would = palace.compact(DRY).unwrap();
    assert_eq!((counts(&would), would.bytes_before), ([2, 1, 4, 0, 0], before));
    assert_eq!((would.published, would.lock_held_ms), (None, 0));
    let did = palace.compact(ALL).unwrap();
    assert_eq!((counts(&did), did.bytes_before), ([2, 1, 4, 4, 3], before));
    let status = palace.status().unwrap();
    let made = status.snapshots.iter().find(|s| !s.superseded).unwrap();
    assert_eq!((did.published, did.bytes_after), (Some(made.snapshot), made.bytes));
    assert!(did.lock_held_ms <= did.elapsed_ms, "{did:?}");
    // There is nothing left to do.
    let nothing = palace.compact(ALL).unwrap();
    assert_eq!((counts(&nothing), nothing.published), ([0; 5], None));
    assert_eq!(nothing.bytes_before, 0);
}

#[test]
fn dry_runs_count_the_segments_of_dead_processes() {
    let disk = SimDisk::new(1);
    let palace = filled(&disk, "/p");
    let dead = disk.process();
    let killed = options(dead.clone()).open("/p").unwrap();
    set_number(&killed, "d", 1);
    dead.kill();
    drop(killed);
    let live = at(&disk, "/p");
    set_number(&live, "e", 1);
    let files = || ["open", "sealed"].map(|directory| names(&disk, &format!("/p/{directory}")));
    let before = files();
    let would = palace.compact(DRY).unwrap();
    assert_eq!(files(), before);
    let did = palace.compact(ALL).unwrap();
    assert_eq!((counts(&would)[..3].to_vec(), would.sealed), (vec![3, 1, 5], 1));
    assert_eq!((counts(&did)[..3].to_vec(), did.sealed), (vec![3, 1, 5], 1));
    assert_eq!(would.bytes_before, did.bytes_before);
    let left = |report: &CompactReport| -> Vec<_> {
        report.left_open.iter().map(|left| (left.segment, left.reason)).collect()
    };
    assert_eq!((left(&would).len(), left(&would)), (1, left(&did)));
}

#[test]
fn compactions_report_how_long_they_held_the_lock() {
    const WHILE: Duration = Duration::from_millis(20);
    let disk = SimDisk::new(1);
    filled(&disk, "/p");
    let (interrupted, plan) = Plan::new(disk.process());
    let palace = options(interrupted).open("/p").unwrap();
    // The new snapshot is given its name under the lock.
    plan.before(1, Some(Call::Rename), || std::thread::sleep(WHILE));
    let report = palace.compact(ALL).unwrap();
    assert!(plan.end());
    let (held, all) = (report.lock_held_ms, report.elapsed_ms);
    assert!(u128::from(held) >= WHILE.as_millis() && all >= held, "{held} of {all} ms");
}

#[test]
fn superseded_snapshots_stay_for_one_minute() {
    let disk = SimDisk::new(1);
    let palace = filled(&disk, "/p");
    palace.compact(ALL).unwrap();
    let snapshots = || palace.status().unwrap().snapshots.len();
    disk.advance(SUPERSEDED_MS - 1_000);
    assert_eq!((palace.compact(ALL).unwrap().cleared, snapshots()), (0, 2));
    disk.advance(1_000);
    assert_eq!((palace.compact(ALL).unwrap().cleared, snapshots()), (1, 1));
    assert_eq!(palace.compact(ALL).unwrap().cleared, 0);
}

/// Its name may not be on disk yet, and what it supersedes may be all there is after a power cut.
#[test]
fn nothing_is_retired_before_its_successor_is_durable() {
    let disk = SimDisk::new(1);
    let palace = filled(&disk, "/p");
    palace.compact(ALL).unwrap();
    disk.advance(SUPERSEDED_MS);
    for nth in 1..20 {
        disk.fail_nth(Call::SyncDir, nth, Failure::Io);
        let cleared = palace.compact(ALL);
        disk.heal();
        assert_eq!(palace.get("a").unwrap().unwrap().value["n"], 1);
        if cleared.is_ok() {
            assert!(nth > 1, "the directory was not synced");
            return;
        }
        let left = palace.status().unwrap().snapshots.len();
        assert!(nth > 1 || left == 2, "{left} snapshots left");
    }
    panic!("it never succeeds");
}

fn merge(disk: &SimDisk, into: &str, sources: &[&str], forget: &[&str]) -> Result<[u64; 6], Error> {
    let sources: Vec<_> = sources.iter().map(PathBuf::from).collect();
    let forget: BTreeSet<_> = forget.iter().map(|key| Key::new(key).unwrap()).collect();
    let report = merge_into(Arc::new(disk.process()), Path::new(into), &sources, &forget)?;
    let status = at(disk, into).status().unwrap();
    assert_eq!(status.palace, Some(report.palace));
    let ids = sources.iter().map(|s| at(disk, s.to_str().unwrap()).status().unwrap().palace);
    let same = ids.into_iter().all(|id| id == Some(report.palace));
    let read: Vec<_> =
        sources.iter().map(|s| at(disk, s.to_str().unwrap()).status().unwrap()).collect();
    assert_eq!(report.bytes_before, read.iter().map(live_bytes).sum::<u64>());
    assert_eq!(report.bytes_after, status.snapshots[0].bytes);
    let (documents, commits) = (report.documents, report.commits);
    let counts = [report.segments, report.snapshots, report.forgotten, usize::from(same)];
    let [segments, snapshots, forgotten, same] = counts.map(|count| count as u64);
    Ok([segments, snapshots, documents, commits, forgotten, same])
}

fn live_bytes(status: &Status) -> u64 {
    let superseded: u64 = status.snapshots.iter().filter(|s| s.superseded).map(|s| s.bytes).sum();
    length(status) - superseded
}

#[test]
fn offline_merges_report_their_numbers() {
    let disk = SimDisk::new(1);
    filled(&disk, "/p");
    filled(&disk, "/q").compact(ALL).unwrap();
    assert_eq!(merge(&disk, "/one", &["/p"], &[]).unwrap(), [2, 1, 4, 3, 0, 1]);
    // Different palaces, or less than what there was: another palace.
    assert_eq!(merge(&disk, "/two", &["/p", "/q"], &[]).unwrap(), [2, 2, 4, 6, 0, 0]);
    let forget = ["a", "b2", "not there"];
    let Err(Error::NothingToForget { names }) = merge(&disk, "/less", &["/p"], &forget) else {
        panic!()
    };
    assert_eq!(names, ["not there"]);
    let forget = ["a", "b2"];
    let [segments, snapshots, documents, _, forgotten, same] =
        merge(&disk, "/less", &["/p"], &forget).unwrap();
    assert_eq!([segments, snapshots, documents, forgotten, same], [2, 1, 2, 2, 0]);
    assert_eq!(at(&disk, "/less").get("a").unwrap(), None);
    let Err(Error::Exists { path }) = merge(&disk, "/one", &["/q"], &[]) else { panic!() };
    assert_eq!(path, Path::new("/one"));
}

/// Another byte at that place of the first file in a directory.
fn damage(disk: &SimDisk, directory: &str, offset: usize) -> PathBuf {
    let fs = disk.process();
    let path = Path::new(directory).join(names(disk, directory).remove(0));
    let mut content = bytes(disk, &path);
    content[offset] ^= 0xff;
    fs.remove(&path).unwrap();
    fs.create(&path).unwrap().write_at(&content, 0).unwrap();
    path
}

#[test]
fn offline_merges_of_damaged_files_are_refused() {
    for (directory, offset) in [("/p/sealed", 300), ("/p/snap", 20)] {
        let disk = SimDisk::new(1);
        filled(&disk, "/p");
        let damaged = damage(&disk, directory, offset);
        match merge(&disk, "/into", &["/p"], &[]) {
            Err(Error::Damaged { path, .. } | Error::Unread { path }) => assert_eq!(path, damaged),
            other => panic!("{directory}: {other:?}"),
        }
        assert!(disk.process().stat(Path::new("/into")).is_err(), "nothing is made");
    }
}

/// What stays, and why: `quarantine/` has a copy, and the rest is folded.
#[test]
fn compactions_compact_the_rest_beside_a_damaged_file() {
    for (directory, offset) in [("/p/sealed", 300), ("/p/snap", 20)] {
        let disk = SimDisk::new(1);
        let palace = filled(&disk, "/p");
        let damaged = damage(&disk, directory, offset);
        let report = at(&disk, "/p").compact(ALL).unwrap();
        let skipped: Vec<_> = report.skipped.iter().map(|skipped| &skipped.path).collect();
        assert_eq!(skipped, [&damaged], "{report:?}");
        assert!(report.published.is_some());
        assert!(disk.process().stat(&damaged).is_ok(), "it stays where it is");
        assert!(!disk.process().list(Path::new("/p/quarantine")).unwrap().is_empty());
        drop(palace);
    }
}

/// Each attempt would fill it further, and nothing would ever be taken away.
#[test]
fn full_quarantine_keeps_no_other_file_from_being_compacted() {
    let disk = SimDisk::new(1);
    drop(filled(&disk, "/p"));
    let damaged = damage(&disk, "/p/sealed", 300);
    let mut without_copy = 0;
    for nth in 1..20 {
        let fork = disk.fork();
        fork.fail_nth(Call::Write, nth, Failure::NoSpace);
        let Ok(report) = at(&fork, "/p").compact(ALL) else { continue };
        let [skipped] = &report.skipped[..] else { panic!("call {nth}: {report:?}") };
        assert_eq!((&skipped.path, report.segments), (&damaged, 1), "call {nth}");
        if skipped.reason.contains("no copy in quarantine/") {
            without_copy += 1;
            assert!(skipped.reason.contains("space"), "{}", skipped.reason);
            assert_eq!(names(&fork, "/p/tmp"), [""; 0], "call {nth}");
        }
    }
    // Of the file, and of the report beside it.
    assert_eq!(without_copy, 2);
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const HOUR_MS: i64 = 60 * 60 * 1_000;
/// Each call takes a little of the simulated time.
const MARGIN_MS: i64 = 10_000;

#[test]
fn retired_files_stay_in_trash_for_a_day() {
    let disk = SimDisk::new(1);
    let palace = filled(&disk, "/p");
    palace.compact(ALL).unwrap();
    disk.process().create(Path::new("/p/trash/not ours")).unwrap();
    // The segment of the first compaction, and the two of the second; nobody knows whose the other is.
    assert_eq!(names(&disk, "/p/trash").len(), 4);
    disk.advance(DAY_MS - MARGIN_MS);
    let superseded = palace.compact(ALL).unwrap().cleared;
    assert_eq!((superseded, names(&disk, "/p/trash").len()), (1, 5), "a day, and not more");
    disk.advance(2 * MARGIN_MS);
    assert_eq!(palace.compact(ALL).unwrap().cleared, 3);
    disk.advance(DAY_MS + MARGIN_MS);
    assert_eq!(palace.compact(ALL).unwrap().cleared, 1);
    assert_eq!(names(&disk, "/p/trash"), ["not ours"]);
}

#[test]
fn leftovers_in_tmp_are_purged_after_an_hour_unless_in_use() {
    let disk = SimDisk::new(1);
    let palace = filled(&disk, "/p");
    palace.compact(ALL).unwrap();
    let (dead, living) = (disk.process(), disk.process());
    dead.create(Path::new("/p/tmp/left")).unwrap();
    dead.create_dir(Path::new("/p/tmp/directory")).unwrap();
    let used = living.create(Path::new("/p/tmp/used")).unwrap();
    assert!(used.try_lock().unwrap());
    disk.advance(HOUR_MS - MARGIN_MS);
    // The superseded snapshot.
    assert_eq!(palace.compact(ALL).unwrap().cleared, 1);
    assert_eq!(names(&disk, "/p/tmp").len(), 3);
    disk.advance(2 * MARGIN_MS);
    assert_eq!(palace.compact(ALL).unwrap().cleared, 1);
    assert_eq!(names(&disk, "/p/tmp"), ["directory", "used"]);
}

/// A failure to take something away is told, and what is gone already is no failure.
#[test]
fn failed_purges_are_reported() {
    let disk = SimDisk::new(1);
    let palace = filled(&disk, "/p");
    palace.compact(ALL).unwrap();
    disk.advance(DAY_MS + MARGIN_MS);
    disk.fail_nth(Call::Remove, 1, Failure::Io);
    assert!(palace.compact(ALL).is_err());
    disk.heal();
    disk.process().create(Path::new("/p/tmp/left")).unwrap();
    disk.advance(HOUR_MS + MARGIN_MS);
    for call in [Call::Open, Call::Stat, Call::Remove, Call::List] {
        let failures = (1..40).filter(|nth| {
            let fork = disk.fork();
            let palace = at(&fork, "/p");
            fork.fail_nth(call, *nth, Failure::Io);
            let failed = palace.compact(ALL).is_err();
            fork.heal();
            assert_eq!(at(&fork, "/p").get("a").unwrap().unwrap().value["n"], 1);
            failed
        });
        assert!(failures.count() > 0, "{call:?}");
    }
}

#[test]
fn segments_that_cannot_be_opened_for_now_are_not_skipped() {
    let mut failed = 0;
    for nth in 1..40 {
        let disk = SimDisk::new(1);
        let palace = filled(&disk, "/p");
        disk.fail_nth(Call::Stat, nth, Failure::Io);
        match palace.compact(ALL) {
            Ok(_) => assert_eq!(names(&disk, "/p/sealed"), [""; 0], "{nth}"),
            Err(_) => failed += 1,
        }
    }
    assert!(failed > 0);
}

/// A snapshot that is damaged inside, beside a good one of the same kind: only the former is left out.
#[test]
fn compactions_blame_only_the_damaged_snapshot() {
    for damaged in ["one", "two"] {
        let disk = SimDisk::new(1);
        let palace = at(&disk, "/p");
        for key in ["one", "two"] {
            let text = format!("the content of {key}, said once");
            palace.put(key, &object(json!({"text": text}))).unwrap();
            palace.compact(DUE).unwrap();
        }
        drop(palace);
        let (fs, marker) = (disk.process(), format!("the content of {damaged}, said once"));
        let paths = names(&disk, "/p/snap").into_iter().map(|name| Path::new("/p/snap").join(name));
        let mut hit = Vec::new();
        for path in paths {
            let mut content = bytes(&disk, &path);
            let places: Vec<_> = (0..content.len())
                .filter(|at| content[*at..].starts_with(marker.as_bytes()))
                .collect();
            places.iter().for_each(|at| content[*at] ^= 0x20);
            if !places.is_empty() {
                fs.remove(&path).unwrap();
                fs.create(&path).unwrap().write_at(&content, 0).unwrap();
                hit.push(path);
            }
        }
        assert_eq!(hit.len(), 1, "it is in one of them");
        let palace = at(&disk, "/p");
        set_number(&palace, "three", 3);
        let report = palace.compact(ALL).unwrap();
        let skipped: Vec<_> = report.skipped.iter().map(|skipped| &skipped.path).collect();
        assert_eq!(skipped, [&hit[0]], "{report:?}");
        assert_eq!((report.segments, report.snapshots), (1, 1), "{report:?}");
    }
}

/// Where locks lie, another compactor can take an input away before it is opened.
#[test]
fn compaction_inputs_that_vanish_are_not_damage() {
    for (directory, busy_expected) in [("snap", true), ("sealed", false)] {
        let mut busy = 0;
        for nth in 1.. {
            let disk = SimDisk::new(1);
            drop(filled(&disk, "/p"));
            let (interrupted, plan) = Plan::new(disk.process());
            let palace = options(interrupted).open("/p").unwrap();
            let fs = disk.process();
            plan.before(nth, None, move || {
                let path = Path::new("/p").join(directory);
                // It may have done its work by now.
                if let Some(name) = fs.list(&path).unwrap().first() {
                    fs.rename(&path.join(name), &Path::new("/p/trash").join(name)).unwrap();
                }
            });
            match palace.compact(ALL) {
                Ok(report) => assert!(report.skipped.is_empty(), "call {nth}: {report:?}"),
                Err(Error::Store(StoreError::Busy { .. })) => busy += 1,
                Err(error) => panic!("call {nth}: {error}"),
            }
            assert!(names(&disk, "/p/quarantine").is_empty());
            if !plan.end() {
                assert!(nth > 20, "only {nth} calls");
                break;
            }
        }
        assert_eq!(busy > 0, busy_expected, "{directory}: {busy}");
    }
}

#[test]
fn compaction_inputs_that_cannot_be_opened_are_not_left_out() {
    let mut failed = 0;
    for nth in 1..40 {
        let disk = SimDisk::new(1);
        drop(filled(&disk, "/p"));
        let palace = at(&disk, "/p");
        disk.fail_nth(Call::Open, nth, Failure::Io);
        match palace.compact(ALL) {
            Ok(report) => assert!(report.skipped.is_empty(), "open {nth}: {report:?}"),
            Err(_) => failed += 1,
        }
    }
    assert!(failed > 3, "only {failed} failures mattered");
}
