//! Bad input and bad circumstances: the error says what is wrong and what to do, and no stored document is
//! lost or hidden.

use crate::support::{
    assert_no_problem, compact_all, dir, documents, files, manual, names, object, verification,
};
use crdt_palace::merge::MergeError;
use crdt_palace::merge::automerge::{ROOT, transaction::Transactable};
use crdt_palace::palace::{Error, Palace, WriteOptions, chain};
use crdt_palace::store::StoreError;
use serde_json::{Map, Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

type Opener = fn(&Path) -> Result<Palace, Error>;
const OPENERS: [Opener; 2] = [|path| Palace::open(path), |path| Palace::open_read_only(path)];

fn options() -> WriteOptions {
    WriteOptions::default()
}

/// A palace with a document, and what must still be there after whatever happens.
fn with_a_document(path: &Path) -> Palace {
    let palace = manual(path);
    palace.put("kept", &object(json!({"text": "stays"}))).unwrap();
    palace
}

fn assert_untouched(palace: &Palace, keys: &[&str], context: &str) {
    for palace in [palace, &manual(palace.path())] {
        assert_eq!(documents(palace).keys().collect::<Vec<_>>(), keys, "{context}");
        assert_eq!(palace.get("kept").unwrap().unwrap().value["text"], "stays", "{context}");
    }
}

#[test]
fn invalid_keys_are_refused_by_every_call() {
    let dir = dir();
    let palace = with_a_document(dir.path());
    let long = "é".repeat(257);
    let cases = [
        ("", "at least one character"),
        (long.as_str(), "has at most 512 bytes; this one has 514"),
        ("line\nbreak", "control"),
        ("nul\0", "control"),
        ("\u{7f}", "control"),
        ("\u{85}", "control"),
    ];
    for (key, part) in cases {
        let results = [
            palace.put(key, &object(json!({"v": 1}))).map(drop),
            palace.with(options()).patch(key, &object(json!({"v": 1}))).map(drop),
            palace.with(options()).delete(key).map(drop),
            palace.with(options()).increment(key, &["n"], 1).map(drop),
            palace.get(key).map(drop),
            palace.history(key).map(drop),
        ];
        for result in results {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Key(_)), "{key:?}: {error}");
            assert!(error.to_string().contains(part), "{key:?}: {error}");
            assert!(error.to_string().len() < 300, "{error}");
        }
    }
    let longest = "k".repeat(512);
    palace.put(&longest, &object(json!({"v": 1}))).unwrap();
    assert_untouched(&palace, &["kept", &longest], "keys");
}

fn nested(depth: usize) -> Value {
    (1..depth)
        .fold(json!({}), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({"d": inner}) })
}

#[test]
fn values_beyond_the_limits_are_refused_and_leave_no_trace() {
    let dir = dir();
    let palace = with_a_document(dir.path());
    let many: Vec<u32> = vec![1; 100_001];
    let mut some: Map<String, Value> = Map::new();
    some.insert("list".to_owned(), json!(vec![1; 99_990]));
    let cases = [
        (json!({"text": "x".repeat(1 << 20)}), "at most 1048576 bytes"),
        (json!({"list": many}), "at most 100000 operations"),
        (json!({"deep": nested(64)}), "at most 64 deep"),
    ];
    for (value, part) in &cases {
        let value = object(value.clone());
        for key in ["kept", "new"] {
            let results = [
                palace.put(key, &value),
                palace.with(options()).patch(key, &value),
                palace.with(options()).write(key, |draft| {
                    // What went well before is not written either.
                    draft.patch(&object(json!({"half": true})))?;
                    draft.put(&value)
                }),
            ];
            for result in results {
                let error = result.unwrap_err();
                assert!(matches!(&error, Error::Document { .. }), "{error}");
                assert!(error.to_string().starts_with(&format!("{key}: ")), "{error}");
                assert!(error.to_string().contains(part), "{error}");
            }
        }
        assert_untouched(&palace, &["kept"], part);
    }
    palace.put("large", &some).unwrap();
    palace.put("deep", &object(json!({"deep": nested(63)}))).unwrap();
    palace.put("long", &object(json!({"text": "x".repeat((1 << 20) - 20)}))).unwrap();
    assert_untouched(&palace, &["deep", "kept", "large", "long"], "at the limits");
    compact_all(&palace);
    assert_untouched(&palace, &["deep", "kept", "large", "long"], "at the limits, compacted");
    assert_no_problem(dir.path(), "at the limits");
}

