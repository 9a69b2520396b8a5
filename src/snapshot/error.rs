//! Errors of snapshots.

use crate::format::FORMAT_VERSION;
use crate::format::id::SnapshotId;
use std::io;

/// A failure to build, open or read a snapshot.
///
/// ```
/// use crdt_palace::palace::{SnapshotError, SnapshotId};
///
/// let snapshot = SnapshotId([0x0f; 16]);
/// let error = SnapshotError::Newer { snapshot, version: 9 };
/// assert!(error.to_string().contains("has format 9, and this version reads formats up to 1"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file does not hold what its writer put there: bits flipped, or it was cut or copied in
    /// part. Reading other rows may still work.
    #[error("snapshot {snapshot} is damaged: {what}{}; do not delete it: `crdt-log verify` tells what it still holds", at_key(key.as_deref()))]
    Damaged {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The document, where it is known.
        key: Option<String>,
        /// The problem.
        what: String,
        /// SQLite's error, if SQLite noticed the damage.
        source: Option<Box<rusqlite::Error>>,
    },
    /// A program newer than this one wrote the file.
    #[error(
        "snapshot {snapshot} has format {version}, and this version reads formats up to {FORMAT_VERSION}; upgrade crdt-palace"
    )]
    Newer {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The format version in the file.
        version: u32,
    },
    /// The file is no snapshot: another kind of database, or no database at all.
    #[error("the file of snapshot {snapshot} is not a snapshot: {what}; move it out of the palace")]
    NotASnapshot {
        /// The snapshot that was expected.
        snapshot: SnapshotId,
        /// The evidence.
        what: String,
    },
    /// The file holds another snapshot than its name says.
    #[error("the file of snapshot {expected} holds snapshot {found}; rename it to {found}.snap")]
    WrongId {
        /// The snapshot that was expected.
        expected: SnapshotId,
        /// The snapshot in the file.
        found: SnapshotId,
    },
    /// The file could not be opened, or its length could not be learned.
    #[error("snapshot {snapshot} cannot be opened: {source}")]
    Open {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The cause.
        source: io::Error,
    },
    /// Reading failed for a reason outside the file: no memory, an I/O error. It may work later.
    #[error("snapshot {snapshot} cannot be read: {source}")]
    Read {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The cause.
        source: rusqlite::Error,
    },
    /// Building failed: no space, no memory, an I/O error. The file must not be published.
    #[error("snapshot {snapshot} cannot be built: {source}")]
    Build {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The file that was to be built has content already.
    #[error("snapshot {snapshot} cannot be built: its file has content already")]
    NotEmpty {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Documents have to be added in ascending order of their keys, each once.
    #[error("snapshot {snapshot} cannot be built: {key:?} was added after {previous:?}")]
    Unordered {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The key that came too late.
        key: String,
        /// The key before it.
        previous: String,
    },
    /// A number or a list is larger than a snapshot can hold.
    #[error("snapshot {snapshot} cannot be built: {what} is too large")]
    TooLarge {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The part that is too large.
        what: &'static str,
    },
}

impl SnapshotError {
    /// Returns the snapshot that the error is about.
    pub(crate) fn snapshot(&self) -> SnapshotId {
        match self {
            Self::Damaged { snapshot, .. }
            | Self::Newer { snapshot, .. }
            | Self::NotASnapshot { snapshot, .. }
            | Self::WrongId { expected: snapshot, .. }
            | Self::Open { snapshot, .. }
            | Self::Read { snapshot, .. }
            | Self::Build { snapshot, .. }
            | Self::NotEmpty { snapshot }
            | Self::Unordered { snapshot, .. }
            | Self::TooLarge { snapshot, .. } => *snapshot,
        }
    }

    /// Returns true if the fault is in the file, so that reading it again does not help. Otherwise it is
    /// in the machine: no file handle left, an I/O error.
    pub(crate) fn is_of_the_file(&self) -> bool {
        use SnapshotError::{Damaged, Newer, NotASnapshot, WrongId};
        matches!(self, Damaged { .. } | Newer { .. } | NotASnapshot { .. } | WrongId { .. })
    }
}

fn at_key(key: Option<&str>) -> String {
    key.map(|key| format!(" (document {key:?})")).unwrap_or_default()
}

/// Converts an error that SQLite reported while reading `snapshot`.
pub(super) fn reading(snapshot: SnapshotId, source: rusqlite::Error) -> SnapshotError {
    if is_outside_the_file(&source) {
        return SnapshotError::Read { snapshot, source };
    }
    let what = format!("SQLite: {source}");
    SnapshotError::Damaged { snapshot, key: None, what, source: Some(Box::new(source)) }
}

/// Returns true if the machine is at fault. The file is immutable and its schema was checked, so any
/// other error comes from its bytes.
fn is_outside_the_file(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return false };
    match failure.code {
        Code::SystemIoFailure => {
            failure.extended_code != rusqlite::ffi::SQLITE_IOERR_SHORT_READ
                && failure.extended_code != rusqlite::ffi::SQLITE_IOERR_CORRUPTFS
        }
        code => matches!(
            code,
            Code::OutOfMemory
                | Code::CannotOpen
                | Code::PermissionDenied
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::OperationInterrupted
                | Code::FileLockingProtocolFailed
        ),
    }
}
