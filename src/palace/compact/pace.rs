//! Pace of a compaction: whether it gives way to writers.
//!
//! A thread of low priority still keeps a processor for the rest of its time slice, some milliseconds, when
//! a writer wakes up; a commit takes a tenth of one. Measured with eight writers on two processors: giving
//! way after every document makes them a fifth faster.

use std::time::{Duration, Instant};

/// A gentle step gives way for this long. Then it goes on like any other, because it holds `LOCK`.
const GENTLE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    gentle_until: Option<Instant>,
}

impl Pace {
    /// Makes the pace of a compaction that a caller waits for.
    pub fn brisk() -> Self {
        Pace { gentle_until: None }
    }

    /// Makes the pace of a compaction in the background.
    pub fn gentle() -> Self {
        Pace { gentle_until: Instant::now().checked_add(GENTLE) }
    }

    /// Lets a thread that waits for this processor go first. Called often.
    pub fn give_way(self) {
        if self.gentle_until.is_some_and(|until| Instant::now() < until) {
            std::thread::yield_now();
        }
    }
}
