//! A process on the simulated disk: its system calls.
//!
//! Owns: [`SimFs`] and its open files. Invariant: a killed process, and every process after a power cut,
//! gets an error from each call, and its locks are free. Must not know: what survives a power cut.

use super::faults::Call;
use super::image::Ino;
use super::shared::Shared;
use super::state::State;
use crate::fs::fs_type::lock_trusted;
use crate::fs::name_events::NameEvents;
use crate::fs::{Directory, File, Fs, Host, Identity, Listed, LockOwner, Stat};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

/// A process on a [`SimDisk`](super::SimDisk). A clone is the same process.
///
/// ```
/// use crdt_palace::fs::{Fs, sim::SimDisk};
/// use std::path::Path;
///
/// let disk = SimDisk::new(7);
/// let (process, other) = (disk.process(), disk.process());
/// let file = process.create(Path::new("/note"))?;
/// file.write_at(b"written", 0)?;
/// assert!(file.try_lock()?);
///
/// process.kill();
/// assert!(file.write_at(b"more", 7).is_err());
/// let file = other.open(Path::new("/note"))?;
/// assert_eq!((file.stat()?.len, file.try_lock()?), (7, true));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimFs {
    pub(super) disk: Shared,
    pub(super) process: u64,
}

impl SimFs {
    /// Kills the process (SIGKILL). From now on each call on it or its files fails, and its locks are
    /// free. Bytes that it wrote stay in the page cache.
    pub fn kill(&self) {
        self.disk.state().kill(self.process);
    }

    fn opened(&self, state: &mut State, ino: Ino, writable: bool) -> Box<dyn File> {
        let description = state.next_number();
        let failures = state.image.file(ino).map_or(0, |content| content.failures);
        let seen = AtomicU64::new(failures);
        Box::new(SimFile { process: self.clone(), ino, description, writable, seen })
    }
}

impl Fs for SimFs {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change(self.process, Call::CreateDir)?;
        state.image.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.disk.state();
        state.change(self.process, Call::Create)?;
        let now = state.clock_ms;
        let ino = state.image.create(path, now)?;
        Ok(self.opened(&mut state, ino, true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.disk.state();
        state.look(self.process, Call::Open)?;
        let ino = state.image.find_file(path)?;
        Ok(self.opened(&mut state, ino, false))
    }

    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.disk.state();
        state.check(self.process)?;
        let ino = match state.image.find_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state.change(self.process, Call::Create)?;
                let now = state.clock_ms;
                state.image.create(path, now)?
            }
            found => {
                state.look(self.process, Call::Open)?;
                found?
            }
        };
        Ok(self.opened(&mut state, ino, true))
    }

    fn write_note(&self, path: &Path, note: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change(self.process, Call::WriteNote)?;
        let now = state.clock_ms;
        let ino = state.image.find_file(path)?;
        let content = state.image.file_mut(ino)?;
        content.replace(note);
        content.modified_ms = now;
        Ok(())
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<Listed>> {
        let mut state = self.disk.state();
        state.look(self.process, Call::List)?;
        let mut names = state.image.list(path)?;
        // Directories have no order, and no caller must come to rely on one.
        state.chance.shuffle(&mut names);
        Ok(names)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        let mut state = self.disk.state();
        state.look(self.process, Call::Open)?;
        let ino = state.image.find_dir(path)?;
        Ok(Box::new(SimDirectory { process: self.clone(), ino }))
    }

    /// Returns `None`: no events come without a call, and the tests are to exercise every listing.
    fn name_events(&self, _directories: &[PathBuf]) -> io::Result<Option<NameEvents>> {
        Ok(None)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let mut state = self.disk.state();
        state.look(self.process, Call::Stat)?;
        Ok(state.stat(state.image.find(path)?))
    }

    fn modified(&self, path: &Path) -> io::Result<(Stat, i64)> {
        let mut state = self.disk.state();
        state.look(self.process, Call::Stat)?;
        let ino = state.image.find(path)?;
        let modified_ms = state.image.file(ino).map_or(0, |file| file.modified_ms);
        Ok((state.stat(ino), modified_ms))
    }

    /// Where locks cannot be trusted, the time of birth is made up from that of the last change, as some
    /// servers of network file systems do.
    fn identity(&self, path: &Path) -> io::Result<Identity> {
        let (stat, modified_ms) = self.modified(path)?;
        let state = self.disk.state();
        let local = lock_trusted(state.fs_type);
        let born_ms = match state.image.file(stat.ino) {
            Ok(file) if local => file.born_ms,
            _ => modified_ms,
        };
        Ok(Identity { stat, modified_ms, born_ns: Some(born_ms * 1_000_000) })
    }

    /// Replaces a file that has the new name, as a real system does: a caller that did not check loses
    /// that file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change(self.process, Call::Rename)?;
        state.image.find_file(from)?;
        if state.image.find_file(to).is_ok() {
            state.image.remove(to)?;
        }
        state.rename(from, to)
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.state().rename_noreplace(self.process, from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change(self.process, Call::Remove)?;
        state.image.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change(self.process, Call::SyncDir)?;
        state.image.sync_dir(path)
    }

    fn local_path(&self, _path: &Path) -> Option<PathBuf> {
        None
    }

    fn fs_type(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.look(self.process, Call::Stat)?;
        state.image.find(path).map(|_| state.fs_type)
    }

    fn owned(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.disk.state();
        state.look(self.process, Call::Stat)?;
        state.image.find(path).map(|_| !state.is_stranger(self.process))
    }

    fn is_mounted_read_only(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.disk.state();
        state.look(self.process, Call::Stat)?;
        state.image.find(path).map(|_| state.is_read_only)
    }

    fn yield_to_others(&self) {}

    fn now_ms(&self) -> i64 {
        let mut state = self.disk.state();
        state.clock_ms += 1;
        state.clock_ms
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let mut state = self.disk.state();
        state.check(self.process)?;
        Ok(state.random())
    }

    fn host(&self) -> Host {
        self.disk.state().host
    }
}

