//! One segment: write one's own, read anybody's.
//!
//! Invariant: a segment is appended to by the one [`writer::Writer`] that created it, and by nobody
//! after a failed write or sync. [`reader::Reader`] opens files read-only and never repairs,
//! truncates or creates. Must not know: directories other than the two it is created in, Automerge.

pub mod reader;
#[cfg(test)]
mod tests;
pub mod writer;

use crate::format::record::RecordError;
use crate::fs::{At, Fs, FsError, Stat};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What can go wrong with a segment.
///
/// ```
/// use crdt_palace::palace::{RecordError, SegmentError};
///
/// let error = SegmentError::from(RecordError::Checksum);
/// assert_eq!(error.to_string(), "the record's checksum does not match its bytes");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// Less was written than asked for; the disk is probably full.
    #[error("only {written} of {wanted} bytes went into {}: is the disk full?", path.display())]
    Short {
        /// The segment.
        path: PathBuf,
        /// How many bytes were written.
        written: usize,
        /// How many should have been.
        wanted: usize,
    },
    /// The record cannot be encoded.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Whether the file of this identity has that name. A failure to look is not an answer.
fn has_name(fs: &dyn Fs, path: &Path, identity: &Stat) -> Result<bool, SegmentError> {
    match fs.stat(path) {
        Ok(found) => Ok(found.same_file(identity)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("look for", path)?,
    }
}
