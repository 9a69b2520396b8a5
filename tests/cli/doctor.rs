//! `crdt-palace doctor`, run as a program.

use crate::client::{COMPACT, LOG, PALACE, run, stdout};
use crate::support::object;
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Condition, Draft, Key, Palace, chain};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

fn palace(dir: &TempDir) -> (PathBuf, Palace) {
    let path = dir.path().join("p");
    let palace = Palace::open(&path).unwrap();
    palace.put("a", &object(json!({"n": 1}))).unwrap();
    (path, palace)
}

/// The exit code, and the checks by name.
fn doctor(path: &Path) -> (Option<i32>, BTreeMap<String, Value>) {
    let output = run(PALACE, &["doctor", "--json", "--palace", path.to_str().unwrap()]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["schema"], &report["palace"]), (&json!(1), &json!(path)));
    let checks: BTreeMap<_, _> = report["checks"].as_array().unwrap().iter().map(named).collect();
    let problems = checks.values().filter(|check| check["verdict"] == "problem").count();
    assert_eq!(report["problems"], problems);
    assert_eq!(output.status.code(), Some(i32::from(problems > 0)), "{report}");
    for check in checks.values() {
        assert_eq!(check["verdict"] == "ok", check.get("do").is_none(), "{check}");
    }
    (output.status.code(), checks)
}

fn named(check: &Value) -> (String, Value) {
    (check["check"].as_str().unwrap().to_owned(), check.clone())
}

#[track_caller]
fn expect(check: &Value, verdict: &str, words: &str) {
    assert_eq!(check["verdict"], verdict, "{check}");
    assert!(check.to_string().contains(words), "{check}");
}

/// Names, modes and contents of everything.
fn everything(path: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let (mut found, mut todo) = (Vec::new(), vec![path.to_owned()]);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let found_here = path.symlink_metadata().unwrap();
            let content = if found_here.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            found.push((path.clone(), found_here.permissions().mode(), content));
            if found_here.is_dir() {
                todo.push(path);
            }
        }
    }
    found.sort();
    found
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn healthy_palaces_have_no_problems_and_stay_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    let before = everything(dir.path());
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(0), "{checks:?}");
    let names: Vec<_> = checks.keys().map(String::as_str).collect();
    let all = [
        "clock",
        "damage",
        "directory",
        "events",
        "file system",
        "format",
        "instances",
        "leftovers",
        "lock files",
        "owner",
        "permissions",
        "space",
        "versions",
    ];
    assert_eq!(names, all);
    expect(&checks["permissions"], "ok", "only this user");
    expect(&checks["format"], "ok", &open.status().unwrap().palace.unwrap().to_string());
    expect(&checks["instances"], "ok", &format!("1 instance running: pid {} ", std::process::id()));
    let text = stdout(&run(PALACE, &["doctor", "--palace", path.to_str().unwrap()]));
    assert_eq!(text.lines().count(), all.len() + 2, "{text}");
    assert!(text.ends_with("no problems\n"), "{text}");
    assert_eq!(everything(dir.path()), before);

    drop(open);
    stdout(&run(COMPACT, &[path.to_str().unwrap()]));
    let (code, checks) = doctor(&path);
    expect(&checks["instances"], "ok", "no process that has written is running");
    expect(&checks["damage"], "ok", "0 segments and 1 snapshot");
    assert_eq!(code, Some(0));
}

#[test]
fn missing_palaces_are_no_problem_and_are_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let (code, checks) = doctor(&dir.path().join("not/yet"));
    assert_eq!(code, Some(0));
    expect(&checks["directory"], "ok", "the first write makes it");
    assert!(!checks.contains_key("owner") && !checks.contains_key("format"));
    assert_eq!(everything(dir.path()), []);
    let (code, checks) = doctor(dir.path());
    assert_eq!(code, Some(0));
    expect(&checks["directory"], "ok", "no palace yet");
}

