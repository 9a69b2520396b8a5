//! The changes of a document, and what each builds on, kept between questions about them.
//!
//! Invariant: a graph holds all changes that its document had at the last question, each after those that it builds on.
//! Documents only grow, so that a question reads what came since the one before.

use super::change_message::lists_open_places;
use super::change_order::ChangeOrder;
use automerge::{ActorId, Automerge, ChangeHash, ChangeMetadata, ReadDoc};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most changes that can be asked for at once: each is one bit.
pub(super) const CHANGES_MAX: usize = 64;

/// The changes of one document by their numbers, in the order in which they came.
#[derive(Debug, Default, Clone)]
pub(super) struct ChangeGraph {
    heads: Vec<ChangeHash>,
    hashes: Vec<ChangeHash>,
    actors: Vec<ActorId>,
    numbers: HashMap<ChangeHash, usize>,
    /// For each change, the numbers of those that it builds on.
    deps: Vec<Vec<usize>>,
    /// For each change, the number of its operations.
    operations: Vec<u64>,
    /// Changes whose messages list open places of texts.
    listing: HashSet<ChangeHash>,
    order: ChangeOrder,
}

impl ChangeGraph {
    /// Adds the changes that the document has got since.
    fn grow(&mut self, am: &Automerge) {
        let heads = am.get_heads();
        if heads == self.heads {
            return;
        }
        // A write that failed may have left its document without a change that was seen here.
        if !am.get_missing_deps(&self.heads).is_empty() {
            *self = ChangeGraph::default();
        }
        for meta in am.get_changes_meta(&self.heads) {
            self.numbers.insert(meta.hash, self.hashes.len());
            if meta.message.as_deref().is_some_and(lists_open_places) {
                self.listing.insert(meta.hash);
            }
            self.hashes.push(meta.hash);
            self.operations.push(operations_of(&meta));
            self.actors.push(meta.actor.into_owned());
            let deps: Vec<usize> = self.numbers_of(&meta.deps).collect();
            self.order.add(&deps);
            self.deps.push(deps);
        }
        self.heads = heads;
    }

    /// Returns the number of changes.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Estimates the bytes of memory that it takes.
    fn memory(&self) -> u64 {
        const CHANGE: u64 = 180;
        CHANGE * self.len() as u64
    }

    /// Returns which changes are concurrent with others.
    pub(super) fn order(&self) -> &ChangeOrder {
        &self.order
    }

    /// Returns the changes whose messages list open places of texts.
    pub(super) fn listing(&self) -> &HashSet<ChangeHash> {
        &self.listing
    }

    /// Returns the number of a change.
    pub(super) fn number(&self, change: &ChangeHash) -> Option<usize> {
        self.numbers.get(change).copied()
    }

    /// Returns the change of a number.
    pub(super) fn change(&self, number: usize) -> Option<ChangeHash> {
        self.hashes.get(number).copied()
    }

    /// Returns the number of operations of a change.
    pub(super) fn operations(&self, number: usize) -> u64 {
        self.operations.get(number).copied().unwrap_or(0)
    }

    fn numbers_of(&self, changes: &[ChangeHash]) -> impl Iterator<Item = usize> {
        changes.iter().filter_map(|change| self.numbers.get(change).copied())
    }

    /// Returns for each of `changes` but the first heads of all the changes that it builds on and one of those before it
    /// builds on too, these themselves included. The heads are sorted. Takes time in proportion to the history since then.
    ///
    /// Returns `None` if there are more than [`CHANGES_MAX`].
    pub(super) fn common(&self, changes: &[ChangeHash]) -> Option<Vec<Vec<ChangeHash>>> {
        let spare = u32::try_from(CHANGES_MAX.checked_sub(changes.len())?).ok()?;
        let mut walk = Walk::new(self.len(), u64::MAX.checked_shr(spare)?);
        for (n, number) in self.numbers_of(changes).enumerate() {
            walk.mark(number, Marks { on: 1 << n, covered: 0 });
        }
        let mut heads = vec![Vec::new(); changes.len()];
        // The newest first, so that a change is met only when all that build on it were.
        for (number, deps) in self.deps.iter().enumerate().rev() {
            if walk.ahead == 0 {
                break;
            }
            let marks = walk.meet(number);
            let common = marks.in_common();
            let mut headed = common & !marks.covered;
            while headed != 0 {
                let of = heads.get_mut(headed.trailing_zeros() as usize);
                of.into_iter().for_each(|heads| heads.extend(self.hashes.get(number)));
                headed &= headed - 1;
            }
            let of_deps = Marks { covered: common, ..marks };
            deps.iter().for_each(|dep| walk.mark(*dep, of_deps));
        }
        heads.iter_mut().for_each(|heads| heads.sort_unstable());
        Some(heads.split_off(1.min(heads.len())))
    }

