//! The short cursors of the feed that a server gave last.
//!
//! A short cursor can be read without being remembered, by any server of the palace. But it may then be uncertain whether
//! some of what follows was told before. A server that remembers its own cursors knows.

use crate::palace::{self, Palace, Position};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Cursors that a server remembers.
const REMEMBERED: usize = 64;

/// The positions of the cursors that this server gave last.
#[derive(Debug, Default)]
pub(super) struct FeedCursors(Mutex<VecDeque<(String, Position)>>);

impl FeedCursors {
    /// Returns the cursor of a position, and remembers it. `next_ms` is the time of the next commit, if there is one.
    ///
    /// # Errors
    /// Any of [`palace::Error`].
    pub fn give(
        &self,
        palace: &Palace,
        position: Position,
        next_ms: Option<i64>,
    ) -> palace::Result<String> {
        let cursor = palace.shorten(&position, next_ms)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, _)| *other != cursor);
        known.push_back((cursor.clone(), position));
        if known.len() > REMEMBERED {
            known.pop_front();
        }
        Ok(cursor)
    }

    /// Returns the position of a cursor that any server of this palace gave.
    ///
    /// # Errors
    /// [`palace::Error::Cursor`] if it is none.
    pub fn find(&self, palace: &Palace, cursor: &str) -> palace::Result<Position> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(known, _)| known == cursor);
        if let Some((_, position)) = found {
            return Ok(position.clone());
        }
        drop(known);
        palace.position(cursor)
    }
}
