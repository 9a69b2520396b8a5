//! Files that a person copied or renamed, or that another program wrote: their content counts, and unusable
//! content is kept.

use crate::files::{ALL, DUE, at, bytes, names, options, set, shown};
use crate::support::object;
use crdt_palace::format::filename::{parse_segment, parse_snapshot, segment};
use crdt_palace::format::header::Header;
use crdt_palace::format::id::{InstanceId, PalaceId, SegmentId};
use crdt_palace::format::key::Key;
use crdt_palace::format::record::{Entry, encode_commit};
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::merge::{Doc, Stamp};
use crdt_palace::palace::verify::{Finding, Severity};
use crdt_palace::segment::writer::Writer;
use crdt_palace::snapshot::{Snapshot, Source};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Copies files of some of a palace's directories into another palace, which is made if need be.
fn copy(disk: &SimDisk, from: &str, to: &str, directories: &[&str]) {
    copy_between((disk, from), (disk, to), directories);
}

fn copy_between(
    (disk, from): (&SimDisk, &str),
    (other, to): (&SimDisk, &str),
    directories: &[&str],
) {
    let fs = other.process();
    let place = |path: PathBuf, content: Vec<u8>| {
        if fs.stat(&path).is_err() {
            fs.create(&path).unwrap().write_at(&content, 0).unwrap();
        }
    };
    if fs.stat(Path::new(to)).is_err() {
        for directory in ["", "open", "sealed", "snap", "tmp", "trash", "quarantine"] {
            fs.create_dir(&Path::new(to).join(directory)).unwrap();
        }
    }
    let manifest = bytes(disk, &Path::new(from).join("palace.json"));
    place(Path::new(to).join("palace.json"), manifest);
    for directory in directories {
        for name in names(disk, &format!("{from}/{directory}")) {
            let content = bytes(disk, &Path::new(from).join(directory).join(&name));
            place(Path::new(to).join(directory).join(&name), content);
        }
    }
}

fn findings(disk: &SimDisk, path: &str) -> Vec<Finding> {
    let options = options(disk.process()).read_only();
    options.open(path).unwrap().verify().unwrap().findings
}

/// One snapshot has a change that waits, another one, made from a copy, has what it waits for. `first`:
/// which of the two is made first.
fn waits_in_one_and_stands_in_another(waiting_first: bool) {
    let disk = SimDisk::new(1);
    let compactor = at(&disk, "/p");
    set(&compactor, "k", json!({"base": 1}));
    compactor.compact(ALL).unwrap();
    let (a, b) = (at(&disk, "/p"), at(&disk, "/p"));
    set(&a, "k", json!({"a": 1}));
    copy(&disk, "/p", "/q", &["open", "sealed", "snap"]);
    set(&b, "k", json!({"b": 1}));
    b.seal().unwrap();
    // The segment of `a` is in use, and so is not folded here.
    let fold_waiting = || assert_eq!(compactor.compact(DUE).unwrap().segments, 1);
    let fold_copy = || assert_eq!(at(&disk, "/q").compact(DUE).unwrap().segments, 1);
    match waiting_first {
        true => (fold_waiting(), fold_copy()),
        false => (fold_copy(), fold_waiting()),
    };
    copy(&disk, "/p", "/half", &["snap"]);
    let base = Some((json!({"base": 1}), true));
    assert_eq!(shown(&at(&disk, "/half"), "k"), base, "it was to wait");
    copy(&disk, "/p", "/r", &["snap"]);
    copy(&disk, "/q", "/r", &["snap"]);
    let whole = Some((json!({"base": 1, "a": 1, "b": 1}), false));
    assert_eq!(shown(&at(&disk, "/r"), "k"), whole, "from the rows");
    let page = at(&disk, "/r").scan_page("", None, 10).unwrap().documents;
    assert_eq!(page[0].value.len(), 3, "in a scan");
    let loaded = at(&disk, "/r");
    assert_eq!(loaded.history("k").unwrap().len(), 3, "loaded");
    assert_eq!(shown(&loaded, "k"), whole);
    loaded.compact(ALL).unwrap();
    assert_eq!(names(&disk, "/r/snap").len(), names(&disk, "/q/snap").len() + 2);
    assert_eq!(shown(&at(&disk, "/r"), "k"), whole, "folded into one");
}

#[test]
fn snapshot_rows_with_pending_changes_are_never_skipped() {
    waits_in_one_and_stands_in_another(true);
    waits_in_one_and_stands_in_another(false);
}

