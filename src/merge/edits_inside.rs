//! Collects the values that changes edited and overwrote, so that a removal can be compared with the edits beside it.
//!
//! Each change is decoded once. Only changes are asked for that are concurrent with another one, or come after such.

use super::change_graph::ChangeGraph;
use super::error::MergeError;
use super::panic_guard::{catch_panic, change_by_hash};
use automerge::legacy::{ObjectId, Op, OpId, OpType};
use automerge::{Automerge, Change, ChangeHash, ExpandedChange, ObjId, ReadDoc};
use std::collections::{HashMap, HashSet};

/// Changes up to this number are asked for one by one. More of them come in one walk over the operations.
const SINGLE_MAX: usize = 16;

/// Edits and removals by the changes that were read. A value is named by the operation that wrote it.
#[derive(Debug, Default, Clone)]
pub(super) struct EditsInside {
    read: HashSet<ChangeHash>,
    /// For each object, and each counter that was incremented: the changes with an operation in it.
    edited: HashMap<OpId, Vec<ChangeHash>>,
    /// For each value that was overwritten or removed: the changes that did it.
    removed: HashMap<OpId, Vec<ChangeHash>>,
    /// For each object that was met: the object that it is in, if that is not the root.
    parents: HashMap<OpId, Option<OpId>>,
}

impl EditsInside {
    /// Reads those of the changes that were not read before.
    ///
    /// # Errors
    /// [`MergeError::Panicked`] if the document was forged and does not hold the changes that it lists.
    pub(super) fn read(
        &mut self,
        am: &Automerge,
        graph: &ChangeGraph,
        numbers: impl Iterator<Item = usize>,
    ) -> Result<(), MergeError> {
        let changes = numbers.filter_map(|number| Some((number, graph.change(number)?)));
        let new: Vec<_> = changes.filter(|(_, change)| !self.read.contains(change)).collect();
        for change in changes_of(am, graph, &new)? {
            let (hash, change) = (change.hash(), catch_panic(|| change.decode())?);
            self.add_made(&change);
            for operation in &change.operations {
                self.add(am, hash, operation)?;
            }
            self.read.insert(hash);
        }
        Ok(())
    }

    fn add(
        &mut self,
        am: &Automerge,
        change: ChangeHash,
        operation: &Op,
    ) -> Result<(), MergeError> {
        if let ObjectId::Id(object) = &operation.obj {
            note(&mut self.edited, object, change);
            self.add_parents(am, object)?;
        }
        for value in operation.pred.iter() {
            // An increment edits the counters that it names, and removes what else was written to their field.
            let is_edit = matches!(operation.action, OpType::Increment(_)) && !is_object(am, value);
            let list = if is_edit { &mut self.edited } else { &mut self.removed };
            note(list, value, change);
        }
        Ok(())
    }

    /// Learns in which objects an object is.
    ///
    /// Trap: `Automerge::parents` finds no parent for the last element of a list once that was removed.
    fn add_parents(&mut self, am: &Automerge, object: &OpId) -> Result<(), MergeError> {
        let mut next = Some(object.clone());
        while let Some(object) = next {
            if !self.parents.contains_key(&object) {
                let writer = am.hash_for_opid(&obj_id(&object));
                if let Some(writer) = writer.map(|hash| change_by_hash(am, &hash)).transpose()? {
                    writer.into_iter().for_each(|writer| self.add_made(&writer.decode()));
                }
            }
            // Every object in a document was made by one of its changes.
            next = self.parents.entry(object).or_insert(None).clone();
        }
        Ok(())
    }

    /// Adds the objects that a change made.
    fn add_made(&mut self, change: &ExpandedChange) {
        for (counter, operation) in (change.start_op.get()..).zip(&change.operations) {
            if let OpType::Make(_) = operation.action {
                let parent = match &operation.obj {
                    ObjectId::Id(parent) => Some(parent.clone()),
                    ObjectId::Root => None,
                };
                self.parents.insert(OpId::new(counter, &change.actor_id), parent);
            }
        }
    }

    /// Returns the changes that overwrote or removed a value.
    pub(super) fn removers(&self, value: &OpId) -> &[ChangeHash] {
        self.removed.get(value).map_or(&[], Vec::as_slice)
    }

    /// Returns for each value that was removed the changes that edited it: the counter, or anything in the object.
    pub(super) fn edits_of_removed(&self) -> HashMap<&OpId, Vec<ChangeHash>> {
        let mut found: HashMap<&OpId, Vec<ChangeHash>> = HashMap::new();
        for (edited, changes) in &self.edited {
            let up = |inner: &&OpId| self.parents.get(*inner)?.as_ref();
            for outer in std::iter::successors(Some(edited), up) {
                if self.removed.contains_key(outer) {
                    found.entry(outer).or_default().extend(changes);
                }
            }
        }
        found
    }

    /// Estimates the bytes of memory that it takes.
    pub(super) fn memory(&self) -> u64 {
        const ENTRY: u64 = 160;
        let entries = self.read.len() + self.edited.len() + self.removed.len() + self.parents.len();
        ENTRY * entries as u64
    }
}

/// Returns changes by their numbers and hashes.
fn changes_of(
    am: &Automerge,
    graph: &ChangeGraph,
    wanted: &[(usize, ChangeHash)],
) -> Result<Vec<Change>, MergeError> {
    if wanted.len() <= SINGLE_MAX {
        let one = |(_, hash): &(usize, ChangeHash)| change_by_hash(am, hash).transpose();
        return wanted.iter().filter_map(one).collect();
    }
    let first = wanted.iter().map(|(number, _)| *number).min().unwrap_or(0);
    let before = first.checked_sub(1).and_then(|before| graph.order().cut_before(before));
    let before: Vec<ChangeHash> = before.and_then(|cut| graph.change(cut)).into_iter().collect();
    let wanted: HashSet<&ChangeHash> = wanted.iter().map(|(_, hash)| hash).collect();
    let mut changes = catch_panic(|| am.get_changes(&before))?;
    changes.retain(|change| wanted.contains(&change.hash()));
    Ok(changes)
}

fn note(list: &mut HashMap<OpId, Vec<ChangeHash>>, value: &OpId, change: ChangeHash) {
    // Most operations are in an object that the change has met already.
    match list.get_mut(value) {
        Some(changes) if changes.last() == Some(&change) => {}
        Some(changes) => changes.push(change),
        None => drop(list.insert(value.clone(), vec![change])),
    }
}

/// Returns the operation of a change that has this counter.
pub(super) fn operation(change: &ExpandedChange, counter: u64) -> Option<&Op> {
    let at = usize::try_from(counter.saturating_sub(change.start_op.get())).ok()?;
    change.operations.get(at)
}

/// Returns true if this operation made a map, a list or a text.
fn is_object(am: &Automerge, value: &OpId) -> bool {
    am.object_type(obj_id(value)).is_ok()
}

/// Returns the id of an object or a value in Automerge's other type.
pub(super) fn obj_id(value: &OpId) -> ObjId {
    // The last part is a hint where Automerge looks first. A wrong one does no harm.
    ObjId::Id(value.counter(), value.actor().clone(), 0)
}
