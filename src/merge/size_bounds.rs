//! Bounds of the history of a document, for writers and for readers.
//!
//! Invariant: what a writer may add, every reader accepts; and what a reader accepts can be saved and loaded again.
//! So all of them measure alike. They measure what Automerge holds and saves, which is not the number of operations:
//! Automerge keeps a deletion as a reference to the operation that it deletes.

use super::error::MergeError;
use std::ops::AddAssign;

/// Maximum of operations, without deletions, in the whole history of a document that is still written to.
///
/// Readers accept twice this number, and twice of every other bound below, because several processes may each
/// write up to the bound at the same time.
pub const HISTORY_OPERATIONS_MAX: u64 = 2_000_000;
/// Maximum of references to overwritten and deleted operations in such a history.
pub const HISTORY_REFERENCES_MAX: u64 = 2_000_000;
/// Maximum of bytes of field names in such a history; a name counts as often as it occurs.
pub const HISTORY_NAME_BYTES_MAX: u64 = 512 << 20;
/// Maximum of bytes of all changes in such a history. Twice of it still fits into a row of a snapshot.
pub const HISTORY_BYTES_MAX: u64 = 400 << 20;

/// Size of a change or of a document's whole history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DocSize {
    /// Number of operations without deletions.
    pub operations: u64,
    /// Number of references to overwritten and deleted operations.
    pub references: u64,
    /// Bytes of field names.
    pub names: u64,
    /// Bytes of the raw changes.
    pub bytes: u64,
}

/// Largest history to which a writer may add operations.
pub(super) const WRITABLE: DocSize = DocSize {
    operations: HISTORY_OPERATIONS_MAX,
    references: HISTORY_REFERENCES_MAX,
    names: HISTORY_NAME_BYTES_MAX,
    bytes: HISTORY_BYTES_MAX,
};

/// Largest history that a reader accepts.
pub(super) const READABLE: DocSize = DocSize {
    operations: 2 * HISTORY_OPERATIONS_MAX,
    references: 2 * HISTORY_REFERENCES_MAX,
    names: 2 * HISTORY_NAME_BYTES_MAX,
    bytes: 2 * HISTORY_BYTES_MAX,
};

impl DocSize {
    /// Checks that a history of this size exceeds `limit` in nothing.
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
        // Saturating: sizes come from files, and a sum that wraps around would pass every check.
        self.operations = self.operations.saturating_add(more.operations);
        self.references = self.references.saturating_add(more.references);
        self.names = self.names.saturating_add(more.names);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}