/// Whether readers take a change shows when it is made, and then it is in the document that the closure works on.
#[test]
fn writes_on_top_of_an_unacceptable_change_are_refused() {
    let dir = dir();
    let palace = with_a_document(dir.path());
    let name = "n".repeat(200);
    let error = palace
        .with(options())
        .write("kept", |draft| {
            let error = draft
                .edit(|tx| (0..90_000).try_for_each(|n| tx.put(ROOT, &name, n)))
                .unwrap_err()
                .to_string();
            assert!(error.contains("bytes of field names"), "{error}");
            draft.put(&object(json!({"text": "goes on"})))
        })
        .unwrap_err();
    assert!(error.to_string().contains("bytes of field names"), "{error}");
    assert_untouched(&palace, &["kept"], "a change that nobody would take");
    palace.put("more", &object(json!({"v": 1}))).unwrap();
    assert_untouched(&palace, &["kept", "more"], "afterwards");
    assert_no_problem(dir.path(), "a change that nobody would take");
}

#[test]
fn commits_larger_than_a_record_are_refused_whole() {
    let dir = dir();
    let palace = with_a_document(dir.path());
    // Texts that do not repeat, so that no compression makes them small.
    let mut dice = crate::support::Dice::new(1);
    let mut batch = palace.with(options()).batch();
    for n in 0..10 {
        let text: String = (0..60_000).map(|_| format!("{:016x}", dice.roll())).collect();
        let value = object(json!({"text": text}));
        let key = crdt_palace::format::key::Key::new(&format!("large/{n}")).unwrap();
        batch.write(key, move |draft| draft.put(&value));
    }
    let error = batch.commit().unwrap_err();
    assert!(error.to_string().contains("a commit has at most 8388556 bytes"), "{error}");
    assert_untouched(&palace, &["kept"], "a large batch");
    palace.put("large/0", &object(json!({"v": 1}))).unwrap();
    assert_untouched(&palace, &["kept", "large/0"], "a large batch");
}

#[test]
fn errors_name_the_path_and_type_that_do_not_fit() {
    let dir = dir();
    let palace = with_a_document(dir.path());
    palace.put("d", &object(json!({"s": "text", "m": {"x": 1}}))).unwrap();
    let before = documents(&palace);
    let error = palace.with(options()).increment("d", &["s"], 1).unwrap_err();
    assert_eq!(error.to_string(), "d: /s holds a string, not a counter");
    let error = palace.with(options()).increment("d", &[], 1).unwrap_err();
    assert_eq!(error.to_string(), "d: the path is empty: name at least one field");
    let error =
        palace.with(options()).write("d", |draft| draft.append(&["m"], &[json!(1)])).unwrap_err();
    assert_eq!(error.to_string(), "d: /m holds a map, not a list");
    let error = palace.with(options()).batch().commit().unwrap_err();
    assert!(error.to_string().contains("has no write"), "{error}");
    let error = palace.search("  ...  ").limit(10).hits().unwrap_err();
    assert!(error.to_string().contains("no word"), "{error}");
    let error = palace.scan_page("a/", Some("b/1"), 10).unwrap_err();
    assert!(error.to_string().contains("is not a cursor"), "{error}");
    let failed: Result<((), _), _> = palace
        .with(options())
        .edit("d", |_| Err(crdt_palace::merge::automerge::AutomergeError::NotAnObject));
    assert!(matches!(
        failed.unwrap_err(),
        Error::Document { source: MergeError::Refused { .. }, .. }
    ));
    assert_eq!(documents(&palace), before);
    assert_eq!(documents(&manual(dir.path())), before);
}

#[test]
fn directories_that_are_no_palace_are_left_alone() {
    let dir = dir();
    let full = dir.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("thesis.txt"), "ten years of work").unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "a file").unwrap();
    let before = files(dir.path());
    for open in OPENERS {
        let error = open(&full).unwrap_err();
        assert!(matches!(&error, Error::Store(StoreError::NotAPalace { .. })), "{error}");
        let text = format!("{} is not a palace: it has files but no palace.json", full.display());
        assert!(error.to_string().starts_with(&text), "{error}");
        for path in [&file, &file.join("below")] {
            let error = open(path).unwrap_err();
            assert!(chain(&error).contains("is a file and not a directory"), "{}", chain(&error));
        }
    }
    let error = Palace::open_read_only(dir.path().join("nowhere")).unwrap_err();
    assert!(matches!(&error, Error::Store(StoreError::NoPalace { .. })), "{error}");
    assert!(error.to_string().starts_with("there is no palace at "), "{error}");
    assert_eq!(files(dir.path()), before);
}

