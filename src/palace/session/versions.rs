//! The versions of one document that a client has seen.
//!
//! Invariants: a version that was read whole is a base for as many writes as it was read. The client's last write is a
//! base until its next one. The newest version of which anything was shown is kept, and is never dropped for another.

use super::own_values::OwnValues;
use super::told_numbers::ToldNumbers;
use crate::format::hash::Heads;
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::sync::Arc;

/// Most versions that a session keeps of one document.
pub const VERSIONS_MAX: usize = 4;
/// Most versions of one document that are kept because their author has not read them whole.
const UNREAD_MAX: usize = 8;
/// Most bytes of a value that is kept with its version.
const VALUE_BYTES_MAX: usize = 32 << 10;
/// Most separate parts of one version that are noted. A client that reads on from the start has one.
const PARTS_MAX: usize = 64;
/// Bytes of one version beside its heads.
const OVERHEAD: usize = 96;

/// One version that a client has seen.
#[derive(Clone, Debug, Default)]
struct Version {
    heads: Heads,
    /// Number of writes that may still be made from it, because it was read whole.
    uses: u32,
    /// True if it is the client's last write.
    own: bool,
    /// True if it was shown in the answer to a write only. That answer may have been lost.
    answered: bool,
    /// The parts that were shown, ordered and apart, if there are some.
    parts: Vec<Range<usize>>,
    /// Higher than that of every version that was shown before.
    shown: u64,
    /// Its value, if it was compared with a write and is short. To make it again may take long.
    value: Option<Arc<Map<String, Value>>>,
    value_bytes: usize,
}

impl Version {
    /// Adds a read of the whole value.
    fn add_read(&mut self) {
        self.uses = self.uses.saturating_add(1);
        self.parts = Vec::new();
    }

    /// Adds a part, which may be the last one that was missing.
    fn add_part(&mut self, part: Range<usize>, total: usize) {
        self.parts = joined(std::mem::take(&mut self.parts), part);
        if self.parts.first().is_some_and(|first| first.start == 0 && first.end >= total) {
            self.add_read();
            self.answered = false;
        }
    }
}

/// A version that a write may be made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The version.
    pub heads: Heads,
    /// True if it is the client's own last write.
    pub own: bool,
    /// True if it was shown in the answer to a write only. That answer may have been lost.
    pub answered: bool,
    /// Its value, if that is kept.
    pub value: Option<Arc<Map<String, Value>>>,
}

/// The versions of one document that a client has seen, the first seen first.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    list: Vec<Version>,
    /// The last versions that the client made on something that it had not read whole.
    unread: Vec<Heads>,
    shown: u64,
    told: ToldNumbers,
    own_values: OwnValues,
}

impl Versions {
    /// Notes that the whole value of a version was shown.
    pub fn saw_whole(&mut self, heads: &Heads) {
        self.show(heads, |version| {
            version.add_read();
            version.answered = false;
        });
    }

    /// Notes that the answer to a write showed the whole value of a version.
    pub fn saw_in_answer(&mut self, heads: &Heads) {
        self.show(heads, |version| {
            version.answered |= version.uses == 0;
            version.add_read();
        });
    }

    /// Notes that a part of the value of a version was shown. Once the parts cover all of it, it was read whole.
    pub fn saw_part(&mut self, heads: &Heads, part: Range<usize>, total: usize) {
        self.show(heads, |version| version.add_part(part, total));
    }

    /// Notes a part of a version of which a part was shown before, while it was the present one; otherwise nothing.
    pub fn saw_further_part(&mut self, heads: &Heads, part: Range<usize>, total: usize) {
        let begun = |version: &&mut Version| version.heads == *heads && !version.parts.is_empty();
        // It is not shown as the newest one, so its place among the others stays.
        if let Some(version) = self.list.iter_mut().find(begun) {
            version.add_part(part, total);
            self.trim();
        }
    }

    /// Notes that anything of a version was shown.
    pub fn saw_some(&mut self, heads: &Heads) {
        self.show(heads, |_| {});
    }

    /// Notes a write: the version that it was made from, and the one that it made. That one is a base for the next
    /// write if the client knows its whole value.
    pub fn wrote(&mut self, from: &Heads, made: &Heads, knows_whole: bool) {
        if let Some(version) = self.list.iter_mut().find(|version| version.heads == *from) {
            version.uses = version.uses.saturating_sub(1);
        }
        if knows_whole {
            self.list.iter_mut().for_each(|version| version.own = false);
        } else if !self.is_known_whole(made) {
            self.unread.retain(|version| version != made);
            self.unread.push(made.clone());
            self.unread.drain(..self.unread.len().saturating_sub(UNREAD_MAX));
        }
        self.show(made, |version| version.own |= knows_whole);
    }

    /// Notes the values that a write gave to the fields that it named, of a document of which the client does not know the
    /// rest.
    pub fn wrote_values(&mut self, fields: &Map<String, Value>) {
        self.own_values.wrote(fields);
    }

