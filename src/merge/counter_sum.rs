//! The sum of counters that were created for one field at the same time.
//!
//! Made apart, 3 and 4 are two counters. An increment made once both are known names both as its
//! predecessors, and Automerge adds it to each: 3, 4 and then +10 would read 27. So the increments
//! are counted here from the changes themselves, once each. It costs a walk over the changes since
//! the counters were created, and is needed for such fields only.

use super::error::MergeError;
use super::panic_guard::{catch_panic, change_by_hash};
use automerge::legacy::{OpId, OpType};
use automerge::{Automerge, Change, ChangeHash, ObjId};
use std::collections::{HashMap, HashSet};

/// What the counters `ids`, which are visible at `heads` (now, if `None`), add up to.
///
/// # Errors
/// [`MergeError::Panicked`] if the document was forged so that it does not hold what it says.
pub(super) fn sum(
    am: &Automerge,
    heads: Option<&[ChangeHash]>,
    ids: &[&ObjId],
) -> Result<i64, MergeError> {
    let counters: HashSet<OpId> = ids.iter().filter_map(|id| op_id(id)).collect();
    let created: Vec<ChangeHash> = ids.iter().filter_map(|id| am.hash_for_opid(id)).collect();
    // None of the counters is an ancestor of another, so that this is each change once.
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

fn ancestors<'a>(
    heads: &[ChangeHash],
    changes: &'a HashMap<ChangeHash, Change>,
) -> Vec<&'a Change> {
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

fn added_by(change: &Change, counters: &HashSet<OpId>) -> i64 {
    let change = change.decode();
    let value = |(op, counter): (&automerge::legacy::Op, u64)| match &op.action {
        OpType::Increment(by) if op.pred.iter().any(|id| counters.contains(id)) => *by,
        OpType::Put(first) if counters.contains(&OpId(counter, change.actor_id.clone())) => {
            first.as_i64().unwrap_or(0)
        }
        _ => 0,
    };
    change.operations.iter().zip(change.start_op.get()..).map(value).fold(0, i64::wrapping_add)
}
