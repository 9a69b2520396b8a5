//! The palace's directory: create it, append, rescan, seal, publish, retire.
//!
//! Invariant: no data file is ever written by two processes, and the state of a palace is the union of
//! the changes in `open/`, `sealed/` and `snap/`. All code here keeps that union from losing an
//! acknowledged change (docs/CONCURRENCY.md has the argument). Must not know: the meaning of a change.
//! Keys and bytes go through untouched, and Automerge is not imported below `merge`.

mod abandoned_instances;
mod directories;
mod directory_watch;
mod going_back;
pub mod group_commit;
pub mod lock;
mod mounted;
pub mod open_snapshot;
pub mod own_segments;
pub mod publish;
pub mod purge;
pub mod quarantine;
pub mod read_only;
pub mod rescan;
pub mod retire;
pub mod root;
pub mod seal;
mod tracked_segment;
mod unreadable_snapshots;
mod whereabouts;
mod write_batch;

use crate::format::manifest::ManifestError;
use crate::fs::FsError;
use crate::fs::fs_type::FileSystem;
use crate::fs::shell::quoted;
use crate::segment::SegmentError;
use crate::snapshot::SnapshotError;
use std::path::{Path, PathBuf};

/// A failure of the palace's directory.
///
/// ```
/// use crdt_palace::palace::{Error, Palace, StoreError};
/// use serde_json::json;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("palace");
/// let error = Palace::open_read_only(&path).unwrap_err();
/// assert!(matches!(error, Error::Store(StoreError::NoPalace { .. })));
///
/// Palace::open(&path)?.put("a", &json!({"n": 1}))?;
/// let error = Palace::open_read_only(&path)?.put("a", &serde_json::Map::new()).unwrap_err();
/// assert!(matches!(error, Error::Store(StoreError::ReadOnly { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A segment failed.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// A snapshot failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// There is no directory of this name.
    #[error("there is no palace at {}; check the path, or write to it once to create one", path.display())]
    NoPalace {
        /// The directory.
        path: PathBuf,
    },
    /// The path names a directory that is not a palace.
    #[error(
        "{} is not a palace: it has files but no palace.json; name an empty or a new directory, or \
         if a palace was there, call crdt-palace doctor",
        path.display()
    )]
    NotAPalace {
        /// The directory.
        path: PathBuf,
    },
    /// The path is that of a file, or leads through one.
    #[error(
        "{} cannot be a palace: it, or a part of its path, is a file and not a directory; choose another path",
        path.display()
    )]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A newer version of this program wrote the palace.
    #[error(
        "the palace at {} has format {found}, and this version reads formats up to {}; upgrade crdt-palace",
        path.display(), crate::format::FORMAT_VERSION
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// The format.
        found: u32,
    },
    /// The manifest cannot be read.
    #[error("{} is damaged; crdt-palace doctor says how to make it again", path.display())]
    Manifest {
        /// The manifest's path.
        path: PathBuf,
        /// The problem with it.
        #[source]
        source: ManifestError,
    },
    /// Another palace was put in the place of the one that this process had read.
    #[error("another palace was put in the place of the one at {} while this was written", path.display())]
    Replaced {
        /// The directory.
        path: PathBuf,
    },
    /// The palace that this process had read is not there any more. No other one is made in its place.
    #[error(
        "the palace at {} is not there any more: {}",
        path.display(),
        whereabouts(path, to.as_deref(), *files_remain)
    )]
    Gone {
        /// The directory.
        path: PathBuf,
        /// The present path of the directory, if it was renamed and the system tells.
        to: Option<PathBuf>,
        /// True if only its `palace.json` is gone.
        files_remain: bool,
    },
    /// Files of the palace went back to an older state, as when a copy is restored over it.
    #[error("the palace at {} went back to an older state meanwhile", path.display())]
    WentBack {
        /// The directory.
        path: PathBuf,
    },
    /// The file system that the palace was on is not mounted any more.
    #[error(
        "the file system of the palace at {} is not mounted any more: mount it again; or restart this program \
         to create a new palace there", path.display()
    )]
    Unmounted {
        /// The directory.
        path: PathBuf,
    },
    /// The palace was opened read-only, or belongs to another user.
    #[error("the palace at {} cannot be written: {reason}", path.display())]
    ReadOnly {
        /// The directory.
        path: PathBuf,
        /// The cause.
        reason: read_only::ReadOnlyReason,
    },
    /// Another process held a lock for too long.
    #[error("{} is locked by another process ({holder})", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// The holder, as far as known.
        holder: String,
    },
    /// A lock was needed where locks cannot be trusted.
    #[error(
        "conditional writes need a file system whose locks can be trusted, and {} is on {file_system}; \
         write without a condition, or move the palace to a local disk", path.display()
    )]
    LockUntrusted {
        /// The palace.
        path: PathBuf,
        /// The kind of its file system.
        file_system: FileSystem,
    },
    /// The file system does not show to other processes what is written.
    #[error(
        "on the file system of {} ({file_system}), processes do not see what others write to an open file; \
         move the palace to a local disk", path.display()
    )]
    Invisible {
        /// The palace.
        path: PathBuf,
        /// The kind of its file system.
        file_system: FileSystem,
    },
    /// Later reads may find the write, or may not.
    #[error(
        "the write's outcome is unknown: it may have been written, so read before you repeat it"
    )]
    OutcomeUnknown {
        /// The cause.
        #[source]
        source: std::sync::Arc<StoreError>,
    },
    /// The write failed before anything of it reached a file.
    #[error("nothing was written")]
    NotWritten {
        /// The cause.
        #[source]
        source: std::sync::Arc<StoreError>,
    },
}

/// Returns what became of a palace, and what to do.
fn whereabouts(path: &Path, to: Option<&Path>, files_remain: bool) -> String {
    match to {
        Some(to) => format!(
            "its directory is {} now; move it back, or restart this program with that path",
            to.display()
        ),
        None if files_remain => format!(
            "its palace.json is gone, and its other files are there; the command that makes it again is printed by: \
             crdt-palace doctor {}",
            quoted(path)
        ),
        None => "it was deleted, or moved to another disk; put it back, or restart this program to begin a new palace \
                 there"
            .to_owned(),
    }
}

impl From<crate::format::record::RecordError> for StoreError {
    fn from(error: crate::format::record::RecordError) -> Self {
        StoreError::Segment(SegmentError::Record(error))
    }
}
