//! A real power cut: an ext4 file system in a file loses its journal in the middle of work, as if the machine
//! were switched off, and is mounted again.
//!
//! The cut is ext4's own: an ioctl after which nothing more reaches the device, neither what is in the page
//! cache nor the running journal transaction. Mounting replays the journal. What the device was sent stays:
//! a drive that loses its own cache is not tested.
//!
//! Promises count if they were heard before the ioctl was called. A sync that is under way in that moment may
//! be told that all is well although the journal was taken away: any program sees that, and no machine that
//! loses power lives to tell.
//!
//! Everything happens in a mount namespace of its own, which the kernel takes away with its last process,
//! and the loop device with it: nothing stays behind, however the test ends.

use super::job::{Job, PENDING, Role};
use super::number;
use super::process::{Ledger, Process, check, tell};
use super::support::{Dice, seeds};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set where the mount namespace is a private one.
const INSIDE: &str = "CRDT_PALACE_TEST_INSIDE";
const WRITERS: u64 = 3;
const THREADS: usize = 2;
/// So many cuts a palace lives through.
const LIVES: u64 = 8;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`. In Perl because every call of `ioctl` from Rust is
/// `unsafe`, which this project does without, and because Perl is part of every Debian.
const SHUT_DOWN: &str = r#"
open(my $place, "<", $ARGV[0]) or die "open: $!";
my $flags = pack("L", 2);
ioctl($place, 0x8004587D, $flags) or die "ioctl: $!";
"#;

/// Runs a command; what it said, if it failed.
fn run(command: &mut Command) -> Result<(), String> {
    let done = command.stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if done.status.success() { Ok(()) } else { Err(format!("{:?}: {said}", command.get_program())) }
}

/// A file system in a file.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
    dir: tempfile::TempDir,
}

impl Disk {
    /// In memory if possible: it is the file system that is tested, not what is below it.
    fn make() -> Result<Self, String> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::tempdir_in(base).unwrap();
        let disk = Disk { image: dir.path().join("image"), mount: dir.path().join("mount"), dir };
        fs::create_dir(&disk.mount).unwrap();
        fs::File::create(&disk.image).unwrap().set_len(256 << 20).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg("-F").arg(&disk.image))?;
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount))
    }

    fn cut(&self) -> Result<(), String> {
        run(Command::new("perl").args(["-e", SHUT_DOWN]).arg(&self.mount))
    }

    fn unmount(&self) -> Result<(), String> {
        run(Command::new("umount").arg(&self.mount))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It is mounted only if a test failed; then this may fail as well, and the namespace ends anyway.
        drop(self.unmount());
    }
}

#[derive(Default)]
struct Tally {
    cuts: u64,
    acks: usize,
    compactions: usize,
    /// Files that were written and not synced, and lost.
    lost: u64,
    /// Cuts after which the processes lived on.
    survived: u64,
}

struct Bench<'a> {
    disk: &'a Disk,
    dice: Dice,
    tally: Tally,
}

impl Bench<'_> {
    /// One palace, cut off again and again.
    fn palace(&mut self, number: u64, cuts: u64, seed: u64) {
        let palace = self.disk.mount.join(format!("palace-{number}"));
        let acks = self.disk.dir.path().join(format!("acks-{number}"));
        let ledger = Ledger::create(&acks);
        // In every other palace each process has one write under way and waits until it is on disk: then
        // nothing may wait for anything that is lost, either.
        let strict = number % 2 == 1;
        let job = Job {
            palace: palace.clone(),
            acks,
            threads: if strict { 1 } else { THREADS },
            never_buffered: strict,
            holes: !strict,
            pause_us: 300,
            auto_compact: true,
            durable: true,
            ..Job::default()
        };
        for life in 1..=cuts {
            let context = format!("cut {life} of {cuts}, CRDT_PALACE_SEED={seed}");
            let mut processes = self.start(&job, &ledger, life);
            self.work_and_cut(&mut processes, &ledger, &context);
            self.disk.unmount().unwrap_or_else(|why| panic!("{context}: {why}"));
            self.disk.mount().unwrap_or_else(|why| panic!("{context}: {why}"));
            let kept = fs::read(self.canary()).is_ok_and(|bytes| bytes == context.as_bytes());
            self.tally.lost += u64::from(!kept);
            // Of each thread one that was under way, and those that waited for their sync.
            let uncertain = life * WRITERS * THREADS as u64 * (1 + PENDING as u64);
            check(Job { uncertain, ..job.clone() }, &ledger, &context);
        }
        fs::remove_dir_all(&palace).unwrap();
        fs::remove_file(&job.acks).unwrap();
    }

    fn canary(&self) -> PathBuf {
        self.disk.mount.join("canary")
    }

    fn start(&mut self, job: &Job, ledger: &Ledger, life: u64) -> Vec<Process> {
        let job = Job { may_fail: true, ..job.clone() };
        let mut jobs: Vec<_> = (0..WRITERS)
            .map(|n| Job { name: format!("w{life}.{n}"), seed: self.dice.roll(), ..job.clone() })
            .collect();
        jobs[0].seal_one_in = Some(10);
        let (name, seed) = (format!("c{life}"), self.dice.roll());
        let ahead_ms = if self.dice.chance(2) { 90_000 } else { 0 };
        jobs.push(Job { role: Role::Compact, name, seed, ahead_ms, pause_us: 3_000, ..job });
        jobs.iter().map(|job| Process::start(job, ledger)).collect()
    }

    fn work_and_cut(&mut self, processes: &mut [Process], ledger: &Ledger, context: &str) {
        let acks = self.dice.below(40);
        if !processes[self.dice.below(WRITERS as usize)].until_acks(acks) {
            // Before the cut nothing may fail.
            let said: Vec<_> =
                processes.iter().flat_map(|process| process.said("failed")).collect();
            panic!("{context}: somebody ended before the cut: {said:?}");
        }
        fs::write(self.canary(), context).unwrap();
        std::thread::sleep(Duration::from_micros(self.dice.roll() % 5_000));
        let promised = ledger.length();
        self.disk.cut().unwrap_or_else(|why| panic!("{context}: {why}"));
        // A machine that is switched off takes its processes along; one that only loses its disk does not.
        if self.dice.chance(2) {
            processes.iter().for_each(|process| process.signal(Signal::KILL));
            for process in processes.iter_mut() {
                process.kill(context);
            }
        } else {
            self.tally.survived += 1;
            processes.iter_mut().for_each(|process| process.finish(context));
        }
        // What is said from then on counts for nothing: see the top of this file.
        ledger.cut_to(promised);
        self.tally.cuts += 1;
        self.tally.acks += processes.iter().map(Process::acks).sum::<usize>();
        let compacted = |process: &Process| process.said("compacted 1").len();
        self.tally.compactions += processes.iter().map(compacted).sum::<usize>();
    }
}

fn cut_and_check(disk: &Disk) {
    let wanted = number("CRDT_PALACE_CUTS").unwrap_or(3);
    let seed = seeds(1).next().unwrap();
    let mut bench = Bench { disk, dice: Dice::new(seed), tally: Tally::default() };
    let start = Instant::now();
    for number in 0.. {
        bench.palace(number, LIVES.min(wanted - bench.tally.cuts), seed);
        let Tally { cuts, acks, compactions, lost, survived } = bench.tally;
        if cuts >= wanted || number % 4 == 3 {
            let seconds = start.elapsed().as_secs();
            tell(&format!(
                "real power cut: {cuts} cuts in {seconds} s ({survived} that the processes survived, \
                 {lost} that took an unsynced file), {acks} acknowledged writes, {compactions} \
                 compactions that published"
            ));
        }
        if cuts >= wanted {
            break;
        }
    }
    assert!(bench.tally.lost > 0, "the cuts took nothing away: they are none");
}

/// Why it cannot be done here, if so.
fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can mount a file system".to_owned());
    }
    let tools: [(&str, &[&str]); 3] =
        [("mkfs.ext4", &["-V"]), ("perl", &["-v"]), ("unshare", &["--mount", "true"])];
    tools.iter().find_map(|(tool, arguments)| run(Command::new(tool).args(*arguments)).err())
}

#[test]
fn power_cuts_lose_nothing_acknowledged() {
    if std::env::var_os(INSIDE).is_some() {
        match Disk::make() {
            Ok(disk) => cut_and_check(&disk),
            Err(why) => tell(&format!("real power cut: SKIPPED: {why}")),
        }
        return;
    }
    if let Some(why) = obstacle() {
        return tell(&format!("real power cut: SKIPPED: {why}"));
    }
    let inside = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "cuts::power_cuts_lose_nothing_acknowledged", "--nocapture"])
        .env(INSIDE, "1")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(inside.success(), "{inside}");
}
