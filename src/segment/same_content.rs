//! Tells whether a file still has what a reader has read from it, and goes on in another one that has.

use super::SegmentError;
use super::mark::Footprint;
use super::reader::Reader;
use crate::fs::{At, File, Stat};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

impl Reader {
    /// Returns true if the file lacked what had been read from it, at the last read.
    #[must_use]
    pub fn went_back(&self) -> bool {
        self.went_back
    }

    /// Returns true if the file has what was read from it.
    ///
    /// # Errors
    /// [`SegmentError::Fs`] if it cannot be read.
    pub fn is_intact(&self) -> Result<bool, SegmentError> {
        Ok(self.mark.is_in(&*self.file).at("read", &self.path)?)
    }

    /// Returns true if this file has all that was read from another one of the same segment.
    ///
    /// # Errors
    /// [`SegmentError::Fs`] if it cannot be read.
    pub fn has_all_of(&self, other: &Reader) -> Result<bool, SegmentError> {
        Ok(other.mark.is_in(&*self.file).at("read", &self.path)?)
    }

    /// Goes on with another file of the same name, if that has all that was read before. Returns false, and
    /// changes nothing, if it has not.
    ///
    /// # Errors
    /// [`SegmentError::Fs`] if it cannot be read.
    pub fn continue_in(&mut self, path: &Path, file: Box<dyn File>) -> Result<bool, SegmentError> {
        if !self.mark.is_in(&*file).at("read", path)? {
            return Ok(false);
        }
        (self.path, self.file) = (path.to_owned(), file.into());
        self.identity = None;
        // Nothing is known of the copy on this disk but what its owner says.
        self.synced_upto = Arc::new(AtomicU64::new(self.owner_synced_upto));
        self.sync_failed = Arc::default();
        Ok(true)
    }

    /// Returns what tells later whether the file is still there, with all that was read; `None` if
    /// nothing was.
    #[must_use]
    pub fn footprint(&self) -> Option<Footprint> {
        let identity = Stat { len: self.mark.end, ..self.identity? };
        let content = Some((self.file.clone(), self.mark));
        Some(Footprint { path: self.path.clone(), identity, content })
    }
}
