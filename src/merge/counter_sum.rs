//! The sum of counters that were created concurrently for one field.
//!
//! Trap: two processes create a counter with 3 and with 4. A later increment names both counters as its predecessors,
//! and Automerge adds it to each: 3, 4 and then +10 would read 27. So the increments are counted here from the
//! changes themselves, once each. That costs a walk over the changes since the counters were created, and is done
//! for such fields only.

use super::error::MergeError;
use super::panic_guard::{catch_panic, change_by_hash};
use automerge::legacy::{OpId, OpType};
use automerge::{Automerge, Change, ChangeHash, ObjId};
use std::collections::{HashMap, HashSet};

/// Returns the sum of the counters `ids`, which are visible at `heads` (at the present ones if `None`).
///
/// # Errors
/// [`MergeError::Panicked`] if the document was forged and does not hold the changes that it lists.
pub(super) fn sum(
    am: &Automerge,
    heads: Option<&[ChangeHash]>,
    ids: &[&ObjId],
) -> Result<i64, MergeError> {
    let counters: HashSet<OpId> = ids.iter().filter_map(|id| op_id(id)).collect();
    let created: Vec<ChangeHash> = ids.iter().filter_map(|id| am.hash_for_opid(id)).collect();
    // None of the creating changes is an ancestor of another. So the changes since all of them, and they
    // themselves, are all that touch the counters, each once.
    let since = catch_panic(|| am.get_changes(&created))?;
    let mut changes: HashMap<ChangeHash, Change> =
        since.into_iter().map(|change| (change.hash(), change)).collect();
    for hash in &created {
        changes.extend(change_by_hash(am, hash)?.map(|change| (*hash, change)));
    }
    let visible: Vec<&Change> = match heads {
        None => changes.values().collect(),
        Some(heads) => ancestors(heads, &changes),
    };
    let added = visible.into_iter().map(|change| added_by(change, &counters));
    Ok(added.fold(0, i64::wrapping_add))
}

fn op_id(id: &ObjId) -> Option<OpId> {
    match id {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => Some(OpId(*counter, actor.clone())),
    }
}

/// Returns those of `changes` that `heads` are or build on.
fn ancestors<'a>(
    heads: &[ChangeHash],
    changes: &'a HashMap<ChangeHash, Change>,
) -> Vec<&'a Change> {
    // At a past version only the increments that it contains count.
    let mut seen: HashSet<ChangeHash> = HashSet::new();
    let mut next: Vec<ChangeHash> = heads.to_vec();
    let mut found = Vec::new();
    while let Some(hash) = next.pop() {
        if let Some(change) = changes.get(&hash).filter(|_| seen.insert(hash)) {
            next.extend(change.deps());
            found.push(change);
        }
    }
    found
}

/// Returns what a change adds to the counters: the value that it creates one with, and its increments.
fn added_by(change: &Change, counters: &HashSet<OpId>) -> i64 {
    let change = change.decode();
    let value = |(op, counter): (&automerge::legacy::Op, u64)| match &op.action {
        // One increment may name several of the counters, and counts once.
        OpType::Increment(by) if op.pred.iter().any(|id| counters.contains(id)) => *by,
        OpType::Put(initial) if counters.contains(&OpId(counter, change.actor_id.clone())) => {
            initial.as_i64().unwrap_or(0)
        }
        _ => 0,
    };
    change.operations.iter().zip(change.start_op.get()..).map(value).fold(0, i64::wrapping_add)
}
