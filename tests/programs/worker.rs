//! One process that writes, reads, compacts or checks: the child of tests/real and tests/stops.
//!
//! A child says that a write was acknowledged after the call returned, on its standard output, and works
//! until its standard input ends, or for as many writes as its job says.

use crate::acks::{self, Expected, content, text};
use crate::clock::{Ahead, Clocked};
use crate::job::{Job, PENDING, Role};
use crate::support::{Dice, compact_with, documents, object};
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::verify::Severity;
use crdt_palace::palace::{
    Condition, Draft, Durability, Error, Key, MergeError, Options, Palace, Result, StoreError,
    WriteOptions, chain,
};
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What the parent has said so far: see [`listen`].
static TOLD: (Mutex<Told>, Condvar) = (Mutex::new(Told { lines: 0, ended: false }), Condvar::new());

#[derive(Clone, Copy)]
struct Told {
    lines: usize,
    ended: bool,
}

/// Does a [`Job`], given as JSON.
pub fn run(job: &str) {
    // Also one that stands still must not outlive a test that is killed.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    let job: Job = serde_json::from_str(job).unwrap();
    std::thread::spawn(listen);
    let done = match job.role {
        Role::Write => write(&job),
        Role::Read => read(&job),
        Role::Compact => compact(&job),
        Role::Check => check(&job),
    };
    match done {
        Ok(()) => {}
        Err(error) if job.may_fail => say(&format!("failed: {}", chain(&error))),
        Err(error) => panic!("{}: {}", job.name, chain(&error)),
    }
}

/// The first line means that it is enough, each further one that the content is to be told; the end of the
/// standard input that this process is to end.
fn listen() {
    for line in std::io::stdin().lines().chain([Ok(String::new())]) {
        line.unwrap();
        TOLD.0.lock().unwrap().lines += 1;
        TOLD.1.notify_all();
    }
    TOLD.0.lock().unwrap().ended = true;
    TOLD.1.notify_all();
}

fn until_told(wanted: impl Fn(Told) -> bool) -> Told {
    let mut told = TOLD.0.lock().unwrap();
    while !wanted(*told) && !told.ended {
        told = TOLD.1.wait(told).unwrap();
    }
    *told
}

fn ended() -> bool {
    TOLD.0.lock().unwrap().lines > 0
}