    /// Notes a patch: the version that it was made from, the one that it made, and the one that also has what the client
    /// came to know last. Whether the client goes on from that or from one of the others is not known, so its next write
    /// may be made from each.
    pub fn patched_beside(&mut self, from: &Heads, made: &Heads, joined: &Heads) {
        if let Some(version) = self.list.iter_mut().find(|version| version.heads == *from) {
            version.uses = version.uses.saturating_sub(1);
        }
        for version in self.list.iter_mut().filter(|version| version.own) {
            version.own = false;
            version.uses = version.uses.saturating_add(1);
        }
        self.show(made, |version| version.uses = version.uses.saturating_add(1));
        self.show(joined, |version| version.own = true);
    }

    /// Notes that the client deleted the document. What it read before is no base any more.
    pub fn deleted(&mut self, made: &Heads) {
        self.list.iter_mut().for_each(|version| (version.uses, version.own) = (0, false));
        self.show(made, |version| version.own = true);
    }

    /// Notes the number that the answer to an increment told, and the version that the increment made.
    pub fn told_number(&mut self, path: &str, value: i64, made: &Heads) {
        self.told.tell(path, value, made);
        self.own_values.wrote_at(path, &value.into());
    }

    /// Returns the values that the client wrote without knowing the rest of the document.
    pub fn own_values(&self) -> &OwnValues {
        &self.own_values
    }

    /// Returns true if the client knows the whole value of a version.
    pub fn is_known_whole(&self, heads: &Heads) -> bool {
        self.candidates().any(|known| known.heads == *heads)
    }

    /// Returns true if the client made this version on something that it has not read whole, and was not shown all of it
    /// since.
    pub fn is_unread(&self, heads: &Heads) -> bool {
        self.unread.contains(heads)
    }

    /// Returns the numbers that answers to increments told.
    pub fn told_numbers(self) -> ToldNumbers {
        self.told
    }

    /// Lists the versions that a write may be made from, the first seen first.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let open = self.list.iter().filter(|version| version.own || version.uses > 0);
        open.map(|version| {
            let Version { heads, own, answered, value, .. } = version.clone();
            Candidate { heads, own, answered, value }
        })
    }

    /// Keeps the value of a version that a write was compared with, for the next write.
    pub fn keep_value(&mut self, heads: &Heads, value: &Arc<Map<String, Value>>) {
        let bytes = json!(**value).to_string().len();
        if bytes > VALUE_BYTES_MAX {
            return;
        }
        for version in self.list.iter_mut().filter(|version| version.heads == *heads) {
            (version.value, version.value_bytes) = (Some(value.clone()), bytes);
        }
    }

    /// Returns the newest version of which anything was shown.
    pub fn newest(&self) -> Option<&Heads> {
        self.list.iter().max_by_key(|version| version.shown).map(|version| &version.heads)
    }

    /// Returns the bytes that they take.
    pub fn bytes(&self) -> usize {
        let bytes = |version: &Version| {
            let parts = version.parts.capacity() * size_of::<Range<usize>>();
            OVERHEAD + 32 * version.heads.hashes().len() + parts + version.value_bytes
        };
        let unread: usize =
            self.unread.iter().map(|heads| OVERHEAD + 32 * heads.hashes().len()).sum();
        let versions = self.list.iter().map(bytes).sum::<usize>();
        versions + unread + self.told.bytes() + self.own_values.bytes()
    }

    /// Changes a version, after noting that something of it was shown.
    fn show(&mut self, heads: &Heads, change: impl FnOnce(&mut Version)) {
        self.shown += 1;
        if !self.list.iter().any(|version| version.heads == *heads) {
            self.list.push(Version { heads: heads.clone(), ..Version::default() });
        }
        if let Some(version) = self.list.iter_mut().find(|version| version.heads == *heads) {
            version.shown = self.shown;
            change(version);
        }
        self.trim();
    }

    /// Drops versions that are of no use any more, those that are read by now among the unread ones, and then the oldest until there are no more than may be.
    fn trim(&mut self) {
        let read = self.list.iter().filter(|version| version.own || version.uses > 0);
        let read: Vec<_> = read.map(|version| &version.heads).collect();
        self.unread.retain(|version| !read.contains(&version));
        let newest = self.shown;
        let is_newest = |version: &Version| version.shown == newest;
        let useful = |v: &Version| v.own || v.uses > 0 || !v.parts.is_empty() || is_newest(v);
        self.list.retain(useful);
        while self.list.len() > VERSIONS_MAX {
            let other = self.list.iter().position(|version| !version.own && !is_newest(version));
            self.list.remove(other.unwrap_or(0));
        }
    }
}

