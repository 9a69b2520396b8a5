//! Every step of the store at which a process can be told to stop, one by one: there a real process is killed,
//! or stands still while others write and compact, and goes on.
//!
//! The list of the steps is the code's own. A step that nothing reaches fails the test.

#[path = "../real/acks.rs"]
mod acks;
#[allow(dead_code, reason = "the power cuts use the rest")]
#[path = "../real/job.rs"]
mod job;
#[path = "../../src/fs/stop/points.rs"]
mod points;
#[path = "../real/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

use job::{Job, Role};
use points::{POINTS, VARIABLE};
use process::{Ledger, Process, check};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{compact_all, dir, manual, names};

const LOG: &str = env!("CARGO_BIN_EXE_crdt-log");
/// More than a superseded snapshot stays.
const MINUTES_MS: i64 = 90_000;
/// More than anything stays in `trash/`, or is left alone in `tmp/`.
const DAYS_MS: i64 = 2 * 24 * 60 * 60 * 1000;

/// A palace, and what was acknowledged in it.
struct World {
    palace: PathBuf,
    acks: PathBuf,
    ledger: Ledger,
    context: String,
    started: u64,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(context: String) -> Self {
        let dir = dir();
        let (palace, acks) = (dir.path().join("palace"), dir.path().join("acks"));
        let ledger = Ledger::create(&acks);
        World { palace, acks, ledger, context, started: 0, _dir: dir }
    }

    fn start(&mut self, job: Job, stop: Option<&str>) -> Process {
        self.started += 1;
        let job = Job {
            palace: self.palace.clone(),
            acks: self.acks.clone(),
            name: format!("p{}", self.started),
            seed: self.started,
            threads: 1,
            unconditional: true,
            // Everybody builds on what the others have just written.
            spread: Some(1),
            ..job
        };
        let environment: Vec<_> = stop.iter().map(|stop| (VARIABLE, *stop)).collect();
        Process::start_with(&job, &self.ledger, &environment)
    }

    /// A writer that goes on until it is told to end, and has begun.
    fn writer(&mut self) -> Process {
        let writer = self.start(Job { pause_us: 500, ..Job::default() }, None);
        assert!(writer.until_acks(10), "{}", self.context);
        writer
    }

    /// Files that a compaction finds: a segment whose writer is dead, one that is sealed, a snapshot and one
    /// that it supersedes, something in `trash/`, and something that a dead process left in `tmp/`.
    fn prepare(&mut self) {
        for _ in 0..2 {
            let mut writer = self.start(Job { writes: Some(10), ..Job::default() }, None);
            writer.finish(&self.context);
            compact_all(&manual(&self.palace));
        }
        let mut writer = self.start(Job { writes: Some(10), ..Job::default() }, None);
        writer.finish(&self.context);
        self.writer().kill(&self.context);
        std::fs::write(self.palace.join("tmp").join("left"), "by somebody").unwrap();
    }

    /// Others do what a stopped process must not mind.
    fn go_on(&mut self, others: &Process, lying_lock: bool) {
        if lying_lock {
            // As where flock lies: the segment of one that only stands still is taken for a dead one's.
            for name in names(&self.palace, "open") {
                let directory = |name| self.palace.join(name);
                let (from, to) = (directory("open").join(&name), directory("sealed").join(&name));
                std::fs::rename(from, to).unwrap();
            }
        }
        let job = Job { role: Role::Compact, writes: Some(2), lying_lock: true, ..Job::default() };
        self.start(job, None).finish(&self.context);
        assert!(others.until_acks(others.acks() + 10), "{}", self.context);
        let mut newcomer = self.start(Job { writes: Some(10), ..Job::default() }, None);
        newcomer.finish(&self.context);
        let palace = manual(&self.palace);
        acks::Expected::of(&acks::read(&self.acks)).check(&palace, None, &self.context);
    }

    /// Nothing is lost, nothing is wrong, and the next compaction comes to its end.
    fn check(&self) {
        let (palace, acks) = (self.palace.clone(), self.acks.clone());
        let job = Job { palace, acks, uncertain: self.started, ..Job::default() };
        check(job, &self.ledger, &self.context);
        let verified = Command::new(LOG).arg("verify").arg(&self.palace).output().unwrap();
        assert!(verified.status.success(), "{}: {verified:?}", self.context);
    }
}