#[test]
fn newer_and_damaged_manifests_are_told_apart_and_left_alone() {
    let dir = dir();
    drop(with_a_document(dir.path()));
    let manifest = dir.path().join("palace.json");
    let good = std::fs::read_to_string(&manifest).unwrap();
    let newer = good.replace("\"format\":1", "\"format\":2");
    for (text, part) in [
        (
            newer.as_str(),
            "has format 2, and this version reads formats up to 1; upgrade crdt-palace",
        ),
        ("{\"format\":99,\"a\":[]}", "has format 99"),
        ("", "palace.json is damaged; crdt-palace doctor says how to make it again"),
        ("{\"format\":1}", "palace.json is damaged"),
        (&good[..good.len() / 2], "palace.json is damaged"),
        ("[1,2,3]", "palace.json is damaged"),
    ] {
        std::fs::write(&manifest, text).unwrap();
        let before = files(dir.path());
        for open in OPENERS {
            let error = open(dir.path()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(
                text.contains("\"format\":2") || text.contains("\"format\":99"),
                matches!(error, Error::Store(StoreError::Newer { .. })),
                "{error}"
            );
        }
        assert_eq!(files(dir.path()), before, "{text}");
    }
    std::fs::write(&manifest, &good).unwrap();
    assert_untouched(&manual(dir.path()), &["kept"], "the manifest restored");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn palaces_of_another_user_are_read_and_not_written() {
    if !is_root() {
        println!("skipped: only root can give a directory to somebody else");
        return;
    }
    let dir = dir();
    let path = dir.path().join("palace");
    drop(with_a_document(&path));
    let theirs = 4711;
    chown(&path, Some(theirs), Some(theirs)).unwrap();
    let before = files(&path);
    let palace = manual(&path);
    assert_eq!(palace.get("kept").unwrap().unwrap().value["text"], "stays");
    assert_eq!(palace.read_only(), Some(crdt_palace::palace::ReadOnlyReason::NotOwner));
    let errors = [
        palace.put("new", &object(json!({"v": 1}))).unwrap_err(),
        palace.with(options().if_absent()).put("new", &object(json!({}))).unwrap_err(),
        palace.compact(Default::default()).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, Error::Store(StoreError::ReadOnly { .. })), "{error}");
        let text = format!("the palace at {} cannot be written: only the owner", path.display());
        assert!(error.to_string().starts_with(&text), "{error}");
    }
    palace.status().unwrap();
    assert_no_problem(&path, "read by root");
    drop(palace);
    assert_eq!(files(&path), before);
    assert_eq!(std::fs::metadata(path.join("open")).unwrap().uid(), 0);
}

/// A file system of one megabyte of its own, gone when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = dir();
        let mounted = is_root()
            && Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=1m", "none"])
                .arg(dir.path())
                .status()
                .is_ok_and(|status| status.success());
        mounted.then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(self.0.path()).status().unwrap().success());
    }
}

/// What was written into the empty directory would be out of sight once the disk is back.
#[test]
fn unmounted_palaces_are_not_created_in_the_mount_point() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no small file system can be mounted here");
        return;
    };
    let on_disk = disk.0.path().join("palaces");
    std::fs::create_dir(&on_disk).unwrap();
    let point = dir();
    let mount =
        || assert!(run_ok(Command::new("mount").arg("--bind").arg(&on_disk).arg(point.path())));
    // Also from under open files.
    let unmount = || assert!(run_ok(Command::new("umount").arg("-l").arg(point.path())));
    mount();
    let path = point.path().join("palace");
    let writer = with_a_document(&path);
    let (idle, reader) = (manual(&path), Palace::open_read_only(&path).unwrap());
    assert_eq!(reader.get("kept").unwrap().unwrap().value["text"], "stays");
    unmount();
    for palace in [&writer, &idle, &reader] {
        for _ in 0..2 {
            let error = palace.get("kept").unwrap_err().to_string();
            assert!(error.contains("is not mounted any more: mount it again"), "{error}");
        }
    }
    for palace in [&writer, &idle] {
        let error = chain(&palace.put("lost", &object(json!({"v": 1}))).unwrap_err());
        assert!(error.contains("is not mounted any more"), "{error}");
    }
    assert_eq!(std::fs::read_dir(point.path()).unwrap().count(), 0, "nothing was made there");
    mount();
    for palace in [&writer, &idle, &reader] {
        assert_eq!(palace.get("kept").unwrap().unwrap().value["text"], "stays");
    }
    writer.put("after", &object(json!({"v": 1}))).unwrap();
    assert_eq!(reader.get("after").unwrap().unwrap().value["v"], 1);
    drop((writer, idle, reader));
    unmount();
}

