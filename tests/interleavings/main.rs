//! The protocol between threads of one process, under a scheduler that decides at every lock and at every system call of
//! the simulated disk which thread goes on.
//!
//! ```text
//! cargo test --no-default-features --features shuttle --test interleavings
//! CRDT_PALACE_INTERLEAVINGS=100000 cargo test --release --no-default-features --features shuttle --test interleavings
//! ```
//!
//! A schedule that fails prints itself; `shuttle::replay` runs it again. Each world is made by a seed as well: the first
//! number that the schedule draws.

use crdt_palace::fs::sim::{Call, Failure, SimDisk, SimFs};
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Durability, Error, Options, Palace, StoreError, WriteOptions};
use crdt_palace::sync::mutants::{Mutant, activate};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const PALACE: &str = "/home/palace";
const ALL: CompactOptions = CompactOptions::new().all();

/// One test at a time: the mutants are switched for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn open(disk: &SimDisk) -> Palace {
    let options = Options::default().fs(Arc::new(disk.process())).auto_compact(false);
    options.open(PALACE).unwrap()
}

fn count(palace: &Palace, key: &str) -> u64 {
    palace.get(key).unwrap().map_or(0, |found| found.value["n"].as_u64().unwrap())
}

/// Increments of one key: acknowledged ones, and those whose outcome is unknown.
#[derive(Default)]
struct Ledger {
    acknowledged: AtomicU64,
    attempted: AtomicU64,
}

