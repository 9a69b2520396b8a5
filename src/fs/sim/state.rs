//! The kernel of the simulated machine: processes, locks, the clock, and the beginning of each call.
//!
//! Owns: the state of the machine outside of its disk, and the counts of events. Invariant: no call of a
//! dead process, or without power, changes anything. Must not know: the calls themselves.

use super::events::{Event, Events};
use super::faults::{Call, Failure, Faults};
use super::image::{Image, Ino};
use super::splitmix::SplitMix;
use crate::fs::{Host, Stat};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The time at which the clock starts: 2025-01-01T00:00:00Z, in milliseconds.
const EPOCH_MS: i64 = 1_735_689_600_000;
/// The `statfs` type of ext4, where locks can be trusted.
const EXT4: u64 = 0xEF53;

/// The disk and the kernel.
#[derive(Clone)]
pub(super) struct State {
    pub(super) image: Image,
    /// Identifiers, one sequence for all processes: none comes twice.
    pub(super) ids: SplitMix,
    /// All other random decisions.
    pub(super) chance: SplitMix,
    pub(super) faults: Faults,
    pub(super) clock_ms: i64,
    pub(super) fs_type: u64,
    /// True if nothing is written to the file system.
    pub(super) is_read_only: bool,
    pub(super) host: Host,
    pub(super) alive: BTreeSet<u64>,
    pub(super) strangers: BTreeSet<u64>,
    /// The process and the description that hold a file's lock.
    pub(super) locks: BTreeMap<Ino, (u64, u64)>,
    pub(super) last_number: u64,
    pub(super) operations: u64,
    pub(super) stop_after: Option<u64>,
    /// True if the file system knows no rename that refuses a taken name, and a link makes another node.
    pub(super) links: bool,
    /// True if any new name of a file makes another node.
    pub(super) names_are_nodes: bool,
    pub(super) events: Events,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = SplitMix::new(seed);
        let mut state = Self {
            image: Image::new(),
            ids: SplitMix::new(chance.next_u64()),
            chance,
            faults: Faults::default(),
            clock_ms: EPOCH_MS,
            fs_type: EXT4,
            is_read_only: false,
            host: Host::default(),
            alive: BTreeSet::new(),
            strangers: BTreeSet::new(),
            locks: BTreeMap::new(),
            last_number: 0,
            operations: 0,
            stop_after: None,
            links: false,
            names_are_nodes: false,
            events: Events::default(),
        };
        state.host = Host { machine: state.random(), boot: state.random() };
        state
    }

    pub(super) fn random(&mut self) -> [u8; 16] {
        let both = u128::from(self.ids.next_u64()) | u128::from(self.ids.next_u64()) << 64;
        both.to_le_bytes()
    }

    /// Returns a number that no process and no open file had before.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn start(&mut self) -> u64 {
        let process = self.next_number();
        self.alive.insert(process);
        process
    }

    pub(super) fn is_stranger(&self, process: u64) -> bool {
        self.strangers.contains(&process)
    }

    pub(super) fn kill(&mut self, process: u64) {
        self.alive.remove(&process);
        self.locks.retain(|_, holder| holder.0 != process);
    }

    pub(super) fn end_processes(&mut self) {
        self.alive.clear();
        self.locks.clear();
    }

    pub(super) fn power_cut(&mut self, chance: &mut SplitMix) {
        self.end_processes();
        self.image.power_cut(chance, &mut self.events);
        self.host.boot = self.random();
        self.stop_after = None;
    }

    /// Fails if this process cannot make calls: it is dead, or the power is cut.
    pub(super) fn check(&self, process: u64) -> io::Result<()> {
        if self.stop_after.is_some_and(|n| self.operations >= n) {
            return Err(io::Error::other("the simulated machine has no power"));
        }
        if !self.alive.contains(&process) {
            return Err(io::Error::other("the simulated process was killed"));
        }
        Ok(())
    }

    /// Begins a call that changes something. Returns its failure, if it has to fail.
    pub(super) fn begin(&mut self, process: u64, call: Call) -> io::Result<Option<Failure>> {
        self.check(process)?;
        // fsync needs no right to write.
        if self.is_stranger(process) && !matches!(call, Call::Sync | Call::SyncDir) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if self.is_read_only && !matches!(call, Call::Sync | Call::SyncDir) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.operations += 1;
        Ok(self.strike(call))
    }

    /// Begins a call that does nothing when it fails.
    pub(super) fn change(&mut self, process: u64, call: Call) -> io::Result<()> {
        match self.begin(process, call)? {
            Some(failure) => Err(failure.error(call)),
            None => Ok(()),
        }
    }

    /// Begins a call that only reads.
    pub(super) fn look(&mut self, process: u64, call: Call) -> io::Result<()> {
        self.check(process)?;
        match self.strike(call) {
            Some(failure) => Err(failure.error(call)),
            None => Ok(()),
        }
    }

    /// Returns the failure of this call, if it has to fail, and counts it.
    fn strike(&mut self, call: Call) -> Option<Failure> {
        let struck = self.faults.strike(call, &mut self.chance);
        if let Some(failure) = struck {
            self.events.count(Event::Failed(call, failure));
        }
        struck
    }

    /// Renames as [`OsFs`](crate::fs::os::OsFs) does: atomically, or, where the file system knows no such
    /// rename, by adding the second name and then removing the first. A failure in between leaves both.
    pub(super) fn rename_noreplace(
        &mut self,
        process: u64,
        from: &Path,
        to: &Path,
    ) -> io::Result<()> {
        self.change(process, Call::Rename)?;
        if !self.links {
            return self.rename(from, to);
        }
        self.image.link(from, to)?;
        self.change_node(to)?;
        self.change(process, Call::Remove)?;
        self.image.remove(from)
    }

    /// Renames to a name that is free.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.image.rename(from, to)?;
        if self.names_are_nodes { self.change_node(to) } else { Ok(()) }
    }

    fn change_node(&mut self, path: &Path) -> io::Result<()> {
        let (number, ino) = (self.next_number(), self.image.find_file(path)?);
        self.image.file_mut(ino)?.change_node(number);
        Ok(())
    }

    pub(super) fn write_at(
        &mut self,
        process: u64,
        (ino, description): (Ino, u64),
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<usize> {
        let failure = self.begin(process, Call::Write)?;
        let count = match failure {
            None => bytes.len(),
            // A write that fails may have written a part.
            Some(_) => self.chance.below(bytes.len()),
        };
        let now = self.next_number();
        let content = self.image.file_mut(ino)?;
        let end = content.write(bytes.get(..count).unwrap_or(bytes), offset)?;
        content.hide_write(description, now, end - count..end);
        content.modified_ms = self.clock_ms;
        match failure {
            None | Some(Failure::Short) => Ok(count),
            Some(failure) => Err(failure.error(Call::Write)),
        }
    }

    /// Syncs a file. `seen` is the number of failed syncs that this description knows of. As on Linux,
    /// each open file is told once of a failure since it was opened, whichever process synced.
    pub(super) fn sync(&mut self, process: u64, ino: Ino, seen: &AtomicU64) -> io::Result<()> {
        let failure = self.begin(process, Call::Sync)?;
        let content = self.image.file_mut(ino)?;
        match failure {
            None => content.sync(),
            Some(_) => content.fail_sync(),
        }
        // A file that was opened after the failure is not told of it.
        let news = seen.swap(content.failures, Ordering::Relaxed) < content.failures;
        let failure = failure.or(news.then_some(Failure::Io));
        failure.map_or(Ok(()), |failure| Err(failure.error(Call::Sync)))
    }

    pub(super) fn stat(&self, ino: Ino) -> Stat {
        let len = self.image.file(ino).map_or(0, |file| file.len() as u64);
        Stat { dev: 1, ino, len }
    }
}
