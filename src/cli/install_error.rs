//! The errors of `install`.

use crate::fs::FsError;
use std::path::PathBuf;

/// The reason why nothing could be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The configuration file is a symbolic link to nothing.
    #[error("{} is a symbolic link to nothing: create the file that it points to, or remove the link", path.display())]
    Dangling {
        /// The link.
        path: PathBuf,
    },
    /// The configuration file is a directory, a pipe or a device.
    #[error("{} is not a regular file, so it was neither read nor changed: move it away", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The configuration file is one that nobody may write.
    #[error("{} is read-only, so it was not changed: make it writable first, or add the entry where it is made", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another program wrote the file at the same time.
    #[error(
        "another program has just changed {}, so it was not written: run this command again",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A path is not UTF-8, and JSON can hold nothing else.
    #[error("{} is not UTF-8, and a configuration file can hold nothing else: choose another path", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
}
