//! Tells whether a file still holds what was written to it, or read from it, before.
//!
//! Invariant: a segment only grows, so the last bytes of a record stay where they are. A file that lacks
//! them went back to an older state, or is another one. Must not know: records.

use super::SegmentError;
use crate::fs::{At, File, Fs, Stat};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

/// The length of a mark in bytes: that of a record's checksum, with which a record ends.
pub const MARK_BYTES: usize = crate::format::record::CHECKSUM;

/// The length of the part of a file that is read at once, in bytes.
const WINDOW: usize = 4 << 10;

/// The last bytes of the records up to an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The end of the records; 0 if there is none.
    pub end: u64,
    /// The bytes before it.
    pub last: [u8; MARK_BYTES],
}

impl Mark {
    /// Returns the mark of records that end at `end` with these bytes.
    #[must_use]
    pub fn of(end: u64, records: &[u8]) -> Self {
        let last = records.last_chunk().copied().unwrap_or_default();
        Mark { end, last }
    }

    /// Returns true if the file has the bytes of both marks, of which this one comes first.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn is_in_with(&self, later: &Mark, file: &dyn File) -> io::Result<bool> {
        // One call shows both if they are near each other, as most records are short.
        let mut window = [0; WINDOW];
        let span = later.end.saturating_sub(self.start());
        let Some(window) = usize::try_from(span).ok().and_then(|span| window.get_mut(..span))
        else {
            return Ok(self.is_in(file)? && later.is_in(file)?);
        };
        let count = file.read_at(window, self.start())?;
        let has = |mark: &Mark, bytes: Option<&[u8]>| {
            mark.end == 0 || bytes.is_some_and(|bytes| bytes == mark.last)
        };
        let ends = (window.first_chunk::<MARK_BYTES>(), window.last_chunk::<MARK_BYTES>());
        let (first, last) = (ends.0.map(|bytes| &bytes[..]), ends.1.map(|bytes| &bytes[..]));
        Ok(count == window.len() && has(self, first) && has(later, last))
    }

    /// Returns the offset at which its bytes begin.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.end.saturating_sub(MARK_BYTES as u64)
    }

    /// Returns true if the file has these bytes at this place.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn is_in(&self, file: &dyn File) -> io::Result<bool> {
        if self.end == 0 {
            return Ok(true);
        }
        let mut found = [0; MARK_BYTES];
        let count = file.read_at(&mut found, self.start())?;
        Ok(count == found.len() && found == self.last)
    }
}

/// A segment as it was seen: its name, its identity and how far it went.
#[derive(Clone, Debug)]
pub struct Footprint {
    /// The path.
    pub path: PathBuf,
    /// The identity, with the least length that it must have.
    pub identity: Stat,
    /// The open file, and its last bytes; `None` if the length has to do.
    pub content: Option<(Arc<dyn File>, Mark)>,
}

impl Footprint {
    /// Returns true if the file still has its name, and all that it had.
    ///
    /// # Errors
    /// [`SegmentError::Fs`]: then it is unknown whether it has.
    pub fn stands(&self, fs: &dyn Fs) -> Result<bool, SegmentError> {
        let found = match fs.stat(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            found => found.at("access", &self.path)?,
        };
        if !found.same_file(&self.identity) || found.len < self.identity.len {
            return Ok(false);
        }
        let Some((file, mark)) = &self.content else { return Ok(true) };
        Ok(mark.is_in(&**file).at("read", &self.path)?)
    }
}