/// Puts a sealed segment with these changes of `k` into `/p`.
fn foreign_segment(disk: &SimDisk, palace: PalaceId, changes: &[&[u8]]) {
    let fs = disk.process();
    let host = fs.host();
    let id = || fs.random().unwrap();
    let header = Header {
        segment: SegmentId(id()),
        instance: InstanceId(id()),
        palace,
        machine: host.machine,
        boot: host.boot,
        created_ms: fs.now_ms(),
        fs_type: 0xEF53,
        pid: 1,
        program: "a program with a bug".to_owned(),
    };
    let mut writer =
        Writer::create(&fs, Path::new("/p/tmp"), Path::new("/p/open"), &header).unwrap();
    let key = Key::new("k").unwrap();
    let bodies = changes.iter().map(|change| encode_commit(&[Entry { key: key.clone(), change }]));
    let bodies: Vec<Vec<u8>> = bodies.collect();
    writer.append((1..).zip(bodies.iter().map(Vec::as_slice))).unwrap();
    writer.seal(&fs, Path::new("/p/sealed"), changes.len() as u64).unwrap();
}

/// The newest snapshot of `/p`.
fn newest(disk: &SimDisk) -> Snapshot {
    let all = names(disk, "/p/snap").into_iter().map(|name| {
        let content = bytes(disk, &Path::new("/p/snap").join(&name));
        Snapshot::open(Source::Bytes(content), parse_snapshot(&name).unwrap()).unwrap()
    });
    all.max_by_key(|snapshot| snapshot.meta().created_ms).unwrap()
}

/// What it keeps of `k` as it came.
fn kept(disk: &SimDisk) -> BTreeSet<Vec<u8>> {
    newest(disk).get("k").unwrap().unwrap().waiting.into_iter().collect()
}

/// The changes that one actor makes to an empty document, each after the one before.
fn changes(actor: u8, values: &[Value]) -> Vec<Vec<u8>> {
    let mut doc = Doc::default();
    let stamp = Stamp { actor: [actor; 16], time_ms: 1, by: "somebody", undoes: "" };
    let mut change =
        |value: &Value| doc.patch(&stamp, None, &object(value.clone())).unwrap().unwrap();
    values.iter().map(|value| change(value).bytes).collect()
}

#[test]
fn compaction_keeps_pending_and_refused_changes_unaltered() {
    let disk = SimDisk::new(2);
    let palace = at(&disk, "/p");
    set(&palace, "k", json!({"own": 1}));
    let id = palace.status().unwrap().palace.unwrap();
    // The same actor and number: only one of the two can be in a document.
    let [one, two] = ["one", "two"].map(|field| changes(1, &[json!({ field: 1 })]).remove(0));
    let chain = changes(2, &[json!({"missing": 1}), json!({"waits": 1})]);
    let noise = b"this is no change".to_vec();
    foreign_segment(&disk, id, &[&one, &noise, &two, &chain[1]]);
    let report = palace.compact(ALL).unwrap();
    assert_eq!((report.skipped.len(), report.segments), (0, 2), "{report:?}");
    let (taken, refused) = match kept(&disk).contains(&two) {
        true => ("one", two),
        false => ("two", one),
    };
    let expected = BTreeSet::from([noise.clone(), refused.clone(), chain[1].clone()]);
    assert_eq!(kept(&disk), expected);
    assert_eq!(shown(&palace, "k"), Some((json!({"own": 1, taken: 1}), true)));
    let problems = |disk| findings(disk, "/p").iter().filter(|f| f.key.is_some()).count();
    assert_eq!(problems(&disk), 3, "{:?}", findings(&disk, "/p"));
    // Folded again, with a change and without one.
    set(&palace, "k", json!({"own": 2}));
    palace.compact(ALL).unwrap();
    assert_eq!(kept(&disk), expected);
    set(&palace, "other", json!({"n": 1}));
    palace.compact(ALL).unwrap();
    assert_eq!(kept(&disk), expected);
    // What one of them waited for comes.
    foreign_segment(&disk, id, &[&chain[0]]);
    palace.compact(ALL).unwrap();
    assert_eq!(kept(&disk), BTreeSet::from([noise, refused]));
    let value = json!({"own": 2, taken: 1, "missing": 1, "waits": 1});
    assert_eq!(shown(&palace, "k").unwrap().0, value);
    assert_eq!(problems(&disk), 2, "{:?}", findings(&disk, "/p"));
}

