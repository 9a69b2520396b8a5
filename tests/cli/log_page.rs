//! The examples of docs/LOG.md and docs/CLI.md. Each command of a page is run, and must print what the page shows.

use crate::client::LOG;
use crate::clock::{Clock, Clocked};
use crdt_palace::memory::drawers::{Change, DiaryEntry, Drawers, Item, Place};
use crdt_palace::memory::facts::{Facts, Triple};
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

const PAGES: [(&str, &str); 2] =
    [("LOG.md", include_str!("../../docs/LOG.md")), ("CLI.md", include_str!("../../docs/CLI.md"))];

/// Midnight of 2026-03-01, UTC.
const MARCH: i64 = 1_772_323_200_000;

/// A clock that stands still until it is set, and ids that begin with given digits.
#[derive(Clone, Debug)]
struct Set {
    time: Arc<AtomicI64>,
    start: [u8; 2],
    drawn: Arc<AtomicU64>,
}

impl Clock for Set {
    fn now_ms(&self) -> i64 {
        self.time.load(Ordering::Relaxed)
    }

    fn random(&self) -> std::io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&self.start);
        bytes[8..].copy_from_slice(&self.drawn.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Ok(bytes)
    }
}

/// A client with a process of its own.
struct Client {
    palace: Palace,
    drawers: Drawers,
    facts: Facts,
}

impl Client {
    fn new(path: &Path, name: &str, start: [u8; 2], time: &Arc<AtomicI64>) -> Self {
        let clock = Set { time: time.clone(), start, drawn: Arc::default() };
        let options = Options::default().auto_compact(false).fs(Arc::new(Clocked(clock)));
        let palace = options.open(path).unwrap();
        let by = Some(format!("{name} (crdt-palace 0.2.0)"));
        Client {
            drawers: Drawers::new(palace.clone()).by(by.clone()),
            facts: Facts::new(palace.clone()).by(by.clone()),
            palace,
        }
    }
}

/// Writes the palace of the page: two clients on two days.
fn write(path: &Path) {
    let time = Arc::new(AtomicI64::new(MARCH));
    let at = |day: i64, hour: i64, minute: i64, second: i64| {
        let seconds = ((day * 24 + hour) * 60 + minute) * 60 + second;
        time.store(MARCH + 1_000 * seconds, Ordering::Relaxed);
    };
    let ann = Client::new(path, "ann/1.0", [0x7f, 0x3a], &time);
    let bob = Client::new(path, "bob/2.1", [0xc2, 0x1b], &time);
    let place = || Place::new("atlas", "decisions").unwrap();
    let content = |text| Change { content: Some(text), ..Change::default() };

    at(0, 10, 2, 11);
    let text = "# Signing keys\nWe sign with RSA.\nRotate yearly.";
    let id = ann.drawers.file(&[Item::new(place(), text).unwrap()]).unwrap().remove(0).id;
    at(0, 10, 5, 40);
    let text = "# Signing keys\nWe sign with Ed25519.\nSee adr/7.\nRotate yearly.";
    bob.drawers.update(&id, content(text)).unwrap();
    at(0, 10, 7, 2);
    bob.drawers.update(&id, Change { room: Some("history"), ..Change::default() }).unwrap();
    at(0, 10, 9, 30);
    let signs = Triple::new("atlas", "signs with", "RSA").unwrap();
    ann.facts.assert(&signs, Some("2026-01-01"), None, None).unwrap();
    at(0, 16, 20, 0);
    let entry = DiaryEntry::new("ann", "Read adr/7 twice.", Some("auth"), None).unwrap();
    ann.drawers.write_diary(&entry).unwrap();

    at(1, 9, 0, 5);
    ann.facts.end(&signs, Some("2026-03-01")).unwrap();
    at(1, 9, 30, 0);
    let shared = bob.palace.with(WriteOptions::new().by("bob/2.1"));
    shared.put("notes/plan", &json!({"title": "Plan", "done": false})).unwrap();
    let base = ann.drawers.get(&id).unwrap().etag.parse().unwrap();
    let from_base = |text| Change { content: Some(text), base: Some(&base), ..Change::default() };
    at(1, 9, 41, 17);
    let text = "# Signing keys\nWe sign with Ed25519.\nSee adr/7.\nRotate monthly.";
    ann.drawers.update(&id, from_base(text)).unwrap();
    at(1, 9, 41, 20);
    let text = "# Keys that sign\nWe sign with Ed25519.\nSee adr/7.\nRotate weekly.";
    bob.drawers.update(&id, from_base(text)).unwrap();
}

/// Runs a command line in a shell, as the page shows it.
fn run(path: &Path, command: &str) -> String {
    let programs = PathBuf::from(LOG).parent().unwrap().to_owned();
    let output = Command::new("sh")
        .args(["-c", command])
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env("CRDT_PALACE_DIR", path)
        .env("TZ", "UTC")
        .env_remove("VISUAL")
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && errors.is_empty(), "{command}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn page_shows_what_its_commands_print() {
    for (name, page) in PAGES {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        write(&path);
        let (mut real, mut is_printed, mut commands) = (String::new(), false, 0);
        for line in page.lines() {
            is_printed &= !line.starts_with("```") && !line.starts_with("$ ");
            if !is_printed {
                real.push_str(&format!("{line}\n"));
            }
            if let Some(command) = line.strip_prefix("$ ") {
                real.push_str(&run(&path, command));
                (is_printed, commands) = (true, commands + 1);
            }
        }
        assert!(commands > 8, "{commands} commands");
        if real != page {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            std::fs::write(&file, real).unwrap();
            let right = file.display();
            panic!("docs/{name} shows what its commands do not print; {right} is right");
        }
    }
}
