//! The short name of a commit: the beginning of its instance's id, a hyphen, and its number in that instance.
//!
//! Invariant: a commit keeps both for ever, whatever is compacted or merged. Only the beginning that suffices grows, when
//! more instances write.

use super::feed::CommitInfo;
use crate::format::id::InstanceId;
use std::fmt;

/// The fewest digits of an instance's id in a short name.
const DIGITS_MIN: usize = 4;
/// The digits of a whole id.
const DIGITS: usize = 32;

/// The instance of a commit, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CommitId {
    pub instance: InstanceId,
    pub sequence: u64,
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.instance, self.sequence)
    }
}

impl CommitId {
    /// Parses a whole name; `None` if this is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (instance, sequence) = text.split_once('-')?;
        Some(CommitId { instance: instance.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl CommitInfo {
    /// Returns what names it.
    pub(crate) fn id(&self) -> CommitId {
        CommitId { instance: self.instance, sequence: self.sequence }
    }
}

/// The instances of a palace, in the order of their ids.
#[derive(Clone, Debug)]
pub(crate) struct Instances(Vec<InstanceId>);

/// The result of a search for the instance that a text is the beginning of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The text is no name of a commit.
    NoName,
    /// No instance begins with it.
    Unknown,
    /// One instance begins with it.
    One(CommitId),
    /// Several do: those.
    Several(Vec<CommitId>),
}

impl Instances {
    pub fn new(instances: impl IntoIterator<Item = InstanceId>) -> Self {
        let mut instances: Vec<_> = instances.into_iter().collect();
        instances.sort_unstable();
        instances.dedup();
        Instances(instances)
    }

    /// Returns true if an instance is one of them.
    pub fn has(&self, instance: &InstanceId) -> bool {
        self.0.binary_search(instance).is_ok()
    }

    /// Iterates over them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = InstanceId> {
        self.0.iter().copied()
    }

    /// Returns the shortest name of a commit that no other commit has.
    pub fn short(&self, commit: CommitId) -> String {
        let at = self.0.partition_point(|instance| *instance < commit.instance);
        let text = commit.instance.to_string();
        let behind = if self.0.get(at) == Some(&commit.instance) { at + 1 } else { at };
        let neighbours = [at.checked_sub(1).and_then(|n| self.0.get(n)), self.0.get(behind)];
        let shared =
            neighbours.into_iter().flatten().map(|other| common(&text, &other.to_string()));
        let digits = (shared.max().unwrap_or(0) + 1).clamp(DIGITS_MIN, DIGITS);
        format!("{}-{}", text.get(..digits).unwrap_or(&text), commit.sequence)
    }

    /// Returns the commit that a name stands for. It need not exist.
    pub fn named(&self, text: &str) -> Named {
        let Some((digits, sequence)) = text.split_once('-') else { return Named::NoName };
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_instance = (DIGITS_MIN..=DIGITS).contains(&digits.len());
        let sequence = sequence.parse::<u64>().ok().filter(|_| !sequence.starts_with('+'));
        let Some(sequence) = sequence.filter(|_| is_instance && digits.bytes().all(is_digit))
        else {
            return Named::NoName;
        };
        let found = self.0.iter().filter(|instance| instance.to_string().starts_with(digits));
        let found: Vec<_> =
            found.map(|instance| CommitId { instance: *instance, sequence }).collect();
        match found.as_slice() {
            [] => Named::Unknown,
            [one] => Named::One(*one),
            _ => Named::Several(found),
        }
    }
}

/// Returns the number of digits that two ids begin with together.
fn common(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(start: &str) -> InstanceId {
        format!("{start:0<32}").parse().unwrap()
    }

    #[test]
    fn short_names_are_unique_and_found_again() {
        let all = ["a1b2c3", "a1b2c4", "ffff"].map(instance);
        let instances = Instances::new(all);
        let commit = |n: usize, sequence| CommitId { instance: all[n], sequence };
        for (n, name) in ["a1b2c3-7", "a1b2c4-7", "ffff-7"].into_iter().enumerate() {
            assert_eq!(instances.short(commit(n, 7)), name);
            assert_eq!(instances.named(name), Named::One(commit(n, 7)));
            let whole = commit(n, 7).to_string();
            assert_eq!(instances.named(&whole), Named::One(commit(n, 7)));
        }
        assert_eq!(instances.named("a1b2-7"), Named::Several(vec![commit(0, 7), commit(1, 7)]));
        assert_eq!(instances.named("abcd-7"), Named::Unknown);
        for other in ["a1b-7", "a1b2c3", "A1B2-7", "a1b2-", "a1b2-+7", "notes/a1b2-7", "t-1"] {
            assert_eq!(instances.named(other), Named::NoName, "{other}");
        }
    }
}
