//! Where the programs look for a palace: `~`, variables, relative paths and the environment.

use crate::client::{COMPACT, LOG, PALACE, code, stderr, stdout};
use crdt_palace::palace::Palace;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A home directory, which is also the working directory.
fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn command(program: &str, home: &TempDir) -> Command {
    let mut command = Command::new(program);
    for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "CRDT_PALACE_DIR"] {
        command.env_remove(variable);
    }
    command.env("HOME", home.path().join("me")).current_dir(home.path()).stdin(Stdio::null());
    command
}

fn run(program: &str, home: &TempDir, arguments: &[&str]) -> Output {
    command(program, home).args(arguments).output().unwrap()
}

fn palace(path: &Path, key: &str) -> PathBuf {
    let palace = Palace::open(path).unwrap();
    palace.put(key, json!({"n": 1}).as_object().unwrap()).unwrap();
    palace.seal().unwrap();
    path.to_owned()
}

fn keys(path: &Path) -> Vec<String> {
    let keys = Palace::open_read_only(path).unwrap().keys_page("", None, 10).unwrap();
    keys.iter().map(ToString::to_string).collect()
}

#[test]
fn tilde_is_the_home_directory_in_every_program() {
    let home = home();
    let path = palace(&home.path().join("me/mem"), "a");
    let calls: [(&str, &[&str]); 7] = [
        (LOG, &["dump", "~/mem"]),
        (LOG, &["verify", "--palace", "~/mem"]),
        (COMPACT, &["--dry-run", "~/mem"]),
        (COMPACT, &["--dry-run", "--palace", "~/mem"]),
        (PALACE, &["status", "--palace", "~/mem"]),
        (PALACE, &["status", "~/mem"]),
        (PALACE, &["serve", "--palace", "~/mem"]),
    ];
    for (program, arguments) in calls {
        let output = run(program, &home, arguments);
        assert_eq!(code(&output), Some(0), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
    for (program, arguments) in [
        (LOG, &["status"][..]),
        (COMPACT, &["--dry-run"]),
        (PALACE, &["status"]),
        (PALACE, &["doctor"]),
    ] {
        let mut command = command(program, &home);
        let output = command.args(arguments).env("CRDT_PALACE_DIR", "~/mem").output().unwrap();
        assert_eq!(code(&output), Some(0), "{arguments:?}: {}", stderr(&output));
        let shown = stdout(&output);
        assert!(program == COMPACT || shown.contains(path.to_str().unwrap()), "{shown}");
    }
    assert_eq!(code(&run(COMPACT, &home, &["--into", "~/copy", "~/mem"])), Some(0));
    assert_eq!(keys(&home.path().join("me/copy")), ["a"]);
    assert!(!home.path().join("~").exists());
}

#[test]
fn unreplaced_variables_and_foreign_homes_are_refused() {
    let home = home();
    let refused = [
        ("${HOME}/mem", "write the whole path, or ~/"),
        ("$HOME/mem", "write the whole path, or ~/"),
        ("/none/${USER}/mem", "write the whole path, or ~/"),
        ("~ann/mem", "another user"),
    ];
    for (path, words) in refused {
        let calls: [(&str, &[&str]); 4] = [
            (PALACE, &["serve", "--palace", path]),
            (PALACE, &["doctor", path]),
            (LOG, &["dump", path]),
            (COMPACT, &[path]),
        ];
        for (program, arguments) in calls {
            let output = run(program, &home, arguments);
            assert_eq!(code(&output), Some(2), "{arguments:?}");
            assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(path) && stderr(&output).lines().count() == 1);
        }
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing was made");
    let made = palace(&home.path().join("${HOME}/mem"), "old");
    let told = stderr(&run(PALACE, &home, &["serve", "--palace", "${HOME}/mem"]));
    let command = format!("crdt-compact --into NEW '{}' OTHER", made.display());
    assert!(told.contains(&command), "{told}");
    // Whoever means such a directory says so.
    assert_eq!(code(&run(LOG, &home, &["verify", "./${HOME}/mem"])), Some(0));
}

#[test]
fn palace_under_a_literal_tilde_is_named_with_its_merge() {
    let home = home();
    let (stray, right) = (home.path().join("~/mem"), home.path().join("me/mem"));
    palace(&stray, "old");
    let merge = |told: &str| {
        let line = told.lines().find(|line| line.contains("an earlier version took ~")).unwrap();
        let command = line.split_once("to merge it: ").unwrap().1;
        let command = command.split(", and use").next().unwrap();
        let compact = Path::new(COMPACT).parent().unwrap();
        let path = format!("{}:{}", compact.display(), std::env::var("PATH").unwrap());
        let done = Command::new("sh").args(["-c", command]).env("PATH", path).output().unwrap();
        assert!(done.status.success(), "{command}: {}", stderr(&done));
    };
    // Without another palace, the merge makes it in the place that was meant.
    merge(&stderr(&run(PALACE, &home, &["serve", "--palace", "~/mem"])));
    assert_eq!(keys(&right), ["old"]);
    palace(&right, "new");
    let output =
        command(PALACE, &home).arg("doctor").env("CRDT_PALACE_DIR", "~/mem").output().unwrap();
    assert_eq!(code(&output), Some(0));
    merge(&stdout(&output));
    assert_eq!(keys(&home.path().join("me/mem-merged")), ["new", "old"]);
}

#[test]
fn relative_palace_paths_are_shown_as_absolute_ones() {
    let home = home();
    let path = palace(&home.path().join("mem"), "a");
    let path = path.to_str().unwrap();
    let told = stderr(&run(PALACE, &home, &["serve", "--palace", "mem"]));
    assert!(told.contains(&format!("the palace is {path}\n")), "{told}");
    for arguments in [["status", "mem"], ["doctor", "./mem"]] {
        let shown = stdout(&run(PALACE, &home, &arguments));
        assert!(shown.lines().next().unwrap().ends_with(path), "{shown}");
    }
    let both = run(LOG, &home, &["status", "mem", "--palace", "mem"]);
    assert_eq!(code(&both), Some(2), "two places for one palace");
}
