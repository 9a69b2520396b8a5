//! Sets of sequence numbers of one instance, as runs.
//!
//! Nearly every set is one run from 1 on. A file that was not copied yet, or that is damaged, leaves a gap.

use smallvec::{SmallVec, smallvec};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The highest sequence number.
pub const SEQUENCE_MAX: u64 = i64::MAX as u64;

/// A set of sequence numbers, each from 1 to [`SEQUENCE_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences(SmallVec<[(u64, u64); 1]>);

impl Sequences {
    /// The numbers from 1 to `last`; none if that is 0.
    #[must_use]
    pub fn up_to(last: u64) -> Self {
        let last = last.min(SEQUENCE_MAX);
        Sequences(if last == 0 { SmallVec::new() } else { smallvec![(1, last)] })
    }

    /// Adds a number. Others than 1 to [`SEQUENCE_MAX`] are passed over.
    pub fn insert(&mut self, number: u64) {
        self.insert_run((number, number));
    }

    /// Adds all numbers of another set.
    pub fn insert_all(&mut self, other: &Self) {
        other.0.iter().for_each(|run| self.insert_run(*run));
    }

    fn insert_run(&mut self, (first, last): (u64, u64)) {
        let (mut first, mut last) = (first.max(1), last.min(SEQUENCE_MAX));
        if first > last {
            return;
        }
        // Those that overlap or touch the new run become a part of it.
        let from = self.0.partition_point(|run| run.1.saturating_add(1) < first);
        let to = self.0.partition_point(|run| run.0 <= last.saturating_add(1));
        for touched in self.0.drain(from..to) {
            first = first.min(touched.0);
            last = last.max(touched.1);
        }
        self.0.insert(from, (first, last));
    }

    /// Returns true if the number is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|run| run.1 < number);
        self.0.get(at).is_some_and(|run| run.0 <= number)
    }

    /// Returns true if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the highest number; 0 if there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.0.last().map_or(0, |run| run.1)
    }

    /// Returns the runs, in their order.
    pub fn runs(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.0.iter().map(|(first, last)| *first..=*last)
    }

    /// Returns the runs of numbers that are missing, the last one to [`SEQUENCE_MAX`].
    pub fn gaps(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let starts = [1].into_iter().chain(self.0.iter().map(|run| run.1 + 1));
        let ends = self.0.iter().map(|run| run.0 - 1).chain([SEQUENCE_MAX]);
        starts.zip(ends).filter(|(first, last)| first <= last).map(|(first, last)| first..=last)
    }

    /// Returns the numbers up to `last`.
    #[must_use]
    pub fn head(&self, last: u64) -> Self {
        let below = self.0.iter().take_while(|run| run.0 <= last);
        Sequences(below.map(|run| (run.0, run.1.min(last))).collect())
    }

    /// Returns true if all of these numbers are in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|(first, last)| {
            let at = other.0.partition_point(|run| run.1 < *first);
            other.0.get(at).is_some_and(|run| run.0 <= *first && *last <= run.1)
        })
    }

    /// Returns the highest of these numbers such that it and all below it are in `other`; 0 if the first is not.
    #[must_use]
    pub fn last_within(&self, other: &Self) -> u64 {
        let mut reached = 0;
        for (first, last) in &self.0 {
            let at = other.0.partition_point(|run| run.1 < *first);
            match other.0.get(at).filter(|run| run.0 <= *first) {
                Some(run) if run.1 >= *last => reached = *last,
                Some(run) => return run.1,
                None => return reached,
            }
        }
        reached
    }
}

/// The end of the run from 1 on, 0 without one. The other runs follow, as `+first~last`.
impl fmt::Display for Sequences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from_one = self.0.first().filter(|run| run.0 == 1);
        write!(f, "{}", from_one.map_or(0, |run| run.1))?;
        let rest = self.0.iter().skip(usize::from(from_one.is_some()));
        rest.into_iter().try_for_each(|(first, last)| write!(f, "+{first}~{last}"))
    }
}

/// A text that is no set of sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSequences;

impl FromStr for Sequences {
    type Err = NotSequences;

    fn from_str(text: &str) -> Result<Self, NotSequences> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| NotSequences);
        let mut parts = text.split('+');
        let mut all = Sequences::up_to(number(parts.next().ok_or(NotSequences)?)?);
        for part in parts {
            let (first, last) = part.split_once('~').ok_or(NotSequences)?;
            all.insert_run((number(first)?, number(last)?));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Returns each set of numbers up to 9, with the same as a plain set.
    fn all() -> impl Iterator<Item = (Sequences, BTreeSet<u64>)> {
        (0..1_u32 << 9).map(|bits| {
            let plain: BTreeSet<u64> = (1..=9).filter(|n| bits >> (n - 1) & 1 == 1).collect();
            let mut set = Sequences::default();
            // Not in their order, so that runs are joined.
            let (odd, even): (Vec<u64>, Vec<u64>) = plain.iter().partition(|n| *n % 2 == 1);
            odd.into_iter().rev().chain(even).for_each(|n| set.insert(n));
            (set, plain)
        })
    }

    #[test]
    fn sets_answer_as_plain_sets_do() {
        for (set, plain) in all() {
            assert!((0..=10).all(|n| set.contains(n) == plain.contains(&n)), "{set}");
            assert_eq!(
                (set.runs().map(|run| run.end() - run.start() + 1).sum::<u64>(), set.last()),
                (plain.len() as u64, plain.last().copied().unwrap_or(0))
            );
            assert_eq!(set.runs().flatten().collect::<BTreeSet<_>>(), plain);
            let missing: Vec<u64> = set.gaps().flatten().take_while(|n| *n < 10).collect();
            assert_eq!(missing, (1..10).filter(|n| !plain.contains(n)).collect::<Vec<_>>());
            assert_eq!(
                set.head(5).runs().flatten().collect::<BTreeSet<_>>(),
                plain.range(..=5).copied().collect()
            );
            assert_eq!(set.to_string().parse(), Ok(set.clone()));
        }
    }

    #[test]
    fn pairs_of_sets_compare_as_plain_sets_do() {
        for (one, plain) in all().step_by(7) {
            for (two, other) in all().step_by(5) {
                assert_eq!(one.is_within(&two), plain.is_subset(&other), "{one} {two}");
                let within = plain.iter().take_while(|n| other.contains(n)).last();
                assert_eq!(one.last_within(&two), within.copied().unwrap_or(0), "{one} {two}");
                let mut both = one.clone();
                both.insert_all(&two);
                assert_eq!(both.runs().flatten().collect::<BTreeSet<_>>(), &plain | &other);
            }
        }
    }

    #[test]
    fn texts_and_numbers_out_of_range_are_harmless() {
        assert_eq!("7".parse(), Ok(Sequences::up_to(7)));
        assert_eq!("18446744073709551615".parse(), Ok(Sequences::up_to(SEQUENCE_MAX)));
        assert_eq!(Sequences::up_to(SEQUENCE_MAX).gaps().count(), 0);
        assert_eq!("3+9~4".parse(), Ok(Sequences::up_to(3)));
        for bad in ["", "x", "-1", "1+", "1+2", "1+2~", "1 "] {
            assert_eq!(bad.parse::<Sequences>(), Err(NotSequences), "{bad}");
        }
    }
}
