//! Many real processes on one real directory: killed, stopped, sealed under, racing compactions.
//!
//! Parent and children wait for each other through pipes only. A child says that a write was acknowledged after it
//! was; the parent remembers that, and looks for it in every later load.

use crate::support::{
    Dice, assert_no_problem, child, compact_all, dir, documents, manual, names, seeds,
};
use crdt_palace::palace::Palace;
use crdt_palace::palace::compact::policy::BUSY_BYTES_DUE;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// How much a visitor writes.
const VISIT_BYTES: usize = 300_000;

/// How many calls a writing process has in flight.
const THREADS: usize = 20;

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    acknowledged: Vec<String>,
    said: Vec<String>,
}

impl Process {
    /// Starts a child (tests/programs/writers.rs), and returns when it is ready.
    fn start(role: &str, path: &Path, arguments: &[&str]) -> Self {
        let mut child = child(role)
            .arg(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut process =
            Process { child, input, output, acknowledged: Vec::new(), said: Vec::new() };
        assert_eq!(process.hear().as_deref(), Some("ready"), "{role} {arguments:?}");
        process
    }

    fn writer(path: &Path, name: &str, writes: usize) -> Self {
        Self::start("write", path, &[name, &THREADS.to_string(), &writes.to_string()])
    }

    /// The next line that was said; `None` when the child is gone. A line that was cut off is none.
    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let said = line.strip_suffix('\n')?;
        match said.strip_prefix("ack ") {
            Some(ack) => self.acknowledged.push(ack.to_owned()),
            None => self.said.push(said.to_owned()),
        }
        Some(said.to_owned())
    }

    fn tell(&mut self, text: &str) {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
    }

    /// Listens until the child has acknowledged this many writes in all, or is done.
    fn until(&mut self, acknowledged: usize) -> bool {
        while self.acknowledged.len() < acknowledged {
            if self.hear().is_none() {
                return false;
            }
        }
        true
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops the child, and returns when it stands still.
    fn stop(&self) {
        self.signal(Signal::STOP);
        let (_, status) =
            waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped());
    }

    /// Lets the child come to its end, or to the one it was given, and hears all that it said before.
    fn finish(mut self, killed: bool) -> Vec<String> {
        self.input = None;
        while self.hear().is_some() {}
        let status = self.child.wait().unwrap();
        assert!(killed || status.success(), "{status}, it said {:?}", self.said.last());
        self.acknowledged
    }
}

/// Every acknowledged write is there; nothing is there twice; pairs are whole.
fn assert_kept(palace: &Palace, acknowledged: &[String], uncertain: usize, context: &str) {
    let found = documents(palace);
    let mut counted = 0;
    for ack in acknowledged {
        let (kind, id) = ack.split_once(' ').unwrap();
        let lacks = || format!("{context}: {ack} was acknowledged and is not there");
        match kind {
            "own" => {
                let document =
                    found.get(&format!("own/{id}")).unwrap_or_else(|| panic!("{}", lacks()));
                assert_eq!(document.value["id"], id, "{context}");
            }
            "field" => {
                let thread: usize = id.split('-').nth(1).unwrap().parse().unwrap();
                let document = found.get(&format!("shared/{}", thread % 5));
                let field = document.and_then(|document| document.value.get(id));
                let n: usize = id.rsplit('-').next().unwrap().parse().unwrap();
                assert_eq!(field, Some(&json!(n)), "{}", lacks());
            }
            "count" => counted += 1,
            "pair" => {
                for end in ["left", "right"] {
                    assert!(found.contains_key(&format!("pair/{id}/{end}")), "{}", lacks());
                }
            }
            other => panic!("what is {other}?"),
        }
    }
    let counter = found.get("counter").map_or(0, |document| document.value["n"].as_u64().unwrap());
    assert!(counter >= counted, "{context}: {counted} increments acknowledged, {counter} there");
    assert!(counter <= counted + uncertain as u64, "{context}: {counter} of {counted} increments");
    let half = |key: &&String| key.starts_with("pair/") && key.ends_with("/left");
    for left in found.keys().filter(half) {
        let right = left.replace("/left", "/right");
        assert!(found.contains_key(&right), "{context}: half of a commit: {left}");
    }
    for document in found.values() {
        assert!(!document.incomplete, "{context}: {} waits", document.key);
        assert!(document.conflicts.is_empty(), "{context}: {}", document.key);
    }
}

