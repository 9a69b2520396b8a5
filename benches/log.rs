//! `crdt-log` on 100,000 drawers: how soon the first screen is there, from either end, and what a follower takes that has
//! nothing to print. Once with a few instances, and once with 5,000 that ever wrote.

mod common;

use common::large::{documents, fold_due, keep};
use common::table::{Bar, Table};
use common::{Result, document, median, millis, quick};
use crdt_palace::memory::drawers::{Drawers, Item, Place};
use crdt_palace::palace::Options;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Lines of a screen.
const SCREEN: usize = 50;
/// Drawers in one commit.
const COMMIT: u64 = 20;
/// Time that a first screen may take, in milliseconds.
const FIRST_SCREEN: f64 = 100.0;

fn main() -> Result {
    let mut table = Table::new();
    for commits_each in [1, 1_000] {
        let palace = drawers(commits_each)?;
        let instances = (documents() / COMMIT).div_ceil(commits_each);
        for arguments in [&["dump"][..], &["dump", "--reverse"], &["dump", "-n", "50"]] {
            let took = first_screen(&palace, arguments)?;
            let what = format!("{}; {instances} instances", arguments.join(" "));
            table.figure(&what, "ms", took, Bar::AtMost(FIRST_SCREEN));
        }
        let what = format!("idle dump --follow, in a minute; {instances} instances");
        table.figure(&what, "ms of processor", idle(&palace)?, Bar::None);
    }
    table.print(&format!("crdt-log on {} drawers", documents()));
    Ok(())
}

/// The drawers, written by instances that each made so many commits.
fn drawers(commits_each: u64) -> Result<PathBuf> {
    keep(&format!("log-{commits_each}"), |path| {
        let mut last = None;
        for commit in 0..documents() / COMMIT {
            let palace = match last.take().filter(|_| commit % commits_each != 0) {
                Some(palace) => palace,
                None => Options::default().auto_compact(false).open(path)?,
            };
            let items = (commit * COMMIT..(commit + 1) * COMMIT).map(drawer);
            Drawers::new(palace.clone()).file(&items.collect::<Result<Vec<_>>>()?)?;
            if commit % 200 == 0 {
                fold_due(&palace)?;
            }
            last = Some(palace);
        }
        fold_due(&last.ok_or("nothing was written")?)
    })
}

fn drawer(n: u64) -> Result<Item> {
    let place = Place::new(&format!("wing-{}", n / COMMIT % 20), &format!("room-{}", n % 7))?;
    let text = document(n).get("body").and_then(Value::as_str).map(str::to_owned);
    let text = text.ok_or("a document without a body")?;
    Ok(Item::new(place, &format!("{text} {n}"))?)
}

fn start(palace: &Path, arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crdt-log"));
    Ok(command.args(arguments).arg(palace).stdout(Stdio::piped()).spawn()?)
}

/// Returns the median time from before the process starts to the last line of the first screen.
fn first_screen(palace: &Path, arguments: &[&str]) -> Result<f64> {
    let rounds = if quick() { 3 } else { 15 };
    let times = (0..rounds).map(|_| {
        let began = Instant::now();
        let mut child = start(palace, arguments)?;
        let out = child.stdout.take().ok_or("no output")?;
        for line in BufReader::new(out).lines().take(SCREEN) {
            drop(line?);
        }
        let took = millis(began.elapsed());
        child.wait()?;
        Ok(took)
    });
    Ok(median(times.collect::<Result<Vec<f64>>>()?))
}

/// Returns the processor time that a follower takes in a minute in which nothing is written, in milliseconds.
fn idle(palace: &Path) -> Result<f64> {
    let (settle, watched) =
        (Duration::from_secs(3), Duration::from_secs(if quick() { 5 } else { 30 }));
    let mut child = start(palace, &["dump", "--follow", "-n", "1"])?;
    std::thread::sleep(settle);
    let before = processor_ms(&child)?;
    std::thread::sleep(watched);
    let after = processor_ms(&child)?;
    child.kill()?;
    child.wait()?;
    Ok((after - before) * 60.0 / watched.as_secs_f64())
}

/// Returns the time that a process has had a processor for, in milliseconds, of all its threads.
fn processor_ms(child: &Child) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir(format!("/proc/{}/task", child.id()))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let ran: f64 = text.split(' ').next().ok_or("schedstat is empty")?.parse()?;
        nanoseconds += ran;
    }
    Ok(nanoseconds / 1e6)
}
