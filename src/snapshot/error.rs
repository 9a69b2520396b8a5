//! What can go wrong with a snapshot.

use crate::format::id::SnapshotId;
use std::io;

/// Why a snapshot could not be built, opened or read.
///
/// ```
/// use crdt_palace::palace::{SnapshotError, SnapshotId};
///
/// let snapshot = SnapshotId([0x0f; 16]);
/// let error = SnapshotError::Newer { snapshot, version: 9 };
/// assert!(error.to_string().contains("has format 9, newer than this program understands"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file does not hold what its writer put there: bits flipped, or it was cut or copied in
    /// part. Reading other rows may still work.
    #[error("snapshot {snapshot} is damaged: {what}{}; do not delete it: `crdt-log verify` lists what it still holds", at_key(key.as_deref()))]
    Damaged {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The document concerned, where one is known.
        key: Option<String>,
        /// What does not fit.
        what: String,
        /// What SQLite said, if it was SQLite that noticed.
        source: Option<Box<rusqlite::Error>>,
    },
    /// A program newer than this one wrote the file.
    #[error(
        "snapshot {snapshot} has format {version}, newer than this program understands; use a newer crdt-palace"
    )]
    Newer {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The format version in the file.
        version: u32,
    },
    /// The file is no snapshot: another kind of database, or no database at all.
    #[error("snapshot {snapshot} is not a snapshot file: {what}")]
    NotASnapshot {
        /// The snapshot that was expected.
        snapshot: SnapshotId,
        /// What shows it.
        what: String,
    },
    /// The file holds another snapshot than its name says.
    #[error("the file of snapshot {expected} holds snapshot {found}; give it its own name back")]
    WrongId {
        /// The snapshot that was expected.
        expected: SnapshotId,
        /// The one that is in the file.
        found: SnapshotId,
    },
    /// The file could not be opened or its length not be learned.
    #[error("snapshot {snapshot} cannot be opened: {source}")]
    Open {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Why.
        source: io::Error,
    },
    /// Reading failed for a reason outside the file: no memory, an I/O error. It may work later.
    #[error("snapshot {snapshot} cannot be read: {source}")]
    Read {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Why.
        source: rusqlite::Error,
    },
    /// Building failed: no space, no memory, an I/O error. The file is not to be published.
    #[error("snapshot {snapshot} cannot be built: {source}")]
    Build {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Why.
        source: rusqlite::Error,
    },
    /// There is already something in the file that was to be built.
    #[error("snapshot {snapshot} cannot be built: its file is not empty")]
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
        /// What it is.
        what: &'static str,
    },
}

impl SnapshotError {
    /// Which snapshot it is about.
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

    /// Whether the file is to blame, so that it will be no better for being read again. Otherwise it is
    /// the machine: no file handle left, an I/O error.
    pub(crate) fn is_of_the_file(&self) -> bool {
        use SnapshotError::{Damaged, Newer, NotASnapshot, WrongId};
        matches!(self, Damaged { .. } | Newer { .. } | NotASnapshot { .. } | WrongId { .. })
    }
}

fn at_key(key: Option<&str>) -> String {
    key.map(|key| format!(" (document {key:?})")).unwrap_or_default()
}

/// An error that SQLite reported while reading `snapshot`.
pub(super) fn reading(snapshot: SnapshotId, source: rusqlite::Error) -> SnapshotError {
    if is_outside_the_file(&source) {
        return SnapshotError::Read { snapshot, source };
    }
    let what = format!("SQLite: {source}");
    SnapshotError::Damaged { snapshot, key: None, what, source: Some(Box::new(source)) }
}

/// The file is immutable and its schema was checked, so anything that is not the machine's fault is
/// the file's.
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
