//! Rescue: a commit writes again the commits of other processes that it builds on and that may be lost without it.
//!
//! Invariant: a commit is rescued whole, with the commits of its kind that it builds on, and no change is written twice by
//! one process. A commit in a place that is certain is not rescued: otherwise it would go from process to process for
//! ever.

use crate::format::id::SegmentId;
use crate::format::key::Key;
use crate::format::record::{BODY_BYTES_MAX, Entry, RecordError, encode_commit};
use crate::palace::error::Result;
use crate::palace::view::tail::{Origin, Tail, TailCommit, entries};
use crate::store::StoreError;
use crate::store::rescan::Catalog;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Returns how far into other processes' segments the changes of these documents reach.
pub fn foreign_places(tail: &Tail, keys: &BTreeSet<Key>) -> HashMap<SegmentId, u64> {
    let mut places = HashMap::new();
    for change in keys.iter().flat_map(|key| tail.changes(key.as_str())) {
        if let Origin::Segment(segment, end) = change.origin {
            let upto = places.entry(segment).or_insert(end);
            *upto = end.max(*upto);
        }
    }
    places
}

/// Returns how much of another process's segment is known to be on disk. A segment that is gone was synced before.
pub fn synced_upto(catalog: &Catalog, segment: SegmentId) -> u64 {
    let readers = catalog.segments().map(|followed| &followed.reader);
    let found = readers.filter(|reader| reader.id() == segment);
    found.map(|reader| reader.foreign_sync().synced_upto()).min().unwrap_or(u64::MAX)
}

/// Returns the bodies of the commits that a commit of these documents must rescue, because nothing may hold them that
/// replaces the segment they were read from: see `Catalog::preserved_upto`.
///
/// # Errors
/// An error of the operating system.
pub fn to_rescue(tail: &Tail, catalog: &Catalog, keys: &BTreeSet<Key>) -> Result<Vec<Bytes>> {
    foreign_commits(tail, keys, |segment| Ok(catalog.preserved_upto(segment)?))
}

/// Returns the bodies of the commits that changed these documents, stand behind what is durable of other processes'
/// segments and nowhere else, and of those like them that they build on. A commit is rescued whole.
///
/// # Errors
/// Those of `sure_upto`.
pub fn foreign_commits<'a>(
    tail: &Tail,
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
        for change in tail.changes(key.as_str()) {
            let Origin::Segment(segment, end) = change.origin else { continue };
            let sure = match asked.get(&segment) {
                Some(sure) => *sure,
                None => *asked.entry(segment).or_insert(sure_upto(segment)?),
            };
            unsure.extend((end > sure).then_some(change.origin));
        }
        for commit in nowhere_else(tail, &key, &unsure) {
            if taken.insert(commit.origin) {
                let keys = entries(&commit.body).map(|entry| entry.key);
                next.extend(keys.filter(|key| seen.insert(key.clone())));
                found.push(commit.body.clone());
            }
        }
    }
    Ok(found)
}

/// Returns those of the commits at these places that hold a change of this document which is in no other place.
fn nowhere_else<'a>(tail: &'a Tail, key: &Key, places: &HashSet<Origin>) -> Vec<&'a TailCommit> {
    if places.is_empty() {
        return Vec::new();
    }
    let changes = tail.changes(key.as_str()).iter();
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        changes.partition(|change| places.contains(&change.origin));
    let elsewhere: HashSet<&Bytes> = elsewhere.iter().map(|change| &change.bytes).collect();
    let here = here.into_iter().filter(|change| !elsewhere.contains(&change.bytes));
    let here: HashSet<Origin> = here.map(|change| change.origin).collect();
    tail.commits().filter(|commit| here.contains(&commit.origin)).collect()
}

fn own_changes<'a>(tail: &'a Tail, key: &Key) -> impl Iterator<Item = &'a Bytes> {
    let changes = tail.changes(key.as_str()).iter();
    changes.filter(|change| matches!(change.origin, Origin::Own(_))).map(|change| &change.bytes)
}

/// Returns what these commits hold and this process has not written yet, each change once. Otherwise what is rescued
/// from process to process would double each time.
pub fn unwritten(tail: &Tail, bodies: &[Bytes]) -> Vec<Vec<Entry<Bytes>>> {
    let mut written: HashSet<(Key, Bytes)> = HashSet::new();
    let keys: BTreeSet<Key> = bodies.iter().flat_map(entries).map(|entry| entry.key).collect();
    for key in keys {
        written.extend(own_changes(tail, &key).map(|change| (key.clone(), change.clone())));
    }
    let mut new = |entry: &Entry<Bytes>| written.insert((entry.key.clone(), entry.change.clone()));
    let commits = bodies.iter().map(|body| entries(body).filter(&mut new).collect());
    commits.filter(|entries: &Vec<_>| !entries.is_empty()).collect()
}

/// Returns the records of a commit and of what it rescues: one, so that a power cut keeps neither or both, unless that
/// would be too large.
///
/// # Errors
/// [`RecordError::TooLarge`].
pub fn records(rescued: Vec<Vec<Entry<Bytes>>>, made: Vec<Entry<Bytes>>) -> Result<Vec<Bytes>> {
    let encoded = |entries: &[Entry<Bytes>]| Bytes::from(encode_commit(entries));
    let own = encoded(&made);
    if own.len() > BODY_BYTES_MAX {
        return Err(StoreError::from(RecordError::TooLarge(own.len())).into());
    }
    if rescued.is_empty() {
        return Ok(if made.is_empty() { Vec::new() } else { vec![own] });
    }
    let together: Vec<_> = rescued.iter().flatten().chain(&made).cloned().collect();
    let together = encoded(&together);
    if together.len() <= BODY_BYTES_MAX {
        return Ok(vec![together]);
    }
    let rescued = rescued.iter().map(|entries| encoded(entries));
    Ok(rescued.chain((!made.is_empty()).then_some(own)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palace::error::Error;
    use crate::segment::SegmentError;

    /// With a change of so many bytes.
    fn entry(bytes: usize) -> Entry<Bytes> {
        Entry { key: Key::new("k").unwrap(), change: vec![0; bytes].into() }
    }

    fn lengths(rescued: &[Entry<Bytes>], made: &[Entry<Bytes>]) -> Vec<usize> {
        let rescued = rescued.iter().map(|entry| vec![entry.clone()]).collect();
        records(rescued, made.to_vec()).unwrap().iter().map(Bytes::len).collect()
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
        assert_eq!(lengths(&[entry(1_000)], &[entry(rest + 1)]), apart, "what is rescued first");
    }

    #[test]
    fn what_makes_nothing_has_no_record() {
        assert_eq!(lengths(&[], &[]), [0; 0]);
        assert_eq!(lengths(&[entry(5)], &[]), [encode_commit(&[entry(5)]).len()]);
    }
}
