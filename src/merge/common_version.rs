//! The version that several changes have in common.

use automerge::{Automerge, ChangeHash};
use std::collections::BTreeSet;

/// Returns heads of all the changes that each of `changes` builds on, itself included. Some of them may build on others.
pub(super) fn common_version(am: &Automerge, changes: &[ChangeHash]) -> Vec<ChangeHash> {
    let mut beyond: BTreeSet<ChangeHash> = BTreeSet::new();
    // A change that is not below all of them has nothing above it that is. So what is left has its heads where it ends.
    let mut ends: BTreeSet<ChangeHash> = am.get_heads().into_iter().collect();
    for change in changes {
        for meta in am.get_changes_meta(&[*change]) {
            beyond.insert(meta.hash);
            ends.extend(meta.deps.iter().copied());
        }
    }
    ends.into_iter().filter(|hash| !beyond.contains(hash)).collect()
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
            let common = common_version(am, &changes);
            let value = am.get_at(ROOT, "a", &common).unwrap().unwrap().0;
            assert_eq!(value.as_i64(), Some(n), "{changes:?}");
            assert!(am.get_at(ROOT, "c", &common).unwrap().is_none());
        }
        assert!(common_version(am, &[left, right]).contains(&first));
    }
}
