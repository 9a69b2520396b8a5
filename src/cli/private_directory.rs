//! A directory for files that only this user may read, and that are deleted at the end.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A new directory that only this user may enter. It is deleted when it is dropped.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: PathBuf,
    is_kept: bool,
}

impl PrivateDirectory {
    /// Makes a directory for temporary files of a purpose, which is part of its name.
    pub fn new(purpose: &str) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("crdt-palace-{purpose}-{}-{}", std::process::id(), now.as_nanos());
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(PrivateDirectory { path, is_kept: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory where it is.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            let directory = self.path.display();
            tracing::warn!(%error, %directory, "a temporary directory could not be deleted");
        }
    }
}