    /// Returns the changes that `version` does not have, each after those that it builds on.
    pub(super) fn since(&self, version: &[ChangeHash]) -> Vec<ChangeHash> {
        self.numbers_since(version).filter_map(|number| self.hashes.get(number)).copied().collect()
    }

    /// Returns the actor of each change that `version` does not have.
    pub(super) fn actors_since(&self, version: &[ChangeHash]) -> impl Iterator<Item = &ActorId> {
        self.numbers_since(version).filter_map(|number| self.actors.get(number))
    }

    /// Returns the numbers of the changes that `version` does not have, rising.
    fn numbers_since(&self, version: &[ChangeHash]) -> impl Iterator<Item = usize> + use<> {
        let has = self.changes_of(version).into_iter().enumerate();
        has.filter(|(_, has)| !has).map(|(number, _)| number)
    }

    /// Returns for each change whether `version` has it.
    pub(super) fn changes_of(&self, version: &[ChangeHash]) -> Vec<bool> {
        let mut has = vec![false; self.len()];
        let note = |has: &mut [bool], number: usize| {
            has.get_mut(number).into_iter().for_each(|known| *known = true);
        };
        self.numbers_of(version).for_each(|number| note(&mut has, number));
        for (number, deps) in self.deps.iter().enumerate().rev() {
            if has.get(number) == Some(&true) {
                deps.iter().for_each(|dep| note(&mut has, *dep));
            }
        }
        has
    }

    /// Returns the changes that one builds on. Takes time in proportion to the changes since the last one that is
    /// concurrent with no other.
    pub(super) fn ancestors(&self, number: usize) -> Ancestors {
        let start = self.order.cut_before(number).map_or(0, |cut| cut + 1);
        let mut is_one = vec![false; (number + 1).saturating_sub(start)];
        is_one.last_mut().into_iter().for_each(|own| *own = true);
        for at in (start..=number).rev() {
            if is_one.get(at - start) == Some(&true) {
                for dep in self.deps.get(at).into_iter().flatten().filter(|dep| **dep >= start) {
                    is_one.get_mut(dep - start).into_iter().for_each(|dep| *dep = true);
                }
            }
        }
        Ancestors { start, is_one }
    }
}

/// Returns the number of operations of a change.
pub(super) fn operations_of(meta: &ChangeMetadata<'_>) -> u64 {
    // A change without operations has a `max_op` below its `start_op`.
    (meta.max_op + 1).saturating_sub(meta.start_op)
}

/// The changes that one builds on, and that change itself.
pub(super) struct Ancestors {
    /// All changes before this number are among them.
    start: usize,
    is_one: Vec<bool>,
}

impl Ancestors {
    /// Returns true if the change of this number is among them.
    pub(super) fn has(&self, number: usize) -> bool {
        number.checked_sub(self.start).is_none_or(|at| self.is_one.get(at) == Some(&true))
    }
}

/// A walk from some changes to what they build on.
struct Walk {
    /// Marks of each change.
    marks: Vec<Marks>,
    /// A bit for each of the changes that it began with.
    all: u64,
    /// Number of changes that were marked and not met yet, without those of which nothing is to be learned.
    ahead: usize,
}

/// Marks of a change in a walk.
#[derive(Debug, Default, Clone, Copy)]
struct Marks {
    /// A bit for each of the changes that build on it.
    on: u64,
    /// Those of them that have a newer change in common with one before them, which builds on it.
    covered: u64,
}

impl Marks {
    /// Returns those of the changes that have it in common with one before them: all but the first.
    fn in_common(self) -> u64 {
        self.on & self.on.wrapping_sub(1)
    }
}

impl Walk {
    fn new(changes: usize, all: u64) -> Self {
        Walk { marks: vec![Marks::default(); changes], all, ahead: 0 }
    }

