//! Merges texts that were written at once.
//!
//! Each text is compared with the version that all of them were made from. Edits of different units are all taken. Where
//! units were edited differently, or edited by one and deleted by another, one reading is shown and the others are kept
//! beside it. What several writers inserted at one place is all kept, in the order of the texts, and what they have in
//! common once. The places that a text has open stay open, unless the writer of another one has seen all of their
//! readings and has closed them.
//!
//! A text may be a merge in its turn. Then it is known of its units which change wrote them.
//!
//! Invariant: a pure function of the texts and their order. A unit of the result stands in one of them.

use super::open_places::{AnnotatedText, OpenPlace, line_break, recut};
use super::text_units::{Cutter, Unit, UnitSize, edits, join, union};
use super::text_version::{Position, Version, Written};
use crate::format::hash::ChangeHash;
use std::collections::HashMap;
use std::ops::Range;

/// The most units of all texts together. Beyond, the texts are in conflict as wholes.
const UNITS_MAX: usize = 20_000;

/// One of several texts that were written at once.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub text: &'a str,
    /// The change that wrote it. Of a merge, the changes that wrote its texts, in the order of their operations.
    pub changes: &'a [ChangeHash],
    /// Which change wrote which units of a merge.
    pub written: &'a [Written],
    /// Its open places, in their order.
    pub open: &'a [OpenPlace],
}

/// Texts that became one, which is to be merged with others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MergedText {
    pub shown: AnnotatedText,
    /// Which change wrote which units, in their order. What all texts have in common is left out.
    pub written: Vec<Written>,
}

/// Tells whether one change builds on another.
pub(super) type Seen<'s> = &'s dyn Fn(&ChangeHash, &ChangeHash) -> bool;

/// Merges texts that were made from a common one, given in the order of their operations. Returns `None` if they have too
/// many units.
pub(super) fn merge(
    size: UnitSize,
    common: &str,
    texts: &[Source<'_>],
    seen: Seen<'_>,
) -> Option<AnnotatedText> {
    let merge = TextMerge::new(size, common, texts, seen)?;
    let Joined { units, open, .. } = Joined::of(&merge);
    Some(AnnotatedText::of_units(size, &units, open))
}

/// Merges texts like [`merge`], and keeps who wrote what: the merge is to be merged with further texts.
pub(super) fn merge_further(
    size: UnitSize,
    common: &str,
    texts: &[Source<'_>],
    seen: Seen<'_>,
) -> Option<MergedText> {
    let merge = TextMerge::new(size, common, texts, seen)?;
    let Joined { units, open, mut written, .. } = Joined::of(&merge);
    let shown = AnnotatedText::of_units(size, &units, open);
    recut(size, &units, &shown.text, written.iter_mut().map(|written| &mut written.units));
    Some(MergedText { shown, written })
}

/// Texts, cut and compared with the common one.
struct TextMerge<'a, 's> {
    size: UnitSize,
    common: Vec<Unit<'a>>,
    versions: Vec<Version<'a>>,
    seen: Seen<'s>,
}

impl<'a, 's> TextMerge<'a, 's> {
    fn new(size: UnitSize, common: &'a str, texts: &[Source<'a>], seen: Seen<'s>) -> Option<Self> {
        let mut cutter = Cutter::new(size);
        let common = cutter.cut(common);
        let cut: Vec<_> = texts.iter().map(|text| cutter.cut(text.text)).collect();
        if common.len() + cut.iter().map(Vec::len).sum::<usize>() > UNITS_MAX {
            return None;
        }
        let version = |(units, text): (Vec<Unit<'a>>, &Source<'a>)| {
            let edits = edits(&common, &units);
            Version::new(units, edits, text.open, text.changes, text.written)
        };
        let versions: Vec<_> = cut.into_iter().zip(texts).map(version).collect();
        let mut merge = TextMerge { size, common, versions, seen };
        merge.close();
        Some(merge)
    }

    /// Closes the places that another writer has closed: one who has seen all readings of a place, and has it open no longer.
    fn close(&mut self) {
        let has_seen = |version: &Version<'a>, place: &OpenPlace| {
            let mut writers = version.changes.iter();
            writers.any(|writer| place.changes().all(|change| (self.seen)(writer, change)))
        };
        let is_closed = |n: usize, own: &Version<'a>, position: &Position, place: &OpenPlace| {
            let others = self.versions.iter().enumerate().filter(|(other, _)| *other != n);
            let mut closing = others.filter(|(_, version)| has_seen(version, place));
            closing.any(|(_, version)| {
                !version.lists(position, place, own)
                    && !version.has_all_readings(self.size, place, own)
            })
        };
        let of = |(n, version): (usize, &Version<'a>)| -> Vec<bool> {
            version
                .open
                .iter()
                .map(|(position, place)| is_closed(n, version, position, place))
                .collect()
        };
        let closed: Vec<_> = self.versions.iter().enumerate().map(of).collect();
        for (version, closed) in self.versions.iter_mut().zip(closed) {
            version.close(closed);
        }
    }

    /// Returns the units of the common text that are replaced or open, in runs as wide as these overlap.
    fn places(&self) -> Vec<Range<usize>> {
        let of = |version: &Version<'a>| -> Vec<Range<usize>> {
            let edits = version.all_edits.iter().map(|edit| edit.old.clone());
            let open = version.open.iter().filter_map(|(position, _)| match position {
                Position::Common(range) => Some(range.clone()),
                Position::Between(_) => None,
            });
            edits.chain(open).filter(|range| !range.is_empty()).collect()
        };
        let mut ranges: Vec<Range<usize>> = self.versions.iter().flat_map(of).collect();
        ranges.sort_by_key(|range| (range.start, range.end));
        let mut places: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match places.last_mut().filter(|last| range.start < last.end) {
                Some(last) => last.end = last.end.max(range.end),
                None => places.push(range),
            }
        }
        places
    }

    /// Returns for each text the units that it has moved and another one has taken out. Two readers may have been shown
    /// added lines in two orders, so that one of their texts has moved them.
    fn taken_out(&self) -> Vec<HashMap<Unit<'a>, usize>> {
        let mut all: Vec<_> =
            self.versions.iter().map(|version| version.moved(&self.common)).collect();
        // Few texts move anything, and the units of all are counted for it.
        if all.iter().all(HashMap::is_empty) {
            return all;
        }
        let missing: Vec<_> =
            self.versions.iter().map(|version| missing(&self.common, &version.units)).collect();
        for (n, moved) in all.iter_mut().enumerate() {
            moved.retain(|unit, count| {
                let of = |units: &HashMap<Unit<'a>, usize>| units.get(unit).copied().unwrap_or(0);
                let others = missing.iter().enumerate().filter(|(other, _)| *other != n);
                let taken_out = others.map(|(_, units)| of(units)).max().unwrap_or(0);
                // It may have taken out some of several equal ones itself.
                let own = missing.get(n).map_or(0, of);
                *count = (*count).min(taken_out.saturating_sub(own));
                *count > 0
            });
        }
        all
    }

    /// Returns true if another text changed what the common one has at a place, and does not have that open there as a
    /// reading: its writer has gone on from it.
    fn is_replaced(&self, by: usize, place: &Range<usize>, common: &str, changed: &[bool]) -> bool {
        let others = self.versions.iter().enumerate();
        let mut others = others.filter(|(n, _)| *n != by && changed.get(*n) == Some(&true));
        others.any(|(_, version)| {
            let mut open = version.readings_in(self.size, place);
            !open.any(|reading| reading.text == common)
        })
    }
}

