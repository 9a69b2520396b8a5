//! The values that one field or element has, and which of them is shown.

use super::json_values::ValueKind;
use super::kept_objects::KeptValue;
use automerge::ObjId;

/// One value of a field: Automerge keeps it, or it was removed and stays.
#[derive(Debug, Clone)]
pub(super) struct StoredValue {
    /// Number of the part of a merged object in which it lives.
    pub part: usize,
    /// Operation that wrote it.
    pub id: ObjId,
    pub kind: ValueKind,
    /// True if it was removed, and an edit in it keeps it.
    pub is_kept: bool,
}

impl StoredValue {
    /// Returns a value that was removed and stays.
    pub(super) fn kept(value: &KeptValue, part: usize) -> Self {
        StoredValue { part, id: value.id.clone(), kind: value.kind.clone(), is_kept: true }
    }
}

/// Adds values that were removed and stay to those that Automerge keeps.
pub(super) fn add_kept<'k>(
    found: &mut Vec<StoredValue>,
    kept: impl Iterator<Item = &'k KeptValue>,
    part: usize,
) {
    for value in kept {
        if found.iter().all(|known| known.id != value.id) {
            found.push(StoredValue::kept(value, part));
        }
    }
}

/// All values of one field, sorted into those that are shown and those that lost.
#[derive(Debug)]
pub(super) struct RankedValues {
    /// The value with the greatest operation id among those that were not removed, or among all if all were.
    pub winner: StoredValue,
    /// The winner and the values that are merged with it, in the order of operation ids.
    pub merged: Vec<StoredValue>,
    /// Values that are neither merged with the winner nor equal to it, in the order of operation ids.
    pub losers: Vec<StoredValue>,
    /// Numbers of the other parts that have a value.
    pub also_in: Vec<usize>,
}

impl RankedValues {
    /// Ranks the values of one field. Returns `None` if there are none.
    pub(super) fn new(mut found: Vec<StoredValue>) -> Option<Self> {
        // The order in which Automerge returns values is not that of their ids if they come from several parts.
        found.sort_by(|a, b| a.id.cmp(&b.id));
        // What was removed loses against all that was not.
        let standing = found.iter().rfind(|found| !found.is_kept);
        let winner = standing.or(found.last())?.clone();
        let stands = |found: &&StoredValue| found.is_kept == winner.is_kept;
        let mut also_in: Vec<usize> = found.iter().filter(stands).map(|f| f.part).collect();
        also_in.sort_unstable();
        also_in.dedup();
        also_in.retain(|part| *part != winner.part);
        let is_shown = |f: &StoredValue| {
            f.id == winner.id || f.is_kept == winner.is_kept && f.kind.merges_with(&winner.kind)
        };
        let (merged, mut losers): (Vec<_>, Vec<_>) = found.into_iter().partition(is_shown);
        // An equal scalar written twice is no conflict. Two objects are never equal: each can be edited apart.
        losers
            .retain(|loser| !matches!(loser.kind, ValueKind::Json(_)) || loser.kind != winner.kind);
        Some(RankedValues { winner, merged, losers, also_in })
    }
}
