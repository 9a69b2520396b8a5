//! The job of a child of these tests (tests/programs/worker.rs).

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    #[default]
    Write,
    Read,
    Compact,
    /// Compares once, compacts everything, and compares again.
    Check,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Job {
    pub role: Role,
    pub palace: PathBuf,
    /// What was acknowledged so far: see `acks`.
    pub acks: PathBuf,
    /// Nobody else's: ids of documents begin with it.
    pub name: String,
    pub seed: u64,
    /// How many threads write.
    pub threads: usize,
    /// How often each does, or how often a compactor compacts; without it, until the standard input ends.
    pub writes: Option<u64>,
    /// The longest pause between two of them.
    pub pause_us: u64,
    /// How far its clock goes ahead.
    pub ahead_ms: i64,
    /// Whether a background compaction may start.
    pub auto_compact: bool,
    /// A write counts as acknowledged when it would survive a power cut.
    pub durable: bool,
    /// Asks for that with every write.
    pub never_buffered: bool,
    /// The disk may fail: then it says so and ends.
    pub may_fail: bool,
    /// Makes no conditional writes: whoever stands still in one lets others wait for two seconds.
    pub unconditional: bool,
    /// Compacts the segments of processes that may live, as far as locks tell: they are all dead.
    pub adopt: bool,
    /// Seals its segment after one in so many writes.
    pub seal_one_in: Option<usize>,
    /// Removes `LOCK` before it compacts, so that compactors really work at once, as where flock lies.
    pub lying_lock: bool,
    /// On how many documents of each kind all of them write; without it, on four.
    pub spread: Option<usize>,
    /// How many writes may be there that nobody acknowledged.
    pub uncertain: u64,
    /// Changes may wait for ones that nobody acknowledged and that a power cut took.
    pub holes: bool,
}

/// How many writes wait for a sync at most.
pub const PENDING: usize = 16;