/// The units of the merged text, its open places, and who wrote what.
#[derive(Default)]
struct Joined<'a> {
    units: Vec<Unit<'a>>,
    open: Vec<OpenPlace>,
    written: Vec<Written>,
    /// For each text, the units still to be met that it has moved and another one has taken out.
    taken_out: Vec<HashMap<Unit<'a>, usize>>,
}

impl<'a> Joined<'a> {
    fn of(merge: &TextMerge<'a, '_>) -> Self {
        let mut joined = Joined { taken_out: merge.taken_out(), ..Joined::default() };
        let mut at = 0;
        for place in merge.places() {
            joined.keep(merge, at..place.start);
            at = place.end;
            joined.replace(merge, &place);
        }
        joined.keep(merge, at..merge.common.len());
        joined.insert(merge, merge.common.len());
        joined
    }

    /// Takes units that nobody replaced, each after what was inserted before it.
    fn keep(&mut self, merge: &TextMerge<'a, '_>, range: Range<usize>) {
        for at in range {
            self.insert(merge, at);
            self.units.extend(merge.common.get(at));
        }
    }

    /// Takes what was inserted at one place: all of it but what was moved there and taken out by another. Units that
    /// several texts have there in one order are taken once: a writer may have gone on from the other's text.
    fn insert(&mut self, merge: &TextMerge<'a, '_>, at: usize) {
        let mut all = Vec::new();
        // For each text that inserts, its units and where they stand in `all`.
        let mut numbers: Vec<(usize, Vec<usize>, Vec<usize>)> = Vec::new();
        for (n, version) in merge.versions.iter().enumerate() {
            let Some(mut inserted) = version.insertion_at(at).map(Vec::from_iter) else { continue };
            // An open place is found by its number among the units.
            if version.open_between(at).next().is_none() {
                inserted.retain(|unit| !self.is_taken_out(n, version, *unit));
            }
            let units = inserted.iter().filter_map(|unit| version.units.get(*unit)).copied();
            let union = union(&all, &Vec::from_iter(units));
            for number in numbers.iter_mut().flat_map(|(_, _, numbers)| numbers) {
                *number = union.first.get(*number).copied().unwrap_or(*number);
            }
            numbers.push((n, inserted, union.second));
            all = union.units;
        }
        let start = self.units.len();
        self.units.extend(all);
        self.written.extend(writers_of(merge, start, &numbers));
        for (n, version) in merge.versions.iter().enumerate() {
            let numbers = numbers.iter().find(|(number, ..)| *number == n).map(|(.., all)| &**all);
            for (_, place) in version.open_between(at) {
                let units = version.inserted_units(at, &place.units, numbers.unwrap_or_default());
                let units = units.map_or(self.units.len()..self.units.len(), |units| {
                    start + units.start..start + units.end
                });
                self.open.push(OpenPlace { units, ..OpenPlace::clone(place) });
            }
        }
    }

