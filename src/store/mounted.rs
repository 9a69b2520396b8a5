//! Whether the file system that a palace was on is still there.
//!
//! Invariant: what was unmounted is not taken for deleted. A palace that has vanished may have been deleted, and
//! then another may be made in its place. If its file system has gone, what was written into the empty directory that
//! is left would be out of sight once that comes back. Must not know: what is in a palace.

use super::StoreError;
use crate::fs::{At, Fs};
use std::io::ErrorKind;
use std::path::Path;

/// The device of a directory, or of what there is of the way to it. Files in it may have another: some file systems
/// lie over several.
///
/// # Errors
/// [`StoreError::NoPalace`] if there is nothing of the way either, or what the system says.
pub(super) fn device(fs: &dyn Fs, path: &Path) -> Result<u64, StoreError> {
    for ancestor in path.ancestors() {
        // Through symbolic links; and the parent of a name alone is the directory that this process is in.
        match fs.stat(&ancestor.join(".")) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return Ok(found.at("look at", ancestor)?.dev),
        }
    }
    Err(StoreError::NoPalace { path: path.to_owned() })
}

/// Asked when there is no palace where one was on this device.
///
/// # Errors
/// [`StoreError::Unmounted`], or as [`device`].
pub(super) fn check(fs: &dyn Fs, path: &Path, was: Option<u64>) -> Result<(), StoreError> {
    match was {
        Some(was) if device(fs, path)? != was => {
            Err(StoreError::Unmounted { path: path.to_owned() })
        }
        _ => Ok(()),
    }
}
