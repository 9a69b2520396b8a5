//! A palace in use: instances that come, go and die, and one that stays.
//!
//! All are real processes. They read, write, search, and write on conditions; nobody compacts but they
//! themselves, in the background. In the end all agree, nothing acknowledged is missing, the disk holds no
//! more than a few times what was written, and the one that stayed has not grown.

use super::acks;
use super::job::{Job, Role};
use super::number;
use super::process::{Ledger, Process, check, tell};
use super::support::{Dice, dir, seeds};
use crdt_palace::format::filename::parse_snapshot;
use crdt_palace::format::key::Key;
use crdt_palace::merge::automerge::Automerge;
use crdt_palace::snapshot::{Snapshot, Source};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Disk use stays within so many times the bytes of all changes ever written.
const TIMES: u64 = 5;

/// What a process holds, as the kernel tells.
#[derive(Clone, Copy, Debug)]
struct Held {
    descriptors: usize,
    threads: u64,
    private_kb: u64,
}

impl Held {
    fn by(process: &Process) -> Self {
        let proc = format!("/proc/{}", process.id());
        let read = |name: &str| fs::read_to_string(format!("{proc}/{name}")).unwrap();
        let number = |text: &str, field: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(field));
            line.and_then(|rest| rest.split_whitespace().next()).unwrap().parse().unwrap()
        };
        let memory = read("smaps_rollup");
        Held {
            descriptors: fs::read_dir(format!("{proc}/fd")).unwrap().count(),
            threads: number(&read("status"), "Threads:"),
            private_kb: number(&memory, "Private_Dirty:") + number(&memory, "Private_Clean:"),
        }
    }
}

/// Bytes on disk below a directory: whole blocks.
fn disk_use(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let used = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_use(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        // Renamed or removed a moment ago.
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => panic!("{}: {error}", entry.path().display()),
    });
    used.sum()
}

/// The bytes of all changes that were ever written. Everything was compacted: the newest snapshot holds them.
fn change_bytes(palace: &Path) -> u64 {
    let entries = fs::read_dir(palace.join("snap")).unwrap().map(|entry| entry.unwrap().path());
    let open = |path: PathBuf| {
        let id = parse_snapshot(path.file_name()?.to_str()?)?;
        Some(Snapshot::open(Source::Path(&path), id).unwrap())
    };
    let newest =
        entries.filter_map(open).max_by_key(|snapshot| snapshot.meta().created_ms).unwrap();
    let (mut sum, mut after) = (0, None);
    loop {
        let rows = newest.rows_after(after.as_ref().map(Key::as_str), 256).unwrap();
        let Some(last) = rows.last() else { return sum };
        after = Some(last.key.clone());
        for row in rows {
            let mut document = Automerge::new();
            document.load_incremental(&row.document).unwrap();
            let changes = document.get_changes(&[]);
            sum += changes.iter().map(|change| change.raw_bytes().len() as u64).sum::<u64>();
            sum += row.waiting.iter().map(|change| change.len() as u64).sum::<u64>();
        }
    }
}

/// How much there was on disk, and how many writes were acknowledged.
#[derive(Clone, Copy, Debug)]
struct Used {
    bytes: u64,
    writes: u64,
}

impl Used {
    fn by(palace: &Path, acks: &Path) -> Self {
        Used { bytes: disk_use(palace), writes: acks::read(acks).len() as u64 }
    }

    /// How many times the bytes of the changes until then, if all writes have as many; `writes` have `change_bytes`.
    fn times(self, change_bytes: u64, writes: u64) -> f64 {
        self.bytes as f64 * writes as f64 / (self.writes as f64 * change_bytes as f64)
    }
}

struct Soak {
    dice: Dice,
    ledger: Ledger,
    job: Job,
    /// The first one stays; the others come and go.
    processes: Vec<Process>,
    started: u64,
    died: u64,
    left: u64,
    samples: Vec<Held>,
    used: Vec<Used>,
    context: String,
}

impl Soak {
    fn start(&mut self) -> Process {
        self.started += 1;
        let (name, seed) = (format!("p{}", self.started), self.dice.roll());
        Process::start(&Job { name, seed, ..self.job.clone() }, &self.ledger)
    }

    /// Somebody goes, one way or the other, and somebody else comes.
    fn replace_one(&mut self) {
        let n = 1 + self.dice.below(self.processes.len() - 1);
        if self.dice.chance(2) {
            self.processes[n].kill(&self.context);
            self.died += 1;
        } else {
            self.processes[n].finish(&self.context);
            self.left += 1;
        }
        self.processes[n] = self.start();
    }

    fn run(&mut self, instances: usize, time: Duration) {
        let start = Instant::now();
        for _ in 0..instances {
            let process = self.start();
            self.processes.push(process);
        }
        let every = Duration::from_millis(if instances > 20 { 1_000 } else { 400 });
        while start.elapsed() < time {
            std::thread::sleep(every);
            self.replace_one();
            self.samples.push(Held::by(&self.processes[0]));
            self.used.push(Used::by(&self.job.palace, &self.job.acks));
        }
    }

