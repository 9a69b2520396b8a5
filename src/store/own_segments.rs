//! The segments that this process wrote. The log adds to them; rescans leave them out, since their
//! commits are known already.

use crate::format::id::{InstanceId, SegmentId};
use crate::fs::{File, Stat};
use crate::segment::mark::{Footprint, Mark};
use crate::segment::writer::Writer;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Lock, Locked, Rank};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Weak;

/// One segment of this process, and the commits in it.
#[derive(Clone, Debug)]
pub struct OwnSegment {
    /// The segment.
    pub segment: SegmentId,
    /// The instance that wrote it.
    pub instance: InstanceId,
    /// The commits that count as written to it; `None` before the first.
    pub sequences: Option<RangeInclusive<u64>>,
    /// The file; `None` before it stands in `open/`.
    pub file: Option<OwnFile>,
    /// Its length, once it is sealed.
    pub sealed_bytes: Option<u64>,
}

impl OwnSegment {
    /// Returns true if this commit counts as written to it.
    #[must_use]
    pub fn holds(&self, instance: InstanceId, sequence: u64) -> bool {
        let sequences = self.sequences.as_ref();
        self.instance == instance && sequences.is_some_and(|held| held.contains(&sequence))
    }

    /// Returns what tells later whether it is still there under this path, once it is sealed.
    #[must_use]
    pub fn footprint(&self, path: PathBuf) -> Option<Footprint> {
        let identity = Stat { len: self.sealed_bytes?, ..self.file.as_ref()?.identity };
        Some(Footprint { path, identity, content: None })
    }
}

/// The file of an own segment, by which a later one under its name is told from it.
#[derive(Clone, Debug)]
pub struct OwnFile {
    /// Its identity.
    pub identity: Stat,
    /// The end of the commits that count.
    pub mark: Mark,
    /// The file, as long as it is written.
    pub open: Weak<dyn File>,
}

/// The list of this process's segments.
#[derive(Debug)]
pub struct OwnSegments {
    list: Lock<Vec<OwnSegment>>,
    abandon_count: AtomicU64,
    losses: AtomicU64,
}

impl Default for OwnSegments {
    fn default() -> Self {
        let list = Lock::new(Rank::OwnSegments, Vec::new());
        OwnSegments { list, abandon_count: AtomicU64::new(0), losses: AtomicU64::new(0) }
    }
}

impl OwnSegments {
    /// Locks the list. Each critical section leaves it whole, so the poison of a panic is ignored.
    fn lock(&self) -> Locked<'_, Vec<OwnSegment>> {
        self.list.lock()
    }

    /// Adds a segment that is about to be created.
    pub fn add(&self, segment: SegmentId, instance: InstanceId) {
        self.lock().push(OwnSegment {
            segment,
            instance,
            sequences: None,
            file: None,
            sealed_bytes: None,
        });
    }

    fn change(&self, segment: SegmentId, change: impl FnOnce(&mut OwnSegment)) {
        if let Some(own) = self.lock().iter_mut().find(|own| own.segment == segment) {
            change(own);
        }
    }

    /// Notes that a segment stands in `open/`.
    pub fn named(&self, segment: SegmentId, writer: &Writer) {
        let file =
            OwnFile { identity: writer.identity(), mark: writer.mark(), open: writer.file() };
        self.change(segment, |own| own.file = Some(file));
    }

    /// Notes how far the commits of a segment go that count.
    pub fn reaches(&self, segment: SegmentId, mark: Mark) {
        self.change(segment, |own| own.file.iter_mut().for_each(|file| file.mark = mark));
    }

    /// Notes that a segment was given up because it had lost its name, or what was written to it. The
    /// next rescan finds out why.
    pub fn note_loss(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
        self.ask_for_listing();
    }

    /// Returns how many times that happened.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Makes the next rescan list the directories.
    pub fn ask_for_listing(&self) {
        self.abandon_count.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that a segment was sealed with this length.
    pub fn sealed_at(&self, segment: SegmentId, bytes: u64) {
        self.change(segment, |own| own.sealed_bytes = Some(bytes));
    }

    /// Returns the number and the bytes of segments that are sealed and not compacted yet.
    #[must_use]
    pub fn sealed(&self) -> (usize, u64) {
        let own = self.lock();
        let sealed = own.iter().filter_map(|own| own.sealed_bytes);
        sealed.fold((0, 0), |(n, sum), bytes| (n + 1, sum + bytes))
    }

    /// Notes that these commits count: the segment had its name after they were written to it. They do
    /// not count any more where they were written before, because no compactor may have read them there.
    pub fn wrote(&self, segment: SegmentId, sequences: RangeInclusive<u64>) {
        let mut own = self.lock();
        let written = own.iter().find(|own| own.segment == segment);
        let Some(instance) = written.map(|own| own.instance) else { return };
        // A commit counts in one segment only: the last that it was written to.
        for own in own.iter_mut().filter(|own| own.instance == instance) {
            let before = own.sequences.take();
            own.sequences = match own.segment == segment {
                true => Some(joined(before, &sequences)),
                false => before.and_then(|before| beginning(before, *sequences.start())),
            };
        }
    }

    /// Abandons a segment after a failed write, so that it is read like another process's.
    pub fn abandon(&self, segment: SegmentId) {
        self.keep(|own| own.segment != segment);
    }

    /// Abandons all segments that are not sealed.
    pub fn abandon_unsealed(&self) {
        self.keep(|own| own.sealed_bytes.is_some());
    }

    /// Abandons all segments: they are not in this directory any more.
    pub fn abandon_all(&self) {
        self.keep(|_| false);
    }

    fn keep(&self, wanted: impl Fn(&OwnSegment) -> bool) {
        self.lock().retain(wanted);
        // After the list has changed: a rescan that sees the new count must see the new list.
        self.ask_for_listing();
    }

    /// Returns how many times segments were abandoned, or a listing was asked for. Each time, the next
    /// rescan has to list the directory, though no name changed.
    #[must_use]
    pub fn abandon_count(&self) -> u64 {
        self.abandon_count.load(Ordering::SeqCst)
    }

    /// Returns true if this process wrote it.
    #[must_use]
    pub fn contains(&self, segment: SegmentId) -> bool {
        self.lock().iter().any(|own| own.segment == segment)
    }

    /// Returns the segments that stand, or stood, in `open/`.
    #[must_use]
    pub fn all_named(&self) -> Vec<OwnSegment> {
        self.lock().iter().filter(|own| own.file.is_some()).cloned().collect()
    }

    /// Returns the segment in which this commit counts as written.
    #[must_use]
    pub fn with(&self, instance: InstanceId, sequence: u64) -> Option<OwnSegment> {
        self.lock().iter().find(|own| own.holds(instance, sequence)).cloned()
    }

    /// Returns the segments that are sealed and not compacted yet.
    #[must_use]
    pub fn all_sealed(&self) -> Vec<OwnSegment> {
        self.lock().iter().filter(|own| own.sealed_bytes.is_some()).cloned().collect()
    }

    /// Removes the segments that were compacted, and returns them.
    pub fn take_folded(&self, folded: &HashSet<SegmentId>) -> Vec<OwnSegment> {
        self.lock().extract_if(.., |own| folded.contains(&own.segment)).collect()
    }
}

