//! One segment: the writer of this process's own, and the reader of any.
//!
//! Invariant: only the [`writer::Writer`] that created a segment appends to it, and not after a failed
//! write or sync. [`reader::Reader`] opens files read-only and never repairs, truncates or creates. Must
//! not know: directories other than the two in which a segment is created, Automerge.

pub mod foreign_sync;
pub mod mark;
pub mod reader;
mod same_content;
#[cfg(test)]
mod tests;
pub mod writer;

use crate::format::record::RecordError;
use crate::fs::{At, Fs, FsError, Stat};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The unit in which file systems allocate space, in bytes. A writer pads its segment to a multiple of it.
const BLOCK_BYTES: u64 = 4 << 10;

/// A failure of a segment.
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
    /// Fewer bytes were written than asked for; the disk is probably full, or the file is as large as the process may write.
    #[error("only {written} of {wanted} bytes were written to {}; free disk space, or raise the limit of file sizes (ulimit -f), and try again", path.display())]
    Short {
        /// The segment.
        path: PathBuf,
        /// The number of bytes that were written.
        written: usize,
        /// The number of bytes to write.
        wanted: usize,
    },
    /// The record cannot be encoded.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Returns true if the file of this identity has that name. If the question fails, the answer is unknown,
/// so that is an error.
fn has_name(fs: &dyn Fs, path: &Path, identity: &Stat) -> Result<bool, SegmentError> {
    match fs.stat(path) {
        Ok(found) => Ok(found.same_file(identity)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("access", path)?,
    }
}
