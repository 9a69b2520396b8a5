//! Copies that are taken while a palace is written and compacted, as docs/BACKUP.md says to take them.

use crate::client::{COMPACT, LOG, code, run, stderr};
use crate::support::object;
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Options, Palace};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};

/// Copies that are taken, and attempts after which no compaction is asked for, so that one succeeds.
const COPIES: usize = 6;
const ATTEMPTS: usize = 20;

fn key(n: u64) -> String {
    format!("k/{n:06}")
}

/// Writes until it is told to stop. The number of documents that were acknowledged grows with each.
fn write(path: &Path, written: &AtomicU64, stop: &AtomicBool) {
    let mut palace = Options::default().auto_compact(false).open(path).unwrap();
    while !stop.load(SeqCst) {
        let n = written.load(SeqCst);
        palace.put(&key(n), &object(json!({"n": n}))).unwrap();
        written.fetch_add(1, SeqCst);
        // A process ends, and another one goes on.
        if n % 40 == 39 {
            palace.seal().unwrap();
            palace = Options::default().auto_compact(false).open(path).unwrap();
        }
    }
}

fn compact(path: &Path, asked: &Receiver<()>) {
    let palace = Options::default().auto_compact(false).open(path).unwrap();
    while asked.recv().is_ok() {
        palace.compact(CompactOptions::new().all()).unwrap();
    }
}

/// Takes copies while the palace is written and compacted. Each that was taken without an error has to hold every
/// document that was acknowledged before.
fn every_copy_is_whole(copy: impl Fn(&Path, &Path) -> Output) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    Palace::open(&path).unwrap().put(&key(0), &object(json!({"n": 0}))).unwrap();
    let (written, stop) = (AtomicU64::new(1), AtomicBool::new(false));
    let (ask, asked) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| write(&path, &written, &stop));
        let place = path.as_path();
        scope.spawn(move || compact(place, &asked));
        for n in 0..COPIES {
            let taken = (0..=ATTEMPTS).find_map(|attempt| {
                let to = dir.path().join(format!("copy-{n}-{attempt}"));
                if attempt < ATTEMPTS {
                    ask.send(()).unwrap();
                }
                let before = written.load(SeqCst);
                copy(&path, &to).status.success().then_some((to, before))
            });
            let (to, before) = taken.unwrap();
            let copied = Palace::open_read_only(&to).unwrap();
            for n in 0..before {
                assert!(copied.get(&key(n)).unwrap().is_some(), "{n} of {before} is missing");
            }
            let verify = run(LOG, &["verify", to.to_str().unwrap()]);
            assert_eq!(code(&verify), Some(0), "{}", String::from_utf8_lossy(&verify.stdout));
            // The copy is a palace of its own, which can be written.
            Palace::open(&to).unwrap().put("new", &object(json!({}))).unwrap();
        }
        stop.store(true, SeqCst);
        drop(ask);
    });
    assert!(written.load(SeqCst) > 40, "the palace was hardly written");
}

#[test]
fn copies_in_the_order_of_the_data_miss_nothing_acknowledged() {
    every_copy_is_whole(|from, to| {
        std::fs::create_dir(to).unwrap();
        let parts = ["palace.json", "open", "sealed", "snap"].map(|name| from.join(name));
        Command::new("cp").arg("-a").args(parts).arg(to).output().unwrap()
    });
}

#[test]
fn merges_of_a_running_palace_are_whole_copies() {
    every_copy_is_whole(|from, to| {
        let output = run(COMPACT, &["--into", to.to_str().unwrap(), from.to_str().unwrap()]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        output
    });
}