fn run_ok(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn full_disks_refuse_writes_and_keep_stored_documents() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no small file system can be mounted here");
        return;
    };
    let path = disk.0.path().join("palace");
    let palace = with_a_document(&path);
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 256 << 10]).unwrap();
    let mut dice = crate::support::Dice::new(7);
    let mut acknowledged = vec!["kept".to_owned()];
    let mut refused = 0;
    let mut number = 0;
    while refused < 30 {
        // Large and small ones: a small one may still fit where a large one did not.
        let length = if number % 3 == 0 { 2_000 } else { 20 };
        let text: String = (0..length).map(|_| format!("{:016x}", dice.roll())).collect();
        let key = format!("n/{number:05}");
        number += 1;
        match palace.put(&key, &object(json!({"text": text}))) {
            Ok(_) => acknowledged.push(key),
            Err(error) => {
                refused += 1;
                let text = chain(&error);
                assert!(
                    text.contains("No space left on device") || text.contains("disk full"),
                    "{text}"
                );
                let clear = text.starts_with("nothing was written")
                    || text.starts_with("the write's outcome is unknown");
                assert!(clear, "{text}");
            }
        }
    }
    let check = |context: &str| {
        for palace in [&palace, &manual(&path)] {
            let found = documents(palace);
            let lost: Vec<_> =
                acknowledged.iter().filter(|key| !found.contains_key(*key)).collect();
            assert!(lost.is_empty(), "{context}: {lost:?}");
        }
        assert_eq!(documents(&palace), documents(&manual(&path)), "{context}");
        assert_no_problem(&path, context);
    };
    check("full");
    assert!(names(&path, "tmp").is_empty(), "failed writes fill the disk up further");
    let error = palace.compact(Default::default()).map(|report| report.published);
    assert!(!matches!(error, Ok(Some(_))), "there was no room for a snapshot");
    assert!(names(&path, "tmp").is_empty(), "a failed compaction fills the disk up further");
    check("full, after a compaction failed");
    std::fs::remove_file(&ballast).unwrap();
    palace.put("after", &object(json!({"v": 1}))).unwrap();
    let acknowledged_again = palace.get("after").unwrap().unwrap();
    assert_eq!(manual(&path).get("after").unwrap().unwrap(), acknowledged_again);
    check("room again");
    palace.put(&acknowledged[1], &object(json!({"text": "short"}))).unwrap();
    check("room again, written over");
    drop(palace);
}

/// A move to another disk looks like a deletion, so no process makes a palace where it has read one.
#[test]
fn deleted_palace_is_an_error_until_another_is_made() {
    let dir = dir();
    let path = dir.path().join("deep/palace");
    let palace = with_a_document(&path);
    let other = manual(&path);
    other.put("other", &object(json!({"v": 1}))).unwrap();
    std::fs::remove_dir_all(dir.path().join("deep")).unwrap();
    for _ in 0..2 {
        for handle in [&palace, &other] {
            let text = object(json!({"text": "stays"}));
            let errors = [handle.get("kept").map(drop), handle.put("kept", &text).map(drop)];
            for error in errors {
                let error = chain(&error.unwrap_err());
                assert!(error.contains("was deleted, or moved to another disk"), "{error}");
            }
        }
        assert!(!dir.path().join("deep").exists(), "nothing was made there");
    }
    // To open it anew is to say so.
    let third = manual(&path);
    third.put("kept", &object(json!({"text": "stays"}))).unwrap();
    for handle in [&palace, &other, &third] {
        assert_untouched(handle, &["kept"], "made again");
    }
    other.with(options()).patch("kept", &object(json!({"round": 1}))).unwrap();
    assert_eq!(palace.get("kept").unwrap().unwrap().value["round"], 1);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_no_problem(&path, "made again");
}

