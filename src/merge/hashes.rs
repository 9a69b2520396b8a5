//! Change hashes in this crate's type and in Automerge's.

use crate::format::hash::ChangeHash;

/// Hashes in Automerge's type.
pub(super) type Hashes = [automerge::ChangeHash];

/// Converts Automerge's hashes into this crate's.
pub(super) fn hashes(hashes: &Hashes) -> Vec<ChangeHash> {
    hashes.iter().map(|hash| ChangeHash(hash.0)).collect()
}

/// Converts a hash of this crate into Automerge's.
pub(super) fn native(hash: &ChangeHash) -> automerge::ChangeHash {
    automerge::ChangeHash(hash.0)
}
