//! `crdt-palace doctor`, run as a program.

use crate::client::{COMPACT, LOG, PALACE, run, stdout};
use crate::support::object;
use crdt_palace::fs::{Fs, os::OsFs};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Condition, Draft, Key, Palace, chain};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
    let mut command = Command::new(PALACE);
    command.args(["doctor", "--json", "--palace", path.to_str().unwrap()]);
    // Without what this user's own servers have left there.
    let output = command.env("XDG_STATE_HOME", "/nonexistent").output().unwrap();
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
        "clients",
        "clock",
        "damage",
        "directories",
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
        "tried",
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
fn missing_palaces_are_notes_and_are_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let (code, checks) = doctor(&dir.path().join("not/yet"));
    assert_eq!(code, Some(0));
    expect(&checks["directory"], "note", "there is no palace yet");
    assert!(!checks.contains_key("owner") && !checks.contains_key("format"));
    assert_eq!(everything(dir.path()), []);
    let (code, checks) = doctor(dir.path());
    assert_eq!(code, Some(0));
    expect(&checks["directory"], "note", "there is no palace yet");
    // What a first write leaves on a full disk is no palace either.
    fs::create_dir(dir.path().join("tmp")).unwrap();
    let begun = dir.path().join("tmp/0123456789abcdef0123456789abcdef.json");
    fs::write(begun, "{\"form").unwrap();
    let (code, checks) = doctor(dir.path());
    assert_eq!(code, Some(0));
    expect(&checks["directory"], "note", "a first write was begun");
    expect(&checks["directory"], "note", "space on the disk");
    // What another program keeps in its own tmp/ is none.
    fs::write(dir.path().join("tmp/cache.dat"), "theirs").unwrap();
    let (code, checks) = doctor(dir.path());
    assert_eq!(code, Some(1));
    expect(&checks["directory"], "problem", "tmp/cache.dat");
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
        (
            dir.path().to_owned(),
            "directory",
            "it is no palace: it has no palace.json, but 2 other names",
        ),
    ];
    for (path, check, words) in cases {
        let (code, checks) = doctor(&path);
        assert_eq!(code, Some(1));
        expect(&checks[check], "problem", words);
        expect(&checks[check], "problem", "pass another --palace DIR");
    }
}

#[test]
fn directories_of_other_programs_get_no_advice_to_change_them() {
    for (path, words) in [("/usr/share", "belongs to uid 0"), ("/proc", "the kernel shows")] {
        let (code, checks) = doctor(Path::new(path));
        assert_eq!(code, Some(1));
        expect(&checks["directory"], "problem", words);
        let names: Vec<_> = checks.keys().map(String::as_str).collect();
        assert_eq!(names, ["clients", "directory"], "nothing else is looked at");
        assert!(!format!("{checks:?}").contains("chmod"), "{checks:?}");
    }
    // What was meant is found where it is likely to be.
    let dir = tempfile::tempdir().unwrap();
    let (path, _open) = palace(&dir);
    let command = format!("crdt-palace doctor {}", path.display());
    for near in [dir.path().to_owned(), path.join("open")] {
        expect(&doctor(&near).1["directory"], "problem", &command);
    }
    let foreign = dir.path().join("it's");
    fs::create_dir_all(foreign.join("palace")).unwrap();
    fs::write(foreign.join("palace/chroma.sqlite3"), "").unwrap();
    let command = "crdt-palace import '";
    expect(&doctor(&foreign).1["directory"], "problem", command);
}

#[test]
fn closed_files_are_named_with_their_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("closed/p");
    Palace::open(&path).unwrap().put("a", &object(json!({"n": 1}))).unwrap();
    let above = path.parent().unwrap();
    set_mode(above, 0o700);
    let other = |gid: u32| {
        let mut command = Command::new("setpriv");
        let user = format!("--reuid={gid}");
        command.args([&user, "--clear-groups", PALACE, "doctor", "--json"]).arg(&path);
        command.output()
    };
    set_mode(dir.path(), 0o755);
    let Some(output) = other(65_534).ok().filter(|_| rustix::process::geteuid().is_root()) else {
        println!("skipped: no other user can be tried here");
        return;
    };
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let directory = &report["checks"][0];
    expect(directory, "problem", &format!("run as the owner of {}, uid 0", above.display()));
    std::os::unix::fs::chown(above, Some(65_534), None).unwrap();
    set_mode(above, 0o600);
    let report: Value = serde_json::from_slice(&other(65_534).unwrap().stdout).unwrap();
    expect(&report["checks"][0], "problem", &format!("chmod u+rwx {}", above.display()));
}