/// A row is complete by itself, also where the document's first changes are in a snapshot that stays: whoever
/// reads it need not look elsewhere, and nothing waits in it.
#[test]
fn new_rows_include_changes_of_remaining_snapshots() {
    let disk = SimDisk::new(1);
    let palace = at(&disk, "/p");
    set(&palace, "k", json!({"n": 1}));
    set(&palace, "other", json!({"n": 1}));
    palace.compact(DUE).unwrap();
    set(&palace, "k", json!({"m": 1}));
    palace.compact(DUE).unwrap();
    assert_eq!(names(&disk, "/p/snap").len(), 2);
    let newest = newest(&disk);
    let row = newest.get("k").unwrap().unwrap();
    assert!(row.waiting.is_empty());
    let view: Value = serde_json::from_str(&row.view).unwrap();
    assert_eq!(view["value"], json!({"n": 1, "m": 1}));
    assert!(newest.get("other").unwrap().is_none(), "nothing was written to it");
    // Two rows know the first version now, and it is named once.
    set(&palace, "k", json!({"l": 1}));
    palace.compact(DUE).unwrap();
    let row = self::newest(&disk).get("k").unwrap().unwrap();
    let versions: BTreeSet<_> = row.absorbed.iter().map(|heads| heads.hashes().to_vec()).collect();
    assert_eq!((row.absorbed.len(), versions.len()), (2, 2), "{:?}", row.absorbed);
}

/// Else the oldest one would be live again once the one between them is gone.
#[test]
fn snapshots_supersede_what_their_inputs_superseded() {
    let disk = SimDisk::new(1);
    let (palace, mut appended) = (at(&disk, "/p"), 0);
    for n in 0..3 {
        set(&palace, "k", json!({ "n": n }));
        palace.seal().unwrap();
        appended += palace.status().unwrap().segments[0].bytes;
        palace.compact(ALL).unwrap();
    }
    let last = newest(&disk);
    assert_eq!(last.meta().appended, appended, "what flowed into it");
    let row = last.get("k").unwrap().unwrap();
    let known: Vec<_> = row.absorbed.iter().collect();
    assert_eq!(known.len(), 2, "the versions of the rows before, each once, and not its own");
    assert!(known[0] != known[1] && !known.contains(&&row.heads));
    let mut all = last.meta().supersedes.clone();
    all.push(last.id());
    let all: BTreeSet<_> = all.into_iter().collect();
    let there = names(&disk, "/p/snap").iter().map(|name| parse_snapshot(name).unwrap()).collect();
    assert_eq!((all.len(), all), (3, there));
}

const OTHER_NAME: SegmentId = SegmentId(*b"not-in-any-other");

fn rename(disk: &SimDisk, from: &str, to: &str) {
    let name = names(disk, from).remove(0);
    let target = Path::new(to).join(segment(OTHER_NAME));
    disk.process().rename_noreplace(&Path::new(from).join(name), &target).unwrap();
}

/// A note names the file and the segment that it was.
fn assert_told(disk: &SimDisk) {
    let found = findings(disk, "/p");
    let told = |finding: &Finding| {
        let path = finding.path.as_ref().and_then(|path| path.file_name()?.to_str());
        path.and_then(parse_segment) == Some(OTHER_NAME) && finding.what.contains("renamed")
    };
    assert_eq!(found.iter().filter(|finding| told(finding)).count(), 1, "{found:?}");
    assert!(found.iter().all(|finding| finding.severity == Severity::Note), "{found:?}");
}

#[test]
fn renamed_segments_are_read_reported_and_compacted() {
    let disk = SimDisk::new(3);
    let palace = at(&disk, "/p");
    set(&palace, "k", json!({"n": 1}));
    palace.seal().unwrap();
    rename(&disk, "/p/sealed", "/p/sealed");
    set(&palace, "k", json!({"m": 1}));
    let whole = Some((json!({"n": 1, "m": 1}), false));
    assert_eq!(shown(&at(&disk, "/p"), "k"), whole);
    assert_eq!(shown(&palace, "k"), whole, "who wrote it");
    assert_told(&disk);
    let report = palace.compact(ALL).unwrap();
    assert_eq!((report.segments, report.skipped.len()), (2, 0), "{report:?}");
    assert_eq!(shown(&palace, "k"), whole, "folded");
    assert_eq!(shown(&at(&disk, "/p"), "k"), whole, "folded");
    assert_eq!(names(&disk, "/p/sealed"), [""; 0], "it was retired under the name it had");
}