fn say(text: &str) {
    // In one write, so that a kill leaves all of the line or nothing.
    std::io::stdout().lock().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Whether there is more to do after `done` times.
fn goes_on(job: &Job, done: u64) -> bool {
    job.writes.map_or_else(|| !ended(), |writes| done < writes)
}

fn pause(dice: &mut Dice, most_us: u64) {
    if most_us > 0 {
        std::thread::sleep(Duration::from_micros(dice.roll() % most_us));
    }
}

fn open(job: &Job) -> Result<Palace> {
    let options = Options::default().program(&job.name).auto_compact(job.auto_compact);
    match job.ahead_ms {
        0 => options.open(&job.palace),
        ms => options.fs(Arc::new(Clocked(Ahead { ms }))).open(&job.palace),
    }
}

/// Somebody else is at it, or was a moment ago.
fn unless_busy<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Error::Store(StoreError::Busy { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(job: &Job) -> Result<()> {
    let palace = open(job)?;
    say("ready");
    let run = |thread: usize| -> Result<()> {
        let name = format!("{}.{thread}", job.name);
        let dice = Dice::new(job.seed.wrapping_mul(64) + thread as u64);
        let mut writer =
            Writer { palace: &palace, job, name, dice, pending: Vec::new(), last: 0, first: None };
        for n in (0..).take_while(|n| goes_on(job, *n)) {
            writer.step(n)?;
            pause(&mut writer.dice, job.pause_us);
        }
        writer.sync()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..job.threads.max(1)).map(|n| scope.spawn(move || run(n))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    say("still");
    for lines in 2.. {
        if job.writes.is_some() || until_told(|told| told.lines >= lines).ended {
            break;
        }
        say(&format!("digest {}", digest(&palace)));
    }
    palace.seal()
}

/// Of everything that can be seen, versions included.
fn digest(palace: &Palace) -> blake3::Hash {
    blake3::hash(format!("{:?}", documents(palace)).as_bytes())
}

struct Writer<'a> {
    palace: &'a Palace,
    job: &'a Job,
    name: String,
    dice: Dice,
    /// Written, and acknowledged by the next sync.
    pending: Vec<String>,
    last: u64,
    /// The first document that it put, which nobody else writes.
    first: Option<String>,
}

impl Writer<'_> {
    fn step(&mut self, n: u64) -> Result<()> {
        let buffered = !self.job.never_buffered && self.dice.chance(2);
        let durability = if buffered { Durability::Buffered } else { Durability::Durable };
        let options = WriteOptions::new().durability(durability);
        if let Some(ack) = self.write(&format!("{}-{n}", self.name), &options)? {
            if self.job.durable && durability == Durability::Buffered {
                self.pending.push(ack);
            } else {
                say(&format!("ack {ack}"));
            }
        }
        if self.dice.chance(8) || self.pending.len() >= PENDING {
            self.sync()?;
        }
        if self.job.seal_one_in.is_some_and(|one_in| self.dice.chance(one_in)) {
            self.palace.seal()?;
        }
        if let Some(first) = self.first.as_ref().filter(|_| n.is_multiple_of(6)) {
            let content = content(first);
            let found = self.palace.get(&format!("own/{first}"))?;
            assert_eq!(found.map(|found| found.value), Some(content), "{first}");
            let hits = self.palace.search(&text(first, 200)).limit(5).hits()?;
            assert!(!hits.is_empty(), "nothing has the words of {first}");
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            self.palace.sync()?;
            self.pending.drain(..).for_each(|ack| say(&format!("ack {ack}")));
        }
        Ok(())
    }

    /// One write, and what is to be acknowledged of it.
    fn write(&mut self, id: &str, options: &WriteOptions) -> Result<Option<String>> {
        let palace = self.palace;
        let shared = self.dice.below(self.job.spread.unwrap_or(4));
        Ok(Some(match self.dice.below(if self.job.unconditional { 10 } else { 11 }) {
            0..=2 => {
                palace.with(options.clone()).put(&format!("own/{id}"), &content(id))?;
                let found = palace.get(&format!("own/{id}"))?;
                assert_eq!(found.map(|found| found.value), Some(content(id)), "its own write");
                self.first.get_or_insert_with(|| id.to_owned());
                format!("own {id}")
            }
            3 | 4 => {
                let patch = json!({id: text(id, 20)});
                palace.with(options.clone()).patch(&format!("shared/{shared}"), &object(patch))?;
                format!("field {shared} {id}")
            }
            5 => {
                palace.with(options.clone()).increment("counter", &["n"], 1)?;
                "count".to_owned()
            }
            6 => {
                let append = |draft: &mut Draft<'_>| draft.append(&["items"], &[json!(id)]);
                self.batch([(format!("list/{shared}"), append)], options)?;
                format!("item {shared} {id}")
            }
            7 => {
                let content = content(id);
                let put = |draft: &mut Draft<'_>| draft.put(&content);
                let keys = ["left", "right"].map(|end| format!("pair/{id}/{end}"));
                self.batch(keys.map(|key| (key, put)), options)?;
                format!("pair {id}")
            }
            8 => {
                self.last += 1;
                let (name, n) = (&self.name, self.last);
                let value = json!({"n": n, "text": text(&format!("{name}-{n}"), 200)});
                palace.with(options.clone()).put(&format!("last/{name}"), &object(value))?;
                format!("last {name} {n}")
            }
            9 => {
                palace.with(options.clone()).put(&format!("gone/{id}"), &content(id))?;
                palace.with(options.clone()).delete(&format!("gone/{id}"))?;
                format!("gone {id}")
            }
            _ => return self.win(shared, options),
        }))
    }

    fn batch<F>(
        &self,
        writes: impl IntoIterator<Item = (String, F)>,
        options: &WriteOptions,
    ) -> Result<()>
    where
        F: FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError>,
    {
        let mut batch = self.palace.with(options.clone()).batch();
        for (key, write) in writes {
            batch.write(Key::new(&key).unwrap(), write);
        }
        batch.commit().map(drop)
    }

    /// Puts the next version, unless somebody else was faster.
    fn win(&self, shared: usize, options: &WriteOptions) -> Result<Option<String>> {
        let key = format!("won/{shared}");
        let found = self.palace.get(&key)?;
        let n = found.as_ref().map_or(0, |found| found.value["n"].as_u64().unwrap()) + 1;
        let condition = found.map_or(Condition::Absent, |found| Condition::Match(found.etag));
        let options = options.clone().condition(condition);
        match self.palace.with(options).put(&key, &object(json!({"n": n}))) {
            Err(Error::EtagMismatch { .. }) => Ok(None),
            done => Ok(unless_busy(done)?.map(|_| format!("won {shared} {n}"))),
        }
    }
}

/// Reads everything that was acknowledged before it looks, again and again, mostly with one handle.
fn read(job: &Job) -> Result<()> {
    let mut dice = Dice::new(job.seed);
    let mut palace = open(job)?;
    say("ready");
    while !ended() {
        if dice.chance(4) {
            palace =
                Options::default().read_only().open(&job.palace).or_else(|error| match error {
                    Error::Store(StoreError::NoPalace { .. }) => open(job),
                    other => Err(other),
                })?;
        }
        let lines = acks::read(&job.acks);
        Expected::of(&lines).check(&palace, None, &format!("{}, a live reader", job.name));
        say(&format!("read {}", lines.len()));
        pause(&mut dice, job.pause_us);
    }
    Ok(())
}

fn compact(job: &Job) -> Result<()> {
    let mut dice = Dice::new(job.seed);
    let palace = open(job)?;
    say("ready");
    let mut n = 0;
    while goes_on(job, n) {
        if job.lying_lock
            && dice.chance(2)
            && let Err(error) = std::fs::remove_file(job.palace.join("LOCK"))
        {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
        let extent = if dice.chance(2) { Extent::All } else { Extent::Due };
        let options = CompactOptions::new().extent(extent);
        if let Some(report) = unless_busy(palace.compact(options))? {
            let published = u8::from(report.published.is_some());
            say(&format!("compacted {published} {}", report.cleared));
            n += 1;
        }
        pause(&mut dice, job.pause_us);
    }
    Ok(())
}

/// Everything acknowledged is there in a process that knows nothing; nothing is wrong with any file; the
/// next compaction comes to its end, and changes nothing that can be seen.
fn check(job: &Job) -> Result<()> {
    let expected = Expected::of(&acks::read(&job.acks)).with_holes(job.holes);
    let context = &job.name;
    let verified = |palace: &Palace| -> Result<()> {
        let found = palace.verify()?;
        for finding in found.findings {
            let allowed = job.holes && !finding.missing.is_empty();
            assert!(finding.severity == Severity::Note || allowed, "{context}: {finding:#?}");
        }
        Ok(())
    };
    if expected_is_there(&job.palace) {
        let palace = Palace::open_read_only(&job.palace)?;
        expected.check(&palace, Some(job.uncertain), context);
        verified(&palace)?;
    }
    let palace = open(job)?;
    let before = documents(&palace);
    let all = CompactOptions::new().all();
    let report = compact_with(&palace, if job.adopt { all.adopt() } else { all });
    assert!(report.skipped.is_empty(), "{context}: {report:?}");
    assert!(report.left_open.is_empty(), "{context}: {report:?}");
    assert_eq!(documents(&palace), before, "{context}: compaction changed something");
    let fresh = open(job)?;
    expected.check(&fresh, Some(job.uncertain), &format!("{context}, compacted"));
    verified(&fresh)?;
    say(&format!("digest {}", digest(&fresh)));
    Ok(())
}

/// Whoever is killed before the first write has left no palace, which is as good as an empty one.
fn expected_is_there(palace: &std::path::Path) -> bool {
    palace.join("palace.json").exists()
}