/// Adds a part to parts that are ordered and apart, and joins those that touch.
fn joined(mut parts: Vec<Range<usize>>, part: Range<usize>) -> Vec<Range<usize>> {
    parts.push(part);
    parts.sort_unstable_by_key(|part| part.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => joined.push(part),
        }
    }
    joined.truncate(PARTS_MAX);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::hash::ChangeHash;

    fn heads(n: u8) -> Heads {
        Heads::new(vec![ChangeHash([n; 32])])
    }

    fn candidates(versions: &Versions) -> Vec<(u8, bool)> {
        let first = |candidate: Candidate| (candidate.heads.hashes()[0].0[0], candidate.own);
        versions.candidates().map(first).collect()
    }

    #[test]
    fn version_read_twice_is_a_base_for_two_writes() {
        let mut versions = Versions::default();
        versions.saw_whole(&heads(1));
        versions.saw_whole(&heads(1));
        versions.wrote(&heads(1), &heads(2), true);
        assert_eq!(candidates(&versions), [(1, false), (2, true)]);
        versions.wrote(&heads(1), &heads(3), true);
        assert_eq!(candidates(&versions), [(3, true)], "only the last write");
        versions.wrote(&heads(3), &heads(4), true);
        assert_eq!(candidates(&versions), [(4, true)]);
        versions.saw_whole(&heads(4));
        versions.deleted(&heads(5));
        assert_eq!(candidates(&versions), [(5, true)]);
    }

    #[test]
    fn showing_some_of_a_version_makes_no_base() {
        let mut versions = Versions::default();
        versions.saw_some(&heads(1));
        assert_eq!((candidates(&versions), versions.newest()), (vec![], Some(&heads(1))));
        versions.saw_whole(&heads(2));
        versions.saw_some(&heads(3));
        assert_eq!((candidates(&versions), versions.newest()), (vec![(2, false)], Some(&heads(3))));
        assert_eq!(versions.list.len(), 2, "the first is of no use any more");
        versions.wrote(&heads(3), &heads(4), false);
        assert_eq!((candidates(&versions), versions.newest()), (vec![(2, false)], Some(&heads(4))));
    }

    #[test]
    fn parts_that_cover_a_version_make_it_read_whole() {
        let mut versions = Versions::default();
        versions.saw_further_part(&heads(1), 0..10, 10);
        assert!(candidates(&versions).is_empty(), "it was never the present version");
        versions.saw_part(&heads(1), 5..8, 10);
        versions.saw_further_part(&heads(1), 0..4, 10);
        versions.saw_some(&heads(2));
        versions.saw_further_part(&heads(1), 8..10, 10);
        assert!(candidates(&versions).is_empty(), "a part is missing");
        assert_eq!(versions.newest(), Some(&heads(2)), "an older version is not the newest shown");
        versions.saw_further_part(&heads(1), 4..5, 10);
        assert_eq!(candidates(&versions), [(1, false)]);
        versions.saw_part(&heads(3), 0..0, 0);
        assert_eq!(candidates(&versions), [(1, false), (3, false)], "nothing is all of nothing");
    }

    #[test]
    fn version_that_is_read_after_an_answer_is_not_of_the_answer_alone() {
        for read_in_parts in [false, true] {
            let mut versions = Versions::default();
            versions.saw_in_answer(&heads(1));
            assert!(versions.candidates().all(|candidate| candidate.answered));
            match read_in_parts {
                true => versions.saw_part(&heads(1), 0..10, 10),
                false => versions.saw_whole(&heads(1)),
            }
            assert!(versions.candidates().all(|candidate| !candidate.answered), "{read_in_parts}");
        }
    }

    #[test]
    fn short_values_are_kept_with_their_versions_and_counted() {
        let mut versions = Versions::default();
        versions.saw_whole(&heads(1));
        let bytes = versions.bytes();
        let value = |length: usize| {
            let value = json!({"t": "x".repeat(length)});
            Arc::new(value.as_object().unwrap().clone())
        };
        versions.keep_value(&heads(1), &value(VALUE_BYTES_MAX));
        versions.keep_value(&heads(2), &value(1));
        assert!(versions.candidates().all(|one| one.value.is_none()), "too long, or no version");
        versions.keep_value(&heads(1), &value(10));
        assert!(versions.candidates().all(|one| one.value == Some(value(10))));
        assert_eq!(versions.bytes(), bytes + r#"{"t":"xxxxxxxxxx"}"#.len());
    }

    #[test]
    fn version_made_on_something_unread_is_unread_until_it_is_shown() {
        let mut versions = Versions::default();
        versions.wrote(&heads(1), &heads(2), false);
        versions.saw_some(&heads(3));
        assert!(versions.is_unread(&heads(2)) && !versions.is_unread(&heads(3)));
        versions.saw_in_answer(&heads(2));
        assert!(!versions.is_unread(&heads(2)));
        (10..19).for_each(|n| versions.wrote(&heads(n - 1), &heads(n), false));
        assert!(!versions.is_unread(&heads(10)), "only the last ones are kept");
        assert!(versions.is_unread(&heads(11)) && versions.is_unread(&heads(18)));
    }

    #[test]
    fn versions_are_few_and_the_last_write_stays() {
        let mut versions = Versions::default();
        versions.saw_whole(&heads(1));
        versions.wrote(&heads(1), &heads(2), true);
        (3..9).for_each(|n| versions.saw_whole(&heads(n)));
        let kept = [(2, true), (6, false), (7, false), (8, false)];
        assert_eq!(candidates(&versions), kept);
        versions.saw_some(&heads(9));
        assert_eq!(candidates(&versions), [kept[0], kept[2], kept[3]]);
        assert_eq!(versions.bytes(), 4 * (OVERHEAD + 32));
    }
}