    /// All stand still, and say what they see: each the same.
    fn agree(&mut self) {
        self.processes.iter_mut().for_each(|process| process.tell("still"));
        for process in &self.processes {
            assert!(process.until_said("still", 1), "{}: {}", self.context, process.job.name);
        }
        let mut digests = Vec::new();
        for process in &mut self.processes {
            process.tell("digest");
            assert!(process.until_said("digest ", 1), "{}: {}", self.context, process.job.name);
            digests.extend(process.said("digest "));
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "{}: not all see the same", self.context);
    }

    /// What the one that stayed holds when everybody else has gone and everything is compacted.
    fn rest(&mut self) -> Held {
        for mut process in self.processes.drain(1..) {
            process.finish(&self.context);
        }
        let name = "compactor".to_owned();
        let job = Job { role: Role::Compact, name, writes: Some(1), ..self.job.clone() };
        Process::start(&job, &self.ledger).finish(&self.context);
        let stayed = &mut self.processes[0];
        stayed.tell("digest");
        assert!(stayed.until_said("digest ", 2), "{}", self.context);
        Held::by(stayed)
    }
}

/// Memory that grows would have grown between the second fifth and the last.
fn assert_bounded(samples: &[Held], context: &str) {
    let most = |samples: &[Held]| samples.iter().map(|held| held.private_kb).max().unwrap_or(0);
    let fifth = samples.len() / 5;
    let (early, late) = (most(&samples[fifth..2 * fifth]), most(&samples[4 * fifth..]));
    assert!(late <= early + early / 2 + 32_768, "{context}: private memory {early} kB, {late} kB");
}

#[test]
fn instances_that_start_end_and_die_agree_and_leak_nothing() {
    let minutes = number("CRDT_PALACE_SOAK_MINUTES");
    let time = minutes.map_or(Duration::from_secs(8), |minutes| Duration::from_secs(60 * minutes));
    let instances = if minutes.is_some() { 50 } else { 6 };
    let seed = seeds(1).next().unwrap();
    let dir = dir();
    let (palace, acks) = (dir.path().join("palace"), dir.path().join("acks"));
    let job = Job {
        palace: palace.clone(),
        acks: acks.clone(),
        threads: 1,
        pause_us: if minutes.is_some() { 1_000_000 } else { 5_000 },
        auto_compact: true,
        spread: Some(200),
        ..Job::default()
    };
    let mut soak = Soak {
        dice: Dice::new(seed),
        ledger: Ledger::create(&acks),
        job,
        processes: Vec::new(),
        started: 0,
        died: 0,
        left: 0,
        samples: Vec::new(),
        used: Vec::new(),
        context: format!("soak, CRDT_PALACE_SEED={seed}"),
    };
    soak.run(instances, time);
    soak.agree();
    let used = Used::by(&palace, &acks);
    let trash = disk_use(&palace.join("trash"));
    let rest = soak.rest();
    let snapshots = fs::read_dir(palace.join("snap")).unwrap().count();
    let context = &soak.context;
    soak.processes[0].finish(context);
    let job =
        Job { palace: palace.clone(), acks: acks.clone(), uncertain: soak.died, ..Job::default() };
    check(job, &soak.ledger, context);
    let written = change_bytes(&palace);
    // Before, there is hardly anything but the segments that everybody has begun.
    let settled = soak.used.len() / 5..;
    let times = |until: &Used| until.times(written, used.writes);
    let (first, last) = (soak.samples[0], soak.samples[soak.samples.len() - 1]);
    let most = |of: fn(&Held) -> u64| soak.samples.iter().map(of).max().unwrap();
    let at_most = soak.used[settled].iter().map(times).fold(0.0, f64::max);
    tell(&format!(
        "soak: {instances} instances for {} s, {} came, {} died, {} left; {} acknowledged writes of {} kB; \
         disk {} kB, of which trash {} kB; at most {at_most:.1} times what was written until then; the one that \
         stayed: {first:?} at first, {last:?} at last, {rest:?} at rest; at most {} descriptors, {} threads, {} kB",
        time.as_secs(),
        soak.started,
        soak.died,
        soak.left,
        used.writes,
        written / 1024,
        used.bytes / 1024,
        trash / 1024,
        most(|held| held.descriptors as u64),
        most(|held| held.threads),
        most(|held| held.private_kb),
    ));
    // Its standard streams, its own segment, the snapshots, news of names, and what the test harness has.
    assert!(rest.descriptors <= 24 + 2 * snapshots, "{context}: {rest:?}, {snapshots} snapshots");
    assert!(rest.threads <= 6, "{context}: {rest:?}");
    assert_bounded(&soak.samples, context);
    assert!(used.bytes <= TIMES * written, "{context}: {used:?} for {written} bytes of changes");
    assert!(at_most <= TIMES as f64, "{context}: {at_most:.1} times what was written until then");
}
