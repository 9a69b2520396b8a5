//! An open palace: what its threads share, and the views that readers take.
//!
//! Invariant: a view that is given to a reader is of a rescan that began after the reader asked. Locks are taken in the
//! order of [`Rank`], and none is held while a reader reads or a caller's closure runs, but the writer's own.

use super::unsynced::UnsyncedDependencies;
use super::writer::WriterLock;
use crate::format::filename::{self, SNAP};
use crate::format::id::InstanceId;
use crate::palace::compact::automatic::Automatic;
use crate::palace::error::Result;
use crate::palace::view::directory::Directory;
use crate::palace::view::file_findings::{file_problems, met_damage};
use crate::palace::view::finding::Finding;
use crate::palace::view::view::View;
use crate::palace::view::went_back::Noticed;
use crate::snapshot::Snapshot;
use crate::store::StoreError;
use crate::store::group_commit::Log;
use crate::store::read_only::ReadOnlyReason;
use crate::store::rescan::Catalog;
use crate::store::root::Root;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Lock, Locked, Rank, mutant};
use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// An open palace. Cheap to clone; clones share everything, and threads may use them at once.
///
/// Opening changes nothing on disk: the first write creates what is missing. Dropping the last clone seals this process's
/// segment, and waits for the end of a step of a compaction that a write of this process began: a second or two, if
/// there is one.
///
/// ```
/// use crdt_palace::palace::Palace;
/// use serde_json::json;
///
/// let dir = tempfile::tempdir()?;
/// let palace = Palace::open(dir.path().join("palace"))?;
/// let plan = json!({"title": "Plan", "done": false});
/// let written = palace.put("notes/plan", &plan)?;
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
    pub(in crate::palace) shared: Arc<Shared>,
}

/// The state that the clones of a [`Palace`] share.
#[derive(Debug)]
pub(in crate::palace) struct Shared {
    pub root: Arc<Root>,
    pub log: Log,
    pub program: String,
    /// `None` if this process does not compact in the background.
    pub automatic: Option<Automatic>,
    pub directory: Lock<Directory>,
    pub writer: WriterLock,
    /// Number of rescans that have begun.
    pub rescans: AtomicU64,
    /// The snapshots that the last rescan could not read, for callers that must not wait for a rescan.
    unreadable: Lock<Vec<PathBuf>>,
    /// The problems with files that the last rescan found.
    problems: Lock<Vec<Finding>>,
    /// The snapshots that the last rescan knew: reads may meet damage in them.
    opened: Lock<Vec<Arc<Snapshot>>>,
    /// What is known of the times that the palace went back to an older state.
    pub noticed: Lock<Noticed>,
    /// Number of times that all files were read again because of that: [`Directory::epoch`].
    pub epoch: AtomicU64,
    /// The epoch in which what was missing then was written again.
    pub healed: AtomicU64,
    /// Number of commits that are under way.
    pub committing: AtomicUsize,
    pub flushing: AtomicBool,
    /// Dependencies of buffered commits that are not on disk yet.
    pub unsynced: Lock<UnsyncedDependencies>,
    pub syncing: Lock<()>,
    /// What the layer above derives from documents: see [`Palace::derived`]. It is no ranked lock, because it is held while
    /// documents are read.
    pub derived: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Shared {
    pub fn new(
        root: Arc<Root>,
        log: Log,
        program: String,
        automatic: Option<Automatic>,
        directory: Directory,
    ) -> Self {
        Shared {
            root,
            log,
            program,
            automatic,
            directory: Lock::new(Rank::Directory, directory),
            writer: WriterLock::default(),
            rescans: AtomicU64::new(0),
            unreadable: Lock::new(Rank::Leaf, Vec::new()),
            problems: Lock::new(Rank::Leaf, Vec::new()),
            opened: Lock::new(Rank::Leaf, Vec::new()),
            noticed: Lock::new(Rank::Leaf, Noticed::default()),
            epoch: AtomicU64::new(0),
            healed: AtomicU64::new(0),
            committing: AtomicUsize::new(0),
            flushing: AtomicBool::new(false),
            unsynced: Lock::new(Rank::Dependencies, UnsyncedDependencies::default()),
            syncing: Lock::new(Rank::Syncing, ()),
            derived: Mutex::default(),
        }
    }
}

impl Palace {
    /// Returns the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.shared.root.path()
    }

    /// Returns the reason why this palace cannot be written; `None` if it can.
    #[must_use]
    pub fn read_only(&self) -> Option<ReadOnlyReason> {
        self.shared.root.read_only()
    }

