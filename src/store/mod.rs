//! The directory: create, append, rescan, seal, publish, retire.
//!
//! Invariant: no data file is ever written by two processes, and the state of a palace is the union of
//! the changes in `open/`, `sealed/` and `snap/`. Everything here keeps that union from ever losing an
//! acknowledged change (docs/CONCURRENCY.md has the argument). Must not know: what a change is. Keys
//! and bytes go through untouched, and Automerge is not imported below `merge`.

mod directory_watch;
pub mod group_commit;
pub mod lock;
mod mounted;
pub mod own_segments;
pub mod publish;
pub mod purge;
pub mod quarantine;
pub mod rescan;
pub mod retire;
pub mod root;
pub mod seal;
mod unreadable_snapshots;
mod write_batch;

use crate::format::manifest::ManifestError;
use crate::fs::FsError;
use crate::segment::SegmentError;
use crate::snapshot::SnapshotError;
use std::path::PathBuf;

/// What can go wrong with the directory of a palace.
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
/// Palace::open(&path)?.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
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
    #[error("there is no palace at {}; a first write makes one, or check the path", path.display())]
    NoPalace {
        /// The directory.
        path: PathBuf,
    },
    /// The path names something else than a palace.
    #[error(
        "{} is not a palace: it has files but no palace.json; name an empty or a new directory",
        path.display()
    )]
    NotAPalace {
        /// The directory.
        path: PathBuf,
    },
    /// The path is that of a file, or leads through one.
    #[error(
        "{} cannot be a palace: it, or something on the way to it, is a file, not a directory",
        path.display()
    )]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A newer version of this program wrote the palace.
    #[error(
        "the palace at {} is of format {found}; this version is made for up to {}: please upgrade crdt-palace",
        path.display(), crate::format::FORMAT_VERSION
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The manifest cannot be read.
    #[error("{} is damaged; restore it from a copy of the palace", path.display())]
    Manifest {
        /// The manifest's path.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ManifestError,
    },
    /// The directory was deleted, moved away or replaced after this process had looked at it.
    #[error(
        "the palace at {} was taken away, or another put in its place, while this was written",
        path.display()
    )]
    Replaced {
        /// The directory.
        path: PathBuf,
    },
    /// The file system that the palace was on is not there any more.
    #[error(
        "the file system that the palace at {} is on is not mounted any more: mount it again; or, if a new palace \
         is to be made there, restart this program", path.display()
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
        /// Why.
        reason: &'static str,
    },
    /// Somebody else held a lock for too long.
    #[error("{} is held by somebody else ({holder})", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote into it.
        holder: String,
    },
    /// A lock was asked for where locks cannot be trusted.
    #[error(
        "conditional writes need a file system whose locks can be trusted, and {} is on {fs_name}; \
         write without a condition, or move the palace to a local disk", path.display()
    )]
    LockUntrusted {
        /// The palace.
        path: PathBuf,
        /// The file system's name.
        fs_name: &'static str,
    },
    /// The write may or may not be found by later reads.
    #[error(
        "the write's outcome is unknown: it may have been written, so read before you repeat it"
    )]
    OutcomeUnknown {
        /// What failed.
        #[source]
        source: std::sync::Arc<StoreError>,
    },
    /// The write failed before anything of it reached a file.
    #[error("nothing was written")]
    NotWritten {
        /// What failed.
        #[source]
        source: std::sync::Arc<StoreError>,
    },
}

impl From<crate::format::record::RecordError> for StoreError {
    fn from(error: crate::format::record::RecordError) -> Self {
        StoreError::Segment(SegmentError::Record(error))
    }
}
