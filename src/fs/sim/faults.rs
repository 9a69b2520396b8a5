//! Which calls on the simulated disk fail, and how.
//!
//! Owns: the plan of faults. Invariant: the same plan, seed and calls fail alike. Must not know: what a
//! failed call leaves behind.

use super::splitmix::SplitMix;
use std::io;

/// A call that changes something, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`create`](crate::fs::Fs::create), and an [`open_lock`](crate::fs::Fs::open_lock) that creates.
    Create,
    /// [`create_dir`](crate::fs::Fs::create_dir).
    CreateDir,
    /// [`append`](crate::fs::File::append).
    Append,
    /// [`write_note`](crate::fs::Fs::write_note).
    WriteNote,
    /// [`sync`](crate::fs::File::sync).
    Sync,
    /// [`sync_dir`](crate::fs::Fs::sync_dir).
    SyncDir,
    /// [`rename_noreplace`](crate::fs::Fs::rename_noreplace).
    Rename,
    /// [`remove`](crate::fs::Fs::remove).
    Remove,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// EIO. An append may have written a part; a sync gives the unsynced bytes up for good, and a later
    /// sync of the same file succeeds without them. Any other call has done nothing.
    Io,
    /// ENOSPC, with the same leftovers.
    NoSpace,
    /// An append writes less than asked, and says so. Any other call fails with EIO.
    Short,
}

impl Failure {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Io | Self::Short => rustix::io::Errno::IO.into(),
            Self::NoSpace => rustix::io::Errno::NOSPC.into(),
        }
    }
}

/// The plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// The call, how many of its kind are still to succeed, and the failure.
    planned: Vec<(Call, u64, Failure)>,
    /// One call in so many fails; 0 is none.
    pub(super) one_in: usize,
}

impl Faults {
    pub(super) fn plan(&mut self, call: Call, nth: u64, failure: Failure) {
        self.planned.push((call, nth.saturating_sub(1), failure));
    }

    /// Whether this call fails. Each call is told once.
    pub(super) fn strike(&mut self, call: Call, chance: &mut SplitMix) -> Option<Failure> {
        let mut struck = None;
        self.planned.retain_mut(|(planned, left, failure)| {
            if *planned != call {
                return true;
            }
            if *left == 0 {
                struck = Some(*failure);
                return false;
            }
            *left -= 1;
            true
        });
        struck.or_else(|| self.by_chance(chance))
    }

    fn by_chance(&self, chance: &mut SplitMix) -> Option<Failure> {
        if self.one_in == 0 || chance.below(self.one_in) != 0 {
            return None;
        }
        [Failure::Io, Failure::NoSpace, Failure::Short].get(chance.below(3)).copied()
    }
}
