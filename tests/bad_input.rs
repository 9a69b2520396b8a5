//! What the library refuses, in which words, and that nothing stored is lost or hidden by it.

use crdt_palace::palace::{Error, Options, Palace};
use crdt_palace::store::StoreError;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::Command;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn manual(path: &Path) -> Palace {
    Options::default().auto_compact(false).open(path).unwrap()
}

/// The error and all its causes.
fn told(error: &Error) -> String {
    crdt_palace::palace::chain(error)
}

/// Tries `value` for a document that exists, and gives what was said; the document is as it was.
fn refused(value: Value) -> String {
    let dir = tempfile::tempdir().unwrap();
    let palace = manual(dir.path());
    palace.put("k", &object(json!({"kept": true}))).unwrap();
    let error = palace.put("k", &object(value)).unwrap_err();
    for reader in [palace, manual(dir.path())] {
        assert_eq!(reader.get("k").unwrap().unwrap().value, object(json!({"kept": true})));
    }
    told(&error)
}

#[test]
fn keys_that_cannot_be_keys() {
    let dir = tempfile::tempdir().unwrap();
    let palace = manual(dir.path());
    let value = object(json!({}));
    let say = |key: &str| told(&palace.put(key, &value).unwrap_err());
    assert!(say("").contains("at least one character"));
    assert!(say(&"k".repeat(513)).contains("at most 512 bytes; this one has 513"));
    assert!(say("a\u{7}b").contains("no control characters"));
    assert!(!dir.path().join("palace.json").exists());
    palace.put(&"k".repeat(512), &value).unwrap();
}

#[test]
fn values_that_are_too_much() {
    let megabyte = "x".repeat(1 << 20);
    assert!(refused(json!({ "text": megabyte })).contains("at most 1048576 bytes"));
    let mut deep = json!(1);
    for _ in 0..70 {
        deep = json!([deep]);
    }
    assert!(refused(json!({ "deep": deep })).contains("at most 64 deep"));
    let many: Vec<u8> = vec![0; 100_001];
    assert!(refused(json!({ "many": many })).contains("at most 100000"));
}

#[test]
fn what_is_no_palace() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let error = Palace::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::NotAPalace { .. })), "{error}");
    assert!(Palace::open(dir.path().join("letter.txt")).is_err());
    let missing = Palace::open_read_only(dir.path().join("nothing")).unwrap_err();
    assert!(matches!(missing, Error::Store(StoreError::NoPalace { .. })), "{missing}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_newer_and_a_damaged_manifest() {
    let dir = tempfile::tempdir().unwrap();
    manual(dir.path()).put("k", &object(json!({}))).unwrap();
    let manifest = dir.path().join("palace.json");
    let good = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, br#"{"format":2}"#).unwrap();
    let error = Palace::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Newer { found: 2, .. })), "{error}");
    assert!(told(&error).contains("upgrade"));
    std::fs::write(&manifest, b"{").unwrap();
    let error = Palace::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Manifest { .. })), "{error}");
    std::fs::write(&manifest, good).unwrap();
    assert!(manual(dir.path()).get("k").unwrap().is_some());
}

#[test]
fn somebody_elses_palace_is_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    manual(&path).put("k", &object(json!({"n": 1}))).unwrap();
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
        println!("skipped: only root can give a directory away");
        return;
    }
    let palace = manual(&path);
    assert_eq!(palace.get("k").unwrap().unwrap().value["n"], 1);
    let error = palace.put("k", &object(json!({"n": 2}))).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::ReadOnly { .. })), "{error}");
    assert!(told(&error).contains("only the owner"));
    assert_eq!(palace.get("k").unwrap().unwrap().value["n"], 1);
}

#[test]
fn a_directory_that_vanishes_comes_back_with_the_next_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let palace = manual(&path);
    palace.put("a", &object(json!({"n": 1}))).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    palace.put("b", &object(json!({"n": 2}))).unwrap();
    assert_eq!(manual(&path).get("b").unwrap().unwrap().value["n"], 2);
}

/// A file system of one megabyte, unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(dir.path())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Small(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().unwrap();
    }
}

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_keeps_the_rest() {
    let Some(small) = Small::mount() else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let path = small.0.path().join("palace");
    let ballast = small.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 400 << 10]).unwrap();
    let palace = manual(&path);
    let text = "y".repeat(20 << 10);
    let mut kept = 0;
    let error = loop {
        match palace.put(&format!("k/{kept}"), &object(json!({ "text": text, "n": kept }))) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(kept > 5, "{kept}");
    assert!(
        told(&error).contains("No space left") || told(&error).contains("is the disk full"),
        "{}",
        told(&error)
    );
    for reader in [&palace, &manual(&path)] {
        for n in 0..kept {
            assert_eq!(reader.get(&format!("k/{n}")).unwrap().unwrap().value["n"], n);
        }
    }
    std::fs::remove_file(&ballast).unwrap();
    palace.put("after", &object(json!({"n": 1}))).unwrap();
    assert_eq!(manual(&path).get("after").unwrap().unwrap().value["n"], 1);
}
