//! The version that several changes have in common.

use automerge::{Automerge, ChangeHash};
use std::collections::HashMap;

/// The most changes that can be asked for at once.
pub(super) const CHANGES_MAX: usize = 64;

/// Returns the heads of all the changes that each of `changes` builds on, itself included. Returns `None` if there are
/// more than [`CHANGES_MAX`] of them. Takes time in proportion to the whole history.
pub(super) fn common_version(am: &Automerge, changes: &[ChangeHash]) -> Option<Vec<ChangeHash>> {
    let all = u64::MAX.checked_shr((CHANGES_MAX.checked_sub(changes.len())?).try_into().ok()?)?;
    // For each change, a bit for each of `changes` that builds on it.
    let mut below: HashMap<ChangeHash, u64> = HashMap::new();
    for (n, change) in changes.iter().enumerate() {
        *below.entry(*change).or_default() |= 1 << n;
    }
    let mut heads = Vec::new();
    // The newest first, so that a change is asked for only when all that build on it were seen.
    for meta in am.get_changes_meta(&[]).iter().rev() {
        let Some(bits) = below.remove(&meta.hash) else { continue };
        if bits == all {
            heads.push(meta.hash);
            continue;
        }
        for dep in meta.deps.iter() {
            *below.entry(*dep).or_default() |= bits;
        }
    }
    Some(heads)
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
            let common = common_version(am, &changes).unwrap();
            let value = am.get_at(ROOT, "a", &common).unwrap().unwrap().0;
            assert_eq!(value.as_i64(), Some(n), "{changes:?}");
            assert!(am.get_at(ROOT, "c", &common).unwrap().is_none());
        }
        assert!(common_version(am, &[left, right]).unwrap().contains(&first));
    }
}
