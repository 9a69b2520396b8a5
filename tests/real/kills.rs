//! SIGKILL, SIGSTOP and SIGCONT at random moments over writers, readers and compactors.
//!
//! A round is a palace of its own. Processes are killed and followed by new ones, stopped and continued;
//! in the end everybody is killed at once, and a fresh process compares what is there with what was
//! acknowledged.

use super::job::{Job, Role};
use super::number;
use super::process::{Ledger, Process, check, tell};
use super::support::{Dice, dir, seeds};
use crdt_palace::fs::Fs;
use crdt_palace::fs::fs_type::lock_trusted;
use crdt_palace::fs::os::OsFs;
use rustix::process::Signal;
use std::path::Path;
use std::time::Duration;

/// How many kills a round has before its end, at least.
const KILLS: u64 = 24;
const THREADS: usize = 2;

#[derive(Default)]
struct Tally {
    kills: u64,
    stops: u64,
    acks: usize,
    compactions: usize,
    /// Snapshots that were retired, and files that were purged.
    cleared: u64,
    reads: usize,
}

impl Tally {
    fn hear(&mut self, process: &Process) {
        self.acks += process.acks();
        self.reads += process.said("read ").len();
        let compactions = process.said("compacted ");
        self.compactions += compactions.iter().filter(|said| said.starts_with('1')).count();
        let cleared = |said: &String| said.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
        self.cleared += compactions.iter().filter_map(cleared).sum::<u64>();
    }

    fn add(&mut self, other: &Tally) {
        self.kills += other.kills;
        self.stops += other.stops;
        self.acks += other.acks;
        self.compactions += other.compactions;
        self.cleared += other.cleared;
        self.reads += other.reads;
    }

    fn in_words(&self) -> String {
        let Tally { kills, stops, acks, compactions, cleared, reads } = self;
        format!(
            "{kills} kills, {stops} stops, {acks} acknowledged writes, {compactions} compactions that \
             published ({cleared} files cleared), {reads} full reads by live readers"
        )
    }
}

/// The jobs of a round: one slot each, which is filled again when its process was killed.
fn jobs(dice: &mut Dice, palace: &Path, acks: &Path) -> Vec<Job> {
    let lying_lock = dice.chance(2);
    // Where locks mean nothing, conditional writes are refused, and the checker has to be told who is dead.
    let adopt = !lock_trusted(OsFs.fs_type(acks).unwrap());
    let job = |role, pause_us| Job {
        role,
        palace: palace.to_owned(),
        acks: acks.to_owned(),
        threads: THREADS,
        pause_us,
        auto_compact: true,
        lying_lock,
        unconditional: adopt,
        adopt,
        ..Job::default()
    };
    let seal_one_in = dice.chance(2).then_some(10);
    let writers = (0..2 + dice.below(4)).map(|_| Job { seal_one_in, ..job(Role::Write, 300) });
    let readers = (0..1 + dice.below(2)).map(|_| job(Role::Read, 4_000));
    // The second one finds that what the first replaced is old enough to go.
    let compactors = [0, 90_000].map(|ahead_ms| Job { ahead_ms, ..job(Role::Compact, 4_000) });
    writers.chain(readers).chain(compactors).collect()
}

struct Round {
    dice: Dice,
    ledger: Ledger,
    processes: Vec<Process>,
    stopped: Vec<bool>,
    started: u64,
    tally: Tally,
    context: String,
}

impl Round {
    fn start(&mut self, job: &Job) -> Process {
        self.started += 1;
        let name = format!("p{}", self.started);
        Process::start(&Job { name, seed: self.dice.roll(), ..job.clone() }, &self.ledger)
    }

    /// One thing that happens to somebody.
    fn strike(&mut self) {
        let n = self.dice.below(self.processes.len());
        // Now and then somebody who has only begun to start; mostly one that is in the middle of its work.
        if !self.processes[n].is_ready() && !self.stopped[n] && !self.dice.chance(8) {
            self.processes[n].until_ready();
        }
        std::thread::sleep(Duration::from_micros(self.dice.roll() % 10_000));
        match (self.dice.below(10), self.stopped[n]) {
            (0..=6, _) => {
                self.kill(n);
                let job = self.processes[n].job.clone();
                self.processes[n] = self.start(&job);
            }
            (_, true) => {
                self.processes[n].signal(Signal::CONT);
                self.stopped[n] = false;
            }
            (_, false) => {
                self.processes[n].signal(Signal::STOP);
                self.stopped[n] = true;
                self.tally.stops += 1;
            }
        }
    }

    fn kill(&mut self, n: usize) {
        self.tally.kills += u64::from(self.processes[n].kill(&self.context));
        self.tally.hear(&self.processes[n]);
        self.stopped[n] = false;
    }

    /// Some close properly, the others are killed at once.
    fn end(&mut self) {
        let properly = self.dice.chance(4);
        for n in 0..self.processes.len() {
            if properly && !self.stopped[n] && n.is_multiple_of(2) {
                self.processes[n].tell_to_end();
            } else {
                self.processes[n].signal(Signal::KILL);
            }
        }
        (0..self.processes.len()).for_each(|n| self.kill_or_finish(n));
    }

    fn kill_or_finish(&mut self, n: usize) {
        if self.processes[n].is_told_to_end() {
            self.processes[n].finish(&self.context);
            self.tally.hear(&self.processes[n]);
        } else {
            self.kill(n);
        }
    }
}

/// Runs one palace until so many kills, and checks it.
fn round(seed: u64, kills: u64) -> Tally {
    let dir = dir();
    let (palace, acks) = (dir.path().join("palace"), dir.path().join("acks"));
    let (mut dice, ledger) = (Dice::new(seed), Ledger::create(&acks));
    let jobs = jobs(&mut dice, &palace, &acks);
    let adopt = jobs[0].adopt;
    let mut round = Round {
        dice,
        ledger,
        processes: Vec::new(),
        stopped: vec![false; jobs.len()],
        started: 0,
        tally: Tally::default(),
        context: format!("kills, CRDT_PALACE_SEED={seed}"),
    };
    for job in &jobs {
        let process = round.start(job);
        round.processes.push(process);
    }
    while round.tally.kills < kills {
        round.strike();
    }
    round.end();
    let uncertain = (round.tally.kills + jobs.len() as u64) * THREADS as u64;
    check(Job { palace, acks, uncertain, adopt, ..Job::default() }, &round.ledger, &round.context);
    round.tally
}

#[test]
fn killed_and_stopped_processes_lose_nothing_acknowledged() {
    let (mut all, mut rounds) = (Tally::default(), 0);
    let wanted = number("CRDT_PALACE_KILLS").unwrap_or(40);
    let start = std::time::Instant::now();
    for seed in seeds(u64::MAX - 1) {
        all.add(&round(seed, KILLS.min(wanted - all.kills)));
        rounds += 1;
        if rounds % 20 == 0 || all.kills >= wanted {
            let seconds = start.elapsed().as_secs();
            tell(&format!("real processes: {rounds} rounds in {seconds} s: {}", all.in_words()));
        }
        if all.kills >= wanted {
            break;
        }
    }
    assert!(all.acks > 0 && all.kills > 0, "{}", all.in_words());
}