/// As a sync program leaves it that found another version of the file while it was copying.
#[test]
fn renamed_partial_copies_are_reported_and_not_damage() {
    let disk = SimDisk::new(3);
    let palace = at(&disk, "/p");
    set(&palace, "k", json!({"n": 1}));
    palace.seal().unwrap();
    let name = names(&disk, "/p/sealed").remove(0);
    let header = bytes(&disk, &Path::new("/p/sealed").join(&name))[..100].to_vec();
    let put = |name: &str, bytes: &[u8]| {
        let path = Path::new("/p/sealed").join(name);
        disk.process().create(&path).unwrap().write_at(bytes, 0).unwrap();
        path
    };
    for (n, upto) in [0, 1, 50, 99].into_iter().enumerate() {
        put(&name.replace(".seg", &format!("-LAPTOP-{n}.seg")), &header[..upto]);
    }
    let found = findings(&disk, "/p");
    assert_eq!(found.len(), 4, "{found:?}");
    for finding in &found {
        assert!(finding.path.as_ref().unwrap().to_str().unwrap().contains("LAPTOP"));
        assert!(finding.what.starts_with("the beginning of a copy"), "{found:?}");
        assert_eq!(finding.severity, Severity::Note, "{found:?}");
    }
    assert_eq!(shown(&palace, "k"), Some((json!({"n": 1}), false)));
    // Under a segment's own name, or with other bytes, it is what is left of something.
    let mut flipped = header.clone();
    flipped[50] ^= 1;
    flipped.resize(400, 0);
    for path in
        [put(&segment(OTHER_NAME), &header[..50]), put(&name.replace(".seg", "-X.seg"), &flipped)]
    {
        let found = findings(&disk, "/p");
        let told = found.iter().find(|finding| finding.path.as_ref() == Some(&path)).unwrap();
        assert_eq!(told.severity, Severity::Problem, "{found:?}");
    }
}

#[test]
fn segments_renamed_under_their_writer_lose_nothing() {
    for to in ["/p/open", "/p/sealed"] {
        let disk = SimDisk::new(4);
        let (palace, other) = (at(&disk, "/p"), at(&disk, "/p"));
        set(&palace, "k", json!({"n": 1}));
        rename(&disk, "/p/open", to);
        assert_told(&disk);
        let first = Some((json!({"n": 1}), false));
        assert_eq!((shown(&palace, "k"), shown(&other, "k")), (first.clone(), first), "{to}");
        set(&palace, "k", json!({"m": 1}));
        let whole = Some((json!({"n": 1, "m": 1}), false));
        other.compact(ALL).unwrap();
        assert_eq!(
            (shown(&palace, "k"), shown(&other, "k")),
            (whole.clone(), whole.clone()),
            "{to}"
        );
        set(&palace, "k", json!({"m": 1}));
        palace.compact(ALL).unwrap();
        disk.power_cut(9);
        assert_eq!(shown(&at(&disk, "/p"), "k"), whole, "{to}");
    }
}

/// As a program that keeps two machines alike does it: the longer file takes the place of the shorter one,
/// which a handle still has open.
#[test]
fn copied_open_segments_are_read_on_when_a_longer_copy_arrives() {
    let (there, here) = (SimDisk::new(5), SimDisk::new(6));
    let writer = at(&there, "/p");
    set(&writer, "k", json!({"n": 1}));
    copy_between((&there, "/p"), (&here, "/p"), &["open"]);
    let reader = at(&here, "/p");
    assert_eq!(shown(&reader, "k"), Some((json!({"n": 1}), false)));
    let name = names(&there, "/p/open").remove(0);
    for n in [2, 3] {
        set(&writer, "k", json!({"n": n}));
        let (fs, path) = (here.process(), Path::new("/p/open").join(&name));
        fs.create(Path::new("/p/tmp/x")).unwrap().write_at(&bytes(&there, &path), 0).unwrap();
        fs.rename(Path::new("/p/tmp/x"), &path).unwrap();
        assert_eq!(shown(&reader, "k"), Some((json!({"n": n}), false)));
    }
}

#[test]
fn unended_segments_of_other_machines_compact_with_adopt() {
    let (there, here) = (SimDisk::new(5), SimDisk::new(6));
    set(&at(&there, "/p"), "k", json!({"n": 1}));
    let writer = at(&there, "/p");
    set(&writer, "l", json!({"n": 1}));
    copy_between((&there, "/p"), (&here, "/p"), &[]);
    let name = names(&there, "/p/open").remove(0);
    let content = bytes(&there, &Path::new("/p/open").join(&name));
    let path = Path::new("/p/sealed").join(&name);
    here.process().create(&path).unwrap().write_at(&content, 0).unwrap();
    let palace = at(&here, "/p");
    assert_eq!(shown(&palace, "l"), Some((json!({"n": 1}), false)));
    let report = palace.compact(ALL).unwrap();
    let [skipped] = &report.skipped[..] else { panic!("{report:?}") };
    assert!(skipped.path == path && skipped.reason.contains("--adopt"), "{skipped:?}");
    let report = palace.compact(ALL.adopt()).unwrap();
    assert_eq!((report.segments, report.skipped.len()), (1, 0), "{report:?}");
    assert_eq!(shown(&palace, "l"), Some((json!({"n": 1}), false)));
}
