//! `crdt-palace demo`: a small one to its end, and one that is killed.

use crate::client::{LOG, PALACE, run, stdout};
use std::io::Read;
use std::process::{Command, Stdio};

#[test]
fn demo_loses_nothing_and_keeps_its_palace() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(PALACE)
        .args(["demo", "--instances", "3", "--calls", "20"])
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let text = stdout(&output);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let all = rows.iter().find(|row| row.first() == Some(&"all")).unwrap();
    assert_eq!(all[4], "0", "{text}");
    assert_eq!(all[2], all[3], "{text}");
    let servers = rows.iter().filter(|row| row.len() == 5);
    let survivors: Vec<_> = servers.filter(|row| ["1", "3"].contains(&row[0])).collect();
    assert_eq!(survivors.len(), 2, "{text}");
    assert!(survivors.iter().all(|row| row[1..] == ["20", "20", "20", "0"]), "{text}");
    assert!(text.contains("killed with SIGKILL"), "{text}");
    let path = text.lines().find_map(|line| line.trim().strip_prefix("crdt-log dump ")).unwrap();
    assert!(stdout(&run(LOG, &["dump", path])).contains("demo/shared"));
    assert!(stdout(&run(LOG, &["verify", path])).contains("all is well"));
}

#[test]
fn demo_stores_the_texts_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("texts");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.txt"), "a passage of its own").unwrap();
    std::fs::write(folder.join("b.bin"), [0xff, 0xfe]).unwrap();
    let demo = |folder: &std::path::Path| {
        Command::new(PALACE)
            .args(["demo", "--instances", "1", "--calls", "3"])
            .arg(folder)
            .env("TMPDIR", dir.path())
            .output()
            .unwrap()
    };
    let text = stdout(&demo(&folder));
    let path = text.lines().find_map(|line| line.trim().strip_prefix("crdt-log dump ")).unwrap();
    assert!(stdout(&run(LOG, &["dump", "-p", path])).contains("a passage of its own"));
    let empty = demo(tempfile::tempdir_in(dir.path()).unwrap().path());
    assert_eq!(empty.status.code(), Some(1));
}

#[test]
fn killed_demos_leave_no_server_and_a_sound_palace() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PALACE)
        .args(["demo", "--calls", "100000"])
        .env("TMPDIR", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let palace = loop {
        let made = std::fs::read_dir(dir.path()).unwrap().next();
        let palace = made.map(|made| made.unwrap().path().join("palace"));
        // The servers are started, and one of them has written.
        if let Some(palace) = palace.filter(|path| path.join("palace.json").exists()) {
            break palace;
        }
        assert!(demo.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::yield_now();
    };
    demo.kill().unwrap();
    // Its servers have inherited this, so it ends with the last of them.
    let mut said = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((demo.wait().unwrap().code(), said.as_str()), (None, ""));
    assert!(stdout(&run(LOG, &["verify", palace.to_str().unwrap()])).contains("all is well"));
}
