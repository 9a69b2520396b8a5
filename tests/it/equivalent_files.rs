//! The state of a palace is the union of its files. Which files hold a change, how often, in which order and
//! in which directory makes no difference to any answer.

use crate::support::{
    Dice, assert_no_problem, compact_all, copy, dir, documents, files, manual, names, object, seeds,
};
use crdt_palace::format::filename::{parse_segment, parse_snapshot};
use crdt_palace::format::id::{SegmentId, SnapshotId};
use crdt_palace::format::key::Key;
use crdt_palace::format::scan::scan;
use crdt_palace::fs::os::OsFs;
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::feed::{CommitInfo, Cursor};
use crdt_palace::palace::into::merge_into;
use crdt_palace::palace::{Document, Palace, WriteOptions};
use crdt_palace::snapshot::{Snapshot, Source};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const WORDS: [&str; 6] = ["plan", "planet", "Übung", "river", "stone", "計画"];
const QUERIES: [&str; 5] = ["plan", "plan*", "übung", "river stone", "計"];
const KEYS: usize = 7;

fn key(n: usize) -> String {
    format!("doc/{n}")
}

/// Everything that can be asked about a palace.
struct Answers {
    documents: BTreeMap<String, Document>,
    points: Vec<Option<Document>>,
    hits: Vec<Vec<(Key, f64)>>,
    /// The change hashes of each document, sorted: the order may be any that has causes first.
    history: Vec<Vec<String>>,
    commits: Vec<CommitInfo>,
}

fn ask(palace: &Palace) -> Answers {
    let found = documents(palace);
    let search = |query: &&str| {
        let hits = palace.search(query).limit(100).hits().unwrap().into_iter();
        hits.map(|hit| (hit.document.key, hit.score)).collect()
    };
    Answers {
        documents: found,
        points: (0..KEYS).map(|n| palace.get(&key(n)).unwrap()).collect(),
        hits: QUERIES.iter().map(search).collect(),
        history: (0..KEYS).map(|n| history(palace, &key(n))).collect(),
        commits: feed(palace),
    }
}

fn history(palace: &Palace, key: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    for change in palace.history(key).unwrap() {
        assert!(change.deps.iter().all(|dep| seen.contains(&dep.to_string())), "an effect first");
        assert!(seen.insert(change.hash.to_string()), "a change twice in the history of {key}");
    }
    seen.into_iter().collect()
}

/// All commits, a few at a time.
fn feed(palace: &Palace) -> Vec<CommitInfo> {
    let (mut commits, mut cursor) = (Vec::new(), Cursor::default());
    loop {
        let changes = palace.changes_since(&cursor, 7).unwrap();
        commits.extend(changes.commits);
        cursor = changes.cursor;
        if !changes.more {
            assert_eq!(palace.cursor_now().unwrap(), cursor);
            // Pages are by time only within themselves.
            commits.sort_by_key(|commit| (commit.time_ms, commit.instance, commit.sequence));
            return commits;
        }
    }
}

fn random_write(palace: &Palace, dice: &mut Dice) {
    let key = key(dice.below(KEYS));
    let found = palace.get(&key).unwrap();
    let base = found.filter(|_| dice.chance(2)).map(|document| {
        let history = palace.history(&key).unwrap();
        let past = history[dice.below(history.len())].hash.to_string();
        if dice.chance(3) { document.etag } else { past[..16].parse().unwrap() }
    });
    let by = ["ann", "bob", "carl"][dice.below(3)];
    let options = WriteOptions::new().by(by);
    let based = options.clone().base(base);
    let [a, b, c] = [(); 3].map(|()| WORDS[dice.below(WORDS.len())]);
    let n = dice.below(100);
    match dice.below(8) {
        0 => drop(palace.with(options).put(&key, &object(json!({"a": a, "b": {"c": c}, "n": n})))),
        1 => drop(palace.with(based).patch(&key, &object(json!({"a": b})))),
        2 => drop(palace.with(based).patch(&key, &object(json!({"b": {a: n, "c": [b, c]}})))),
        3 => drop(palace.with(based).increment(&key, &["count"], 3)),
        4 => drop(palace.with(options).delete(&key)),
        5 => drop(palace.with(options).write(&key, |draft| {
            match draft.view()?.value.contains_key("l") {
                true => draft.append(&["l"], &[json!(a), json!(c)]),
                false => draft.patch(&object(json!({"l": [b]}))),
            }
        })),
        6 => {
            let filed = Key::new(&key).unwrap();
            let value = object(json!({"a": a, "text": format!("{b} {c}")}));
            drop(palace.with(options).write(&key, |draft| draft.file(&filed, &value)));
        }
        _ => {
            let other = Key::new(&format!("extra/{n}")).unwrap();
            let (one, two) = (object(json!({"a": a})), object(json!({"text": b})));
            let mut batch = palace.with(options).batch();
            batch.write(Key::new(&key).unwrap(), |draft| draft.patch(&one));
            batch.write(other, |draft| draft.put(&two));
            drop(batch.commit());
        }
    }
}

