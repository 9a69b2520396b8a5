//! A change that was just made, and the stamp that it was made with.

use super::change_message::{ChangeKind, Message, OpenText};
use super::chunk::Chunk;
use super::error::MergeError;
use super::size_bounds::DocSize;
use super::view::Settled;
use crate::format::hash::ChangeHash;
use automerge::transaction::CommitOptions;
use std::borrow::Cow;

/// The most bytes of the message of a change that leaves places of texts open.
pub(super) const OPEN_BYTES_MAX: u64 = 4 << 20;

/// Actor, time and writer's name of a change that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// Id of the instance that writes.
    ///
    /// Only one process may ever use it. Every change that it has made to a document must be in the
    /// [`Doc`](super::Doc) that it writes with, applied or pending: otherwise it would repeat a sequence number.
    pub actor: [u8; 16],
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Name of the writer, such as `claude-code/2.1 (crdt-palace 0.1.0)`.
    pub by: &'a str,
    /// Name of the commit whose effect on the document the change takes back; empty if it takes back none.
    pub undoes: &'a str,
}

/// A change that was just made and is part of the document already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChange {
    /// Hash of the change: its name.
    pub hash: ChangeHash,
    /// Uncompressed chunk, as a segment keeps it.
    pub bytes: Vec<u8>,
    /// Conflicts that it settled.
    pub settled: Vec<Settled>,
}

impl NewChange {
    /// Returns the change and its size. Refuses what readers would refuse, so that nothing is acknowledged that no other
    /// process ever sees.
    pub(super) fn new(change: &automerge::Change) -> Result<(Self, DocSize), MergeError> {
        let bytes = change.raw_bytes().to_vec();
        let Chunk { hash, size, .. } = Chunk::parse(&bytes)?;
        Ok((NewChange { hash, bytes, settled: Vec::new() }, size))
    }
}

impl Stamp<'_> {
    /// Returns the message of a change of this kind.
    pub(super) fn message(&self, kind: ChangeKind) -> Option<String> {
        self.parts(kind).encode()
    }

    fn parts(&self, kind: ChangeKind) -> Message<'_> {
        Message { undoes: Cow::Borrowed(self.undoes), ..Message::new(self.by, kind) }
    }

    /// Returns the options of a commit of this kind.
    pub(super) fn options(&self, kind: ChangeKind) -> CommitOptions {
        self.options_with(self.message(kind))
    }

    /// Returns the options of a commit of texts with open places.
    ///
    /// # Errors
    /// [`MergeError::TooMany`] if these are longer than [`OPEN_BYTES_MAX`].
    pub(super) fn options_of(&self, open: &[OpenText]) -> Result<CommitOptions, MergeError> {
        let message = Message { open, ..self.parts(ChangeKind::Edit) }.encode();
        let count = message.as_ref().map_or(0, String::len) as u64;
        if !open.is_empty() && count > OPEN_BYTES_MAX {
            let what = "bytes of readings that it leaves open";
            return Err(MergeError::TooMany { what, count, limit: OPEN_BYTES_MAX });
        }
        Ok(self.options_with(message))
    }

    /// Without a time, Automerge would write 0.
    fn options_with(&self, message: Option<String>) -> CommitOptions {
        let options = CommitOptions::default().with_time(self.time_ms);
        match message {
            Some(message) => options.with_message(message),
            None => options,
        }
    }
}