fn joined(before: Option<RangeInclusive<u64>>, more: &RangeInclusive<u64>) -> RangeInclusive<u64> {
    let before = before.unwrap_or_else(|| more.clone());
    *before.start().min(more.start())..=*before.end().max(more.end())
}

/// Returns the part of these numbers that is below `end`.
fn beginning(numbers: RangeInclusive<u64>, end: u64) -> Option<RangeInclusive<u64>> {
    let last = end.checked_sub(1)?.min(*numbers.end());
    (*numbers.start() <= last).then(|| *numbers.start()..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: InstanceId = InstanceId([1; 16]);
    const A: SegmentId = SegmentId([2; 16]);
    const B: SegmentId = SegmentId([3; 16]);
    const C: SegmentId = SegmentId([4; 16]);

    fn three() -> OwnSegments {
        let own = OwnSegments::default();
        [A, B, C].into_iter().for_each(|segment| own.add(segment, INSTANCE));
        own
    }

    #[test]
    fn a_segment_is_named_written_sealed_and_folded() {
        let own = three();
        assert!(own.contains(A) && own.all_named().is_empty());
        own.wrote(A, 4..=6);
        own.wrote(A, 2..=3);
        own.wrote(A, 7..=7);
        assert_eq!(own.sealed(), (0, 0));
        own.sealed_at(A, 10);
        own.sealed_at(B, 5);
        assert_eq!(own.sealed(), (2, 15));
        let folded = own.take_folded(&HashSet::from([A, SegmentId([9; 16])]));
        let [OwnSegment { segment: A, instance: INSTANCE, sequences, .. }] = &folded[..] else {
            panic!("{folded:?}")
        };
        assert_eq!(*sequences, Some(2..=7));
        assert!(!own.contains(A) && own.contains(B) && own.sealed() == (1, 5));
        assert_eq!(own.abandon_count(), 0);
    }

    /// The segment that they were in first may be compacted without them, if its pages were lost.
    #[test]
    fn rewritten_commits_count_in_their_last_segment() {
        let own = three();
        let other = SegmentId([5; 16]);
        own.add(other, InstanceId([9; 16]));
        own.wrote(A, 1..=5);
        own.wrote(other, 1..=9);
        own.wrote(B, 4..=6);
        own.wrote(B, 7..=7);
        own.wrote(C, 4..=8);
        let folded = own.take_folded(&HashSet::from([A, B, C, other]));
        let numbers: Vec<_> = folded.iter().map(|own| own.sequences.clone()).collect();
        assert_eq!(numbers, [Some(1..=3), None, Some(4..=8), Some(1..=9)]);
    }

    #[test]
    fn abandoning_segments_is_counted() {
        let own = three();
        own.sealed_at(A, 10);
        own.abandon(C);
        assert_eq!((own.contains(C), own.contains(B), own.abandon_count()), (false, true, 1));
        own.abandon_unsealed();
        assert_eq!((own.contains(A), own.contains(B), own.abandon_count()), (true, false, 2));
        own.abandon_all();
        assert_eq!((own.contains(A), own.abandon_count()), (false, 3));
    }
}
