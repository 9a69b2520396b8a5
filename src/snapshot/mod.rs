//! One immutable table of documents, as a SQLite file: its builder and its readers.
//!
//! Owns: the schema, the tokenizer, and the checks that tell a damaged row from a good one. Invariant: a
//! read returns exactly what the builder was given, or an error. SQLite notices neither a flipped byte
//! nor a half-copied file, so every row carries a BLAKE3, and the *absence* of a document is proved from
//! its two neighbours. (Two things are left to [`Snapshot::verify`]. A damaged word index can hide a match.
//! A damaged log can hide commits, which their number in [`Meta`] gives away.) Must
//! not know: names of files, publishing, syncing, retiring; the content of documents, but for the member of a view
//! that has its conflicts.
//!
//! This is the one layer that lets other code, SQLite, open files.

mod build;
mod codec;
mod commit_log;
mod connect;
mod connections;
mod error;
mod key_listing;
mod met_damage;
mod meta;
mod open;
mod open_conflicts;
mod read;
mod schema;
mod tokenizer;
mod verify;

#[cfg(test)]
mod tests;

pub use build::Builder;
pub use commit_log::{LogEnd, LoggedInstance};
pub use connect::Source;
#[cfg(feature = "mcp")]
pub(crate) use connect::uri;
pub use error::SnapshotError;
pub use key_listing::Listed;
pub use meta::Meta;
pub use tokenizer::{Terms, WORD_CHARS_MAX, words};

use crate::format::hash::{ChangeHash, Heads};
use crate::format::id::{InstanceId, SnapshotId};
use crate::format::key::Key;
use std::sync::OnceLock;

/// A document with everything that compaction and writing need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// The saved document.
    pub document: Vec<u8>,
    /// Its heads.
    pub heads: Heads,
    /// The view, as text: the content that readers see.
    pub view: String,
    /// Pending changes: they lack a dependency.
    pub waiting: Vec<Vec<u8>>,
    /// Earlier heads that it is known to contain.
    pub absorbed: Vec<Heads>,
}

/// A document with everything that readers need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// Its key.
    pub key: Key,
    /// Its heads.
    pub heads: Heads,
    /// The view, as text: the content that readers see.
    pub view: String,
    /// Earlier heads that it is known to contain.
    pub absorbed: Vec<Heads>,
    /// True if it has pending changes.
    pub incomplete: bool,
}

/// A commit in the log of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The instance that made it.
    pub instance: InstanceId,
    /// Its sequence number in that instance. At most 2⁶³ − 1.
    pub sequence: u64,
    /// Its time, in milliseconds since 1970.
    pub time_ms: i64,
    /// The writer's name.
    pub by: String,
    /// The changes, each with the key of its document.
    pub changes: Vec<(Key, ChangeHash)>,
}

/// An open snapshot. Threads share it and read at once, each through a connection of its own.
#[derive(Debug)]
pub struct Snapshot {
    id: SnapshotId,
    meta: Meta,
    length: u64,
    /// The check over the word index, as [`Snapshot::verify`] expects it.
    index: String,
    connections: connections::Connections,
    /// See [`Snapshot::met_damage`].
    met: met_damage::MetDamage,
    /// See [`Snapshot::numbers_in_conflict`].
    in_conflict: OnceLock<Box<[i64]>>,
    /// See [`Snapshot::log_instances`].
    instances: OnceLock<Box<[LoggedInstance]>>,
}

impl Snapshot {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        self.id
    }

    /// Returns the length of its file in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns its metadata.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Returns the damage that reads met since this snapshot was opened, in the words of the errors.
    #[must_use]
    pub fn met_damage(&self) -> Vec<String> {
        self.met.texts()
    }

    /// Returns true if a read met damage.
    #[must_use]
    pub fn is_known_damaged(&self) -> bool {
        !self.met.is_empty()
    }
}
