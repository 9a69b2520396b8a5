//! What a commit carries along: commits of other processes that it builds on, and that may be lost without it.
//!
//! Invariant: a commit is carried whole, with what of its kind it builds on, and no change is written twice by one
//! process. What is in a place that is certain is not carried: what was carried once would go from process to process
//! for ever.

use super::Result;
use super::state::State;
use super::tail::{Origin, TailCommit, entries};
use crate::format::id::SegmentId;
use crate::format::key::Key;
use crate::format::record::{BODY_BYTES_MAX, Entry, RecordError, encode_commit};
use crate::store::StoreError;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, HashSet};

impl State {
    /// How far into other processes' segments these documents' changes reach.
    pub fn foreign_places(&self, keys: &BTreeSet<Key>) -> HashMap<SegmentId, u64> {
        let mut places = HashMap::new();
        for change in keys.iter().flat_map(|key| self.tail.changes(key.as_str())) {
            if let Origin::Segment(segment, end) = change.origin {
                let upto = places.entry(segment).or_insert(end);
                *upto = end.max(*upto);
            }
        }
        places
    }

    /// How much of another process's segment is known to be on disk. One that is gone was synced before.
    pub fn synced_upto(&self, segment: SegmentId) -> u64 {
        let readers = self.catalog.segments().map(|followed| &followed.reader);
        let found = readers.filter(|reader| reader.id() == segment);
        found.map(|reader| reader.foreign_sync().synced_upto()).min().unwrap_or(u64::MAX)
    }

    /// The bodies of commits that one which builds on these documents must carry along, because they may
    /// be in nothing that replaces the segment they were read from: see `Catalog::preserved_upto`.
    pub fn to_carry<'a>(&'a self, keys: impl IntoIterator<Item = &'a Key>) -> Result<Vec<Bytes>> {
        self.foreign_commits(keys, |segment| Ok(self.catalog.preserved_upto(segment)?))
    }

    /// The bodies of the commits that changed these documents, stand behind what is sure of other processes' segments
    /// and nowhere else, and of those like them that they build on. A commit is whole or not at all, wherever it is
    /// written.
    pub fn foreign_commits<'a>(
        &'a self,
        keys: impl IntoIterator<Item = &'a Key>,
        sure_upto: impl Fn(SegmentId) -> Result<u64>,
    ) -> Result<Vec<Bytes>> {
        let mut asked: HashMap<SegmentId, u64> = HashMap::new();
        let mut next: Vec<Key> = keys.into_iter().cloned().collect();
        let mut seen: HashSet<Key> = next.iter().cloned().collect();
        let mut found: Vec<Bytes> = Vec::new();
        let mut taken = HashSet::new();
        while let Some(key) = next.pop() {
            let mut unsure = HashSet::new();
            for change in self.tail.changes(key.as_str()) {
                let Origin::Segment(segment, end) = change.origin else { continue };
                let sure = match asked.get(&segment) {
                    Some(sure) => *sure,
                    None => *asked.entry(segment).or_insert(sure_upto(segment)?),
                };
                unsure.extend((end > sure).then_some(change.origin));
            }
            for commit in self.nowhere_else(&key, &unsure) {
                if taken.insert(commit.origin) {
                    let keys = entries(&commit.body).map(|entry| entry.key);
                    next.extend(keys.filter(|key| seen.insert(key.clone())));
                    found.push(commit.body.clone());
                }
            }
        }
        Ok(found)
    }

    /// Those of the commits at these places that hold a change of this document which is in no other place.
    fn nowhere_else(&self, key: &Key, places: &HashSet<Origin>) -> Vec<&TailCommit> {
        if places.is_empty() {
            return Vec::new();
        }
        let changes = self.tail.changes(key.as_str()).iter();
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            changes.partition(|change| places.contains(&change.origin));
        let elsewhere: HashSet<&Bytes> = elsewhere.iter().map(|change| &change.bytes).collect();
        let here = here.into_iter().filter(|change| !elsewhere.contains(&change.bytes));
        let here: HashSet<Origin> = here.map(|change| change.origin).collect();
        self.tail.commits().iter().filter(|commit| here.contains(&commit.origin)).collect()
    }

    fn own_changes(&self, key: &Key) -> impl Iterator<Item = &Bytes> {
        let changes = self.tail.changes(key.as_str()).iter();
        changes.filter(|change| matches!(change.origin, Origin::Own(_))).map(|change| &change.bytes)
    }

    /// What these commits hold and this process has not written yet, each change once. What is carried along from
    /// process to process would double each time otherwise.
    pub fn unwritten(&self, bodies: &[Bytes]) -> Vec<Vec<Entry<Bytes>>> {
        let mut written: HashSet<(Key, Bytes)> = HashSet::new();
        let keys: BTreeSet<Key> = bodies.iter().flat_map(entries).map(|entry| entry.key).collect();
        for key in keys {
            written.extend(self.own_changes(&key).map(|change| (key.clone(), change.clone())));
        }
        let mut new =
            |entry: &Entry<Bytes>| written.insert((entry.key.clone(), entry.change.clone()));
        let commits = bodies.iter().map(|body| entries(body).filter(&mut new).collect());
        commits.filter(|entries: &Vec<_>| !entries.is_empty()).collect()
    }
}

