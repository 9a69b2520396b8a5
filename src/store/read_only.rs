//! Reasons why a palace cannot be written.

use std::fmt;

/// The reason why this process cannot write a palace. Its text continues "cannot be written: ".
///
/// ```
/// use crdt_palace::palace::{Palace, ReadOnlyReason};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("palace");
/// Palace::open(&path)?.increment("visits", &["n"], 1)?;
/// let palace = Palace::open_read_only(&path)?;
/// assert_eq!(palace.read_only(), Some(ReadOnlyReason::OpenedReadOnly));
/// assert_eq!(ReadOnlyReason::OpenedReadOnly.to_string(), "it was opened read-only");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadOnlyReason {
    /// The program opened it so.
    OpenedReadOnly,
    /// A newer version of this program wrote it.
    NewerFormat,
    /// It belongs to another user.
    NotOwner,
    /// The system writes nothing to its file system.
    MountedReadOnly,
}

impl ReadOnlyReason {
    fn text(self) -> &'static str {
        match self {
            ReadOnlyReason::OpenedReadOnly => "it was opened read-only",
            ReadOnlyReason::NewerFormat => "a newer version wrote it; upgrade crdt-palace",
            ReadOnlyReason::MountedReadOnly => "its file system is mounted read-only",
            ReadOnlyReason::NotOwner => {
                "only the owner of the directory writes or compacts; run as that user"
            }
        }
    }
}

impl fmt::Display for ReadOnlyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl serde::Serialize for ReadOnlyReason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}
