//! Palaces of format version 1, as they lie in `tests/fixtures/*/palace`, must be read by this and every
//! later version, exactly as the `expected.json` beside them says.
//!
//! The files were written by versions that introduced something: `v1` the format; `v1-single` documents
//! that are stored as their only change, and `beside` in the meta table. No fixture is ever written anew. This
//! writes the next one: `CRDT_PALACE_REGENERATE=NAME cargo test --test it write_the_next_fixture -- --ignored`.

use crate::support::{files, object, verification};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Error, Options, Palace, StoreError, WriteOptions};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

const FIXTURES: [&str; 2] = ["v1", "v1-single"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn handle(path: &Path, program: &str) -> Palace {
    Options::default().auto_compact(false).program(program).open(path).unwrap()
}

/// Everything that reading gives, in a form that compares.
fn what_is_read(palace: &Palace) -> Value {
    let page = palace.scan_page("", None, 1_000).unwrap();
    assert_eq!(page.cursor, None);
    let mut histories = Map::new();
    for key in page.documents.iter().map(|document| document.key.as_str()).chain(["deleted"]) {
        let history = palace.history(key).unwrap();
        let lines = history.iter().map(|c| json!([c.hash, c.by, c.time_ms, c.kind]));
        histories.insert(key.to_owned(), lines.collect());
    }
    let found = palace.search("Γειά").limit(10).hits().unwrap();
    let commits = palace.changes_since(&Default::default(), 1_000).unwrap().commits;
    json!({
        "documents": page.documents,
        "histories": histories,
        "search": found.iter().map(|hit| hit.document.key.as_str()).collect::<Vec<_>>(),
        "commits": commits,
    })
}

#[test]
fn format_1_palaces_read_as_before_without_a_trace() {
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
fn format_1_palaces_name_their_missing_changes() {
    for name in FIXTURES {
        let found = verification(&fixture(name).join("palace"));
        let problems: Vec<_> = found.findings.iter().filter(|f| !f.missing.is_empty()).collect();
        assert_eq!(problems.len(), 1, "{name}: {found:?}");
        assert_eq!(problems[0].key.as_ref().unwrap().as_str(), "waiting");
    }
}

fn copy_of(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    crate::support::copy(&fixture(name).join("palace"), copy.path());
    copy
}

#[test]
fn format_1_palaces_can_be_written_and_keep_their_history() {
    for name in FIXTURES {
        let copy = copy_of(name);
        let palace = handle(copy.path(), "a later version");
        let before = what_is_read(&palace);
        let keys = ["plain", "unicode/Γειά σου/日本", "counter", "deleted", "conflict", "waiting"];
        let known = keys.map(|key| palace.history(key).unwrap());
        // The version that was read is still the one that is there.
        let etag = palace.get("plain").unwrap().unwrap().etag;
        let now = WriteOptions::new().if_match(etag);
        palace.with(now.clone()).put("plain", &object(json!({"text": "Hello again"}))).unwrap();
        palace.put(keys[1], &object(json!({"text": "Γειά"}))).unwrap();
        palace.increment("counter", &["votes"], 10).unwrap();
        palace.put("deleted", &object(json!({"text": "back"}))).unwrap();
        palace.put("conflict", &object(json!({"title": "settled"}))).unwrap();
        palace.patch("waiting", &object(json!({"four": 4}))).unwrap();
        let check = |palace: &Palace| {
            let shown = keys.map(|key| Value::Object(palace.get(key).unwrap().unwrap().value));
            assert_eq!(shown[0], json!({"text": "Hello again"}), "{name}");
            assert_eq!(shown[1], json!({"text": "Γειά"}), "{name}");
            assert_eq!(shown[2], json!({"votes": 17}), "{name}");
            assert_eq!(shown[3], json!({"text": "back"}), "{name}");
            assert_eq!(shown[4], json!({"title": "settled"}), "{name}");
            assert_eq!((&shown[5]["one"], &shown[5]["four"]), (&json!(1), &json!(4)), "{name}");
            assert!(palace.get("conflict").unwrap().unwrap().conflicts.is_empty(), "{name}");
            for (key, known) in keys.iter().zip(&known) {
                let history = palace.history(key).unwrap();
                assert_eq!(history.len(), known.len() + 1, "{name}: {key}");
                assert!(known.iter().all(|change| history.contains(change)), "{name}: {key}");
            }
            let commits = palace.changes_since(&Default::default(), 1_000).unwrap().commits;
            let commits = serde_json::to_value(commits).unwrap();
            let (now, old) = (commits.as_array().unwrap(), before["commits"].as_array().unwrap());
            assert!(old.iter().all(|commit| now.contains(commit)), "{name}: a commit is gone");
        };
        check(&palace);
        palace.compact(CompactOptions::new().adopt()).unwrap();
        check(&palace);
        check(&handle(copy.path(), "another"));
    }
}

/// What comes after this version may say that this version may read it.
#[test]
fn newer_palaces_are_read_if_they_allow_it_and_never_written() {
    for name in FIXTURES {
        let copy = copy_of(name);
        let manifest = copy.path().join("palace.json");
        let text = std::fs::read_to_string(&manifest).unwrap();
        let newer = text.replace("\"format\":1", "\"format\":2,\"readable_by\":1,\"more\":[]");
        std::fs::write(&manifest, newer).unwrap();
        let before = files(copy.path());
        let expected = std::fs::read(fixture(name).join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let palace = handle(copy.path(), "an old version");
        assert_eq!(what_is_read(&palace), expected, "{name}");
        assert!(palace.read_only().unwrap().to_string().contains("upgrade"));
        let value = object(json!({"n": 1}));
        let absent = WriteOptions::new().if_absent();
        for refused in [
            palace.put("new", &value).map(drop),
            palace.with(absent.clone()).put("new", &value).map(drop),
            palace.delete("plain").map(drop),
            palace.compact(CompactOptions::default()).map(drop),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::Store(StoreError::Newer { found: 2, .. })), "{error}");
        }
        drop(palace);
        assert_eq!(files(copy.path()), before, "{name}");
    }
}

#[test]
fn format_1_palaces_read_the_same_after_compaction() {
    for name in FIXTURES {
        let copy = copy_of(name);
        let palace = handle(copy.path(), "a later version");
        let before = what_is_read(&palace);
        let options = CompactOptions::new().adopt();
        assert!(palace.compact(options).unwrap().published.is_some());
        assert_eq!(what_is_read(&palace), before, "{name}");
        assert_eq!(what_is_read(&handle(copy.path(), "another")), before, "{name}");
    }
}

#[test]
#[ignore = "writes the next fixture, and checks nothing"]
fn write_the_next_fixture() {
    let name = std::env::var("CRDT_PALACE_REGENERATE").expect("the name of the new fixture");
    let fixture = fixture(&name);
    assert!(!fixture.exists(), "{name} is there already");
    let work = tempfile::tempdir().unwrap();
    let (a, b) = (handle(work.path(), "writer a"), handle(work.path(), "writer b"));
    a.put("plain", &object(json!({"text": "Hello, world", "n": 1, "list": [1, {"x": null}]})))
        .unwrap();
    a.put("unicode/Γειά σου/日本", &object(json!({"text": "Γειά σου Κόσμε"}))).unwrap();
    a.increment("counter", &["votes"], 3).unwrap();
    a.put("deleted", &object(json!({"text": "gone"}))).unwrap();
    a.delete("deleted").unwrap();
    let first = a.put("conflict", &object(json!({"title": "first"}))).unwrap();
    a.put("waiting", &object(json!({"one": 1}))).unwrap();
    a.compact(CompactOptions::default()).unwrap();
    let at_first = WriteOptions::new().base(first.etag);
    a.patch("conflict", &object(json!({"title": "from a"}))).unwrap();
    b.with(at_first).patch("conflict", &object(json!({"title": "from b", "more": true}))).unwrap();
    b.increment("counter", &["votes"], 4).unwrap();
    b.seal().unwrap();
    // The link that will be missing, in a segment of its own.
    let c = handle(work.path(), "writer c");
    let known: Vec<_> = files(&work.path().join("open")).into_keys().collect();
    c.patch("waiting", &object(json!({"two": 2}))).unwrap();
    let link =
        files(&work.path().join("open")).into_keys().find(|path| !known.contains(path)).unwrap();
    a.patch("waiting", &object(json!({"three": 3}))).unwrap();
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
