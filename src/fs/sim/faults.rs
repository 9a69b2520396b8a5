//! The plan of calls that fail on the simulated disk.
//!
//! Owns: the plan of faults. Invariant: the same plan, seed and calls fail alike. Must not know: the
//! effects of a failed call.

use super::splitmix::SplitMix;
use std::io;

/// A call that can be made to fail, by kind.
///
/// ```
/// use crdt_palace::fs::{Fs, sim::{Call, Failure, SimDisk}};
/// use std::path::Path;
///
/// let disk = SimDisk::new(7);
/// let file = disk.process().create(Path::new("/note"))?;
/// disk.fail_nth(Call::Sync, 1, Failure::Io);
/// file.write_at(b"text", 0)?;
/// assert!(file.sync().is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Call {
    /// [`create`](crate::fs::Fs::create), and an [`open_lock`](crate::fs::Fs::open_lock) that creates.
    Create,
    /// [`create_dir`](crate::fs::Fs::create_dir).
    CreateDir,
    /// [`write_at`](crate::fs::File::write_at).
    Write,
    /// [`write_note`](crate::fs::Fs::write_note).
    WriteNote,
    /// [`sync`](crate::fs::File::sync).
    Sync,
    /// [`sync_dir`](crate::fs::Fs::sync_dir).
    SyncDir,
    /// [`rename`](crate::fs::Fs::rename) and [`rename_noreplace`](crate::fs::Fs::rename_noreplace).
    Rename,
    /// [`remove`](crate::fs::Fs::remove).
    Remove,
    /// [`open`](crate::fs::Fs::open), and an [`open_lock`](crate::fs::Fs::open_lock) that finds its file.
    Open,
    /// [`read_at`](crate::fs::File::read_at).
    Read,
    /// [`list`](crate::fs::Fs::list).
    List,
    /// Any question about a file, by name or open: [`stat`](crate::fs::Fs::stat), `fs_type`, `owned`,
    /// `is_mounted_read_only`.
    Stat,
}

impl Call {
    /// Returns true if the call only reads: it changes nothing, and does not count as one of the disk's
    /// [`operations`](super::SimDisk::operations).
    pub(super) fn looks(self) -> bool {
        matches!(self, Self::Open | Self::Read | Self::List | Self::Stat)
    }
}

/// A way in which a call fails.
///
/// ```
/// use crdt_palace::fs::{Fs, sim::{Call, Failure, SimDisk}};
/// use std::path::Path;
///
/// let disk = SimDisk::new(7);
/// let file = disk.process().create(Path::new("/note"))?;
/// disk.fail_nth(Call::Write, 1, Failure::Short);
/// assert!(file.write_at(b"text", 0)? < 4);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Failure {
    /// EIO. A write may have written a part. A sync gives up the unsynced bytes for good, and a later
    /// sync of the same file succeeds without them. Any other call has done nothing.
    Io,
    /// ENOSPC, with the same effects. A call that only reads fails with EIO.
    NoSpace,
    /// A write writes less than asked, and returns that count. Any other call fails with EIO.
    Short,
    /// EMFILE: the process has no file handle left. The call has done nothing. Only a call that needs a
    /// handle, to create, open or list, can fail like this; any other fails with EIO.
    NoHandle,
}

impl Failure {
    pub(super) fn error(self, call: Call) -> io::Error {
        let needs_handle = matches!(call, Call::Create | Call::Open | Call::List);
        match self {
            Self::NoSpace if !call.looks() => rustix::io::Errno::NOSPC.into(),
            Self::NoHandle if needs_handle => rustix::io::Errno::MFILE.into(),
            _ => rustix::io::Errno::IO.into(),
        }
    }
}

/// The planned and the random faults.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// The call, the number of calls of its kind that still succeed, and the failure.
    planned: Vec<(Call, u64, Failure)>,
    /// One in so many calls that change something fails; 0 for none.
    pub(super) one_in: usize,
    /// One in so many calls that only read fails; 0 for none.
    pub(super) looks_one_in: usize,
}

impl Faults {
    pub(super) fn plan(&mut self, call: Call, nth: u64, failure: Failure) {
        self.planned.push((call, nth.saturating_sub(1), failure));
    }

    /// Returns the failure of this call, if it has to fail. To be called once for each call.
    pub(super) fn strike(&mut self, call: Call, chance: &mut SplitMix) -> Option<Failure> {
        let mut struck = None;
        // A planned fault is used up when it strikes; the others of its kind count down.
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
        struck.or_else(|| self.by_chance(call, chance))
    }

    fn by_chance(&self, call: Call, chance: &mut SplitMix) -> Option<Failure> {
        let one_in = if call.looks() { self.looks_one_in } else { self.one_in };
        if one_in == 0 || chance.below(one_in) != 0 {
            return None;
        }
        match call.looks() {
            true => [Failure::Io, Failure::NoHandle].get(chance.below(2)).copied(),
            false => [Failure::Io, Failure::NoSpace, Failure::Short].get(chance.below(3)).copied(),
        }
    }
}
