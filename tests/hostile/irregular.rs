//! Irregular files: the name of a palace file on something else.

use crate::child::works_with;
use crate::made;
use crate::support::{dir, manual, names, object};
use crdt_palace::palace::Palace;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

fn put(kind: &str, target: &Path, path: &Path) {
    match kind {
        "link" => symlink(target, path).unwrap(),
        "broken link" => symlink("nowhere", path).unwrap(),
        "loop" => symlink(path, path).unwrap(),
        "directory" => std::fs::create_dir(path).unwrap(),
        "pipe" => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
        "socket" => drop(UnixListener::bind(path).unwrap()),
        // Endless, if it were read. Only root can make one.
        _ => symlink("/dev/zero", path).unwrap(),
    }
}

const KINDS: [&str; 7] =
    ["link", "broken link", "loop", "directory", "pipe", "socket", "link to a device"];

#[test]
fn irregular_files_named_as_segments_are_reported() {
    for kind in KINDS {
        for directory in ["open", "sealed"] {
            let made = made::palace();
            let target = made.path.parent().unwrap().join("target");
            // A good segment, but not here.
            std::fs::write(&target, made.header()).unwrap();
            put(kind, &target, &made.segment(directory));
            let outcome = works_with(&made.path);
            outcome.tells("has the name of a segment");
            let there = std::fs::symlink_metadata(made.segment(directory)).is_ok();
            assert!(there, "{kind} in {directory}: it is nobody's to take away");
            assert_eq!(outcome.skipped.len(), usize::from(directory == "sealed"), "{kind}");
        }
    }
}

#[test]
fn irregular_files_named_as_snapshots_are_reported() {
    for kind in KINDS {
        let made = made::palace();
        let target = made.path.parent().unwrap().join("target");
        std::fs::write(&target, made::snapshot(made.palace, &[])).unwrap();
        put(kind, &target, &made.snapshot());
        let outcome = works_with(&made.path);
        let what = if kind.contains("link") || kind == "loop" {
            "a symbolic link"
        } else {
            "not a regular file"
        };
        outcome.tells(what);
        assert!(outcome.skipped[0].contains(what), "{kind}: {:?}", outcome.skipped);
        assert!(std::fs::symlink_metadata(made.snapshot()).is_ok(), "{kind}");
        let name = made.snapshot().file_name().unwrap().to_str().unwrap().to_owned();
        let report = made.path.join("quarantine").join(format!("{name}.txt"));
        let report =
            std::fs::read_to_string(report).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(report.contains(what), "{kind}: {report}");
    }
}

#[test]
fn irregular_files_in_tmp_and_trash_stop_nothing() {
    for kind in KINDS {
        let made = made::palace();
        for name in ["tmp/left.seg", "trash/0000000000000-left.seg", "quarantine/left"] {
            put(kind, Path::new("/etc/passwd"), &made.path.join(name));
        }
        works_with(&made.path);
        manual(&made.path).compact(Default::default()).unwrap();
    }
    assert!(std::fs::metadata("/etc/passwd").unwrap().len() > 0);
}

#[test]
fn locks_that_are_irregular_files_are_not_written_to() {
    for kind in KINDS {
        let made = made::palace();
        let lock = made.path.join("LOCK");
        let target = made.path.parent().unwrap().join("thesis");
        std::fs::write(&target, "ten years of work").unwrap();
        std::fs::remove_file(&lock).unwrap();
        put(kind, &target, &lock);
        let palace = manual(&made.path);
        let error = palace.compact(Default::default()).unwrap_err();
        assert!(error.to_string().contains("LOCK"), "{kind}: {error}");
        crate::good::looks_good(&palace);
        palace.put("good/new", &made::value()).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "ten years of work");
    }
    // A second name of somebody's file: it would be cut under both.
    let made = made::palace();
    let lock = made.path.join("LOCK");
    let target = made.path.parent().unwrap().join("thesis");
    std::fs::write(&target, "ten years of work").unwrap();
    std::fs::remove_file(&lock).unwrap();
    std::fs::hard_link(&target, &lock).unwrap();
    manual(&made.path).compact(Default::default()).unwrap();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "ten years of work");
}

#[test]
fn manifests_that_are_irregular_files_are_refused_at_once() {
    for kind in KINDS {
        let made = made::palace();
        let manifest = made.path.join("palace.json");
        let aside = made.path.parent().unwrap().join("aside");
        std::fs::rename(&manifest, &aside).unwrap();
        put(kind, &aside, &manifest);
        for opened in [Palace::open(&made.path), Palace::open_read_only(&made.path)] {
            let error = opened.unwrap_err();
            assert!(error.to_string().contains("palace.json"), "{kind}: {error}");
        }
    }
}

/// Otherwise whoever may write the palace could have files made, and taken away, anywhere.
#[test]
fn palace_directories_that_are_links_are_refused() {
    for name in ["open", "sealed", "snap", "tmp", "trash"] {
        let made = made::palace();
        let aside = made.path.parent().unwrap().join("aside");
        std::fs::rename(made.path.join(name), &aside).unwrap();
        symlink(&aside, made.path.join(name)).unwrap();
        let before = names(&made.path.parent().unwrap().join("aside"), "");
        let palace = manual(&made.path);
        let written = palace.put("good/new", &made::value()).map(drop);
        let compacted = palace.compact(Default::default()).map(drop);
        let refused = [&written, &compacted].iter().any(|done| done.is_err());
        assert!(refused, "{name}: nobody minds");
        if ["open", "sealed", "snap"].contains(&name) {
            let error = palace.get(made::GOOD[0]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(names(&aside, ""), before, "{name}: something was written there");
        }
    }
    // The palace as a whole may be somewhere else: people do that.
    let made = made::palace();
    let link = made.path.parent().unwrap().join("link");
    symlink(&made.path, &link).unwrap();
    works_with(&link);
}

/// A second name of a file is none of our business: `cp -al` makes them, for backups.
#[test]
fn hard_links_to_segments_and_snapshots_change_nothing() {
    let made = made::palace();
    let backup = dir();
    for directory in ["open", "sealed", "snap"] {
        std::fs::create_dir(backup.path().join(directory)).unwrap();
        for name in names(&made.path, directory) {
            let of = |root: &Path| root.join(directory).join(&name);
            std::fs::hard_link(of(&made.path), of(backup.path())).unwrap();
        }
    }
    std::fs::copy(made.path.join("palace.json"), backup.path().join("palace.json")).unwrap();
    for path in [&made.path, backup.path()] {
        let outcome = works_with(path);
        assert_eq!((outcome.problems, outcome.skipped), (Vec::new(), Vec::new()));
    }
    works_with(&made.path);
}

#[test]
fn files_are_private_to_their_owner_whatever_the_umask() {
    let dir = dir();
    let path = dir.path().join("deep/er/palace");
    let before = rustix::process::umask(Mode::empty());
    let palace = manual(&path);
    palace.put("a", &object(json!({"n": 1}))).unwrap();
    palace.compact(Default::default()).unwrap();
    palace.put("a", &object(json!({"n": 2}))).unwrap();
    rustix::process::umask(before);
    let mut seen = 0;
    let mut todo = vec![path];
    while let Some(path) = todo.pop() {
        let found = std::fs::metadata(&path).unwrap();
        let wanted = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o7777, wanted, "{}", path.display());
        assert_eq!(found.uid(), rustix::process::geteuid().as_raw());
        if found.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        seen += 1;
    }
    assert!(seen >= 11, "{seen}");
}