    /// Returns true if a text has moved a unit that another one has taken out. Counts it.
    fn is_taken_out(&mut self, n: usize, version: &Version<'a>, unit: usize) -> bool {
        let unit = version.units.get(unit);
        let left = self.taken_out.get_mut(n).and_then(|units| units.get_mut(unit?));
        match left {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn replace(&mut self, merge: &TextMerge<'a, '_>, place: &Range<usize>) {
        self.insert(merge, place.start);
        let changed: Vec<bool> =
            merge.versions.iter().map(|version| version.has_edit(place)).collect();
        // The last operation is shown, as Automerge does for values of any kind.
        let shown = changed.iter().rposition(|changed| *changed);
        let shown = shown.and_then(|shown| merge.versions.get(shown));
        let common = merge.common.get(place.clone()).unwrap_or_default();
        let content = shown.map_or(common, |version| version.units_in(place));
        let start = self.units.len();
        self.units.extend_from_slice(content);
        if let Some(version) = shown {
            self.written.extend(version.written_in(place, start));
        }
        let writer = match shown {
            Some(version) => version.writer_in(place),
            None => {
                let mut open = merge.versions.iter().rev().flat_map(|one| one.open_in(place));
                open.next().map(|(_, open)| open.shown)
            }
        };
        let Some(shown) = writer else { return };
        let units = start..self.units.len();
        let mut open = OpenPlace { units, shown, separator: line_break(), others: Vec::new() };
        add_readings(merge, place, &changed, &join(content), &mut open);
        if content.is_empty() {
            open.separator = separator(merge, place);
        }
        self.open.extend((!open.others.is_empty()).then_some(open));
    }
}

/// Returns who wrote the units that are inserted at a position. `numbers` has for each text its units and where they stand
/// among all, from `start` on. What several texts insert is the first one's.
fn writers_of(
    merge: &TextMerge<'_, '_>,
    start: usize,
    numbers: &[(usize, Vec<usize>, Vec<usize>)],
) -> Vec<Written> {
    let mut writers: Vec<Written> = Vec::new();
    for (n, inserted, numbers) in numbers {
        let Some(version) = merge.versions.get(*n) else { continue };
        for (unit, number) in inserted.iter().zip(numbers) {
            let units = start + number..start + number + 1;
            let writer = version.writer_of(&(*unit..unit + 1));
            writers.extend(writer.map(|change| Written { units, change }));
        }
    }
    // A sort that keeps the order of equal ones.
    writers.sort_by_key(|written| written.units.start);
    writers.dedup_by_key(|written| written.units.start);
    writers
}

/// Returns the units that are in `before` more often than in `after`, and by how much.
fn missing<'a>(before: &[Unit<'a>], after: &[Unit<'a>]) -> HashMap<Unit<'a>, usize> {
    let mut more: HashMap<Unit<'a>, usize> = HashMap::new();
    for unit in before {
        *more.entry(*unit).or_default() += 1;
    }
    for unit in after {
        if let Some(count) = more.get_mut(unit) {
            *count = count.saturating_sub(1);
        }
    }
    more.retain(|_, count| *count > 0);
    more
}

/// Adds what each text has at a place, the last text first, and what it has open there.
fn add_readings(
    merge: &TextMerge<'_, '_>,
    place: &Range<usize>,
    changed: &[bool],
    shown: &str,
    open: &mut OpenPlace,
) {
    let common = merge.common.get(place.clone()).unwrap_or_default();
    let common_text = join(common);
    for (n, version) in merge.versions.iter().enumerate().rev() {
        if changed.get(n) == Some(&true) && join(version.units_in(place)) != shown {
            let readings = version.readings_of_writers(place, common);
            readings.into_iter().for_each(|reading| open.add(reading, shown));
        }
        for reading in version.readings_in(merge.size, place) {
            if reading.text != common_text || !merge.is_replaced(n, place, &common_text, changed) {
                open.add(reading, shown);
            }
        }
    }
}

/// Returns what separates the readings at a place, where none is shown, from the unit before.
fn separator(merge: &TextMerge<'_, '_>, place: &Range<usize>) -> String {
    let versions = || merge.versions.iter().rev();
    let first = versions().find_map(|version| version.units_in(place).first());
    let known = || versions().find_map(|version| version.open_in(place).next());
    match first {
        Some(first) => first.separator.to_owned(),
        None => known().map_or_else(line_break, |(_, known)| known.separator.clone()),
    }
}

#[cfg(test)]
#[path = "text_merge_tests.rs"]
mod tests;