/// The reader that followed all the time, and a fresh one, before and after everything was compacted.
fn assert_kept_for_good(
    path: &Path,
    follower: &Palace,
    acknowledged: &[String],
    uncertain: usize,
    context: &str,
) {
    assert_kept(follower, acknowledged, uncertain, &format!("{context}, following"));
    let fresh = manual(path);
    assert_kept(&fresh, acknowledged, uncertain, &format!("{context}, fresh"));
    assert_eq!(documents(follower), documents(&fresh), "{context}");
    let before = documents(&fresh);
    let report = compact_all(&fresh);
    assert!(report.skipped.is_empty() && report.left_open.is_empty(), "{context}: {report:?}");
    assert!(names(path, "open").is_empty() && names(path, "sealed").is_empty(), "{context}");
    for (palace, how) in [(&fresh, "compacting"), (&manual(path), "fresh"), (follower, "following")]
    {
        assert_kept(palace, acknowledged, uncertain, &format!("{context}, {how}, compacted"));
        assert_eq!(documents(palace), before, "{context}, {how}");
    }
    assert_no_problem(path, context);
}

/// Two compactors that race each other.
struct Compactors([Process; 2]);

impl Compactors {
    fn start(path: &Path) -> Self {
        Compactors([(); 2].map(|()| Process::start("compact", path, &[])))
    }

    fn tell(&mut self, extent: &str) {
        self.0.iter_mut().for_each(|compactor| compactor.tell(extent));
    }

    /// Waits for both.
    fn hear(&mut self, context: &str) {
        for compactor in &mut self.0 {
            assert_eq!(compactor.hear().as_deref(), Some("compacted"), "{context}");
        }
    }

    fn finish(self) {
        self.0.into_iter().for_each(|compactor| drop(compactor.finish(false)));
    }
}

/// Writers of which some are killed, two compactors that race each other and them.
fn kill_some(writers: usize, writes: usize, seed: u64) {
    let context = format!("{writers} writers, seed {seed}");
    let dir = dir();
    let path = dir.path().join("palace");
    let follower = manual(&path);
    let mut dice = Dice::new(seed);
    let mut compactors = Compactors::start(&path);
    let started: Vec<_> = (0..writers)
        .map(|n| {
            let total = THREADS * writes;
            let kill_at = (!dice.chance(3)).then(|| dice.below(total));
            (Process::writer(&path, &format!("w{n}"), writes), kill_at)
        })
        .collect();
    let killed = started.iter().filter(|(_, kill_at)| kill_at.is_some()).count();
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let listening: Vec<_> = started
            .into_iter()
            .map(|(mut process, kill_at)| {
                process.tell("go");
                scope.spawn(move || {
                    if let Some(kill_at) = kill_at {
                        process.until(kill_at);
                        process.signal(Signal::KILL);
                    }
                    process.finish(kill_at.is_some())
                })
            })
            .collect();
        while listening.iter().any(|listening| !listening.is_finished()) {
            let extent = if dice.chance(2) { "all" } else { "due" };
            compactors.tell(extent);
            documents(&follower);
            compactors.hear(&context);
        }
        listening.into_iter().flat_map(|listening| listening.join().unwrap()).collect()
    });
    compactors.finish();
    assert_kept_for_good(&path, &follower, &acknowledged, killed * THREADS, &context);
}

#[test]
fn two_writers_killed_at_any_point_lose_nothing_acknowledged() {
    seeds(3).for_each(|seed| kill_some(2, 12, seed));
}

#[test]
fn eight_writers_killed_at_any_point_lose_nothing_acknowledged() {
    seeds(2).for_each(|seed| kill_some(8, 8, seed));
}

#[test]
fn twenty_writers_killed_at_any_point_lose_nothing_acknowledged() {
    seeds(1).for_each(|seed| kill_some(20, 4, seed));
}

