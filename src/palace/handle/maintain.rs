//! Maintenance of an open palace: sync, seal, close, compact; and the work in the background.

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
    /// Starts the background work that a commit makes due. The caller does not wait for it.
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

    /// Puts buffered commits on disk: see [`Durability::Buffered`].
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let quick = palace.with(WriteOptions::new().buffered());
    /// for n in 0..100 {
    ///     quick.put("a", &json!({"n": n}))?;
    /// }
    /// palace.sync()?; // one sync for all of them
    /// assert_eq!(palace.history("a")?.len(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`](crate::palace::StoreError::OutcomeUnknown).
    pub fn sync(&self) -> Result<()> {
        self.shared.writer.check_not_held()?;
        let synced = self.shared.sync();
        // The next call must not report the same loss again.
        let lost = self.shared.log.report_lost();
        synced?;
        Ok(lost?)
    }

    /// Seals this process's segment, so that it can be compacted. The next write starts another.
    ///
    /// ```
    /// use crdt_palace::palace::status::SegmentState;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// palace.seal()?;
    /// assert_eq!(palace.status()?.segments[0].state, SegmentState::Sealed);
    /// palace.put("a", &json!({"n": 2}))?;
    /// assert_eq!(palace.status()?.segments.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`](crate::palace::StoreError::OutcomeUnknown), or an error of the operating system.
    pub fn seal(&self) -> Result<()> {
        self.shared.seal()
    }

    /// Seals this process's segment, and waits for a compaction of this palace that is under way. Dropping the last clone
    /// does the same, but only logs an error. A commit after this starts another segment, and no compaction.
    ///
    /// ```
    /// use crdt_palace::palace::status::SegmentState;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// let palace = Palace::open(dir.path().join("palace"))?;
    /// let elsewhere = palace.clone();
    /// elsewhere.put("a", &json!({"n": 1}))?;
    /// palace.close()?;
    /// assert_eq!(palace.status()?.segments[0].state, SegmentState::Sealed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::seal`].
    pub fn close(&self) -> Result<()> {
        self.shared.close()
    }

    /// Compacts now. Safe while other processes read, write and compact.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// use crdt_palace::palace::compact::CompactOptions;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// let report = palace.compact(CompactOptions::default())?;
    /// assert_eq!((report.segments, report.documents), (1, 1));
    /// assert_eq!(palace.get("a")?.ok_or("it was written")?.value["n"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Busy`](crate::palace::StoreError::Busy) if another process compacts;
    /// [`Error::Unverified`](crate::palace::Error::Unverified) if the new snapshot does not hold all inputs. Then nothing
    /// was changed.
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
        // A commit between the sync and the line above saw a flusher at work and started none. If the sync of the log came
        // after it, only its dependencies may be left to sync.
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
        // Sealing spares the next compactor the question whether this process lives. If it fails, the segment stays in
        // open/, and another process seals it: nothing depends on it.
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the segment could not be sealed on closing");
        }
    }
}
