//! The order of changes, against a search through all pairs.

use super::super::change_order::ChangeOrder;
use super::convergence::config;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// For each change, those that it builds on, itself included.
fn ancestors(deps: &[Vec<usize>]) -> Vec<BTreeSet<usize>> {
    let mut all: Vec<BTreeSet<usize>> = Vec::new();
    for (number, deps) in deps.iter().enumerate() {
        let before = deps.iter().flat_map(|dep| all[*dep].iter().copied());
        let found = before.chain([number]).collect();
        all.push(found);
    }
    all
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn order_knows_which_changes_are_concurrent(
        picks in proptest::collection::vec(proptest::collection::vec(0..4usize, 0..3), 1..20),
    ) {
        // Mostly the newest changes, so that there are cuts.
        let deps: Vec<Vec<usize>> = picks.into_iter().enumerate().map(|(number, picks)| {
            let near = picks.into_iter().filter_map(|back| number.checked_sub(back + 1));
            near.collect::<BTreeSet<_>>().into_iter().collect()
        }).collect();
        let mut order = ChangeOrder::default();
        deps.iter().for_each(|deps| order.add(deps));
        let all = ancestors(&deps);
        let beside = |a: &usize, b: &usize| !all[*a].contains(b) && !all[*b].contains(a);
        let numbers = 0..deps.len();
        let expected: Vec<usize> =
            numbers.clone().filter(|a| numbers.clone().any(|b| beside(a, &b))).collect();
        prop_assert_eq!(order.concurrent().collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(order.is_chain(), expected.is_empty());
        for number in numbers {
            let cut = order.cut_before(number);
            let newest = (0..=number).rev().find(|cut| !expected.contains(cut));
            prop_assert_eq!(cut, newest);
            prop_assert!(cut.is_none_or(|cut| (0..=cut).all(|old| all[number].contains(&old))));
        }
    }
}
