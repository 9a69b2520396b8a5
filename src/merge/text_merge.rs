//! Merges texts that were written at once.
//!
//! Each text is compared with the version that all of them were made from. Edits of different units are all taken. Where
//! units were edited differently, or edited by one and deleted by another, one reading is shown and the others are kept
//! beside it. What several writers inserted at one place is all kept, in the order of the texts, and what they have in
//! common once. The places that a text has open stay open, unless the writer of another one has seen all of their
//! readings and has closed them.
//!
//! Two of several texts may have been made from a newer text than all of them. A part of that text may stand in one of the
//! two, while the other has changed it. Then it is no reading of the first: its writer was only shown it.
//!
//! Invariant: a pure function of the texts and their order. A unit of the result stands in one of them.

use super::open_places::{AnnotatedText, OpenPlace, Reading, line_break};
use super::text_units::{Cutter, Unit, UnitSize, edits, join, union};
use super::text_version::{Position, Version, is_in};
use crate::format::hash::ChangeHash;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// The most units of all texts together. Beyond, the texts are in conflict as wholes.
const UNITS_MAX: usize = 20_000;

/// One of several texts that were written at once.
pub(super) struct Source<'a> {
    pub text: &'a str,
    /// Change that wrote it.
    pub change: ChangeHash,
    /// Its open places, in their order.
    pub open: &'a [OpenPlace],
}

/// The text that two of several texts were made from, where it is newer than the common one of all.
pub(super) struct PairText {
    /// Numbers of the two.
    pub of: [usize; 2],
    pub text: String,
}

/// Tells whether the change that wrote a text, given by its number, builds on another change.
pub(super) type Seen<'s> = &'s dyn Fn(usize, &ChangeHash) -> bool;