fn random_step(handles: &[Palace], dice: &mut Dice) {
    let palace = &handles[dice.below(handles.len())];
    match dice.below(12) {
        0 => palace.seal().unwrap(),
        1 => {
            let extent = if dice.chance(3) { Extent::All } else { Extent::Due };
            palace.compact(CompactOptions::new().extent(extent)).unwrap();
        }
        _ => random_write(palace, dice),
    }
}

/// Every file that there ever was: two copies of a palace that worked on apart, with what they retired.
struct Files {
    manifest: PathBuf,
    segments: BTreeMap<SegmentId, Vec<u8>>,
    snapshots: BTreeMap<SnapshotId, Vec<u8>>,
    /// The segments that flowed into each snapshot, directly or through others.
    covers: BTreeMap<SnapshotId, BTreeSet<SegmentId>>,
}

fn make_files(at: &Path, dice: &mut Dice) -> Files {
    let (one, two) = (at.join("one"), at.join("two"));
    let mut handles: Vec<_> = (0..2).map(|_| manual(&one)).collect();
    (0..25).for_each(|_| random_step(&handles, dice));
    random_write(&handles[0], dice);
    handles.iter().for_each(|handle| handle.seal().unwrap());
    copy(&one, &two);
    let there: Vec<_> = (0..2).map(|_| manual(&two)).collect();
    handles.push(manual(&one));
    (0..20).for_each(|_| random_step(&handles, dice));
    (0..20).for_each(|_| random_step(&there, dice));
    drop((handles, there));
    Files::collect(&[one, two])
}

impl Files {
    fn collect(palaces: &[PathBuf]) -> Self {
        let manifest = palaces[0].join("palace.json");
        let (segments, snapshots, covers) = Default::default();
        let mut all = Files { manifest, segments, snapshots, covers };
        let mut metas = BTreeMap::new();
        for (path, bytes) in palaces.iter().flat_map(|palace| files(palace)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let name = name.split_once('-').map_or(name, |(_, name)| name);
            if let Some(id) = parse_segment(name) {
                let known = all.segments.insert(id, bytes.clone());
                assert!(known.is_none_or(|known| known == bytes), "two files of one name");
            } else if let Some(id) = parse_snapshot(name) {
                let snapshot = Snapshot::open(Source::Path(&path), id).unwrap();
                metas.insert(id, snapshot.meta().clone());
                all.snapshots.insert(id, bytes);
            }
        }
        for id in metas.keys() {
            let (mut covered, mut todo) = (BTreeSet::new(), vec![*id]);
            while let Some(meta) = todo.pop().map(|id| &metas[&id]) {
                covered.extend(meta.covers.iter().copied());
                todo.extend(&meta.supersedes);
            }
            all.covers.insert(*id, covered);
        }
        all
    }

    /// Some of the files, each with the directories to put it in, that hold everything between them.
    fn cover(&self, dice: &mut Dice) -> Vec<(PathBuf, Vec<u8>)> {
        let mut chosen = Vec::new();
        let mut covered: BTreeSet<SegmentId> = BTreeSet::new();
        let most = dice.below(4);
        for (id, bytes) in &self.snapshots {
            if dice.below(4) < most {
                chosen.push((PathBuf::from(format!("snap/{id}.snap")), bytes.clone()));
                covered.extend(&self.covers[id]);
            }
        }
        for (id, bytes) in &self.segments {
            if covered.contains(id) && dice.chance(2) {
                continue;
            }
            let (open, sealed) =
                (format!("open/{id}.seg").into(), format!("sealed/{id}.seg").into());
            match dice.below(4) {
                0 => chosen.push((open, bytes.clone())),
                // As a copy has it that was made while the segment was written and then sealed.
                1 => {
                    chosen.push((open, beginning(bytes, dice)));
                    chosen.push((sealed, bytes.clone()));
                }
                _ => chosen.push((sealed, bytes.clone())),
            }
        }
        for n in (1..chosen.len()).rev() {
            chosen.swap(n, dice.below(n + 1));
        }
        chosen
    }