#[test]
fn token_directories_that_others_can_enter_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _open) = palace(&dir);
    let state = dir.path().join("state/crdt-palace");
    let check = || {
        let mut command = Command::new(PALACE);
        command.args(["doctor", "--json"]).arg(&path).env_remove("XDG_RUNTIME_DIR");
        let output = command.env("XDG_STATE_HOME", dir.path().join("state")).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut checks = report["checks"].as_array().unwrap().iter();
        checks.find(|check| check["check"] == "tokens").cloned()
    };
    assert_eq!(check(), None, "no server has made a token");
    fs::create_dir_all(&state).unwrap();
    set_mode(&state, 0o755);
    expect(&check().unwrap(), "problem", &format!("chmod 700 {}", state.display()));
    set_mode(&state, 0o700);
    assert_eq!(check().unwrap()["verdict"], "ok");
}

#[test]
fn clients_that_start_this_server_are_named_with_their_palace() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _open) = palace(&dir);
    let home = dir.path().join("home");
    let check = || {
        let mut command = Command::new(PALACE);
        for variable in ["XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR"] {
            command.env_remove(variable);
        }
        let output =
            command.args(["doctor", "--json"]).arg(&path).env("HOME", &home).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut checks = report["checks"].as_array().unwrap().iter();
        checks.find(|check| check["check"] == "clients").unwrap().clone()
    };
    let configure = |file: &str, palace: &Path| {
        let servers = json!({"memory": {"command": PALACE, "args": ["serve", "--palace", palace]}});
        fs::create_dir_all(home.join(file).parent().unwrap()).unwrap();
        fs::write(home.join(file), json!({"mcpServers": servers}).to_string()).unwrap();
    };
    expect(&check(), "ok", "no client's configuration file");
    configure(".claude.json", &path);
    expect(
        &check(),
        "ok",
        &format!("Claude Code starts memory on {}, this palace", path.display()),
    );
    configure(".cursor/mcp.json", &dir.path().join("mistyped"));
    expect(&check(), "note", "Cursor starts memory on");
    expect(&check(), "note", &format!("no palace at {}", dir.path().join("mistyped").display()));
    configure(".cursor/mcp.json", Path::new("${HOME}/p"));
    expect(&check(), "note", "has a variable in it");
    fs::write(home.join(".cursor/mcp.json"), "{ // crdt-palace\n}").unwrap();
    expect(&check(), "note", "which is no plain JSON");
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
    let (path, open) = palace(&dir);
    let id = open.status().unwrap().palace;
    fs::remove_file(path.join("palace.json")).unwrap();
    let (code, checks) = doctor(&path);
    assert_eq!((code, checks.contains_key("format")), (Some(1), false));
    expect(&checks["directory"], "problem", "its palace.json is missing");
    // The command makes the same palace again, from what its segment says.
    let advice = checks["directory"]["do"].as_str().unwrap();
    let command = advice.split_once("make it again: ").unwrap().1;
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(0), "{checks:?}");
    let again = Palace::open_read_only(&path).unwrap();
    assert_eq!((again.status().unwrap().palace, again.get("a").unwrap().is_some()), (id, true));
}

#[test]
fn palace_json_is_not_made_from_files_of_two_palaces() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    drop(open);
    let other = Palace::open(dir.path().join("other")).unwrap();
    other.put("b", &object(json!({"n": 1}))).unwrap();
    let segment = fs::read_dir(other.path().join("open")).unwrap().next().unwrap().unwrap();
    fs::copy(segment.path(), path.join("sealed").join(segment.file_name())).unwrap();
    fs::remove_file(path.join("palace.json")).unwrap();
    let check = &doctor(&path).1["directory"];
    expect(check, "problem", "put back its palace.json from a copy of this palace");
    assert!(!check.to_string().contains("printf"), "{check}");
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
    expect(&found.1["tried"], "note", "nothing was tried: tmp/ cannot be written");
    assert_eq!(doctor(&path).0, Some(0));
    std::os::unix::fs::chown(path.join("tmp"), Some(1), None).unwrap();
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(1));
    expect(&checks["permissions"], "problem", "owned by another user than the palace");
    expect(&checks["permissions"], "problem", "chown -R --reference");

    std::os::unix::fs::chown(&path, Some(1), None).unwrap();
    let (code, checks) = doctor(&path);
    assert_eq!(code, Some(1));
    expect(&checks["tried"], "note", "nothing was tried: the palace belongs to another user");
}

