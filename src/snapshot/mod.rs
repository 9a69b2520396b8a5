//! One immutable table of documents, as a SQLite file: building it, and reading it.
//!
//! Owns: the schema, what a word is, and the checks that tell a damaged row from a good one.
//! Invariant: what is returned is exactly what the builder was given, or an error. SQLite notices
//! neither a flipped byte nor a half-copied file, so every row carries a BLAKE3, and that a document
//! is *absent* is proved from its two neighbours. (Two things are weaker and are left to
//! [`Snapshot::verify`]: a damaged word index can hide a match, and a damaged log can hide commits,
//! which their number in [`Meta`] gives away.)
//! Must not know: how files are named, published, synced or retired; what is inside a document.
//!
//! This is the one layer that lets someone else, SQLite, open files.

mod build;
mod codec;
mod commit_log;
mod error;
mod key_listing;
mod meta;
mod open;
mod read;
mod schema;
mod tokenizer;
mod verify;

#[cfg(test)]
mod tests;

pub use build::Builder;
pub use error::SnapshotError;
pub use key_listing::Listed;
pub use meta::Meta;
pub use open::Source;
#[cfg(feature = "mcp")]
pub(crate) use open::uri;
pub use tokenizer::{Terms, WORD_CHARS_MAX, words};

use crate::format::hash::{ChangeHash, Heads};
use crate::format::id::{InstanceId, SnapshotId};
use crate::format::key::Key;
use rusqlite::Connection;
use std::sync::Mutex;

/// A document with everything that compaction and writing need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// The saved document.
    pub document: Vec<u8>,
    /// Its heads.
    pub heads: Heads,
    /// What it shows, as text.
    pub view: String,
    /// Changes that still wait for a dependency.
    pub waiting: Vec<Vec<u8>>,
    /// Earlier heads that are known to be contained in it.
    pub absorbed: Vec<Heads>,
}

/// A document as far as readers need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// Its key.
    pub key: Key,
    /// Its heads.
    pub heads: Heads,
    /// What it shows, as text.
    pub view: String,
    /// Earlier heads that are known to be contained in it.
    pub absorbed: Vec<Heads>,
    /// Whether changes still wait for a dependency.
    pub incomplete: bool,
}

/// A commit that has been folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Who made it.
    pub instance: InstanceId,
    /// Its number among the commits of that instance. At most 2⁶³ − 1.
    pub sequence: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// The writer's name.
    pub by: String,
    /// The changes, each with the key of its document.
    pub changes: Vec<(Key, ChangeHash)>,
}

/// An open snapshot. Threads may share it; they take turns.
#[derive(Debug)]
pub struct Snapshot {
    id: SnapshotId,
    meta: Meta,
    length: u64,
    /// The check over the word index, as [`Snapshot::verify`] expects it.
    index: String,
    connection: Mutex<Connection>,
}

impl Snapshot {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        self.id
    }

    /// The length of its file in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What it says about itself.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }
}
