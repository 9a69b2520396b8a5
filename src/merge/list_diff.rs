//! Finds the elements of a list that stay when it is replaced by another.
//!
//! They are not touched, so that elements that are inserted or edited concurrently keep their place. The common start
//! and end are matched first. In between, the k-th occurrence of a value is matched with its k-th occurrence, and
//! the longest run of matches in rising order stays. For lists without repeated values that is a longest common
//! subsequence, in `n log n` steps; the usual algorithms take `n²`.

use serde_json::Value as Json;
use std::collections::{HashMap, VecDeque};

/// Returns the pairs `(old index, new index)` of equal elements that stay, rising in both.
pub(super) fn kept(old: &[Json], new: &[Json]) -> Vec<(usize, usize)> {
    // Most writes change one place of a list. Then the middle is short, and little is left to match.
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (old.iter().skip(start), new.iter().skip(start));
    let end = old_rest.rev().zip(new_rest.rev()).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - end, new.len() - end);

    let old_middle = old.get(start..old_end).unwrap_or_default();
    let new_middle = new.get(start..new_end).unwrap_or_default();
    let middle = matches(old_middle, new_middle).into_iter().map(|(a, b)| (a + start, b + start));
    let tail = (old_end..old.len()).zip(new_end..new.len());
    (0..start).map(|n| (n, n)).chain(middle).chain(tail).collect()
}

/// Matches the k-th occurrence of each value in `old` with the k-th in `new`.
fn matches(old: &[Json], new: &[Json]) -> Vec<(usize, usize)> {
    if old.is_empty() || new.is_empty() {
        return Vec::new();
    }
    let mut positions: HashMap<&Json, VecDeque<usize>> = HashMap::new();
    for (n, value) in old.iter().enumerate() {
        positions.entry(value).or_default().push_back(n);
    }
    let pair = |(n, value)| Some((positions.get_mut(value)?.pop_front()?, n));
    longest_rising(&new.iter().enumerate().filter_map(pair).collect::<Vec<_>>())
}

/// Returns the longest subsequence whose first numbers rise (the second ones do already), by patience sorting.
fn longest_rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the index of the pair that ends such a run with the smallest first number.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (n, (first, _)) in pairs.iter().enumerate() {
        let at = ends.partition_point(|end| pairs.get(*end).is_some_and(|pair| pair.0 < *first));
        before.push(at.checked_sub(1).and_then(|at| ends.get(at).copied()));
        match ends.get_mut(at) {
            Some(end) => *end = n,
            None => ends.push(n),
        }
    }
    let last = ends.last().copied();
    let back = |n: &usize| before.get(*n).copied().flatten();
    let mut run: Vec<_> =
        std::iter::successors(last, back).filter_map(|n| pairs.get(n).copied()).collect();
    run.reverse();
    run
}
