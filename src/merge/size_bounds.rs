//! How much a change adds to a history, and how much a history may hold.
//!
//! Invariant: what a writer may add, every reader takes, and what readers take can be saved and loaded again. All of
//! them measure alike: what counts is what Automerge holds and saves, which is not the number of operations. It keeps a
//! deletion as a reference of what it deletes.

use super::error::MergeError;
use std::ops::AddAssign;

/// The most operations in the whole history of a document that is written to, without deletions. Readers take twice as
/// many, and twice as much of everything else, for what was written at the same time.
pub const HISTORY_OPERATIONS_MAX: u64 = 2_000_000;
/// The most references to overwritten and deleted operations in such a history.
pub const HISTORY_REFERENCES_MAX: u64 = 2_000_000;
/// The most bytes of field names in such a history, as often as they are named.
pub const HISTORY_NAME_BYTES_MAX: u64 = 512 << 20;
/// The most bytes of all changes in such a history. What readers take of it fits into a row of a snapshot.
pub const HISTORY_BYTES_MAX: u64 = 400 << 20;

/// What a change or a history holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DocSize {
    /// Without deletions.
    pub operations: u64,
    /// To overwritten and deleted operations.
    pub references: u64,
    /// Bytes of field names.
    pub names: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What may be written to.
pub(super) const WRITABLE: DocSize = DocSize {
    operations: HISTORY_OPERATIONS_MAX,
    references: HISTORY_REFERENCES_MAX,
    names: HISTORY_NAME_BYTES_MAX,
    bytes: HISTORY_BYTES_MAX,
};

/// What may be read.
pub(super) const READABLE: DocSize = DocSize {
    operations: 2 * HISTORY_OPERATIONS_MAX,
    references: 2 * HISTORY_REFERENCES_MAX,
    names: 2 * HISTORY_NAME_BYTES_MAX,
    bytes: 2 * HISTORY_BYTES_MAX,
};

impl DocSize {
    /// Checks that a history of this size has no more of anything than `limit`.
    pub fn check(&self, limit: &DocSize) -> Result<(), MergeError> {
        let parts = [
            ("operations", self.operations, limit.operations),
            ("overwritten values", self.references, limit.references),
            ("bytes of field names", self.names, limit.names),
            ("bytes of changes", self.bytes, limit.bytes),
        ];
        match parts.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => Err(MergeError::HistoryTooLong { what, count, limit }),
            None => Ok(()),
        }
    }
}

impl AddAssign for DocSize {
    fn add_assign(&mut self, more: DocSize) {
        self.operations = self.operations.saturating_add(more.operations);
        self.references = self.references.saturating_add(more.references);
        self.names = self.names.saturating_add(more.names);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}
