//! Processes that write, compact and open one palace at the same time: the children of tests/it/processes.rs.
//!
//! A child says "ready", and waits for "go". It says that a write was acknowledged after the call has returned.

use crate::support::{documents, manual, object};
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::{Condition, Error, Key, Palace, WriteOptions, chain};
use crdt_palace::store::StoreError;
use serde_json::json;
use std::io::Write;
use std::path::Path;

fn say(text: &str) {
    // In one write, so that a kill leaves all of the line or nothing.
    std::io::stdout().lock().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// What the parent says next; `None` once it has closed the pipe.
fn hear() -> Option<String> {
    let mut line = String::new();
    (std::io::stdin().read_line(&mut line).unwrap() > 0).then(|| line.trim().to_owned())
}

fn ready() {
    say("ready");
    assert_eq!(hear().as_deref(), Some("go"));
}

/// Opens as a program does: with compaction in the background.
pub fn write(path: &Path, name: &str, threads: usize, count: usize) {
    let palace = Palace::open(path).unwrap();
    ready();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let palace = &palace;
            scope.spawn(move || {
                for n in 0..count {
                    write_one(palace, &format!("{name}-{thread}-{n}"), thread, n);
                }
            });
        }
    });
    // The handle still knows everything that it wrote, whatever happened to its files.
    let mine = documents(&palace).into_keys().filter(|k| k.starts_with(&format!("own/{name}-")));
    say(&format!("mine {}", mine.count()));
}

fn write_one(palace: &Palace, id: &str, thread: usize, n: usize) {
    let buffered = WriteOptions::new().buffered();
    let kind = match n % 4 {
        0 => {
            palace.put(&format!("own/{id}"), &object(json!({"id": id, "n": n}))).unwrap();
            "own"
        }
        1 => {
            let key = format!("shared/{}", thread % 5);
            palace.patch(&key, &object(json!({id: n}))).unwrap();
            "field"
        }
        2 => {
            palace.increment("counter", &["n"], 1).unwrap();
            "count"
        }
        _ => {
            let mut batch = palace.with(buffered).batch();
            for end in ["left", "right"] {
                let key = Key::new(&format!("pair/{id}/{end}")).unwrap();
                batch.write(key, |draft| draft.put(&object(json!({"id": id}))));
            }
            batch.commit().unwrap();
            "pair"
        }
    };
    say(&format!("ack {kind} {id}"));
}

/// Compacts each time the parent says so. The lock file is taken away before, so that two compactors
/// really work at once, as they do where flock lies.
pub fn compact(path: &Path) {
    let palace = manual(path);
    say("ready");
    while let Some(extent) = hear() {
        if let Err(error) = std::fs::remove_file(path.join("LOCK")) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
        let extent = if extent == "all" { Extent::All } else { Extent::Due };
        match palace.compact(CompactOptions::new().extent(extent)) {
            Ok(_) | Err(Error::Store(StoreError::Busy { .. })) => say("compacted"),
            Err(error) => panic!("{}", chain(&error)),
        }
    }
}

pub fn increment(path: &Path, count: usize) {
    let palace = Palace::open(path).unwrap();
    ready();
    let mut done = 0;
    while done < count {
        let found = palace.get("number").unwrap();
        let n = found.as_ref().map_or(0, |document| document.value["n"].as_i64().unwrap());
        let condition = found.map_or(Condition::Absent, |found| Condition::Match(found.etag));
        let options = WriteOptions::new().condition(condition);
        match palace.with(options.clone()).put("number", &object(json!({"n": n + 1}))) {
            Ok(_) => {
                done += 1;
                say(&format!("ack number {}", n + 1));
            }
            Err(Error::EtagMismatch { .. } | Error::Store(StoreError::Busy { .. })) => {}
            Err(error) => panic!("{}", chain(&error)),
        }
    }
}

pub fn create(path: &Path, name: &str) {
    let palace = Palace::open(path).unwrap();
    ready();
    palace.put(&format!("own/{name}"), &object(json!({"id": name, "n": 0}))).unwrap();
    say(&format!("ack own {name}"));
    say(&format!("id {}", palace.status().unwrap().palace.unwrap()));
}

/// A program that opens, writes once, and ends.
pub fn visit(path: &Path, name: &str, bytes: usize) {
    let palace = Palace::open(path).unwrap();
    ready();
    let text = "x".repeat(bytes);
    palace.put(&format!("own/{name}"), &object(json!({"id": name, "text": text}))).unwrap();
    say(&format!("ack own {name}"));
}
