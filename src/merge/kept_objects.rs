//! Finds what was removed and stays, because of an edit that none of its removers had seen.
//!
//! Trap: Automerge keeps a value that was written concurrently with its removal. But if an object is removed, everything
//! in it is hidden, also what was written there concurrently. The same holds for the increments of a counter. So
//! here a removal only counts if its writer had seen all edits in what it removes. Otherwise the object is *kept*.
//!
//! Invariant: which values are kept follows from the set of changes alone.

use super::change_graph::{ChangeGraph, SharedGraph};
use super::counter_sum;
use super::edits_inside::{EditsInside, obj_id, operation};
use super::error::MergeError;
use super::hashes::Hashes;
use super::json_values::ValueKind;
use super::panic_guard::change_by_hash;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{Automerge, ChangeHash, ObjId, ROOT, ReadDoc, ScalarValue};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most operations that are read of concurrent changes, each change counted as one more. In a document that has more,
/// nothing is kept.
const OPERATIONS_MAX: u64 = 500_000;
/// The most changes that are walked over to learn what removers had seen. Beyond it, nothing is kept.
const STEPS_MAX: usize = 20_000_000;
/// Number of versions of which the answer is remembered.
const REMEMBERED: usize = 4;

/// Position of a value in its object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Position {
    Field(String),
    /// Element of a list, by the operation that inserted it.
    Element(OpId),
}

/// A value that was removed and stays.
#[derive(Debug, Clone)]
pub(super) struct KeptValue {
    /// Operation that wrote it.
    pub id: ObjId,
    /// An object, or a counter.
    pub kind: ValueKind,
    pub position: Position,
    /// Latest of the changes that edited it and that no remover had seen.
    pub edited: ChangeHash,
}

/// What is kept in one version, by the object that it is in.
#[derive(Debug, Default)]
pub(super) struct KeptObjects(HashMap<ObjId, Vec<KeptValue>>);

impl KeptObjects {
    /// Returns what is kept of one object.
    pub(super) fn of(&self, object: &ObjId) -> &[KeptValue] {
        self.0.get(object).map_or(&[], Vec::as_slice)
    }

    /// Returns the change that a value is kept for.
    pub(super) fn edited(&self, value: &ObjId) -> Option<ChangeHash> {
        let mut all = self.0.values().flatten();
        all.find(|kept| kept.id == *value).map(|kept| kept.edited)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is known of the edits in one document, and the last answers.
#[derive(Debug, Default, Clone)]
struct Known {
    edits: EditsInside,
    /// Heads of a version, the number of changes when it was asked for, and what is kept in it.
    answers: Vec<(Vec<ChangeHash>, usize, Arc<KeptObjects>)>,
}

/// The removals of a document, read when they are first asked for: most documents have no concurrent changes.
#[derive(Debug, Default)]
pub(super) struct SharedRemovals(Mutex<Known>);

impl SharedRemovals {
    /// Returns what is kept in a version of `am`, or in the present one if `None`. `am` is the document that this belongs
    /// to, and `graph` the one of its changes. Returns `None` if nothing is kept.
    pub(super) fn kept(
        &self,
        am: &Automerge,
        graph: &SharedGraph,
        version: Option<&Hashes>,
    ) -> Option<Arc<KeptObjects>> {
        // The changes of one actor build on each other.
        if am.stats().num_actors < 2 {
            return None;
        }
        let graph = graph.of(am);
        if graph.order().is_chain() {
            return None;
        }
        let heads = version.map_or_else(|| am.get_heads(), <[_]>::to_vec);
        let mut known = self.locked();
        let kept = known.answer(&heads, graph.len()).unwrap_or_else(|| {
            let found = known.find(am, &graph, version).unwrap_or_else(|error| {
                // Only a forged document gets here. The rest of it is still worth showing.
                tracing::warn!(%error, "concurrent changes cannot be read, so edits in removed objects stay hidden");
                KeptObjects::default()
            });
            known.remember(heads, graph.len(), Arc::new(found))
        });
        (!kept.is_empty()).then_some(kept)
    }

    /// Estimates the bytes of memory that it takes.
    pub(super) fn memory(&self) -> u64 {
        self.locked().edits.memory()
    }

    // A panic may have left a change half read.
    fn locked(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut known = poisoned.into_inner();
            *known = Known::default();
            known
        })
    }
}

