//! The version that several changes have in common.

use automerge::{Automerge, ChangeHash};
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;

/// The most changes that can be asked for at once.
const CHANGES_MAX: usize = 64;
/// The most changes that all questions about one view may have to walk over. A document may have been made to need more.
const STEPS_MAX: usize = 5_000_000;

/// Finds common versions in the history of one document.
pub(super) struct CommonVersions<'a> {
    am: &'a Automerge,
    /// Each change, after those that it builds on. Read at the first question, because most documents have none.
    history: OnceCell<Vec<(ChangeHash, Vec<ChangeHash>)>>,
    steps: Cell<usize>,
}

impl<'a> CommonVersions<'a> {
    /// Begins with a document that was not asked about yet.
    pub(super) fn new(am: &'a Automerge) -> Self {
        CommonVersions { am, history: OnceCell::new(), steps: Cell::new(0) }
    }

    fn history(&self) -> &[(ChangeHash, Vec<ChangeHash>)] {
        self.history.get_or_init(|| {
            let metas = self.am.get_changes_meta(&[]);
            metas.iter().map(|meta| (meta.hash, meta.deps.to_vec())).collect()
        })
    }

    /// Returns heads of all the changes that each of `changes` builds on, itself included. Takes time in proportion to the
    /// history since then.
    ///
    /// Returns `None` if there are more than 64 of them, or if too much was asked already.
    pub(super) fn of(&self, changes: &[ChangeHash]) -> Option<Vec<ChangeHash>> {
        let spare = u32::try_from(CHANGES_MAX.checked_sub(changes.len())?).ok()?;
        let all = u64::MAX.checked_shr(spare)?;
        // For each change, a bit for each of `changes` that builds on it.
        let mut below: HashMap<ChangeHash, u64> = HashMap::new();
        for (n, change) in changes.iter().enumerate() {
            *below.entry(*change).or_default() |= 1 << n;
        }
        // All of the history counts, walked or not: its order is that of arrival, and the answer must not depend on it.
        self.steps.set(self.steps.get().saturating_add(self.history().len()));
        if self.steps.get() > STEPS_MAX {
            return None;
        }
        let mut heads = Vec::new();
        // The newest first, so that a change is asked for only when all that build on it were seen.
        for (hash, deps) in self.history().iter().rev() {
            if below.is_empty() {
                break;
            }
            let Some(bits) = below.remove(hash) else { continue };
            if bits == all {
                heads.push(*hash);
                continue;
            }
            for dep in deps {
                *below.entry(*dep).or_default() |= bits;
            }
        }
        Some(heads)
    }
}

#[cfg(test)]
mod tests {
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
        for (changes, n) in
            [(vec![left, right], 2), (vec![left, last], 3), (vec![first, left, right], 2)]
        {
            let common = CommonVersions::new(am).of(&changes).unwrap();
            let value = am.get_at(ROOT, "a", &common).unwrap().unwrap().0;
            assert_eq!(value.as_i64(), Some(n), "{changes:?}");
            assert!(am.get_at(ROOT, "c", &common).unwrap().is_none());
        }
        let common = CommonVersions::new(am);
        assert_eq!(common.of(&[first; CHANGES_MAX + 1]), None, "too many");
        common.steps.set(STEPS_MAX);
        assert_eq!(common.of(&[left, right]), None, "too much was asked");
        assert!(CommonVersions::new(am).of(&[left, right]).unwrap().contains(&first));
    }
}
