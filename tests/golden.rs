//! Palaces of format version 1, as they lie in `tests/fixtures/*/palace`, must be read by this and every
//! later version, exactly as the `expected.json` beside them says.
//!
//! The files were written by versions that introduced something: `v1` the format; `v1-single` documents
//! that are stored as their only change, and `beside` in the meta table. `CRDT_PALACE_REGENERATE=NAME` writes
//! a directory of this name, for the next of them; none is ever written anew.

mod support;

use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use support::{files, object, verification};

const FIXTURES: [&str; 2] = ["v1", "v1-single"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn handle(path: &Path, program: &str) -> Palace {
    Options::default().auto_compact(false).program(program).open(path).unwrap()
}

/// Everything that reading gives, in a form that compares.
fn what_is_read(palace: &Palace) -> Value {
    let page = palace.scan("", None, 1_000).unwrap();
    assert_eq!(page.cursor, None);
    let mut histories = Map::new();
    for key in page.documents.iter().map(|document| document.key.as_str()).chain(["deleted"]) {
        let history = palace.history(key).unwrap();
        let lines = history.iter().map(|c| json!([c.hash, c.by, c.time_ms, c.kind]));
        histories.insert(key.to_owned(), lines.collect());
    }
    let found = palace.search("Γειά", 10).unwrap();
    let commits = palace.changes_since(&Default::default(), 1_000).unwrap().commits;
    json!({
        "documents": page.documents,
        "histories": histories,
        "search": found.iter().map(|hit| hit.document.key.as_str()).collect::<Vec<_>>(),
        "commits": commits,
    })
}

#[test]
fn a_palace_of_format_1_reads_as_it_did_and_reading_leaves_no_trace() {
    for name in FIXTURES {
        let path = fixture(name).join("palace");
        let before = files(&path);
        let expected = std::fs::read(fixture(name).join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let palace = Palace::open_read_only(&path).unwrap();
        assert_eq!(what_is_read(&palace), expected, "{name}");
        drop(palace);
        assert_eq!(files(&path), before, "{name}");
    }
}

#[test]
fn what_is_missing_from_it_is_named() {
    for name in FIXTURES {
        let found = verification(&fixture(name).join("palace"));
        let problems: Vec<_> = found.findings.iter().filter(|f| !f.missing.is_empty()).collect();
        assert_eq!(problems.len(), 1, "{name}: {found:?}");
        assert_eq!(problems[0].key.as_ref().unwrap().as_str(), "waiting");
    }
}

#[test]
fn it_can_be_compacted_and_reads_the_same() {
    for name in FIXTURES {
        let (from, copy) = (fixture(name).join("palace"), tempfile::tempdir().unwrap());
        for (path, content) in files(&from) {
            let to = copy.path().join(path.strip_prefix(&from).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, content).unwrap();
        }
        let palace = handle(copy.path(), "a later version");
        let before = what_is_read(&palace);
        let options = CompactOptions { adopt: true, ..CompactOptions::default() };
        assert!(palace.compact(options).unwrap().published.is_some());
        assert_eq!(what_is_read(&palace), before, "{name}");
        assert_eq!(what_is_read(&handle(copy.path(), "another")), before, "{name}");
    }
}

#[test]
fn regenerate() {
    let Ok(name) = std::env::var("CRDT_PALACE_REGENERATE") else { return };
    let fixture = fixture(&name);
    assert!(!fixture.exists(), "{name} is there already");
    let work = tempfile::tempdir().unwrap();
    let (a, b) = (handle(work.path(), "writer a"), handle(work.path(), "writer b"));
    let plain = WriteOptions::default();
    a.put("plain", &object(json!({"text": "Hello, world", "n": 1, "list": [1, {"x": null}]})))
        .unwrap();
    a.put("unicode/Γειά σου/日本", &object(json!({"text": "Γειά σου Κόσμε"}))).unwrap();
    a.increment("counter", &["votes"], 3, &plain).unwrap();
    a.put("deleted", &object(json!({"text": "gone"}))).unwrap();
    a.delete("deleted", &plain).unwrap();
    let first = a.put("conflict", &object(json!({"title": "first"}))).unwrap();
    a.put("waiting", &object(json!({"one": 1}))).unwrap();
    a.compact(CompactOptions::default()).unwrap();
    let at_first = WriteOptions { base: Some(first.etag), ..WriteOptions::default() };
    a.patch("conflict", &object(json!({"title": "from a"})), &plain).unwrap();
    b.patch("conflict", &object(json!({"title": "from b", "more": true})), &at_first).unwrap();
    b.increment("counter", &["votes"], 4, &plain).unwrap();
    b.seal().unwrap();
    // The link that will be missing, in a segment of its own.
    let c = handle(work.path(), "writer c");
    let known: Vec<_> = files(&work.path().join("open")).into_keys().collect();
    c.patch("waiting", &object(json!({"two": 2})), &plain).unwrap();
    let link =
        files(&work.path().join("open")).into_keys().find(|path| !known.contains(path)).unwrap();
    a.patch("waiting", &object(json!({"three": 3})), &plain).unwrap();
    let target = fixture.join("palace");
    for (path, content) in files(work.path()) {
        let name = path.strip_prefix(work.path()).unwrap();
        let kept =
            ["open", "sealed", "snap", "palace.json"].iter().any(|part| name.starts_with(part));
        if kept && path != link {
            std::fs::create_dir_all(target.join(name).parent().unwrap()).unwrap();
            std::fs::write(target.join(name), content).unwrap();
        }
    }
    let expected = what_is_read(&Palace::open_read_only(&target).unwrap());
    let text = serde_json::to_string_pretty(&expected).unwrap();
    std::fs::write(fixture.join("expected.json"), text + "\n").unwrap();
}