    fn blank(&self, at: &Path) {
        for name in ["open", "sealed", "snap", "trash", "tmp", "quarantine"] {
            std::fs::create_dir_all(at.join(name)).unwrap();
        }
        std::fs::copy(&self.manifest, at.join("palace.json")).unwrap();
    }
}

/// The header and some of the records that follow it.
fn beginning(segment: &[u8], dice: &mut Dice) -> Vec<u8> {
    let records = scan(segment, 0).records;
    let end = records[dice.below(records.len())].end();
    segment[..usize::try_from(end).unwrap()].to_vec()
}

/// The files appear one after the other under a handle that follows, and sometimes a compaction works
/// in between, on documents of which half the history is missing.
fn appear(palace: &Path, chosen: &[(PathBuf, Vec<u8>)], dice: &mut Dice) -> Palace {
    let following = manual(palace);
    for (place, bytes) in chosen {
        // A file gets its name when it is whole.
        std::fs::write(palace.join("tmp/copy"), bytes).unwrap();
        std::fs::rename(palace.join("tmp/copy"), palace.join(place)).unwrap();
        match dice.below(4) {
            0 => drop(documents(&following)),
            1 => drop((0..KEYS).map(|n| following.history(&key(n))).collect::<Vec<_>>()),
            2 if dice.chance(3) => drop(compact_all(&manual(palace))),
            _ => {}
        }
    }
    following
}

fn any_cover_answers_alike(seed: u64) {
    let dir = dir();
    let mut dice = Dice::new(seed);
    let all = make_files(dir.path(), &mut dice);
    let reference = dir.path().join("reference");
    let sources = ["one", "two"].map(|name| dir.path().join(name));
    merge_into(Arc::new(OsFs), &reference, &sources, &BTreeSet::new()).unwrap();
    let expected = ask(&manual(&reference));
    assert!(expected.documents.values().all(|document| !document.incomplete));
    for trial in 0..5 {
        let context = |how: &str| format!("seed {seed}, trial {trial}, {how}");
        let (still, moving) =
            (dir.path().join(format!("still {trial}")), dir.path().join(format!("moving {trial}")));
        all.blank(&still);
        all.blank(&moving);
        let chosen = all.cover(&mut dice);
        for (place, bytes) in &chosen {
            std::fs::write(still.join(place), bytes).unwrap();
        }
        let fresh = manual(&still);
        assert_same(&fresh, &expected, &context("fresh"));
        let into = dir.path().join(format!("into {trial}"));
        merge_into(Arc::new(OsFs), &into, std::slice::from_ref(&still), &BTreeSet::new()).unwrap();
        assert_same(&manual(&into), &expected, &context("merged into a new palace"));
        let following = appear(&moving, &chosen, &mut dice);
        assert_same(&following, &expected, &context("following"));
        assert_same(&manual(&moving), &expected, &context("fresh, after it was followed"));
        for palace in [&fresh, &following] {
            // A segment that stood in two directories is folded from one of them first.
            compact_all(palace);
            assert_same(palace, &expected, &context("compacted once"));
            compact_all(palace);
            assert_same(palace, &expected, &context("compacted"));
            assert_same(&manual(palace.path()), &expected, &context("compacted, fresh"));
            assert!(names(palace.path(), "open").is_empty(), "{}", context("open"));
            assert!(names(palace.path(), "sealed").is_empty(), "{}", context("sealed"));
            assert_no_problem(palace.path(), &context("verified"));
        }
    }
}

fn assert_same(palace: &Palace, expected: &Answers, context: &str) {
    let found = ask(palace);
    for (key, document) in &expected.documents {
        assert_eq!(found.documents.get(key), Some(document), "{context}");
    }
    assert!(found.documents.keys().eq(expected.documents.keys()), "{context}: other documents");
    assert_eq!(found.points, expected.points, "{context}: one by one");
    assert_eq!(found.hits, expected.hits, "{context}: search");
    assert_eq!(found.history, expected.history, "{context}: history");
    for (a, b) in found.commits.iter().zip(&expected.commits) {
        assert_eq!(a, b, "{context}: commits");
    }
    assert_eq!(found.commits.len(), expected.commits.len(), "{context}: commits");
}

#[test]
fn any_set_of_files_with_all_changes_answers_alike() {
    seeds(8).for_each(any_cover_answers_alike);
}
