//! Purging `trash/`: after a day, or earlier for space if a live snapshot holds the content.

use crate::files::{ALL, at, bytes, names};
use crate::support::object;
use crdt_palace::format::filename::{parse_snapshot, parse_trash};
use crdt_palace::format::id::{PalaceId, SegmentId, SnapshotId};
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::palace::Palace;
use crdt_palace::palace::compact::CompactReport;
use crdt_palace::snapshot::{Meta, Snapshot, Source};
use crdt_palace::store::purge::{TRASH_BYTES, purge_trash};
use crdt_palace::store::root::Root;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;
/// A document is so long that a few snapshots have more bytes than may be in `trash/` of a small palace.
const TEXT_BYTES: usize = 300 << 10;
const ROUNDS: u64 = 8;

/// By the names that they had, with their lengths.
fn trash(disk: &SimDisk) -> BTreeMap<String, u64> {
    let former = |name: String| {
        let length = bytes(disk, &Path::new("/p/trash").join(&name)).len() as u64;
        (parse_trash(&name).unwrap().1.to_owned(), length)
    };
    names(disk, "/p/trash").into_iter().map(former).collect()
}

fn snap(disk: &SimDisk) -> Vec<(PathBuf, Meta)> {
    let paths = names(disk, "/p/snap").into_iter().map(|name| Path::new("/p/snap").join(name));
    let meta = |path: PathBuf| {
        let id = parse_snapshot(path.file_name()?.to_str()?)?;
        let snapshot = Snapshot::open(Source::Bytes(bytes(disk, &path)), id).unwrap();
        Some((path, snapshot.meta().clone()))
    };
    paths.filter_map(meta).collect()
}

/// The only one that is live.
fn live(disk: &SimDisk) -> Meta {
    snap(disk).into_iter().max_by_key(|(_, meta)| meta.created_ms).unwrap().1
}

/// What a snapshot was made from, if the one before it was this one.
fn sources(live: &Meta, before: Option<&Meta>) -> BTreeSet<String> {
    let segments = live.covers.iter().map(|id| format!("{id}.seg"));
    segments.chain(before.map(|meta| format!("{}.snap", meta.snapshot))).collect()
}

/// One more document, and everything in one snapshot; the one before it stands beside it for a minute.
fn round(disk: &SimDisk, palace: &Palace, n: u64) -> CompactReport {
    disk.advance(MINUTE_MS);
    let text = object(json!({"text": n.to_string().repeat(TEXT_BYTES)}));
    palace.put(&format!("{n}"), &text).unwrap();
    palace.compact(ALL).unwrap()
}

/// The inputs of the live snapshot are the newest, so they go last.
#[test]
fn superseded_files_stay_near_the_bytes_ever_appended() {
    let disk = SimDisk::new(1);
    let palace = at(&disk, "/p");
    let mut before: Option<Meta> = None;
    let (mut gone, mut cleared) = (0, 0);
    for n in 0..ROUNDS {
        cleared += round(&disk, &palace, n).cleared as u64;
        let live = live(&disk);
        let sources = sources(&live, before.as_ref());
        let waiting: BTreeMap<_, _> = snap(&disk)
            .into_iter()
            .filter(|(_, meta)| meta.snapshot != live.snapshot)
            .map(|(path, meta)| (format!("{}.snap", meta.snapshot), bytes(&disk, &path).len()))
            .collect();
        let trash = trash(&disk);
        let room = live.appended * 3 / 2;
        let room = room.saturating_sub(waiting.values().sum::<usize>() as u64).max(TRASH_BYTES);
        let all: u64 = trash.values().sum();
        assert!(all <= room, "{n}: {all} bytes in trash instead of {room}");
        let there = |name: &String| waiting.contains_key(name) || trash.contains_key(name);
        let needless = trash.keys().any(|name| !sources.contains(name));
        assert!(!needless || sources.iter().all(there), "{n}: {sources:?}, {trash:?}");
        gone = 2 * (n + 1) - 1 - (waiting.len() + trash.len()) as u64;
        let retired = n - waiting.len() as u64;
        assert_eq!(cleared, retired + gone, "{n}: what was retired and what is gone");
        before = Some(live);
    }
    assert!(gone > ROUNDS / 2, "only {gone} of them went");
    // The last superseded snapshot is retired too, and is larger than the limit.
    disk.advance(MINUTE_MS);
    palace.compact(ALL).unwrap();
    assert_eq!(trash(&disk), BTreeMap::new());
}