#[test]
fn paths_that_cannot_be_a_palace_are_problems() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("text.txt"), dir.path().join("link"));
    fs::write(&file, "not a palace").unwrap();
    symlink("nowhere", &link).unwrap();
    let cases = [
        (file.clone(), "directory", "not a directory"),
        (file.join("p"), "directory", "a part of its path is a file"),
        (link, "directory", "a symbolic link to nothing"),
        (dir.path().to_owned(), "format", "is not a palace"),
    ];
    for (path, check, words) in cases {
        let (code, checks) = doctor(&path);
        assert_eq!(code, Some(1));
        expect(&checks[check], "problem", words);
        expect(&checks[check], "problem", "pass another --palace DIR");
    }
}

#[test]
fn wrong_permissions_are_reported_with_the_repair_command() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _open) = palace(&dir);
    let mend = |change: &str| format!("chmod -R {change} {}", path.display());
    let at = |name: &str| path.join(name);
    let open = fs::read_dir(at("open")).unwrap().next().unwrap().unwrap().path();

    set_mode(&path, 0o755);
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(0));
    expect(&checks["permissions"], "note", &mend("go-rwx"));
    set_mode(&open, 0o620);
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(1));
    expect(&checks["permissions"], "problem", open.to_str().unwrap());
    expect(&checks["permissions"], "problem", &mend("go-rwx"));
    set_mode(&path, 0o700);
    assert_eq!(doctor(&path).0, Some(0), "nobody comes past the directory");
    set_mode(&open, 0o600);
    set_mode(&at("sealed"), 0o500);
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(1));
    expect(&checks["permissions"], "problem", at("sealed").to_str().unwrap());
    expect(&checks["permissions"], "problem", &mend("u+rwX"));
    set_mode(&at("sealed"), 0o700);
    assert_eq!(doctor(&path).0, Some(0));
}

#[test]
fn printed_commands_can_be_pasted_whatever_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it's $HOME; `id` \"x\"");
    Palace::open(&path).unwrap().put("a", json!({"n": 1}).as_object().unwrap()).unwrap();
    set_mode(&path, 0o755);
    let output = run(PALACE, &["doctor", "--palace", path.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let command =
        text.lines().find_map(|line| line.split_once("unless you want that: ")).unwrap().1;
    let repaired = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(repaired.status.success(), "{command}: {repaired:?}");
    expect(&doctor(&path).1["permissions"], "ok", "only this user");
}

#[test]
fn palaces_without_a_manifest_are_not_taken_for_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _open) = palace(&dir);
    fs::remove_file(path.join("palace.json")).unwrap();
    let (code, checks) = doctor(&path);
    assert_eq!((code, checks.contains_key("format")), (Some(1), false));
    expect(&checks["directory"], "problem", "its palace.json is missing");
    expect(&checks["directory"], "problem", "put back its palace.json from a copy of this palace");
}

#[test]
fn unwritable_directories_are_problems_whatever_their_mode() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _open) = palace(&dir);
    let mount = |options: &[&str]| Command::new("mount").args(options).arg(&path).output().unwrap();
    let at = path.to_str().unwrap();
    if !rustix::process::geteuid().is_root() || !mount(&["--bind", at]).status.success() {
        println!("skipped: nothing can be mounted, and nothing given to others, here");
        return;
    }
    let read_only = mount(&["-o", "remount,bind,ro"]).status.success();
    let found = doctor(&path);
    assert!(Command::new("umount").arg(&path).status().unwrap().success());
    assert!(read_only);
    assert_eq!(found.0, Some(1));
    expect(&found.1["permissions"], "problem", "no file can be made in");
    assert_eq!(doctor(&path).0, Some(0));
    std::os::unix::fs::chown(path.join("tmp"), Some(1), None).unwrap();
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(1));
    expect(&checks["permissions"], "problem", "owned by another user than the palace");
    expect(&checks["permissions"], "problem", "chown -R --reference");
}

