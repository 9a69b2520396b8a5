//! A simulated disk for tests: it forgets what was not synced, and fails when told to.
//!
//! Owns: [`SimDisk`], one disk in memory that several simulated processes ([`SimFs`]) share, with locks,
//! faults and power cuts. Invariant: everything that happens follows from the seed and the order of the
//! calls; a power cut leaves at least what was synced and nothing that was never written. It is stricter
//! than any one real file system: a directory lives only if its parent was synced, each name that was
//! not synced lives or dies on its own, sectors are written in any order. Must not know: what the files
//! hold. Left out: memory-mapped files, symbolic links, a cache that drops pages under pressure, and a `readdir` that races with changes (a listing is atomic, in random order).
//!
//! It is public so that programs that embed the store can test with it too:
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

/// A disk in memory, and the machine around it. All times are simulated; nothing ever waits.
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
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
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
    /// An empty disk that holds the directory `/`. What chance decides follows from `seed`.
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

    /// Starts a process of another user: it owns no directory, and each call of it that would change
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

    /// The power fails and comes back. What was synced is kept, everything else as `seed` decides; every
    /// process is dead, every lock free, the boot id new. Takes back [`stop_after`](Self::stop_after).
    pub fn power_cut(&self, seed: u64) {
        self.shared.state().power_cut(&mut SplitMix::new(seed));
    }

    /// A second disk that holds the same and goes on alike, without any process: for trying several
    /// power cuts from one state.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.shared.state().clone();
        state.end_processes();
        Self { shared: Shared::new(state) }
    }

    /// How many calls that change something were made so far, failed ones included: those of all kinds
    /// of [`Call`] but [`Open`](Call::Open), [`Read`](Call::Read), [`List`](Call::List) and
    /// [`Stat`](Call::Stat).
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.state().operations
    }

    /// The power fails once [`operations`](Self::operations) is `n`: that call still happens, and every
    /// later call of every process fails, until [`power_cut`](Self::power_cut) says what survived.
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

    /// The `nth` call of this kind from now on fails; 1 is the next one.
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

    /// From now on one in `n` of the calls that change something fails, by chance; 0 ends it.
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

    /// From now on one in `n` of the calls that only look (open, read, list, stat) fails, by chance, with
    /// EIO or EMFILE; 0 ends it.
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

    /// From now on no call fails: takes back [`fail_nth`](Self::fail_nth),
    /// [`fail_one_in`](Self::fail_one_in) and [`fail_looks_one_in`](Self::fail_looks_one_in). What failed
    /// already stays as it is.
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

    /// What `statfs` says from now on. The default is ext4.
    pub fn set_fs_type(&self, fs_type: u64) {
        self.shared.state().fs_type = fs_type;
    }

    /// From now on the file system knows no rename that refuses a taken name, as some on networks: a file
    /// gets its new name as a second one ([`rename_noreplace`](crate::fs::Fs::rename_noreplace) is two
    /// operations), and a power cut may leave it both.
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

    /// What this disk did to its processes so far: see [`Event`].
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
