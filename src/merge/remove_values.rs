//! Removes single values of fields: losers of a conflict without the value that is shown, and what was removed and stays.
//!
//! Trap: a map, a list, a text or a counter cannot be written again. That would make a new, empty one
//! and cut off concurrent edits of the old one. What is wanted is a delete that names only the losing values as its
//! predecessors. Automerge can express and apply that, but its transactions offer it for scalars alone. So the
//! change is made on a copy, delete operations are added to the decoded change, and the result is applied like a
//! change from outside.

use super::doc::Doc;
use super::edits_inside::operation;
use super::error::MergeError;
use super::hashes::Hashes;
use super::new_change::{NewChange, Stamp};
use super::panic_guard::change_by_hash;
use super::plan::Step;
use super::transaction::{begin, check_operations, run_steps};
use automerge::legacy::{ElementId, Key, Op, OpId, OpType};
use automerge::transaction::Transactable;
use automerge::{Automerge, Change, ExpandedChange, ObjId, ROOT};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Name of a field that is written on the copy only.
///
/// A transaction without operations makes no change that could be decoded. Its operation is removed again.
const PLACEHOLDER: &str = "\0placeholder";

impl Doc {
    /// Makes one change that carries out `steps` and removes the values that `removing` names.
    pub(super) fn remove_values(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        steps: &[Step],
        removing: &[Step],
    ) -> Result<NewChange, MergeError> {
        self.choose_actor(stamp, base)?;
        self.check_writable()?;
        let mut writers = HashMap::new();
        let values = removing.iter().filter_map(|step| match step {
            Step::RemoveValue { value } => Some(delete_of(&self.am, &mut writers, value)),
            _ => None,
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let mut change = self.change_on_a_copy(stamp, base, steps)?;
        // The placeholder is the last operation, so no other one moves.
        change.operations.pop();
        change.operations.extend(values);
        let change = Change::from(change);
        // The bounds are checked once more: the deletes came after the check of the transaction.
        let (made, size) = NewChange::new(&change)?;
        self.apply_to_copy(std::iter::once(&change))?;
        self.size += size;
        Ok(made)
    }

    /// Returns the change that `steps` make on a copy, with the placeholder as its last operation.
    fn change_on_a_copy(
        &self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        steps: &[Step],
    ) -> Result<ExpandedChange, MergeError> {
        let mut copy = self.am.clone();
        let mut tx = begin(&mut copy, base)?;
        let open = run_steps(&mut tx, steps).map_err(MergeError::refused)?;
        check_operations(&tx)?;
        let before = tx.pending_ops();
        tx.put(ROOT, PLACEHOLDER, stamp.time_ms).map_err(MergeError::refused)?;
        // A put of the value that is there already makes no operation.
        if tx.pending_ops() == before {
            let other = stamp.time_ms.wrapping_add(1);
            tx.put(ROOT, PLACEHOLDER, other).map_err(MergeError::refused)?;
        }
        let (hash, _) = tx.commit_with(stamp.options_of(&open)?);
        let made = change_by_hash(&copy, &hash.ok_or_else(missing_change)?)?;
        Ok(made.ok_or_else(missing_change)?.decode())
    }
}

/// Returns an operation that deletes exactly one value, found through the operation that wrote it.
///
/// Decoding a change takes long, so `writers` keeps each for all its values.
fn delete_of(
    am: &Automerge,
    writers: &mut HashMap<automerge::ChangeHash, ExpandedChange>,
    value: &ObjId,
) -> Result<Op, MergeError> {
    let ObjId::Id(counter, actor, _) = value else { return Err(missing_change()) };
    let writer = match writers.entry(am.hash_for_opid(value).ok_or_else(missing_change)?) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let writer = change_by_hash(am, new.key())?.ok_or_else(missing_change)?;
            new.insert(writer.decode())
        }
    };
    let written = operation(writer, *counter).ok_or_else(missing_change)?;
    let id = OpId(*counter, actor.clone());
    // An inserted element is named by the operation that inserted it, not by the one before it.
    let key =
        if written.insert { Key::Seq(ElementId::Id(id.clone())) } else { written.key.clone() };
    let obj = written.obj.clone();
    Ok(Op { action: OpType::Delete, obj, key, pred: vec![id].into(), insert: false })
}

/// Returns the error for a change of the document that cannot be found.
fn missing_change() -> MergeError {
    MergeError::Refused { why: "it does not return a change that it holds".to_owned() }
}
