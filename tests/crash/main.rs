//! The library on a disk that forgets: whatever happens to the machine, what was promised is there.
//!
//! A run is a few simulated processes that write, read, seal and compact one palace, while processes are
//! killed, system calls fail and the power goes. The driver keeps a list of what was acknowledged, and
//! compares it with what a fresh process finds after each power cut. Everything follows from the seed:
//!
//! ```text
//! CRDT_PALACE_SEED=17 CRDT_PALACE_SEEDS=1 CRDT_PALACE_TRACE=1 cargo test --test crash seeded
//! ```
//!
//! Each of these mutants of the library was tried by hand and turned the suite red:
//!
//! | mutant | caught by |
//! |---|---|
//! | no fdatasync before a commit is acknowledged | every seeded test, the script, damage |
//! | other processes' segments are not synced | buffered writes |
//! | the name of the segment is not looked at again | locks that lie |
//! | inputs are retired before the snapshot is published | the script |
//! | `snap/` is not synced | every seeded test, the script |
//! | `open/` is not synced | every seeded test, the script |
//! | a new snapshot's bytes are not synced | every seeded test, the script |
//! | after a failure, what was not synced before is not written again | faults and buffered writes |
//! | what a rescan had read before it failed is forgotten | faults, looks |
//! | a failed sync of another's segment is tried again, and believed | failures |
//! | what is only carried along counts as applied to a loaded document | buffered writes, failures |
//!
//! That a commit carries along changes of a segment sealed by others takes three processes inside one
//! another's calls, which no test here makes; the model in tests/model shows it.

mod between;
mod chance;
mod copies;
mod damage;
mod failures;
mod ledger;
mod looks;
mod machine;
mod refusals;
mod replaced;
mod script;
mod sharing;

use chance::Chance;
use machine::{Machine, Weather};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many runs each of the seeded tests makes.
const SEEDS: u64 = 620;

fn number_from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Runs each seed, and names the first that fails.
fn each_seed(default: u64, run: impl Fn(u64)) {
    let first = number_from_env("CRDT_PALACE_SEED", 1);
    let count = number_from_env("CRDT_PALACE_SEEDS", default);
    for seed in first..first + count {
        if catch_unwind(AssertUnwindSafe(|| run(seed))).is_err() {
            panic!(
                "replay it with CRDT_PALACE_SEED={seed} CRDT_PALACE_SEEDS=1 CRDT_PALACE_TRACE=1"
            );
        }
    }
}

fn live(seed: u64, weather: Weather) {
    let mut machine = Machine::new(seed, weather);
    let steps = 10 + Chance::new(seed).below(40);
    for _ in 0..steps {
        machine.step();
    }
    machine.power_cut();
    machine.go_on();
}

#[test]
fn seeded_kills_and_power_cuts() {
    each_seed(SEEDS, |seed| live(seed, Weather::default()));
}

#[test]
fn seeded_buffered_writes() {
    each_seed(SEEDS, |seed| live(seed, Weather { buffered: true, ..Weather::default() }));
}

#[test]
fn seeded_faults() {
    each_seed(SEEDS, |seed| live(seed, Weather { faults: true, ..Weather::default() }));
}

#[test]
fn seeded_faults_and_buffered_writes() {
    let weather = Weather { faults: true, buffered: true, ..Weather::default() };
    each_seed(SEEDS, |seed| live(seed, weather));
}

#[test]
fn seeded_locks_that_lie() {
    each_seed(SEEDS, |seed| live(seed, Weather { lying_locks: true, ..Weather::default() }));
}