    /// Returns the name of this process in feeds and history; `None` until it has written.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        self.shared.log.instance_if_any()
    }

    /// Returns 16 random bytes, which no other process has.
    pub(crate) fn unique(&self) -> Result<[u8; 16]> {
        Ok(self.root().random()?)
    }

    /// Returns the time, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.root().fs().now_ms()
    }

    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.shared.root
    }

    pub(in crate::palace) fn writable(&self) -> Result<()> {
        Ok(self.root().check_writable()?)
    }

    /// Returns a view of a rescan that began after this call did.
    pub(in crate::palace) fn fresh(&self) -> Result<Arc<View>> {
        self.shared.view_since(self.shared.rescans_begun())
    }

    /// Returns the last view, without a rescan.
    pub(in crate::palace) fn last_view(&self) -> Arc<View> {
        self.shared.directory().view()
    }

    /// Reads something from a fresh view. If a document then waits for a change that this rescan may have been too early
    /// for, reads it again from another one.
    pub(in crate::palace) fn read_fresh<T>(&self, read: impl Fn(&View) -> Result<T>) -> Result<T> {
        let view = self.fresh()?;
        let found = read(&view)?;
        if !view.is_in_doubt() {
            return Ok(found);
        }
        read(&*self.fresh()?)
    }

    /// Returns the snapshots that the last rescan could not read. Reads go on without them, and lack what only they hold.
    /// Conditional writes are refused. [`Palace::verify`] reports the reason.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// palace.compact(Default::default())?;
    /// assert!(palace.unreadable().is_empty());
    /// for file in std::fs::read_dir(palace.path().join("snap"))? {
    ///     std::fs::write(file?.path(), "no snapshot")?; // a bad disk
    /// }
    /// let later = Palace::open(palace.path())?;
    /// assert_eq!(later.get("k")?, None);
    /// assert_eq!(later.unreadable().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unreadable(&self) -> Vec<PathBuf> {
        self.shared.unreadable.lock().clone()
    }

    /// Returns the files that are damaged, cut off or missing, as the last rescan found them, and the damage that reads
    /// met in snapshots since they were opened. Reads go on without what is missing. [`Palace::verify`] reads every
    /// byte of the snapshots.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// palace.seal()?;
    /// assert!(palace.problems().is_empty());
    /// for file in std::fs::read_dir(palace.path().join("sealed"))? {
    ///     std::fs::write(file?.path(), "")?; // a bad disk
    /// }
    /// let later = Palace::open(palace.path())?;
    /// assert_eq!(later.get("k")?, None);
    /// assert!(later.problems()[0].what.contains("empty"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn problems(&self) -> Vec<Finding> {
        let mut found = self.shared.problems.lock().clone();
        let opened = self.shared.opened.lock().clone();
        found.extend(opened.iter().flat_map(|snapshot| met_damage(self.root(), snapshot)));
        found
    }
}

impl Shared {
    /// Locks the directory. If a thread panicked while it held it (a bug), what it had parsed is made again.
    pub fn directory(&self) -> Locked<'_, Directory> {
        self.directory.lock_or_mend(Directory::distrust)
    }

    /// Number of rescans that have begun: a rescan with a higher number begins later than this call.
    pub fn rescans_begun(&self) -> u64 {
        let begun = self.rescans.load(Ordering::SeqCst);
        // Callers that were woken together by one sync arrive here one after the other. If they let each other pass
        // before they lock anything, one rescan serves them all; a caller that is alone does not wait.
        if self.committing.load(Ordering::Relaxed) > 1 {
            std::thread::yield_now();
        }
        begun
    }

    /// Returns a view of a rescan that began after `begun` others. One rescan serves all callers that were waiting for
    /// the directory when it began.
    pub fn view_since(&self, begun: u64) -> Result<Arc<View>> {
        if mutant!(ViewBeforeRescan) {
            let early = self.directory().view();
            drop(self.rescanned_since(begun)?);
            return Ok(early);
        }
        let mut directory = self.rescanned_since(begun)?;
        Ok(directory.view())
    }

    /// Returns the instance to write as, and a view for it. The view holds nothing of an instance that was abandoned
    /// before it wrote it.
    pub fn view_to_write(&self, begun: u64) -> Result<(InstanceId, Arc<View>)> {
        let mut directory = self.rescanned_since(begun)?;
        let instance = self.instance(&mut directory)?;
        Ok((instance, directory.view()))
    }

    /// Returns the instance to write as. Asked under the lock of the directory: what an abandoned one did not write is
    /// forgotten before the next commit is made, and found in its segments as far as it stands there.
    pub fn instance(&self, directory: &mut Directory) -> Result<InstanceId> {
        let instance = self.log.instance()?;
        directory.forget_unwritten(&self.log, Some(instance))?;
        if !directory.went_back {
            return Ok(instance);
        }
        self.rescan(directory)?;
        Ok(self.log.instance()?)
    }

    pub fn rescanned_since(&self, begun: u64) -> Result<Locked<'_, Directory>> {
        let mut directory = self.directory();
        if directory.rescan <= begun {
            self.rescan(&mut directory)?;
        }
        Ok(directory)
    }

    /// Rescans the directory once.
    fn rescan(&self, directory: &mut Directory) -> Result<()> {
        let number = self.rescans.fetch_add(1, Ordering::SeqCst) + 1;
        self.notice_replacement(directory)?;
        self.rescan_files(directory)?;
        directory.rescan = number;
        self.note_problems(&directory.catalog);
        Ok(())
    }

    /// Remembers which snapshots a rescan could not read, and which files are damaged.
    pub fn note_problems(&self, catalog: &Catalog) {
        *self.problems.lock() = file_problems(&self.root, catalog);
        *self.opened.lock() = catalog.all_snapshots().cloned().collect();
        let names = catalog.unreadable().map(|(id, _)| filename::snapshot(id));
        *self.unreadable.lock() = names.map(|name| self.root.file(SNAP, &name)).collect();
    }

    /// Starts over in the present directory, under a new identity, if another palace was put in its place.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if there is none.
    pub fn notice_replacement(&self, directory: &mut Directory) -> Result<()> {
        if self.root.is_replaced()? {
            let path = self.root.path().to_owned();
            tracing::warn!(path = %path.display(), "another palace was put in place of this one");
            self.note_known(directory);
            self.log.abandon(StoreError::Replaced { path });
            directory.start_over(self.root.clone());
            *self.unsynced.lock() = UnsyncedDependencies::default();
            self.root.forget();
        }
        Ok(())
    }
}
