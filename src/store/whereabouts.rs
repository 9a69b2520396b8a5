//! Tells whether the palace that this process has read is still in its place: gone, replaced, or only touched.
//!
//! Invariant: no palace is made where this process has read one. Must not know: what is in its files.

use super::StoreError;
use super::root::{Root, is_same};
use crate::format::filename::{MANIFEST, OPEN, SEALED, SNAP};
use crate::fs::{At, exists};
use std::io::ErrorKind;

impl Root {
    /// Makes the error that the palace which this process had read is not there.
    pub(super) fn gone(&self) -> StoreError {
        if let Err(error) = self.check_mounted() {
            return error;
        }
        let directory = self.known().directory.clone();
        let place =
            directory.map(|directory| directory.place()).transpose().unwrap_or_else(|error| {
                tracing::debug!(%error, "the present path of the directory is unknown");
                None
            });
        // Its files may have been deleted, and the directory not. Where that cannot be told, the error names no place.
        let to =
            place.flatten().filter(|to| exists(&*self.fs, &to.join(MANIFEST)).unwrap_or(false));
        StoreError::Gone { path: self.path().to_owned(), files_remain: self.has_files(), to }
    }

    /// Returns true if a directory of the palace has a file. One that cannot be listed counts as empty: this is for words.
    fn has_files(&self) -> bool {
        let has_one = |name| self.list(name).is_ok_and(|names| !names.is_empty());
        [OPEN, SEALED, SNAP].into_iter().any(has_one)
    }

    /// Reads a `palace.json` that another process may have made since the last read.
    ///
    /// # Errors
    /// As [`Root::open`], [`StoreError::Gone`] and [`StoreError::Unmounted`].
    pub fn refresh(&self) -> Result<(), StoreError> {
        let known = self.known().clone();
        if known.file.is_some() {
            return Ok(());
        }
        match self.read_manifest()? {
            Some(read) => self.note_manifest(read).map(drop),
            None if known.device.is_some() => Err(self.gone()),
            None => Ok(()),
        }
    }

    /// Returns true if another palace stands in the place of the one that this process read.
    ///
    /// # Errors
    /// [`StoreError::Gone`] or [`StoreError::Unmounted`] if no palace is there, or an error of the operating
    /// system.
    pub fn is_replaced(&self) -> Result<bool, StoreError> {
        let Some(known) = self.known().file.clone() else { return Ok(false) };
        let path = self.path().join(MANIFEST);
        let found = match self.fs.identity(&path) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Err(self.gone()),
            Err(error) => return Ok(Err(error).at("access", &path)?),
        };
        let (_, seen) = &known;
        if !found.stat.same_file(&seen.stat) || found.stat.len != seen.stat.len {
            return Ok(true);
        }
        // A later file may have got the same inode. The time of birth tells, or else the content.
        if let (Some(born), Some(first)) = (found.born_ns, seen.born_ns) {
            return Ok(born != first);
        }
        if found.modified_ms == seen.modified_ms {
            return Ok(false);
        }
        let Some(read) = self.read_manifest()? else { return Err(self.gone()) };
        let same = is_same(&known, &read);
        if same {
            self.known().file = Some(read);
        }
        Ok(!same)
    }

    /// Fails if the palace was replaced, or is gone. For code in the middle of a write.
    ///
    /// # Errors
    /// [`StoreError::Replaced`], [`StoreError::Gone`], or an error of the operating system.
    pub fn still_there(&self) -> Result<(), StoreError> {
        match self.is_replaced()? {
            true => Err(StoreError::Replaced { path: self.path().to_owned() }),
            false => Ok(()),
        }
    }
}

/// Returns true if nothing is there: no such name, or a file in the place of the directory.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