/// Whose step it is: a compactor's, with its clock, or a writer's.
fn job(point: &str) -> Job {
    let compactor = |ahead_ms| Job { role: Role::Compact, ahead_ms, ..Job::default() };
    let (beginning, _) = point.split_once('.').unwrap();
    match (beginning, point) {
        (_, "retire.names" | "retire.snapshot") => compactor(MINUTES_MS),
        ("purge", _) => compactor(DAYS_MS),
        ("compact" | "dead" | "fold" | "publish" | "retire", _) => compactor(0),
        ("seal", _) => Job { seal_one_in: Some(3), writes: Some(60), ..Job::default() },
        ("root" | "create" | "commit" | "append", _) => Job { writes: Some(150), ..Job::default() },
        _ => panic!("whose step is {point}?"),
    }
}

/// A process comes to `point`, lets it pass so many times, and is killed there, or stopped.
fn visit(point: &str, passes: u64, signal: &str) {
    let mut world = World::new(format!("{signal} at {point} after {passes}"));
    let victim = job(point);
    let makes_palace = point.starts_with("root.");
    let compacts = victim.role == Role::Compact;
    if compacts {
        world.prepare();
    }
    // Whoever makes the palace is the first; others only join once it stands still, or is dead.
    let mut others = (!makes_palace).then(|| world.writer());
    let victim = Job { writes: victim.writes.or(Some(1)), ..victim };
    let theirs = if point == "append.again" { names(&world.palace, "open") } else { Vec::new() };
    let mut victim = world.start(victim, Some(&format!("{point} {passes} {signal}")));
    if point == "append.again" {
        seal_under(&mut victim, &world.palace, &theirs);
    }
    if signal == "KILL" {
        assert!(victim.until_killed(), "{}: nothing came there", world.context);
    } else {
        assert!(victim.until_stopped(), "{}: nothing came there", world.context);
    }
    let others = others.get_or_insert_with(|| world.writer());
    world.go_on(others, signal == "STOP" && !compacts);
    if signal == "STOP" {
        victim.signal(Signal::CONT);
        victim.finish(&world.context);
    }
    others.finish(&world.context);
    world.check();
}

/// Takes the segment of a writer away as often as it takes, as where flock lies. Not those of others, who would give up:
/// a write may lose eight.
fn seal_under(writer: &mut Process, palace: &Path, theirs: &[String]) {
    while writer.is_running() {
        for name in names(palace, "open").into_iter().filter(|name| !theirs.contains(name)) {
            drop(std::fs::rename(
                palace.join("open").join(&name),
                palace.join("sealed").join(&name),
            ));
        }
    }
}

#[test]
fn processes_killed_at_any_step_lose_nothing_acknowledged() {
    for point in POINTS {
        visit(point, 0, "KILL");
    }
}

#[test]
fn processes_stopped_at_any_step_lose_nothing_acknowledged() {
    for point in POINTS {
        visit(point, 0, "STOP");
    }
}

/// With the first commit a segment is made as well; later ones are written into one that others have read.
#[test]
fn writers_hit_in_a_later_write_lose_nothing_acknowledged() {
    let later = |point: &&&str| point.starts_with("append.") || point.starts_with("commit.");
    for (n, point) in POINTS.iter().filter(later).enumerate() {
        // These come about by what others do, not every time.
        if !["append.again", "commit.secured"].contains(point) {
            visit(point, 2 + n as u64 % 5, "KILL");
            visit(point, 2 + n as u64 % 5, "STOP");
        }
    }
}

/// The other half of the proof that other builds have none of this: `default_build_has_no_stop_points`
/// in tests/real/main.rs would find these names.
#[test]
fn stop_point_names_are_found_in_a_build_that_has_them() {
    // It compacts and never writes, so it has a part of them.
    let program = std::fs::read(env!("CARGO_BIN_EXE_crdt-compact")).unwrap();
    let text = String::from_utf8_lossy(&program);
    let has = |name: &str| text.contains(name);
    for name in [VARIABLE, "dead.found", "fold.verified", "publish.named", "retire.segment"] {
        assert!(has(name), "{name}");
    }
}
