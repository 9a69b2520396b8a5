//! A simulated disk for tests: it forgets what was not synced, and fails when told to.
//!
//! Owns: [`SimDisk`], one disk in memory that several simulated processes ([`SimFs`]) share, with locks,
//! faults and power cuts. Invariant: everything follows from the seed and the order of the calls. A power
//! cut keeps at least what was synced, and nothing that was never written. The disk is stricter than any
//! real one. A directory survives only if its parent was synced. Each name that was not synced survives
//! or not on its own. Sectors are written in any order. Must not know: the content of files. Left out:
//! memory-mapped files, symbolic links, a cache that drops pages under pressure, and a `readdir` that
//! races with changes (a listing is atomic, in random order).
//!
//! Programs that embed the store can test with it too:
//!
//! ```
//! use crdt_palace::fs::{Fs, sim::SimDisk};
//! use std::path::Path;
//!
//! let disk = SimDisk::new(7);
//! let file = disk.process().create(Path::new("/note")).unwrap();
//! file.write_at(b"kept", 0).unwrap();
//! file.sync().unwrap(); // the bytes, not the name
//! disk.process().sync_dir(Path::new("/")).unwrap(); // the name
//! disk.power_cut(1);
//! assert_eq!(disk.process().stat(Path::new("/note")).unwrap().len, 4);
//! assert!(file.sync().is_err()); // its process is gone
//! ```

mod content;
mod events;
mod faults;
mod image;
mod process;
mod shared;
mod splitmix;
mod state;
#[cfg(test)]
mod tests;

pub use events::{Event, Events};
pub use faults::{Call, Failure};
pub use process::SimFs;
#[doc(hidden)]
pub use splitmix::SplitMix;

use faults::Faults;
use shared::Shared;
use state::State;
use std::io;
use std::path::Path;

/// A disk in memory, with the machine around it. All times are simulated; nothing ever waits.
///
/// ```
/// use crdt_palace::fs::{Fs, sim::SimDisk};
/// use crdt_palace::palace::Options;
/// use serde_json::json;
/// use std::sync::Arc;
///
/// let disk = SimDisk::new(7); // 7 is the seed of everything that chance decides
/// let palace = Options::default().fs(Arc::new(disk.process())).open("/palace")?;
/// let before = disk.operations();
/// palace.put("a", &json!({"n": 1}))?;
/// assert!(disk.operations() > before);
/// for seed in 0..10 {
///     let fork = disk.fork();
///     fork.power_cut(seed);
///     let palace = Options::default().fs(Arc::new(fork.process())).open("/palace")?;
///     assert_eq!(palace.get("a")?.ok_or("it was acknowledged")?.value["n"], 1);
/// }
///
/// disk.advance(60_000); // a minute later, on NFS
/// disk.set_fs_type(0x6969);
/// assert!(!palace.status()?.locks_trusted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SimDisk {
    shared: Shared,
}

