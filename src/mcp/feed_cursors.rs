//! Short cursors of the feed of changes.
//!
//! A cursor of the palace names every process that ever wrote, which is too long for a model to repeat. The server
//! gives short ones, and remembers what the last of them stand for. A short cursor also has a time: what the caller
//! was told covers everything before it. So a server that does not know the cursor, because it was restarted or has
//! given many others since, can go on from that time.

use crate::palace::feed::Cursor;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Cursors that a server remembers.
const REMEMBERED: usize = 256;

/// The cursors that this server gave last, by their short form.
#[derive(Debug, Default)]
pub(super) struct FeedCursors(Mutex<VecDeque<(String, Cursor)>>);

impl FeedCursors {
    /// Remembers a cursor and returns its short form. What was written before `since_ms` has been told.
    pub fn shorten(&self, cursor: Cursor, since_ms: i64) -> String {
        let digest = blake3::hash(cursor.to_string().as_bytes()).to_hex();
        let short = format!("{since_ms:x}-{}", digest.chars().take(12).collect::<String>());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back((short.clone(), cursor));
        if known.len() > REMEMBERED {
            known.pop_front();
        }
        short
    }

    /// Returns what a short form stands for, if this server remembers it.
    pub fn find(&self, short: &str) -> Option<Cursor> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(known, _)| known == short).map(|(_, cursor)| cursor.clone())
    }

    /// Returns the time in a short form; `None` if no server gives such a cursor.
    pub fn since_ms(short: &str) -> Option<i64> {
        i64::from_str_radix(short.split_once('-')?.0, 16).ok()
    }
}
