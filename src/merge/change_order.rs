//! Tells which changes of a document are concurrent with another one, as changes come.
//!
//! Invariant: the answer depends on the set of changes alone, not on the order in which they came. A change is named by
//! its number in the graph, which is greater than those of the changes that it builds on.

use std::collections::BTreeSet;

/// The changes of one document that are concurrent with no other. They cut its history into windows: all that comes
/// before one of them is built on by all that comes after it.
#[derive(Debug, Default, Clone)]
pub(super) struct ChangeOrder {
    /// Changes that no other one builds on.
    heads: BTreeSet<usize>,
    /// Changes that are concurrent with no other, rising.
    cuts: Vec<usize>,
    len: usize,
}

impl ChangeOrder {
    /// Adds the next change.
    pub(super) fn add(&mut self, deps: &[usize]) {
        let (number, newest) = (self.len, deps.iter().max());
        self.len += 1;
        // It does not build on what came after the newest change that it names.
        while self.cuts.last().is_some_and(|cut| newest.is_none_or(|newest| cut > newest)) {
            self.cuts.pop();
        }
        for dep in deps {
            self.heads.remove(dep);
        }
        if self.heads.is_empty() {
            self.cuts.push(number);
        }
        self.heads.insert(number);
    }

    /// Returns true if no change is concurrent with another one.
    pub(super) fn is_chain(&self) -> bool {
        self.cuts.len() == self.len
    }

    /// Returns true if a change is concurrent with another one.
    pub(super) fn is_concurrent(&self, number: usize) -> bool {
        self.cuts.binary_search(&number).is_err()
    }

    /// Iterates over the changes that are concurrent with another one, rising.
    pub(super) fn concurrent(&self) -> impl Iterator<Item = usize> + Clone {
        (0..self.len).filter(|number| self.is_concurrent(*number))
    }

    /// Returns the newest change up to this one that is concurrent with no other: this one builds on it and on all that
    /// came before it.
    pub(super) fn cut_before(&self, number: usize) -> Option<usize> {
        let at = self.cuts.partition_point(|cut| *cut <= number);
        self.cuts.get(at.checked_sub(1)?).copied()
    }

    /// Returns the number of changes in the window of this one: those between two changes that are concurrent with no other.
    pub(super) fn window(&self, number: usize) -> usize {
        let at = self.cuts.partition_point(|cut| *cut <= number);
        let next = self.cuts.get(at).copied().unwrap_or(self.len);
        next - self.cut_before(number).map_or(0, |cut| cut + 1)
    }
}