impl SimDisk {
    /// Makes an empty disk that holds the directory `/`. All random decisions follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { shared: Shared::new(State::new(seed)) }
    }

    /// Starts a process of the user who owns the disk.
    #[must_use]
    pub fn process(&self) -> SimFs {
        let process = self.shared.state().start();
        SimFs { disk: self.shared.clone(), process }
    }

    /// Starts a process of another user. It owns no directory, and each of its calls that would change
    /// something fails with `PermissionDenied`. It may sync.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::SimDisk};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// let error = disk.strange_process().create(Path::new("/note")).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    /// ```
    #[must_use]
    pub fn strange_process(&self) -> SimFs {
        let strange = self.process();
        self.shared.state().strangers.insert(strange.process);
        strange
    }

    /// Cuts the power and restores it. Synced data is kept; `seed` decides about everything else. Every
    /// process is dead, every lock is free, and the boot id is new. Ends the effect of
    /// [`stop_after`](Self::stop_after).
    pub fn power_cut(&self, seed: u64) {
        self.shared.state().power_cut(&mut SplitMix::new(seed));
    }

    /// Returns a second disk with the same content and the same random decisions to come, without
    /// processes. With it a test can try several power cuts from one state.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.shared.state().clone();
        state.end_processes();
        Self { shared: Shared::new(state) }
    }

    /// Returns the number of calls so far that change something, failed ones included: calls of every
    /// kind of [`Call`] but [`Open`](Call::Open), [`Read`](Call::Read), [`List`](Call::List) and
    /// [`Stat`](Call::Stat).
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.state().operations
    }

    /// Cuts the power once [`operations`](Self::operations) is `n`. That call still happens, and every
    /// later call of every process fails, until [`power_cut`](Self::power_cut) decides what survived.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::SimDisk};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// let process = disk.process();
    /// disk.stop_after(disk.operations() + 1);
    /// process.create_dir(Path::new("/one"))?;
    /// assert!(process.create_dir(Path::new("/two")).is_err());
    /// assert_eq!(disk.operations(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stop_after(&self, n: u64) {
        self.shared.state().stop_after = Some(n);
    }

    /// Makes the `nth` call of this kind from now on fail; 1 is the next one.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::{Call, Failure, SimDisk}};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// disk.fail_nth(Call::CreateDir, 2, Failure::NoSpace);
    /// disk.process().create_dir(Path::new("/one"))?;
    /// let error = disk.process().create_dir(Path::new("/two")).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fail_nth(&self, call: Call, nth: u64, failure: Failure) {
        self.shared.state().faults.plan(call, nth, failure);
    }

    /// Makes one in `n` of the calls that change something fail, by chance, from now on; 0 ends it.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::SimDisk};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// disk.fail_one_in(1);
    /// assert!(disk.process().create_dir(Path::new("/dir")).is_err());
    /// disk.heal();
    /// disk.process().create_dir(Path::new("/dir"))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fail_one_in(&self, n: usize) {
        self.shared.state().faults.one_in = n;
    }

    /// Makes one in `n` of the calls that only read (open, read, list, stat) fail, by chance, with EIO or
    /// EMFILE, from now on; 0 ends it.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::SimDisk};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// disk.fail_looks_one_in(1);
    /// assert!(disk.process().list(Path::new("/")).is_err());
    /// disk.fail_looks_one_in(0);
    /// assert!(disk.process().list(Path::new("/"))?.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fail_looks_one_in(&self, n: usize) {
        self.shared.state().faults.looks_one_in = n;
    }

    /// Ends the effects of [`fail_nth`](Self::fail_nth), [`fail_one_in`](Self::fail_one_in) and
    /// [`fail_looks_one_in`](Self::fail_looks_one_in). The effects of calls that failed already remain.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::{Call, Failure, SimDisk}};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// disk.fail_nth(Call::List, 1, Failure::NoHandle);
    /// disk.heal();
    /// assert!(disk.process().list(Path::new("/"))?.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn heal(&self) {
        self.shared.state().faults = Faults::default();
    }

    /// Gives a file another content in place, as `cp` does over a file that exists.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, read_from, sim::SimDisk};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// let file = disk.process().create(Path::new("/note"))?;
    /// file.write_at(b"longer", 0)?;
    /// disk.overwrite(Path::new("/note"), b"old")?;
    /// assert_eq!(read_from(&*file, 0)?, b"old");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.shared.state();
        let now = state.clock_ms;
        let ino = state.image.find_file(path)?;
        let content = state.image.file_mut(ino)?;
        content.replace(bytes);
        content.modified_ms = now;
        Ok(())
    }

    /// Sets the type that `statfs` returns from now on. The default is ext4.
    pub fn set_fs_type(&self, fs_type: u64) {
        self.shared.state().fs_type = fs_type;
    }

    /// Mounts the file system so that nothing is written to it, or, with `false`, as it was.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::SimDisk};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// disk.mount_read_only(true);
    /// let process = disk.process();
    /// assert!(process.is_mounted_read_only(Path::new("/"))?);
    /// let error = process.create(Path::new("/note")).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn mount_read_only(&self, is_read_only: bool) {
        self.shared.state().is_read_only = is_read_only;
    }

    /// Takes from the file system the rename that refuses a taken name, as some network and FUSE file
    /// systems lack it. From now on [`rename_noreplace`](crate::fs::Fs::rename_noreplace) is two
    /// operations, a link and a removal, and a power cut may leave the file both names. As with FUSE, the
    /// second name is another node of the file: what is written through a file that was opened by the
    /// first name is hidden from files that are open by the second.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::SimDisk};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// disk.rename_by_link();
    /// let process = disk.process();
    /// process.create(Path::new("/draft"))?;
    /// process.rename_noreplace(Path::new("/draft"), Path::new("/name"))?;
    /// let names_after = |seed| {
    ///     let fork = disk.fork();
    ///     fork.power_cut(seed);
    ///     fork.process().list(Path::new("/")).map(|names| names.len())
    /// };
    /// assert!((0..50).any(|seed| names_after(seed).is_ok_and(|count| count == 2)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn rename_by_link(&self) {
        self.shared.state().links = true;
    }

    /// Makes every new name of a file another node, also one that it gets by a rename: a file system that
    /// does not show what is written through a file that was opened before.
    ///
    /// ```
    /// # use crdt_palace::fs::{Fs, sim::SimDisk};
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// disk.hide_writes_after_renames();
    /// let process = disk.process();
    /// let writer = process.create(Path::new("/draft"))?;
    /// process.rename(Path::new("/draft"), Path::new("/name"))?;
    /// let reader = process.open(Path::new("/name"))?;
    /// writer.write_at(b"new", 0)?;
    /// let mut bytes = [0; 3];
    /// reader.read_at(&mut bytes, 0)?;
    /// assert_eq!(bytes, [0; 3]);
    /// process.open(Path::new("/name"))?.read_at(&mut bytes, 0)?;
    /// assert_eq!(&bytes, b"new");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn hide_writes_after_renames(&self) {
        self.shared.state().names_are_nodes = true;
    }

    /// Returns the count of each [`Event`] on this disk so far.
    ///
    /// ```
    /// # use crdt_palace::fs::sim::{Event, SimDisk};
    /// # use crdt_palace::fs::Fs;
    /// # use std::path::Path;
    /// let disk = SimDisk::new(7);
    /// disk.process().create_dir(Path::new("/dir"))?;
    /// disk.power_cut(1);
    /// let events = disk.events();
    /// assert_eq!(events.of(Event::NameKept) + events.of(Event::NameDropped), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.state().events.clone()
    }

    /// Lets time pass. Besides, each reading of the clock lets one millisecond pass.
    pub fn advance(&self, ms: i64) {
        self.shared.state().clock_ms += ms;
    }
}
