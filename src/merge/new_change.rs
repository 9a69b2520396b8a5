//! A change that was just made, and the stamp that it carries.

use super::change_message::{ChangeKind, Message};
use super::chunk::Chunk;
use super::error::MergeError;
use super::size_bounds::DocSize;
use super::view::Settled;
use crate::format::hash::ChangeHash;
use automerge::transaction::CommitOptions;

/// Who writes, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The instance that writes. Only one process may ever use it, and every change that it made to
    /// a document must be in the [`Doc`] (applied or pending) that it writes with.
    pub actor: [u8; 16],
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Free text, such as `claude-code/2.1 (crdt-palace 0.1.0)`.
    pub by: &'a str,
}

/// A change that was just made and is part of the document already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChange {
    /// Its name.
    pub hash: ChangeHash,
    /// The uncompressed chunk: what a segment keeps.
    pub bytes: Vec<u8>,
    /// What was in conflict before it, and is not any more.
    pub settled: Vec<Settled>,
}

impl NewChange {
    /// Refuses what readers would refuse: nothing may be acknowledged that nobody else ever sees.
    pub(super) fn new(change: &automerge::Change) -> Result<(Self, DocSize), MergeError> {
        let bytes = change.raw_bytes().to_vec();
        let Chunk { hash, size, .. } = Chunk::parse(&bytes)?;
        Ok((NewChange { hash, bytes, settled: Vec::new() }, size))
    }
}

impl Stamp<'_> {
    pub(super) fn message(&self, kind: ChangeKind) -> Option<String> {
        Message::new(self.by, kind).encode()
    }

    pub(super) fn options(&self, kind: ChangeKind) -> CommitOptions {
        let options = CommitOptions::default().with_time(self.time_ms);
        match self.message(kind) {
            Some(message) => options.with_message(message),
            None => options,
        }
    }
}