/// A writer is stopped in the middle of its writes, and its segment is sealed and folded as if it were
/// dead, which is what happens where flock lies. It goes on and notices nothing; neither do readers.
fn seal_under(seed: u64) {
    let context = format!("sealed under, seed {seed}");
    let dir = dir();
    let path = dir.path().join("palace");
    let follower = manual(&path);
    let mut dice = Dice::new(seed);
    let mut compactors = Compactors::start(&path);
    let mut writer = Process::writer(&path, "w", 40);
    writer.tell("go");
    let mut stops = 0;
    loop {
        let more = writer.acknowledged.len() + 1 + dice.below(120);
        if !writer.until(more) {
            break;
        }
        writer.stop();
        stops += 1;
        let sealed = names(&path, "open");
        for name in &sealed {
            std::fs::rename(path.join("open").join(name), path.join("sealed").join(name)).unwrap();
        }
        if !dice.chance(4) {
            compactors.tell("all");
            compactors.hear(&context);
        }
        // It may have said more than was heard before it stopped, so only what is missing can be wrong.
        assert_kept(&follower, &writer.acknowledged, 40 * THREADS, &context);
        assert_kept(&manual(&path), &writer.acknowledged, 40 * THREADS, &context);
        writer.signal(Signal::CONT);
    }
    assert!(stops > 2, "{context}: stopped {stops} times");
    assert!(writer.said.contains(&format!("mine {}", 10 * THREADS)), "{:?}", writer.said);
    let acknowledged = writer.finish(false);
    assert_eq!(acknowledged.len(), 40 * THREADS);
    compactors.finish();
    assert_kept_for_good(&path, &follower, &acknowledged, 0, &context);
}

#[test]
fn writers_whose_segment_is_sealed_and_compacted_lose_nothing() {
    seeds(3).for_each(seal_under);
}

#[test]
fn conditional_writers_never_both_win() {
    let dir = dir();
    let path = dir.path().join("palace");
    let mut writers: Vec<_> = (0..8).map(|_| Process::start("increment", &path, &["25"])).collect();
    writers.iter_mut().for_each(|writer| writer.tell("go"));
    let acknowledged: Vec<_> =
        writers.into_iter().flat_map(|writer| writer.finish(false)).collect();
    let distinct: BTreeSet<_> = acknowledged.iter().collect();
    assert_eq!((acknowledged.len(), distinct.len()), (200, 200), "two won with the same version");
    let number = manual(&path).get("number").unwrap().unwrap();
    assert_eq!((&number.value["n"], number.conflicts.len()), (&json!(200), 0));
    assert_eq!(manual(&path).history("number").unwrap().len(), 200);
    assert_no_problem(&path, "conditional writers");
}

#[test]
fn simultaneous_first_writes_create_one_palace() {
    for round in 0..5 {
        let dir = dir();
        let path = dir.path().join("deep/in/palace");
        let mut writers: Vec<_> =
            (0..8).map(|n| Process::start("create", &path, &[&format!("w{n}")])).collect();
        writers.iter_mut().for_each(|writer| writer.tell("go"));
        let mut ids = BTreeSet::new();
        let mut acknowledged = Vec::new();
        for mut writer in writers {
            while writer.hear().is_some() {}
            ids.extend(writer.said.iter().filter(|said| said.starts_with("id ")).cloned());
            acknowledged.extend(writer.finish(false));
        }
        assert_eq!((ids.len(), acknowledged.len()), (1, 8), "round {round}: {ids:?}");
        let fresh = manual(&path);
        assert_eq!(documents(&fresh).len(), 8, "round {round}");
        assert_kept_for_good(&path, &fresh, &acknowledged, 0, "first creation");
        assert!(names(&path, "tmp").is_empty(), "round {round}: {:?}", names(&path, "tmp"));
    }
}

/// Each finds the same compaction due, begins it, and is at its own end before the compaction is.
#[test]
fn palaces_written_only_by_short_processes_are_compacted() {
    let dir = dir();
    let path = dir.path().join("palace");
    let mut acknowledged = Vec::new();
    for n in 0..30 {
        let mut visitor =
            Process::start("visit", &path, &[&n.to_string(), &VISIT_BYTES.to_string()]);
        visitor.tell("go");
        acknowledged.extend(visitor.finish(false));
    }
    assert_eq!(acknowledged.len(), 30);
    let palace = manual(&path);
    let status = palace.status().unwrap();
    let left: u64 = status.segments.iter().map(|segment| segment.bytes).sum();
    // What is due in a palace that is being filled, and what the last one wrote.
    assert!(left < BUSY_BYTES_DUE + 2 * VISIT_BYTES as u64, "{left} bytes in segments");
    assert!(!status.snapshots.is_empty());
    assert_kept(&palace, &acknowledged, 0, "visitors");
}