impl Ledger {
    fn increment(&self, palace: &Palace, key: &str, durability: Durability) {
        self.attempted.fetch_add(1, Ordering::SeqCst);
        let options = WriteOptions::new().durability(durability);
        match palace.with(options.clone()).increment(key, &["n"], 1) {
            Ok(_) => drop(self.acknowledged.fetch_add(1, Ordering::SeqCst)),
            // The disk failed, or the palace was replaced, as planned.
            Err(Error::Store(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads, and compares with what was acknowledged before the read began, and attempted before it ended.
    fn check(&self, palace: &Palace, key: &str) {
        let before = self.acknowledged.load(Ordering::SeqCst);
        let found = count(palace, key);
        let after = self.attempted.load(Ordering::SeqCst);
        assert!((before..=after).contains(&found), "{key}: {found} of {before} to {after}");
    }
}

fn run(scheduler: impl Scheduler + 'static, world: fn()) {
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    config.max_steps = shuttle::MaxSteps::FailAfter(10_000_000);
    shuttle::Runner::new(scheduler, config).run(world);
}

fn schedules(default: usize) -> usize {
    std::env::var("CRDT_PALACE_INTERLEAVINGS").map_or(default, |text| text.parse().unwrap())
}

/// Under both schedulers: one that draws each step, and one that changes its mind a few times only.
fn explore(default: usize, world: fn()) {
    let schedules = schedules(default);
    run(RandomScheduler::new(schedules), world);
    run(PctScheduler::new(4, schedules), world);
}

/// The world must fail with this mutant within so many schedules.
fn must_fail(mutant: Mutant, world: fn()) {
    activate(Some(mutant));
    let failed = catch_unwind(AssertUnwindSafe(|| explore(20_000, world))).is_err();
    activate(None);
    assert!(failed, "no schedule noticed {mutant:?}");
}

fn alone(test: impl FnOnce()) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    test();
}

/// Two threads of one process and one of another write one document; readers of both compare; compactions go on.
fn writers_readers_and_compactions() {
    let disk = Arc::new(SimDisk::new(thread_rng().r#gen()));
    let (here, there) = (open(&disk), open(&disk));
    let ledger = Arc::new(Ledger::default());
    ledger.increment(&here, "k", Durability::Durable);
    let spawn = |palace: &Palace, work: fn(&Palace, &Ledger)| {
        let (palace, ledger) = (palace.clone(), ledger.clone());
        thread::spawn(move || work(&palace, &ledger))
    };
    let write: fn(&Palace, &Ledger) = |palace, ledger| {
        ledger.increment(palace, "k", Durability::Durable);
        ledger.check(palace, "k");
        ledger.increment(palace, "k", Durability::Buffered);
    };
    let read: fn(&Palace, &Ledger) = |palace, ledger| {
        ledger.check(palace, "k");
        ledger.check(palace, "k");
    };
    let compact: fn(&Palace, &Ledger) = |palace, _| match palace.compact(ALL) {
        Ok(_) | Err(Error::Store(StoreError::Busy { .. })) => {}
        Err(error) => panic!("{error}"),
    };
    let threads = [
        spawn(&here, write),
        spawn(&here, write),
        spawn(&there, write),
        spawn(&here, read),
        spawn(&there, read),
        spawn(&there, compact),
        spawn(&here, compact),
    ];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop((here, there));
    let fresh = open(&disk);
    let acknowledged = ledger.acknowledged.load(Ordering::SeqCst);
    assert_eq!((count(&fresh, "k"), acknowledged), (7, 7));
    assert!(!fresh.verify().unwrap().has_problem());
}

/// A write fails twice while other threads write and read: the instance is abandoned, and what it had written stays
/// visible to every read.
fn an_instance_is_abandoned() {
    let disk = Arc::new(SimDisk::new(thread_rng().r#gen()));
    let palace = open(&disk);
    let (kept, lost) = (Arc::new(Ledger::default()), Arc::new(Ledger::default()));
    kept.increment(&palace, "kept", Durability::Durable);
    kept.increment(&palace, "kept", Durability::Buffered);
    // The next append, and the one into the segment that replaces this one.
    disk.fail_nth(Call::Write, 1, Failure::Io);
    disk.fail_nth(Call::Create, 1, Failure::NoSpace);
    let spawn = |ledger: &Arc<Ledger>, work: fn(&Palace, &Ledger)| {
        let (palace, ledger) = (palace.clone(), ledger.clone());
        thread::spawn(move || work(&palace, &ledger))
    };
    let threads = [
        spawn(&lost, |palace, ledger| {
            ledger.increment(palace, "lost", Durability::Durable);
            let kept = palace.get_unrefreshed("kept").unwrap().unwrap();
            assert_eq!(kept.value["n"], 2, "without a rescan of its own");
        }),
        spawn(&kept, |palace, ledger| (0..4).for_each(|_| ledger.check(palace, "kept"))),
        spawn(&kept, |palace, ledger| (0..4).for_each(|_| ledger.check(palace, "kept"))),
        spawn(&kept, |palace, ledger| (0..4).for_each(|_| ledger.check(palace, "kept"))),
        spawn(&kept, |palace, ledger| (0..4).for_each(|_| ledger.check(palace, "kept"))),
    ];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    disk.heal();
    kept.check(&palace, "kept");
    lost.increment(&palace, "lost", Durability::Durable);
    lost.check(&palace, "lost");
    drop(palace);
    let fresh = open(&disk);
    kept.check(&fresh, "kept");
    lost.check(&fresh, "lost");
}

/// As `rm -r` leaves it.
fn delete(fs: &SimFs) {
    let palace = Path::new(PALACE);
    fs.remove(&palace.join("palace.json")).unwrap();
    for directory in ["open", "sealed", "snap"] {
        for name in fs.list(&palace.join(directory)).unwrap() {
            // A segment may have been sealed since it was listed.
            drop(fs.remove(&palace.join(directory).join(name)));
        }
    }
}

/// As another process leaves it that puts a palace there, which was made elsewhere.
fn put_other_palace(disk: &SimDisk) {
    let (fs, options) = (disk.process(), Options::default().fs(Arc::new(disk.process())));
    options.open("/home/other").unwrap().increment("other", &["n"], 1).unwrap();
    let manifest = fs.open(Path::new("/home/other/palace.json")).unwrap();
    let content = read_from(&*manifest, 0).unwrap();
    let put = fs.create(&Path::new(PALACE).join("palace.json")).unwrap();
    assert_eq!(put.write_at(&content, 0).unwrap(), content.len());
}

/// The palace is deleted while threads write and read, and made anew by another process.
fn the_palace_is_replaced() {
    let disk = Arc::new(SimDisk::new(thread_rng().r#gen()));
    let palace = open(&disk);
    palace.increment("old", &["n"], 1).unwrap();
    let deleted = {
        let disk = disk.clone();
        thread::spawn(move || delete(&disk.process()))
    };
    let work = |work: fn(&Palace)| {
        let palace = palace.clone();
        thread::spawn(move || work(&palace))
    };
    let write = work(|palace| {
        for _ in 0..2 {
            // Into the old one, into the new one, or with an unknown outcome.
            match palace.increment("either", &["n"], 1) {
                Ok(_) | Err(Error::Store(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let read = work(|palace| drop(palace.get("either")));
    [deleted, write, read].into_iter().for_each(|thread| thread.join().unwrap());
    let gone = palace.increment("new", &["n"], 1);
    assert!(matches!(gone, Err(Error::Store(StoreError::Gone { .. }))), "{gone:?}");
    put_other_palace(&disk);
    open(&disk).increment("anew", &["n"], 1).unwrap();
    // Whatever came in between: from now on this handle reads and writes what is there now.
    let new = Ledger::default();
    new.increment(&palace, "new", Durability::Durable);
    assert_eq!(new.acknowledged.load(Ordering::SeqCst), 1);
    new.check(&palace, "new");
    assert_eq!(count(&palace, "old"), 0);
    new.check(&open(&disk), "new");
}

#[test]
fn threads_lose_and_hide_nothing() {
    alone(|| explore(400, writers_readers_and_compactions));
}

#[test]
fn abandoned_instance_hides_no_written_commit() {
    alone(|| explore(400, an_instance_is_abandoned));
}

#[test]
fn replaced_palace_is_noticed_by_every_thread() {
    alone(|| explore(400, the_palace_is_replaced));
}

#[test]
fn mutant_view_before_rescan() {
    alone(|| must_fail(Mutant::ViewBeforeRescan, writers_readers_and_compactions));
}

#[test]
fn mutant_commit_queued_outside_the_lock() {
    alone(|| must_fail(Mutant::CommitQueuedOutsideTheLock, writers_readers_and_compactions));
}

#[test]
fn mutant_view_before_abandoned_segments_are_read() {
    alone(|| must_fail(Mutant::ViewBeforeAbandonedSegments, an_instance_is_abandoned));
}
