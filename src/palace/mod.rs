//! Documents by key: the library's front door.
//!
//! Owns: what reads and writes mean, and when to compact. Invariants: a read that starts after a write
//! was acknowledged, in any process on the machine, sees it; a write that was acknowledged is in every
//! later load. Must not know: how bytes are laid out (`format`), which system calls there are (`fs`),
//! what the surfaces look like (`cli`, `mcp`).

pub mod compact;
pub mod dump;
pub mod feed;
pub mod into;
pub mod keys;
#[doc(hidden)]
pub mod policy;
pub mod read;
pub mod search;
pub mod status;
pub mod verify;
pub mod watch;

mod apart;
mod author;
mod automatic;
mod carry;
mod commit;
mod document;
mod documents;
mod draft;
mod error;
mod fold;
mod foundation;
mod inputs;
mod layers;
mod options;
mod pace;
pub(crate) mod ranked;
mod row;
mod state;
mod tail;
mod write;

pub use commit::Batch;
pub use document::{Document, Page};
pub use draft::Draft;
pub use error::{Error, Result, chain};
pub use options::Options;
pub use write::{Condition, Outcome, Receipt, WriteOptions};

// What callers meet of the layers below. Those are hidden, so this is where such a type is documented.
pub use crate::format::hash::{ChangeHash, Etag, EtagError, Heads};
pub use crate::format::id::{IdError, InstanceId, PalaceId, SegmentId, SnapshotId};
pub use crate::format::key::{KEY_BYTES_MAX, Key, KeyError};
pub use crate::format::manifest::ManifestError;
pub use crate::format::record::{BODY_BYTES_MAX, RecordError};
pub use crate::merge::{
    Candidate, ChangeInfo, ChangeKind, Conflict, MergeError, NESTING_MAX, OPERATIONS_MAX, Settled,
    VALUE_BYTES_MAX, ValueType, View, Written, automerge,
};
pub use crate::segment::SegmentError;
pub use crate::snapshot::SnapshotError;
pub use crate::store::StoreError;
pub use crate::store::lock::Holder;
pub use crate::store::log::{BUFFERED_MS, Durability};
pub use crate::store::seal::Left;

use crate::format::filename::{self, SNAP};
use crate::store::follow::{Backlog, Follower};
use crate::store::log::Log;
use crate::store::root::Root;
use automatic::Automatic;
use foundation::Foundation;
use state::State;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// An open palace. Cheap to clone; clones share everything, and threads may use them at once.
///
/// Opening changes nothing on disk: what is missing is created by the first write. When the last
/// clone is dropped, this process's segment is sealed, and a compaction that a write of this process began comes to the
/// end of its step: a second or two, if there is one.
///
/// ```
/// use crdt_palace::palace::Palace;
/// use serde_json::json;
///
/// let dir = tempfile::tempdir()?;
/// let palace = Palace::open(dir.path().join("palace"))?;
/// let plan = json!({"title": "Plan", "done": false});
/// let written = palace.put("notes/plan", plan.as_object().ok_or("an object")?)?;
///
/// // Another process, or another handle: it sees what was acknowledged.
/// let other = Palace::open(dir.path().join("palace"))?;
/// let found = other.get("notes/plan")?.ok_or("it was written")?;
/// assert_eq!(found.value["title"], "Plan");
/// assert_eq!(found.etag, written.etag);
///
/// assert_eq!(palace.path(), dir.path().join("palace"));
/// assert_eq!(palace.read_only(), None); // it can be written
/// assert!(palace.instance().is_some() && other.instance().is_none()); // that one has not written
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Palace {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: Arc<Root>,
    log: Log,
    program: String,
    /// `None` if it was opened not to compact by itself.
    automatic: Option<Automatic>,
    state: Mutex<State>,
    /// How many rescans have begun.
    rescans: AtomicU64,
    /// The snapshots that the last one could not read, for whoever must not wait for the state.
    unreadable: Mutex<Vec<PathBuf>>,
    /// How many commits are under way.
    committing: AtomicUsize,
    flushing: AtomicBool,
    /// What buffered commits build on, and who is putting it on disk.
    built_on: Mutex<Foundation>,
    syncing: Mutex<()>,
}

