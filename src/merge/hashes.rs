//! Change hashes in this crate's type and in Automerge's.

use crate::format::hash::ChangeHash;

/// Hashes in Automerge's type.
pub(super) type Hashes = [automerge::ChangeHash];

pub(super) fn hashes(hashes: &[automerge::ChangeHash]) -> Vec<ChangeHash> {
    hashes.iter().map(|hash| ChangeHash(hash.0)).collect()
}

pub(super) fn native(hash: &ChangeHash) -> automerge::ChangeHash {
    automerge::ChangeHash(hash.0)
}