    fn mark(&mut self, number: usize, more: Marks) {
        let Some(&marks) = self.marks.get(number) else { return };
        let new = Marks { on: marks.on | more.on, covered: marks.covered | more.covered };
        self.ahead += usize::from(self.is_ahead(new));
        self.ahead -= usize::from(self.is_ahead(marks));
        self.marks.get_mut(number).into_iter().for_each(|marks| *marks = new);
    }

    fn meet(&mut self, number: usize) -> Marks {
        let marks = self.marks.get(number).copied().unwrap_or_default();
        self.ahead -= usize::from(self.is_ahead(marks));
        marks
    }

    /// Returns true if something may be learned of a change: not all have it in common, or no newer one.
    fn is_ahead(&self, marks: Marks) -> bool {
        marks.on != 0 && (marks.on != self.all || marks.covered != marks.in_common())
    }
}

/// The graph of a document, read when it is first asked for: most documents have no texts in conflict.
#[derive(Debug, Default)]
pub(super) struct SharedGraph(Mutex<ChangeGraph>);

impl SharedGraph {
    /// Returns the graph of all changes of `am`, which is the document that this belongs to.
    pub(super) fn of(&self, am: &Automerge) -> MutexGuard<'_, ChangeGraph> {
        let mut graph = self.locked();
        graph.grow(am);
        graph
    }

    /// Estimates the bytes of memory that it takes.
    pub(super) fn memory(&self) -> u64 {
        self.locked().memory()
    }

    // A panic while it grew would leave the heads of before, and the changes that were added would come twice.
    fn locked(&self) -> MutexGuard<'_, ChangeGraph> {
        self.0.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut graph = poisoned.into_inner();
            *graph = ChangeGraph::default();
            graph
        })
    }
}

impl Clone for SharedGraph {
    fn clone(&self) -> Self {
        SharedGraph(Mutex::new(self.locked().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{AutoCommit, ROOT};

    fn set(doc: &mut AutoCommit, n: i64) -> ChangeHash {
        doc.put(ROOT, "a", n).unwrap();
        doc.commit_with(CommitOptions::default()).unwrap()
    }

    #[test]
    fn graph_that_grew_answers_as_one_read_at_once() {
        let (mut doc, graph) = (AutoCommit::new(), SharedGraph::default());
        let first = set(&mut doc, 0);
        let mut others: Vec<AutoCommit> = (0..3).map(|_| doc.fork()).collect();
        let mut newest = [first; 3];
        for round in 0..5_i64 {
            for (n, other) in others.iter_mut().enumerate() {
                if round % 2 == n as i64 % 2 {
                    other.merge(&mut doc).unwrap();
                }
                newest[n] = set(other, 10 * round + n as i64 + 1);
                doc.merge(other).unwrap();
                let (am, fresh) = (doc.document(), SharedGraph::default());
                let metas = am.get_changes_meta(&newest[..2]);
                let since: Vec<ChangeHash> = metas.iter().map(|meta| meta.hash).collect();
                assert_eq!(graph.of(am).since(&newest[..2]), since, "round {round}, agent {n}");
                let actors = metas.iter().map(|meta| &*meta.actor);
                assert!(graph.of(am).actors_since(&newest[..2]).eq(actors), "round {round}");
                for asked in [&newest[..], &newest[..2], &newest[1..]] {
                    let grown = graph.of(am).common(asked).unwrap();
                    let read = fresh.of(am).common(asked).unwrap();
                    assert_eq!(grown, read, "round {round}, agent {n}");
                }
            }
        }
        assert_eq!(graph.of(doc.document()).len(), 16);
    }

    #[test]
    fn graph_forgets_changes_that_its_document_lost() {
        let mut doc = AutoCommit::new();
        let first = set(&mut doc, 0);
        let (mut left, mut right) = (doc.fork(), doc.fork());
        let lost = set(&mut left, 1);
        let graph = SharedGraph::default();
        assert_eq!(graph.of(left.document()).common(&[lost, first]).unwrap(), [[first]]);
        let kept = set(&mut right, 2);
        assert_eq!(graph.of(right.document()).common(&[kept, first]).unwrap(), [[first]]);
        assert_eq!(graph.of(right.document()).len(), 2);
    }
}
