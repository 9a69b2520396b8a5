//! The version that several changes have in common.

use super::change_graph::{ChangeGraph, SharedGraph};
use automerge::{Automerge, ChangeHash, ReadDoc};
use std::cell::Cell;
use std::collections::HashSet;

/// The most changes that all questions about one view may have to walk over. A document may have been made to need more.
const STEPS_MAX: usize = 5_000_000;

/// Finds common versions in the history of one document.
pub(super) struct CommonVersions<'a> {
    am: &'a Automerge,
    graph: &'a SharedGraph,
    steps: Cell<usize>,
}

impl<'a> CommonVersions<'a> {
    /// Begins with a document that was not asked about yet.
    pub(super) fn new(am: &'a Automerge, graph: &'a SharedGraph) -> Self {
        CommonVersions { am, graph, steps: Cell::new(0) }
    }

    /// Returns for each of `changes` but the first the version that it has in common with those before it: heads of all the
    /// changes that it builds on and one of those before it builds on too. The heads are sorted. Takes time in proportion to
    /// the history since then.
    ///
    /// Returns `None` if there are more than 64 changes, or if too much was asked already.
    pub(super) fn of(&self, changes: &[ChangeHash]) -> Option<Vec<Vec<ChangeHash>>> {
        if self.steps.get() > STEPS_MAX {
            return None;
        }
        let graph = self.graph.of(self.am);
        let versions = graph.common(changes)?;
        let asked = versions.chunk_by(|one, next| one == next).count();
        self.counts(&graph, asked).then_some(versions)
    }

    /// Returns those of some changes that one builds on. Returns `None` if too much was asked already.
    pub(super) fn seen_by<'c>(
        &self,
        change: &ChangeHash,
        asked: impl Iterator<Item = &'c ChangeHash>,
    ) -> Option<HashSet<ChangeHash>> {
        let graph = self.graph.of(self.am);
        let number = graph.number(change)?;
        self.steps.set(self.steps.get().saturating_add(graph.order().window(number)));
        if self.steps.get() > STEPS_MAX {
            return None;
        }
        let ancestors = graph.ancestors(number);
        let has = |asked: &&ChangeHash| graph.number(asked).is_some_and(|one| ancestors.has(one));
        Some(asked.filter(has).copied().collect())
    }

    /// Returns the changes whose messages list open places of texts.
    pub(super) fn listing(&self) -> HashSet<ChangeHash> {
        // The changes of one actor build on each other. A place is open after two that are concurrent, the one before them
        // and the one that lists it.
        let stats = self.am.stats();
        if stats.num_actors < 2 || stats.num_changes < 4 {
            return HashSet::new();
        }
        self.graph.of(self.am).listing().clone()
    }

    /// Counts questions. Returns false if too much was asked.
    fn counts(&self, graph: &ChangeGraph, asked: usize) -> bool {
        // All of the history counts, walked or not: its order is that of arrival, and the answer must not depend on it.
        self.steps.set(self.steps.get().saturating_add(asked.saturating_mul(graph.len())));
        self.steps.get() <= STEPS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::super::change_graph::CHANGES_MAX;
    use super::*;
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{AutoCommit, ROOT, ReadDoc};

    #[test]
    fn changes_have_in_common_what_both_build_on() {
        let mut doc = AutoCommit::new();
        let set = |doc: &mut AutoCommit, field: &str, n: i64| {
            doc.put(ROOT, field, n).unwrap();
            doc.commit_with(CommitOptions::default()).unwrap()
        };
        set(&mut doc, "a", 1);
        let first = set(&mut doc, "a", 2);
        let mut other = doc.fork();
        let left = set(&mut doc, "a", 3);
        set(&mut other, "b", 3);
        let right = set(&mut other, "a", 4);
        doc.merge(&mut other).unwrap();
        let last = set(&mut doc, "c", 5);
        let am = doc.document();
        for (changes, expected) in [
            (vec![left, right], vec![2]),
            (vec![left, last], vec![3]),
            (vec![first, left, right], vec![2, 2]),
            (vec![first, last, right], vec![2, 4]),
        ] {
            let graph = SharedGraph::default();
            let common = CommonVersions::new(am, &graph).of(&changes).unwrap();
            let value = |heads: &Vec<_>| am.get_at(ROOT, "a", heads).unwrap().unwrap().0.as_i64();
            let values: Vec<_> = common.iter().map(|heads| value(heads).unwrap()).collect();
            assert_eq!(values, expected, "{changes:?}");
            assert!(common.iter().all(|heads| am.get_at(ROOT, "c", heads).unwrap().is_none()));
        }
        let graph = SharedGraph::default();
        let common = CommonVersions::new(am, &graph);
        assert_eq!(common.of(&[first; CHANGES_MAX + 1]), None, "too many");
        common.steps.set(STEPS_MAX);
        assert_eq!(common.of(&[left, right]), None, "too much was asked");
        assert!(CommonVersions::new(am, &graph).of(&[left, right]).unwrap()[0].contains(&first));
    }
}