#[test]
fn renamed_palace_is_an_error_that_names_its_new_place() {
    let dir = dir();
    let base = dir.path().canonicalize().unwrap();
    let (path, moved) = (base.join("palace"), base.join("moved"));
    let palace = with_a_document(&path);
    let (other, reader) = (manual(&path), Palace::open_read_only(&path).unwrap());
    assert_eq!(other.get("kept").unwrap().unwrap().value["text"], "stays");
    std::fs::rename(&path, &moved).unwrap();
    for handle in [&palace, &other, &reader] {
        for error in [handle.get("kept").map(drop), handle.status().map(drop)] {
            let error = chain(&error.unwrap_err());
            let words = format!("its directory is {} now", moved.display());
            assert!(error.contains(&words), "{error}");
        }
    }
    for handle in [&palace, &other] {
        let error = chain(&handle.put("lost", &object(json!({"v": 1}))).unwrap_err());
        assert!(error.contains(&format!("its directory is {} now", moved.display())), "{error}");
    }
    assert!(!path.exists(), "nothing was made there");
    std::fs::rename(&moved, &path).unwrap();
    for handle in [&palace, &other, &reader] {
        assert_untouched(handle, &["kept"], "moved back");
    }
    palace.put("after", &object(json!({"v": 1}))).unwrap();
    assert_eq!(reader.get("after").unwrap().unwrap().value["v"], 1);
}

#[test]
fn lost_palace_json_is_told_with_its_repair() {
    let dir = dir();
    let path = dir.path().join("it's");
    let palace = with_a_document(&path);
    let manifest = std::fs::read(path.join("palace.json")).unwrap();
    std::fs::remove_file(path.join("palace.json")).unwrap();
    for error in [palace.get("kept").map(drop), palace.status().map(drop)] {
        let error = chain(&error.unwrap_err());
        assert!(
            error.contains("its palace.json is gone, and its other files are there"),
            "{error}"
        );
        assert!(
            error.contains("crdt-palace doctor '/") && error.ends_with(r"/it'\''s'"),
            "{error}"
        );
    }
    std::fs::write(path.join("palace.json"), manifest).unwrap();
    assert_untouched(&palace, &["kept"], "put back");
    std::fs::remove_dir_all(&path).unwrap();
    let error = chain(&palace.get("kept").unwrap_err());
    assert!(error.contains("it was deleted, or moved to another disk"), "{error}");
}

/// Whoever put another palace in place of one that a process has open.
fn in_its_place(path: &Path, key: &str) -> Palace {
    let other = manual(path);
    other.put(key, &object(json!({"by": "another"}))).unwrap();
    other
}

#[test]
fn palaces_recreated_by_another_process_get_the_next_writes() {
    let absent = options().if_absent();
    let buffered = options().buffered();
    for how in [options(), buffered, absent] {
        for sealed in [false, true] {
            let (dir, context) = (dir(), format!("{how:?}, sealed {sealed}"));
            let path = dir.path().join("palace");
            let palace = with_a_document(&path);
            let before = palace.status().unwrap().palace;
            if sealed {
                palace.seal().unwrap();
            }
            // Moved away, as good as deleted; but this can come back.
            std::fs::rename(&path, dir.path().join("old")).unwrap();
            let other = in_its_place(&path, "theirs");
            let value = object(json!({"text": "stays", "anew": true}));
            assert!(palace.with(how.clone()).put("kept", &value).unwrap().changed, "{context}");
            let id = other.status().unwrap().palace;
            assert!(id != before && palace.status().unwrap().palace == id, "{context}");
            assert_untouched(&palace, &["kept", "theirs"], &context);
            assert_untouched(&other, &["kept", "theirs"], &context);
            let found = verification(&path);
            assert!(found.findings.is_empty(), "{context}: {found:?}");
            palace.seal().unwrap();
            let report = compact_all(&other);
            assert_eq!((report.segments, report.skipped.len()), (2, 0), "{context}: {report:?}");
            assert_untouched(&palace, &["kept", "theirs"], &context);
            // What both wrote to `kept` must not be two changes with one number of one writer.
            for directory in ["open", "sealed"] {
                for name in names(&dir.path().join("old"), directory) {
                    let from = dir.path().join("old").join(directory).join(&name);
                    std::fs::copy(from, path.join(directory).join(&name)).unwrap();
                }
            }
            assert_eq!(palace.history("kept").unwrap().len(), 2, "{context}");
            assert_untouched(&palace, &["kept", "theirs"], &context);
            assert_no_problem(&path, &context);
        }
    }
}