impl Palace {
    /// Opens a palace to read and write. It need not exist: the first write makes it.
    ///
    /// # Errors
    /// See [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Palace> {
        Options::default().open(path)
    }

    /// Opens a palace that must exist, and refuses every write.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("palace");
    /// assert!(Palace::open_read_only(&path).is_err()); // there is none
    /// Palace::open(&path)?.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
    /// let palace = Palace::open_read_only(&path)?;
    /// assert_eq!(palace.get("a")?.ok_or("it was written")?.value["n"], 1);
    /// assert_eq!(palace.read_only(), Some("it was opened read-only"));
    /// assert_eq!(palace.path(), path);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`Options::open`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Palace> {
        Options::default().read_only().open(path)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.shared.root.path()
    }

    /// Why this palace cannot be written, if so: it was opened read-only, or belongs to somebody else.
    #[must_use]
    pub fn read_only(&self) -> Option<&'static str> {
        self.shared.root.read_only()
    }

    /// Who this process is in feeds and history; `None` until it has written.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        self.shared.log.instance_if_any()
    }

    /// 16 bytes that nobody else has.
    pub(crate) fn unique(&self) -> Result<[u8; 16]> {
        Ok(self.root().random()?)
    }

    /// The time, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.root().fs().now_ms()
    }

    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.shared.root
    }

    fn writable(&self) -> Result<()> {
        Ok(self.root().check_writable()?)
    }

    /// The state, after a rescan that began after this call did. One rescan serves all callers that
    /// were waiting for the lock when it began.
    fn fresh(&self) -> Result<MutexGuard<'_, State>> {
        let begun = self.shared.rescans.load(Ordering::SeqCst);
        // Callers that were woken together by one sync arrive here one after the other. If they wait for
        // one another, one look serves them all; who is alone does not wait.
        if self.shared.committing.load(Ordering::Relaxed) > 1 {
            std::thread::yield_now();
        }
        let mut state = self.state();
        if state.rescan <= begun {
            self.shared.look(&mut state)?;
        }
        Ok(state)
    }

    /// Reads something from the state after a rescan. If a document then waits for a change that this rescan may have
    /// been too early for, it looks once more and reads again.
    fn read_fresh<T>(&self, read: impl Fn(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.fresh()?;
        let found = read(&mut state)?;
        if !state.is_in_doubt() {
            return Ok(found);
        }
        self.shared.look(&mut state)?;
        read(&mut state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// What is to be done after a commit, and need not be waited for.
    fn after_commit(&self, durability: Durability, backlog: Backlog) {
        if durability == Durability::Buffered && !self.shared.flushing.swap(true, Ordering::SeqCst)
        {
            let weak = Arc::downgrade(&self.shared);
            if background("palace-sync", move || flush(&weak)).is_none() {
                self.shared.flushing.store(false, Ordering::SeqCst);
            }
        }
        if let Some(automatic) = &self.shared.automatic {
            automatic.start_if_due(backlog);
        }
    }

    /// Puts on disk what was written with [`Durability::Buffered`].
    ///
    /// ```
    /// # use crdt_palace::palace::{Durability, WriteOptions};
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let quick = WriteOptions { durability: Durability::Buffered, ..WriteOptions::default() };
    /// for n in 0..100 {
    ///     palace.put_with("a", json!({"n": n}).as_object().ok_or("an object")?, &quick)?;
    /// }
    /// palace.sync()?; // one sync for all of them
    /// assert_eq!(palace.history("a")?.len(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`].
    pub fn sync(&self) -> Result<()> {
        let synced = self.shared.sync();
        // What just failed is not said again by the next call.
        let lost = self.shared.log.report_lost();
        synced?;
        Ok(lost?)
    }

    /// Seals this process's segment, so that it can be folded. The next write starts another.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
    /// palace.seal()?;
    /// assert_eq!(palace.status()?.segments[0].state, "sealed");
    /// palace.put("a", json!({"n": 2}).as_object().ok_or("an object")?)?;
    /// assert_eq!(palace.status()?.segments.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`], or what the system says.
    pub fn seal(&self) -> Result<()> {
        self.shared.seal()
    }

    /// Seals this process's segment, and waits for the compaction that this palace has under way, if any. Dropping the
    /// last clone does the same, but nobody is told of an error, and others may have clones. A commit afterwards starts
    /// another segment, and no compaction.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// let palace = Palace::open(dir.path().join("palace"))?;
    /// let elsewhere = palace.clone();
    /// elsewhere.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
    /// palace.close()?;
    /// assert_eq!(palace.status()?.segments[0].state, "sealed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::seal`].
    pub fn close(&self) -> Result<()> {
        self.shared.close()
    }
}

/// Syncs buffered commits until none is left, at most [`BUFFERED_MS`] after each was made.
fn flush(weak: &Weak<Shared>) {
    loop {
        std::thread::sleep(Duration::from_millis(BUFFERED_MS / 2));
        let Some(shared) = weak.upgrade() else { return };
        if let Err(error) = shared.sync() {
            tracing::error!(%error, "buffered commits could not be put on disk");
        }
        shared.flushing.store(false, Ordering::SeqCst);
        // A commit between the sync and the line above saw a flusher at work and started none. What it builds on may be
        // all that is left, if the sync of the log came after it.
        if !shared.has_unsynced() || shared.flushing.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

/// Runs something on a thread of its own. `None`: no thread can be had, and it is left undone. Everything
/// that runs here is noticed and tried again by whoever writes next.
fn background(name: &str, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.inspect_err(|error| tracing::warn!(%error, name, "cannot start a thread")).ok()
}

impl Shared {
    /// A panic in another thread (a bug) may have left a loaded document half changed, so the state
    /// is only used on after what can be loaded again was dropped.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut state: MutexGuard<'_, State> = poisoned.into_inner();
            state.evict_all();
            self.state.clear_poison();
            state
        })
    }
}

impl Shared {
    /// One rescan.
    fn look(&self, state: &mut State) -> Result<()> {
        let number = self.rescans.fetch_add(1, Ordering::SeqCst) + 1;
        self.notice_replacement(state)?;
        state.rescan()?;
        state.rescan = number;
        self.note_unreadable(&state.follower);
        Ok(())
    }

    fn note_unreadable(&self, follower: &Follower) {
        let names = follower.unreadable().map(|(id, _)| filename::snapshot(id));
        *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner) =
            names.map(|name| self.root.file(SNAP, &name)).collect();
    }

    /// If the directory was taken away or replaced under this process, starts over in the one that is
    /// there now, under a new identity.
    fn notice_replacement(&self, state: &mut State) -> Result<()> {
        if self.root.is_replaced()? {
            let path = self.root.path().to_owned();
            tracing::warn!(path = %path.display(), "the palace was taken away or replaced");
            self.log.abandon(StoreError::Replaced { path });
            state.start_over(self.root.clone());
            *self.built_on.lock().unwrap_or_else(PoisonError::into_inner) = Foundation::default();
            self.root.forget();
        }
        Ok(())
    }
}

impl Shared {
    fn seal(&self) -> Result<()> {
        self.sync()?;
        Ok(self.log.seal()?)
    }

    fn close(&self) -> Result<()> {
        let sealed = self.seal();
        if let Some(automatic) = &self.automatic {
            automatic.close();
        }
        sealed
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Sealing spares the next compactor the question whether this process lives. If it fails, the
        // segment stays in open/ and is sealed by somebody else: nothing depends on it.
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the segment could not be sealed on closing");
        }
    }
}
