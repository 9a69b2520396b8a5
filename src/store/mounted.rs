//! Tells a palace whose file system was unmounted from one that was deleted.
//!
//! Invariant: an unmounted palace is not taken for a deleted one. If a palace was deleted, another may be
//! made in its place. If its file system is gone, files in the empty directory that is left would be
//! hidden once it is mounted again. Must not know: the content of a palace.

use super::StoreError;
use crate::fs::{At, Fs};
use std::io::ErrorKind;
use std::path::Path;

/// Returns the device of a directory, or of its closest ancestor that exists. Files in it may have
/// another device: some file systems lie over several.
///
/// # Errors
/// [`StoreError::NoPalace`] if no ancestor exists either, or an error of the operating system.
pub(super) fn device(fs: &dyn Fs, path: &Path) -> Result<u64, StoreError> {
    for ancestor in path.ancestors() {
        // The dot resolves symbolic links; and the parent of a relative name is the working directory.
        match fs.stat(&ancestor.join(".")) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return Ok(found.at("access", ancestor)?.dev),
        }
    }
    Err(StoreError::NoPalace { path: path.to_owned() })
}

/// Fails if the palace's file system was unmounted. To be asked when there is no palace where one was on
/// the device `was`.
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