#[test]
fn doctor_tells_a_newer_format_from_a_damaged_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    drop(open);
    let manifest = path.join("palace.json");
    for (text, words) in
        [("{\"format\":99}", "install the newest"), ("{}", "put back its palace.json")]
    {
        fs::write(&manifest, text).unwrap();
        let (code, checks) = doctor(&path);
        assert_eq!(code, Some(1));
        expect(&checks["format"], "problem", words);
        assert!(!checks.contains_key("damage"));
    }
}

#[test]
fn lock_files_that_are_not_regular_are_problems_of_their_calls() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    for (name, what, make, calls) in
        [("LOCK", "a pipe", "mkfifo", "compaction"), ("CAS", "a directory", "mkdir", "write")]
    {
        let file = path.join(name);
        assert!(Command::new(make).arg(&file).status().unwrap().success());
        let (_, checks) = doctor(&path);
        let words = format!("{name} is {what}, not a regular file: every");
        expect(&checks["lock files"], "problem", &words);
        expect(&checks["lock files"], "problem", calls);
        // Reads and plain writes need neither.
        open.put("a", &object(json!({"n": 2}))).unwrap();
        stdout(&run(LOG, &["stats", path.to_str().unwrap()]));
        let error = match name {
            "LOCK" => open.compact(CompactOptions::new()).unwrap_err(),
            _ => {
                let mut batch = open.batch();
                let write = |draft: &mut Draft<'_>| draft.put(&object(json!({})));
                batch.write_if(Key::new("b").unwrap(), Condition::Absent, write);
                batch.commit().unwrap_err()
            }
        };
        let error = chain(&error);
        assert!(error.contains(name) && error.contains("not a regular file"), "{error}");
        // The advice can be pasted, and is enough.
        let advice = checks["lock files"]["do"].as_str().unwrap();
        assert!(Command::new("sh").args(["-c", advice]).status().unwrap().success());
        expect(&doctor(&path).1["lock files"], "ok", "can be locked");
    }
}

#[test]
fn doctor_reports_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    open.seal().unwrap();
    let file = |directory: &str| {
        fs::read_dir(path.join(directory)).unwrap().next().unwrap().unwrap().path()
    };
    let spoil = |file: &Path, at: usize| {
        let good = fs::read(file).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        fs::write(file, bad).unwrap();
        good
    };
    let segment = file("sealed");
    let good = spoil(&segment, 50);
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(1));
    expect(&checks["damage"], "problem", "1 file cannot be read whole");
    expect(&checks["damage"], "problem", &format!("crdt-log verify {}", path.display()));
    fs::write(&segment, good).unwrap();
    assert_eq!(doctor(&path).0, Some(0));

    drop(open);
    stdout(&run(COMPACT, &[path.to_str().unwrap()]));
    let snapshot = file("snap");
    let good = spoil(&snapshot, 3);
    expect(&doctor(&path).1["damage"], "problem", "1 file cannot be read whole");
    fs::write(&snapshot, good).unwrap();
    fs::write(path.join("quarantine/x.snap"), "a copy").unwrap();
    let (code, checks) = doctor(&path);
    expect(&checks["damage"], "note", "1 file in quarantine/");
    assert_eq!(code, Some(0));
}

#[test]
fn doctor_reports_leftovers_and_clocks_as_notes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    drop(open);
    let now = SystemTime::now();
    let old = File::create(path.join("tmp/0123.seg")).unwrap();
    old.set_permissions(Permissions::from_mode(0o600)).unwrap();
    let (_, checks) = doctor(&path);
    expect(&checks["leftovers"], "ok", "none");
    old.set_modified(now - Duration::from_secs(2 * 60 * 60)).unwrap();
    drop(old);
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(0));
    expect(&checks["leftovers"], "note", "1 file in tmp/");
    expect(&checks["clock"], "ok", "after everything");
}