/// The other side of the trials of locks and appends, without which they would try nothing.
#[test]
fn second_process_tells_what_it_sees_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "one").unwrap();
    let mut child = Command::new(PALACE)
        .args(["doctor", "--second-process"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut questions, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = BufReader::new(answers).lines();
    let mut look = || {
        questions.write_all(b"\n").unwrap();
        serde_json::from_str::<Value>(&answers.next().unwrap().unwrap()).unwrap()
    };
    assert_eq!(look(), json!({"content": "one", "locked": false}));
    let file = File::options().append(true).open(&path).unwrap();
    file.lock().unwrap();
    (&file).write_all(b"two").unwrap();
    assert_eq!(look(), json!({"content": "onetwo", "locked": true}));
    drop(file);
    assert_eq!(look()["locked"], false);
    drop(questions);
    assert!(child.wait().unwrap().success(), "it ends with its input");
}

#[test]
fn doctor_tells_a_newer_format_from_a_damaged_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    drop(open);
    let manifest = path.join("palace.json");
    for (text, words) in
        [("{\"format\":99}", "install the newest"), ("{}", "make it again: (umask 077")]
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

/// What a directory of the palace was replaced by, the words of doctor, and whether the files come back by its advice.
#[test]
fn directories_that_are_links_or_files_are_named_with_what_helps() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    open.seal().unwrap();
    drop(open);
    let (sealed, other) = (path.join("sealed"), dir.path().join("it's there"));
    for (case, words, is_back) in [
        ("link", "sealed is a symbolic link to", true),
        ("foreign", "belongs to another palace", false),
        ("dangling", "from a copy of the palace", false),
        ("file", "sealed is no directory", false),
    ] {
        fs::rename(&sealed, &other).unwrap();
        match case {
            "file" => drop(File::create(&sealed).unwrap()),
            "dangling" => symlink("nowhere", &sealed).unwrap(),
            "foreign" => {
                let foreign = dir.path().join("q");
                Palace::open(&foreign).unwrap().put("b", &object(json!({"n": 1}))).unwrap();
                symlink(foreign.join("sealed"), &sealed).unwrap();
            }
            _ => symlink(&other, &sealed).unwrap(),
        }
        let (_, checks) = doctor(&path);
        expect(&checks["directories"], "problem", words);
        // No other check blames the disk for it.
        assert!(!json!(checks).to_string().contains("kernel"), "{checks:?}");
        let advice = checks["directories"]["do"].as_str().unwrap();
        let (_, command) = advice.rsplit_once("and call: ").unwrap();
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{advice}");
        let (code, checks) = doctor(&path);
        expect(&checks["directories"], "ok", "each is a directory");
        assert_eq!(code, Some(0), "{checks:?}");
        if !is_back {
            fs::remove_dir(&sealed).unwrap();
            fs::rename(&other, &sealed).unwrap();
        }
        assert_eq!(Palace::open(&path).unwrap().get("a").unwrap().unwrap().value["n"], 1);
    }
}

/// A process that another one calls.
struct Called(Child);

impl Drop for Called {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Stops or continues a process.
fn signal(child: &Called, signal: Signal) {
    kill_process(Pid::from_child(&child.0), signal).unwrap();
}

#[test]
fn stopped_process_that_holds_a_lock_is_named_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let (path, open) = palace(&dir);
    if Command::new("flock").arg("--version").output().is_err() {
        eprintln!("skipped: there is no flock");
        return;
    }
    let conditional = || {
        let mut batch = open.batch();
        let write = |draft: &mut Draft<'_>| draft.put(&object(json!({})));
        batch.write_if(Key::new("b").unwrap(), Condition::Absent, write);
        batch.commit().map(drop)
    };
    let compact = || open.compact(CompactOptions::new()).map(drop);
    let calls: [(&str, &dyn Fn() -> crdt_palace::palace::Result<()>); 2] =
        [("CAS", &conditional), ("LOCK", &compact)];
    for (name, call) in calls {
        let file = path.join(name);
        let mut command = Command::new("flock");
        command.arg("-o").arg(&file).args(["sh", "-c", "echo; cat"]);
        let holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut holder = Called(holder);
        // It holds the lock once its own program runs.
        let mut line = String::new();
        BufReader::new(holder.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        expect(&doctor(&path).1["lock files"], "ok", "can be locked");
        signal(&holder, Signal::STOP);
        while OsFs.open(&file).unwrap().lock_owner().unwrap().is_none_or(|owner| !owner.stopped) {
            std::thread::yield_now();
        }
        let named = format!("pid {} flock, which is stopped", holder.0.id());
        let (_, checks) = doctor(&path);
        expect(&checks["lock files"], "problem", &named);
        let status = stdout(&run(PALACE, &["status", "--palace", path.to_str().unwrap()]));
        assert!(status.contains(&named), "{status}");
        let error = call().unwrap_err();
        let error = chain(&error);
        assert!(error.contains(&named) && error.contains("try again"), "{error}");
        let advice = checks["lock files"]["do"].as_str().unwrap();
        let (_, command) = advice.split_once(": ").unwrap();
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{advice}");
        drop(holder.0.stdin.take());
        holder.0.wait().unwrap();
        call().unwrap();
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
    expect(&checks["damage"], "problem", "1 problem in ");
    expect(&checks["damage"], "problem", &format!("crdt-log verify {}", path.display()));
    fs::write(&segment, good).unwrap();
    assert_eq!(doctor(&path).0, Some(0));

    drop(open);
    stdout(&run(COMPACT, &[path.to_str().unwrap()]));
    let snapshot = file("snap");
    let good = spoil(&snapshot, 3);
    expect(&doctor(&path).1["damage"], "problem", "1 problem in ");
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
