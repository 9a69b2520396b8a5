//! Creates the palace's directories, and makes the names that lead to it durable.

use super::StoreError;
use crate::fs::{At, Fs};
use std::io::ErrorKind;
use std::path::Path;

/// Creates a directory with all parents that are missing. It may exist.
pub(super) fn create_with_parents(fs: &dyn Fs, path: &Path) -> Result<(), StoreError> {
    match (fs.create_dir(path), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == ErrorKind::NotFound => {
            create_with_parents(fs, parent)?;
            create(fs, path)
        }
        (Err(error), _) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        (done, _) => Ok(done.at("create", path)?),
    }
}

/// Creates one directory. It may exist.
pub(super) fn create(fs: &dyn Fs, path: &Path) -> Result<(), StoreError> {
    match fs.create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => Ok(done.at("create", path)?),
    }
}

/// Syncs the names that lead to `path`, also those of directories that existed: the process that made them
/// may have died before it synced them. A directory that this user may not read holds none that this user
/// made, and some file systems cannot sync a directory.
pub(super) fn sync_ancestors(fs: &dyn Fs, path: &Path) -> Result<(), StoreError> {
    use ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    for ancestor in path.ancestors().skip(1) {
        // The parent of a relative name is the working directory, which has no name in the path.
        let here = ancestor.as_os_str().is_empty();
        let ancestor = if here { Path::new(".") } else { ancestor };
        match fs.sync_dir(ancestor) {
            Err(e) if matches!(e.kind(), InvalidInput | PermissionDenied | Unsupported) => {}
            done => done.at("sync", ancestor)?,
        }
    }
    Ok(())
}