/// An open directory.
#[derive(Debug)]
struct SimDirectory {
    process: SimFs,
    ino: Ino,
}

impl Directory for SimDirectory {
    fn place(&self) -> io::Result<Option<PathBuf>> {
        let mut state = self.process.disk.state();
        state.look(self.process.process, Call::Stat)?;
        Ok(state.image.path_of_dir(self.ino))
    }
}

/// An open file description.
#[derive(Debug)]
struct SimFile {
    process: SimFs,
    ino: Ino,
    /// The number of this description among all of the disk: a lock belongs to one of them.
    description: u64,
    writable: bool,
    /// The number of failed syncs of the file that this description was told of.
    seen: AtomicU64,
}

impl SimFile {
    fn disk(&self) -> &Shared {
        &self.process.disk
    }

    fn process(&self) -> u64 {
        self.process.process
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk().state();
        state.look(self.process(), Call::Read)?;
        let bytes = state.image.file(self.ino)?.seen_by(self.description, offset);
        let count = bytes.len().min(buffer.len());
        for (target, byte) in buffer.iter_mut().zip(bytes.iter()) {
            *target = *byte;
        }
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if !self.writable {
            return Err(rustix::io::Errno::BADF.into());
        }
        let file = (self.ino, self.description);
        self.disk().state().write_at(self.process(), file, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk().state().sync(self.process(), self.ino, &self.seen)
    }

    fn stat(&self) -> io::Result<Stat> {
        let mut state = self.disk().state();
        state.look(self.process(), Call::Stat)?;
        Ok(state.stat(self.ino))
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk().state();
        state.check(self.process())?;
        // The first description to ask gets the lock, and gets it again when it asks again.
        let holder = state.locks.entry(self.ino).or_insert((self.process(), self.description));
        Ok(holder.1 == self.description)
    }

    fn is_locked(&self) -> io::Result<bool> {
        let state = self.disk().state();
        state.check(self.process())?;
        Ok(state.locks.get(&self.ino).is_some_and(|holder| holder.1 != self.description))
    }

    fn lock_owner(&self) -> io::Result<Option<LockOwner>> {
        // All simulated processes are this one.
        self.disk().state().check(self.process())?;
        Ok(None)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let description = self.description;
        self.disk().state().locks.retain(|_, holder| holder.1 != description);
    }
}
