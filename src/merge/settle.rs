//! Settling a conflict without touching the value that is shown.
//!
//! A map, a list, a text or a counter cannot be written "again": that would make a new, empty one
//! and cut off what others add to the old one meanwhile. What is wanted is a delete that names only
//! the losing values as its predecessors. Automerge can express and apply that, but its transactions
//! offer it for scalars alone. So the change is made on a copy, its delete operations are added to
//! the decoded change, and the result is applied like one from outside.

use super::change_message::ChangeKind;
use super::doc::Doc;
use super::error::MergeError;
use super::hashes::Hashes;
use super::new_change::{NewChange, Stamp};
use super::panic_guard::change_by_hash;
use super::plan::Step;
use super::transaction::{begin, check_operations, run};
use automerge::legacy::{ElementId, Key, Op, OpId, OpType};
use automerge::transaction::Transactable;
use automerge::{Automerge, Change, ExpandedChange, ObjId, ROOT};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The name of a field that is written on the copy only: it makes a change of a transaction that
/// would have no operation otherwise, and is taken out again.
const PLACEHOLDER: &str = "\0settle";

impl Doc {
    /// One change that carries out `steps` and removes the values that `settled` names.
    pub(super) fn settle(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        steps: &[Step],
        settled: &[Step],
    ) -> Result<NewChange, MergeError> {
        self.choose_actor(stamp, base)?;
        self.check_writable()?;
        let mut writers = HashMap::new();
        let losers = settled.iter().filter_map(|step| match step {
            Step::Settle { loser } => Some(delete_of(&self.am, &mut writers, loser)),
            _ => None,
        });
        let losers = losers.collect::<Result<Vec<_>, _>>()?;
        let mut change = self.change_on_a_copy(stamp, base, steps)?;
        change.operations.pop();
        change.operations.extend(losers);
        let change = Change::from(change);
        let (made, size) = NewChange::new(&change)?;
        self.apply_to_copy(std::iter::once(&change))?;
        self.size += size;
        Ok(made)
    }

    /// The change that `steps` make, with the placeholder as its last operation.
    fn change_on_a_copy(
        &self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        steps: &[Step],
    ) -> Result<ExpandedChange, MergeError> {
        let mut copy = self.am.clone();
        let mut tx = begin(&mut copy, base)?;
        run(&mut tx, steps)?;
        check_operations(&tx)?;
        let before = tx.pending_ops();
        tx.put(ROOT, PLACEHOLDER, stamp.time_ms)?;
        if tx.pending_ops() == before {
            tx.put(ROOT, PLACEHOLDER, stamp.time_ms.wrapping_add(1))?;
        }
        let (hash, _) = tx.commit_with(stamp.options(ChangeKind::Edit));
        let made = change_by_hash(&copy, &hash.ok_or_else(vanished)?)?;
        Ok(made.ok_or_else(vanished)?.decode())
    }
}

/// A delete of exactly one value, found through the operation that wrote it. To decode a change takes long, so it is
/// done once for all its values.
fn delete_of(
    am: &Automerge,
    writers: &mut HashMap<automerge::ChangeHash, ExpandedChange>,
    loser: &ObjId,
) -> Result<Op, MergeError> {
    let ObjId::Id(counter, actor, _) = loser else { return Err(vanished()) };
    let writer = match writers.entry(am.hash_for_opid(loser).ok_or_else(vanished)?) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let writer = change_by_hash(am, new.key())?.ok_or_else(vanished)?;
            new.insert(writer.decode())
        }
    };
    let at = usize::try_from(counter.saturating_sub(writer.start_op.get())).unwrap_or(usize::MAX);
    let written = writer.operations.get(at).ok_or_else(vanished)?;
    let id = OpId(*counter, actor.clone());
    let key =
        if written.insert { Key::Seq(ElementId::Id(id.clone())) } else { written.key.clone() };
    let obj = written.obj.clone();
    Ok(Op { action: OpType::Delete, obj, key, pred: vec![id].into(), insert: false })
}

fn vanished() -> MergeError {
    MergeError::Refused { why: "it does not give back a change that it holds".to_owned() }
}