/// Merges texts that were made from a common one, given in the order of their operations. Returns `None` if they have too
/// many units.
pub(super) fn merge(
    size: UnitSize,
    common: &str,
    texts: &[Source<'_>],
    pairs: &[PairText],
    seen: Seen<'_>,
) -> Option<AnnotatedText> {
    let merge = TextMerge::new(size, common, texts, pairs, seen)?;
    let Joined { units, open } = Joined::of(&merge);
    Some(AnnotatedText::of_units(size, &units, open))
}

/// Texts, cut and compared with the common one.
struct TextMerge<'a, 's> {
    size: UnitSize,
    common: Vec<Unit<'a>>,
    versions: Vec<Version<'a>>,
    /// For two of these, the one that both were made from.
    pairs: Vec<([usize; 2], Version<'a>)>,
    seen: Seen<'s>,
}

impl<'a, 's> TextMerge<'a, 's> {
    fn new(
        size: UnitSize,
        common: &'a str,
        texts: &'a [Source<'a>],
        pairs: &'a [PairText],
        seen: Seen<'s>,
    ) -> Option<Self> {
        let mut cutter = Cutter::new(size);
        let common = cutter.cut(common);
        let cut: Vec<_> = texts.iter().map(|text| cutter.cut(text.text)).collect();
        if common.len() + cut.iter().map(Vec::len).sum::<usize>() > UNITS_MAX {
            return None;
        }
        let version = |(units, text): (Vec<Unit<'a>>, &Source<'a>)| {
            Version::new(text.change, edits(&common, &units), units, text.open)
        };
        let versions: Vec<_> = cut.into_iter().zip(texts).map(version).collect();
        let pair = |pair: &'a PairText| {
            let (of, units) = (pair.of, cutter.cut(&pair.text));
            let change = texts.get(of[0])?.change;
            Some((of, Version::new(change, edits(&common, &units), units, &[])))
        };
        let pairs = pairs.iter().filter_map(pair).collect();
        let mut merge = TextMerge { size, common, versions, pairs, seen };
        merge.close();
        Some(merge)
    }

    /// Drops the places that another writer has closed: one who has seen all readings of a place, and has it open no longer.
    fn close(&mut self) {
        let is_closed = |n: usize, own: &Version<'a>, position: &Position, place: &OpenPlace| {
            let others = self.versions.iter().enumerate().filter(|(other, _)| *other != n);
            let mut closing = others.filter(|(_, version)| !version.lists(position, place, own));
            closing.any(|(other, _)| place.changes().all(|change| (self.seen)(other, change)))
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
            let mut closed = closed.into_iter();
            version.open.retain(|_| closed.next() == Some(false));
        }
    }

    /// Returns the units of the common text that are replaced or open, in runs as wide as these overlap.
    fn places(&self) -> Vec<Range<usize>> {
        let of = |version: &Version<'a>| -> Vec<Range<usize>> {
            let edits = version.edits.iter().map(|edit| edit.old.clone());
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

    /// Returns for each text whether another one goes on from what it has at a place: in the text that both were made from
    /// it stands as well, and the other has changed it. Empty if no two were made from a newer text than all.
    fn gone_on_from(&self, place: &Range<usize>) -> Vec<bool> {
        if self.pairs.is_empty() {
            return Vec::new();
        }
        let parts: Vec<_> = self.versions.iter().map(|version| version.units_in(place)).collect();
        let goes_on = |(of, pair): &([usize; 2], Version<'a>)| {
            let [first, second] = of.map(|n| parts.get(n));
            let older = pair.units_in(place);
            match (first == Some(&older), second == Some(&older)) {
                (true, false) => Some((of[0], of[1])),
                (false, true) => Some((of[1], of[0])),
                _ => None,
            }
        };
        let all: Vec<(usize, usize)> = self.pairs.iter().filter_map(goes_on).collect();
        let is_last = |n: usize| !all.iter().any(|(older, _)| *older == n);
        let mut gone = vec![false; parts.len()];
        // Texts that were merged crosswise may each go on from the other. Only those count from which one leads to a text
        // that stands.
        for _ in 0..parts.len() {
            for (older, newer) in &all {
                if is_last(*newer) || gone.get(*newer) == Some(&true) {
                    gone.iter_mut().skip(*older).take(1).for_each(|gone| *gone = true);
                }
            }
        }
        gone
    }

    /// Returns for each text the units of its insertion at a position that another one has taken out: in the text that both
    /// were made from they stand there as well, and the other has them no longer, there or anywhere. Empty if no two were
    /// made from a newer text than all.
    fn taken_out_at(&self, at: usize) -> Vec<HashMap<Unit<'a>, usize>> {
        // Nearly all merges are of two texts, and this is asked before each unit.
        if self.pairs.is_empty() {
            return Vec::new();
        }
        let mut taken_out = vec![HashMap::new(); self.versions.len()];
        let both = self.pairs.iter().flat_map(|(of, pair)| [(*of, pair), ([of[1], of[0]], pair)]);
        let all: Vec<_> = both
            .map(|([of, by], pair)| (of, by, self.taken_out_by(by, at, pair)))
            .filter(|(of, _, units)| self.inserts_any(*of, at, units))
            .collect();
        for (of, by, units) in &all {
            // Texts that were merged crosswise may each have taken out what the other has. Then all of it stays.
            if is_reached(&all, *by, *of) {
                continue;
            }
            for known in taken_out.iter_mut().skip(*of).take(1) {
                for (unit, count) in units {
                    let most: &mut usize = known.entry(*unit).or_default();
                    *most = (*most).max(*count);
                }
            }
        }
        taken_out
    }

    /// Returns the units that a text has taken out of the insertion of one that it goes on from.
    fn taken_out_by(&self, by: usize, at: usize, pair: &Version<'a>) -> HashMap<Unit<'a>, usize> {
        let Some(version) = self.versions.get(by) else { return HashMap::new() };
        let [before, after] = [pair, version].map(|one| one.insertion_at(at).unwrap_or_default());
        let mut there = missing(before, after);
        if !there.is_empty() {
            // It may only have moved them.
            let anywhere = missing(&pair.units, &version.units);
            there.retain(|unit, count| {
                *count = (*count).min(anywhere.get(unit).copied().unwrap_or(0));
                *count > 0
            });
        }
        there
    }

    fn inserts_any(&self, of: usize, at: usize, units: &HashMap<Unit<'a>, usize>) -> bool {
        let inserted = self.versions.get(of).and_then(|version| version.insertion_at(at));
        inserted.unwrap_or_default().iter().any(|unit| units.contains_key(unit))
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

/// The units of the merged text, and its open places.
struct Joined<'a> {
    units: Vec<Unit<'a>>,
    open: Vec<OpenPlace>,
}

impl<'a> Joined<'a> {
    fn of(merge: &TextMerge<'a, '_>) -> Self {
        let mut joined = Joined { units: Vec::new(), open: Vec::new() };
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

    /// Takes what was inserted at one place: all of it. Units that several texts have there in one order are taken once: a
    /// writer may have gone on from the other's text.
    fn insert(&mut self, merge: &TextMerge<'a, '_>, at: usize) {
        let mut all = Vec::new();
        // For each text that inserts, where its units stand in `all`.
        let mut numbers: Vec<(usize, Vec<usize>)> = Vec::new();
        let taken_out = merge.taken_out_at(at);
        for (n, version) in merge.versions.iter().enumerate() {
            // What it has open there, the other text may not have.
            let is_open = version.open_between(at).next().is_some();
            let gone = taken_out.get(n).filter(|_| !is_open);
            if let Some(inserted) = version.insertion_at(at) {
                let left =
                    gone.map_or(Cow::Borrowed(inserted), |gone| without(inserted, gone).into());
                let union = union(&all, &left);
                for number in numbers.iter_mut().flat_map(|(_, numbers)| numbers) {
                    *number = union.first.get(*number).copied().unwrap_or(*number);
                }
                numbers.push((n, union.second));
                all = union.units;
            }
        }
        let start = self.units.len();
        self.units.extend(all);
        for (n, version) in merge.versions.iter().enumerate() {
            let numbers = numbers.iter().find(|(number, _)| *number == n).map(|(_, all)| &**all);
            for (_, place) in version.open_between(at) {
                let units = version.inserted_units(at, &place.units, numbers.unwrap_or_default());
                let units = units.map_or(self.units.len()..self.units.len(), |units| {
                    start + units.start..start + units.end
                });
                self.open.push(OpenPlace { units, ..OpenPlace::clone(place) });
            }
        }
    }

    fn replace(&mut self, merge: &TextMerge<'a, '_>, place: &Range<usize>) {
        self.insert(merge, place.start);
        let has_edit = |version: &Version<'a>| version.edits.iter().any(|edit| is_in(edit, place));
        let gone = merge.gone_on_from(place);
        let is_changed = |(n, version)| has_edit(version) && gone.get(n) != Some(&true);
        let changed: Vec<bool> = merge.versions.iter().enumerate().map(is_changed).collect();
        // The last operation is shown, as Automerge does for values of any kind.
        let shown = changed.iter().rposition(|changed| *changed);
        let shown = shown.and_then(|shown| merge.versions.get(shown));
        let common = merge.common.get(place.clone()).unwrap_or_default();
        let content = shown.map_or(common, |version| version.units_in(place));
        let start = self.units.len();
        self.units.extend_from_slice(content);
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

/// Returns true if one of these texts leads to another, each by what the next one has taken out. Two texts that each took
/// out other units of one text are no circle.
fn is_reached<T>(all: &[(usize, usize, T)], from: usize, to: usize) -> bool {
    let (mut met, mut todo) = (vec![from], vec![from]);
    while let Some(text) = todo.pop() {
        for (of, by, _) in all.iter().filter(|(of, ..)| *of == text) {
            let is_direct = (*of, *by) == (from, to);
            if !is_direct && !met.contains(by) {
                met.push(*by);
                todo.push(*by);
            }
        }
    }
    met.contains(&to)
}

/// Returns the units without those that are to go, each as often as is said.
fn without<'a>(units: &[Unit<'a>], gone: &HashMap<Unit<'a>, usize>) -> Vec<Unit<'a>> {
    let mut gone = gone.clone();
    let stays = |unit: &&Unit<'a>| match gone.get_mut(*unit) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    units.iter().filter(stays).copied().collect()
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
    let common = join(merge.common.get(place.clone()).unwrap_or_default());
    for (n, version) in merge.versions.iter().enumerate().rev() {
        let text = || join(version.units_in(place));
        if let (Some(true), Some(change)) = (changed.get(n), version.writer_in(place)) {
            open.add(Reading { change, text: text() }, shown);
        }
        for reading in version.readings_in(merge.size, place) {
            if reading.text != common || !merge.is_replaced(n, place, &common, changed) {
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
