//! Snapshots that were made without knowing of each other: by copies of a palace that were brought
//! together, or by two compactors at once.
//!
//! Invariant: of two snapshots of which one knows the other, one has the whole of every document that
//! stands in both. Where neither does, a document may show what neither shows by itself, and so its words
//! may be in the index of neither.

use crate::format::id::SnapshotId;
use crate::format::key::Key;
use crate::palace::error::Result;
use crate::snapshot::Snapshot;
use std::collections::BTreeSet;
use std::sync::Arc;

fn acquainted(a: &Snapshot, b: &Snapshot) -> bool {
    a.meta().beside.contains(&b.id()) || b.meta().beside.contains(&a.id())
}

/// Which of the live snapshots one that is made from `merged` will know. Documents that a segment brings
/// changes of take in the rows of all live snapshots; the others are what they were in `merged`.
pub fn beside(merged: &[Arc<Snapshot>], live: &[Arc<Snapshot>]) -> Vec<SnapshotId> {
    let input = |other: &&Arc<Snapshot>| merged.iter().any(|merged| merged.id() == other.id());
    let others = live.iter().filter(|other| !input(other));
    let known = others.filter(|other| merged.iter().all(|merged| acquainted(merged, other)));
    known.map(|snapshot| snapshot.id()).collect()
}

/// The documents that stand in two snapshots that do not know each other.
///
/// # Errors
/// If a snapshot cannot be read.
pub fn keys_in_two(snapshots: &[Arc<Snapshot>]) -> Result<BTreeSet<Key>> {
    let mut found = BTreeSet::new();
    for (n, a) in snapshots.iter().enumerate() {
        let mut strangers = snapshots.iter().skip(n + 1).filter(|b| !acquainted(a, b)).peekable();
        if strangers.peek().is_none() {
            continue;
        }
        let keys: BTreeSet<Key> = a.keys()?.into_iter().collect();
        for b in strangers {
            found.extend(b.keys()?.into_iter().filter(|key| keys.contains(key)));
        }
    }
    Ok(found)
}