impl Clone for SharedRemovals {
    fn clone(&self) -> Self {
        SharedRemovals(Mutex::new(self.locked().clone()))
    }
}

impl Known {
    fn answer(&self, heads: &Hashes, changes: usize) -> Option<Arc<KeptObjects>> {
        let same = |one: &&(Vec<ChangeHash>, usize, _)| one.0 == heads && one.1 == changes;
        self.answers.iter().find(same).map(|(_, _, kept)| kept.clone())
    }

    fn remember(
        &mut self,
        heads: Vec<ChangeHash>,
        changes: usize,
        kept: Arc<KeptObjects>,
    ) -> Arc<KeptObjects> {
        self.answers.retain(|(_, then, _)| *then == changes);
        self.answers.truncate(REMEMBERED - 1);
        self.answers.insert(0, (heads, changes, kept.clone()));
        kept
    }

    fn find(
        &mut self,
        am: &Automerge,
        graph: &ChangeGraph,
        version: Option<&Hashes>,
    ) -> Result<KeptObjects, MergeError> {
        let has = version.map(|version| graph.changes_of(version));
        let has = |number: &usize| has.as_ref().is_none_or(|has| has.get(*number) == Some(&true));
        // The first edit that a remover had not seen is concurrent with the removal.
        let is_one = |number: &usize| has(number) && graph.order().is_concurrent(*number);
        if !self.read(am, graph, graph.order().concurrent())?
            || unseen(&self.edits, graph, &is_one).is_empty()
        {
            return Ok(KeptObjects::default());
        }
        // What is kept may have been removed once more, by a change that builds on both.
        let first = graph.order().concurrent().next().unwrap_or(0);
        let mut kept: HashMap<ObjId, Vec<KeptValue>> = HashMap::new();
        if self.read(am, graph, first..graph.len())? {
            for (value, edits) in unseen(&self.edits, graph, &has) {
                let edited = latest(am, graph, &edits);
                let remover = self.edits.removers(&value).first();
                if let (Some(edited), Some(remover)) = (edited, remover)
                    && let Some((object, position)) = place(am, remover, &value)?
                    && let Some(kind) = kind(am, version, &value)?
                {
                    let value = KeptValue { id: obj_id(&value), kind, position, edited };
                    kept.entry(object).or_default().push(value);
                }
            }
        }
        Ok(KeptObjects(kept))
    }

    /// Reads changes, unless they are too many. Returns false then.
    fn read(
        &mut self,
        am: &Automerge,
        graph: &ChangeGraph,
        changes: impl Iterator<Item = usize> + Clone,
    ) -> Result<bool, MergeError> {
        let operations: u64 = changes.clone().map(|change| 1 + graph.operations(change)).sum();
        if operations > OPERATIONS_MAX {
            return Ok(false);
        }
        self.edits.read(am, graph, changes)?;
        Ok(true)
    }
}

