//! Syncs of segments that another process writes.

use super::SegmentError;
use crate::fs::{At, File, Fs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Syncs a segment of another process. fdatasync works on any open file, whichever process wrote it.
#[derive(Clone, Debug)]
pub struct ForeignSync {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    pub(super) end: Arc<AtomicU64>,
    pub(super) synced_upto: Arc<AtomicU64>,
    pub(super) sync_failed: Arc<AtomicBool>,
}

impl ForeignSync {
    /// Returns the path under which the segment was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if a sync of it failed in this process.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Relaxed)
    }

    /// Returns true if every byte before `upto` is known to be on disk.
    #[must_use]
    pub fn covers(&self, upto: u64) -> bool {
        self.synced_upto() >= upto
    }

    /// Returns the offset before which every byte is known to be on disk.
    #[must_use]
    pub fn synced_upto(&self) -> u64 {
        self.synced_upto.load(Ordering::Relaxed)
    }

    /// Syncs all that the file holds now.
    ///
    /// # Errors
    /// [`SegmentError::Fs`].
    pub fn sync(&self) -> Result<(), SegmentError> {
        Ok(self.file.sync().at("sync", &self.path)?)
    }

    /// Syncs all that the file holds now. Returns true if the sync can be relied on.
    ///
    /// That holds while the owner has the segment's flock. An owner whose sync failed lets go of it, and
    /// the bytes of that sync may never reach the disk. The kernel calls them clean, shows them to every
    /// reader, and does not tell a process that opens the file later. For the same reason a sync that
    /// failed here is not tried again: the next one would succeed without them.
    ///
    /// # Errors
    /// [`SegmentError`]: then, and after `false`, nothing that depends on the segment may be
    /// acknowledged.
    pub fn sync_while_owned(&self, fs: &dyn Fs) -> Result<bool, SegmentError> {
        if self.has_failed() {
            return Ok(false);
        }
        // Not the length of the file: its padding takes records that are written after the sync.
        let read = self.end.load(Ordering::Relaxed);
        self.sync().inspect_err(|_| self.sync_failed.store(true, Ordering::Relaxed))?;
        // Only the owner ever takes this lock.
        let owned = match fs.open(&self.path) {
            Ok(file) => file.is_locked().at("check the lock of", &self.path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => Err(error).at("open", &self.path)?,
        };
        if owned {
            self.synced_upto.fetch_max(read, Ordering::Relaxed);
        }
        Ok(owned)
    }
}