/// If a snapshot between is gone, or cannot be read, nobody knows what the live one holds of what that was made from.
#[test]
fn files_not_known_in_a_live_snapshot_stay_for_a_day() {
    for (gone, damaged) in [(false, false), (true, false), (true, true)] {
        let disk = SimDisk::new(1);
        let palace = at(&disk, "/p");
        round(&disk, &palace, 0);
        let (between, meta) = snap(&disk).pop().unwrap();
        let source = format!("{}.seg", meta.covers[0]);
        round(&disk, &palace, 1);
        assert!(trash(&disk).contains_key(&source));
        if gone {
            let content = bytes(&disk, &between);
            disk.process().remove(&between).unwrap();
            let name = between.file_name().unwrap().to_str().unwrap();
            let retired = format!("/p/trash/{:013}-{name}", disk.process().now_ms());
            if damaged {
                let file = disk.process().create(Path::new(&retired)).unwrap();
                file.write_at(&content[..content.len() / 2], 0).unwrap();
            }
        }
        for n in 2..ROUNDS {
            round(&disk, &palace, n);
        }
        assert_eq!(trash(&disk).contains_key(&source), gone, "damaged: {damaged}");
    }
}

/// A live snapshot says what it was made from; what that was made from, only those in `trash/` can say.
#[test]
fn long_superseded_files_are_purged_for_space() {
    let disk = SimDisk::new(1);
    let palace = at(&disk, "/p");
    let mut small = BTreeSet::new();
    for n in 0..5 {
        disk.advance(MINUTE_MS);
        palace.put("small", &object(json!({"n": n}))).unwrap();
        palace.compact(ALL).unwrap();
        small.extend(live(&disk).covers.iter().map(|id| format!("{id}.seg")));
    }
    let there = |disk| trash(disk).into_keys().filter(|name| small.contains(name)).count();
    assert_eq!((small.len(), there(&disk)), (5, 5), "they fit");
    for n in 0..4 {
        round(&disk, &palace, n);
    }
    assert_eq!(there(&disk), 0, "{:?}", trash(&disk));
}

/// Whoever removed them by mistake has a day to notice.
#[test]
fn nothing_is_purged_early_when_the_snapshots_are_missing() {
    let disk = SimDisk::new(1);
    let palace = at(&disk, "/p");
    for n in 0..2 {
        round(&disk, &palace, n);
    }
    drop(palace);
    let before = trash(&disk);
    assert_eq!(before.len(), 2);
    snap(&disk).iter().for_each(|(path, _)| disk.process().remove(path).unwrap());
    let palace = at(&disk, "/p");
    for n in 2..ROUNDS {
        round(&disk, &palace, n);
    }
    let after = trash(&disk);
    assert!(before.keys().all(|name| after.contains_key(name)), "{before:?}, {after:?}");
}

/// To the byte: one and a half times what was appended, without the superseded snapshot that waits in `snap/`. The
/// oldest go.
#[test]
fn oldest_files_are_purged_first() {
    const SEGMENT: u64 = TRASH_BYTES / 2;
    let segments: Vec<_> = (0..8).map(|n| SegmentId([n; 16])).collect();
    for (appended, stay) in
        [(6 * SEGMENT, 6), (6 * SEGMENT - 1, 5), (4 * SEGMENT, 3), (3 * SEGMENT, 2), (0, 2)]
    {
        let disk = SimDisk::new(1);
        at(&disk, "/p").put("k", &object(json!({"n": 1}))).unwrap();
        let file = |name: &str, length: u64| {
            let file = disk.process().create(&Path::new("/p").join(name)).unwrap();
            file.write_at(&vec![0; length as usize], 0).unwrap();
        };
        let meta = |n: u8, supersedes: &[SnapshotId], covers: &[SegmentId]| Meta {
            snapshot: SnapshotId([n; 16]),
            palace: PalaceId([0; 16]),
            created_ms: 0,
            covers: covers.to_vec(),
            supersedes: supersedes.to_vec(),
            beside: Vec::new(),
            all_readings: true,
            appended,
            documents: 0,
            commits: 0,
        };
        let waiting = meta(1, &[], &segments);
        let live = meta(2, &[waiting.snapshot], &[]);
        file(&format!("snap/{}.snap", waiting.snapshot), 3 * SEGMENT);
        for id in &segments {
            let now_ms = disk.process().now_ms();
            file(&format!("trash/{now_ms:013}-{id}.seg"), SEGMENT);
        }
        let root = Root::open(Arc::new(disk.process()), Path::new("/p"), false).unwrap();
        let newest = |n: usize| -> BTreeSet<_> {
            segments[segments.len() - n..].iter().map(|id| format!("{id}.seg")).collect()
        };
        let left = || trash(&disk).into_keys().collect::<BTreeSet<_>>();
        // Of how long nobody knows.
        disk.fail_nth(Call::Stat, 1, Failure::Io);
        purge_trash(&root, &[&waiting, &live]).unwrap_err();
        assert_eq!(left(), newest(segments.len()), "{appended}");
        // Somebody who fails in the middle has begun with the oldest.
        disk.fail_nth(Call::Remove, 2, Failure::Io);
        purge_trash(&root, &[&waiting, &live]).unwrap_err();
        assert_eq!(left(), newest(segments.len() - 1), "{appended}");
        let removed = purge_trash(&root, &[&waiting, &live]).unwrap();
        assert_eq!((removed, left()), (segments.len() - 1 - stay, newest(stay)), "{appended}");
    }
}