/// Returns the values that were removed, each with its edits that no remover had seen. Only changes count that `has` is
/// true for.
fn unseen(
    edits: &EditsInside,
    graph: &ChangeGraph,
    has: &impl Fn(&usize) -> bool,
) -> Vec<(OpId, HashSet<usize>)> {
    let numbers = |changes: &[ChangeHash]| -> HashSet<usize> {
        changes.iter().filter_map(|change| graph.number(change)).filter(has).collect()
    };
    let mut found: Vec<(OpId, HashSet<usize>)> = Vec::new();
    // For each remover, the values that it removed: what it had seen is looked up once for all of them.
    let mut by_remover: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (value, edits_of_it) in edits.edits_of_removed() {
        let (removers, edits_of_it) = (numbers(edits.removers(value)), numbers(&edits_of_it));
        if removers.is_empty() || edits_of_it.is_empty() {
            continue;
        }
        for remover in removers {
            by_remover.entry(remover).or_default().push(found.len());
        }
        found.push((value.clone(), edits_of_it));
    }
    let mut steps = 0;
    for (remover, removed) in by_remover {
        steps += graph.order().window(remover);
        if steps > STEPS_MAX {
            return Vec::new();
        }
        let seen = graph.ancestors(remover);
        for value in removed {
            let edits = found.get_mut(value).into_iter();
            edits.for_each(|(_, edits)| edits.retain(|edit| !seen.has(*edit)));
        }
    }
    found.retain(|(_, edits)| !edits.is_empty());
    found
}

/// Returns the change with the latest time; of equal times, the one with the greatest hash.
fn latest(am: &Automerge, graph: &ChangeGraph, changes: &HashSet<usize>) -> Option<ChangeHash> {
    let changes = changes.iter().filter_map(|number| graph.change(*number));
    let time = |change: &ChangeHash| am.get_change_meta_by_hash(change).map(|meta| meta.timestamp);
    changes.max_by_key(|change| (time(change), *change))
}

/// Returns the object that a value was removed from, and the position in it.
fn place(
    am: &Automerge,
    remover: &ChangeHash,
    value: &OpId,
) -> Result<Option<(ObjId, Position)>, MergeError> {
    let operations = change_by_hash(am, remover)?.map(|change| change.decode().operations);
    let removes = |operation: &Op| operation.pred.iter().any(|removed| removed == value);
    let removal = operations.into_iter().flatten().find(removes);
    Ok(removal.and_then(|removal| {
        let object = match &removal.obj {
            ObjectId::Id(object) => obj_id(object),
            ObjectId::Root => ROOT,
        };
        let position = match removal.key {
            Key::Map(name) => Position::Field(name.to_string()),
            Key::Seq(ElementId::Id(element)) => Position::Element(element),
            // An element is named by the operation that inserted it.
            Key::Seq(ElementId::Head) => return None,
        };
        Some((object, position))
    }))
}

/// Returns the kind of a value that is kept; `None` if it is neither an object nor a counter.
fn kind(
    am: &Automerge,
    version: Option<&Hashes>,
    value: &OpId,
) -> Result<Option<ValueKind>, MergeError> {
    let id = obj_id(value);
    if let Ok(kind) = am.object_type(&id) {
        return Ok(Some(ValueKind::object(kind)));
    }
    match written_by(am, &id)?.map(|written| written.action) {
        Some(OpType::Put(ScalarValue::Counter(_))) => {
            Ok(Some(ValueKind::Counter(counter_sum::sum(am, version, &[&id])?)))
        }
        _ => Ok(None),
    }
}

/// Returns the operation that wrote a value.
fn written_by(am: &Automerge, value: &ObjId) -> Result<Option<Op>, MergeError> {
    let (ObjId::Id(counter, ..), Some(writer)) = (value, am.hash_for_opid(value)) else {
        return Ok(None);
    };
    let Some(writer) = change_by_hash(am, &writer)?.map(|writer| writer.decode()) else {
        return Ok(None);
    };
    Ok(operation(&writer, *counter).cloned())
}

/// Returns true if a value of a list was written to this element.
///
/// # Errors
/// [`MergeError::Panicked`] if the document was forged.
pub(super) fn is_in_element(
    am: &Automerge,
    value: &ObjId,
    element: &OpId,
) -> Result<bool, MergeError> {
    if *value == obj_id(element) {
        return Ok(true);
    }
    let written = written_by(am, value)?.filter(|written| !written.insert);
    Ok(written.is_some_and(|written| written.key == Key::Seq(ElementId::Id(element.clone()))))
}