/// The records of a commit and of what it carries along: one, so that a power cut keeps neither or both, unless that
/// would be too large.
pub(super) fn records(
    carried: Vec<Vec<Entry<Bytes>>>,
    made: Vec<Entry<Bytes>>,
) -> Result<Vec<Bytes>> {
    let encoded = |entries: &[Entry<Bytes>]| Bytes::from(encode_commit(entries));
    let own = encoded(&made);
    if own.len() > BODY_BYTES_MAX {
        return Err(StoreError::from(RecordError::TooLarge(own.len())).into());
    }
    if carried.is_empty() {
        return Ok(if made.is_empty() { Vec::new() } else { vec![own] });
    }
    let together: Vec<_> = carried.iter().flatten().chain(&made).cloned().collect();
    let together = encoded(&together);
    if together.len() <= BODY_BYTES_MAX {
        return Ok(vec![together]);
    }
    let carried = carried.iter().map(|entries| encoded(entries));
    Ok(carried.chain((!made.is_empty()).then_some(own)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Error;
    use super::*;
    use crate::segment::SegmentError;

    /// With a change of so many bytes.
    fn entry(bytes: usize) -> Entry<Bytes> {
        Entry { key: Key::new("k").unwrap(), change: vec![0; bytes].into() }
    }

    fn lengths(carried: &[Entry<Bytes>], made: &[Entry<Bytes>]) -> Vec<usize> {
        let carried = carried.iter().map(|entry| vec![entry.clone()]).collect();
        records(carried, made.to_vec()).unwrap().iter().map(Bytes::len).collect()
    }

    #[test]
    fn a_record_has_as_many_bytes_as_it_may_and_no_more() {
        let (one, two) =
            (encode_commit(&[entry(0)]).len(), encode_commit(&[entry(0), entry(0)]).len());
        assert_eq!(lengths(&[], &[entry(BODY_BYTES_MAX - one)]), [BODY_BYTES_MAX]);
        let error = records(Vec::new(), vec![entry(BODY_BYTES_MAX - one + 1)]).unwrap_err();
        assert!(matches!(
            error,
            Error::Store(StoreError::Segment(SegmentError::Record(RecordError::TooLarge(bytes))))
                if bytes == BODY_BYTES_MAX + 1
        ));

        let rest = BODY_BYTES_MAX - two - 1_000;
        assert_eq!(lengths(&[entry(1_000)], &[entry(rest)]), [BODY_BYTES_MAX]);
        let apart = [1_000 + one, rest + 1 + one];
        assert_eq!(lengths(&[entry(1_000)], &[entry(rest + 1)]), apart, "what is carried first");
    }

    #[test]
    fn what_makes_nothing_has_no_record() {
        assert_eq!(lengths(&[], &[]), [0; 0]);
        assert_eq!(lengths(&[entry(5)], &[]), [encode_commit(&[entry(5)]).len()]);
    }
}
