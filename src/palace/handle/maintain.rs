//! Calls that keep an open palace in order: sync, seal, close, compact; and what goes on in the background.

use super::shared::{Palace, Shared};
use crate::palace::background::background;
use crate::palace::compact::pace::Pace;
use crate::palace::compact::report::{CompactOptions, CompactReport};
use crate::palace::compact::steps::compact;
use crate::palace::error::Result;
use crate::store::group_commit::{BUFFERED_MS, Durability};
use crate::store::rescan::Backlog;
use crate::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

impl Palace {
    /// Does what is to be done after a commit, and need not be waited for.
    pub(in crate::palace) fn after_commit(&self, durability: Durability, backlog: Backlog) {
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
        self.shared.writer.check_not_held()?;
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

    /// Compacts now, whether or not it is due. Safe while others read, write and compact.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// use crdt_palace::palace::compact::CompactOptions;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
    /// let report = palace.compact(CompactOptions::default())?;
    /// assert_eq!((report.segments, report.documents), (1, 1));
    /// assert_eq!(palace.get("a")?.ok_or("it was written")?.value["n"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Busy`] if somebody else is at it; [`Error::Unverified`] if the new snapshot
    /// turned out not to hold everything, and then nothing was changed.
    pub fn compact(&self, options: CompactOptions) -> Result<CompactReport> {
        self.writable()?;
        self.shared.writer.check_not_held()?;
        self.shared.notice_replacement(&mut self.shared.directory())?;
        self.seal()?;
        compact(&self.shared.root, &self.shared.program, options, Pace::brisk())
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

impl Shared {
    fn seal(&self) -> Result<()> {
        self.writer.check_not_held()?;
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
