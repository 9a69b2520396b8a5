//! Merges texts that were written at once.
//!
//! Each text is compared with the version that all of them were made from. Edits of different units are all taken. Where
//! units were edited differently, or edited by one and deleted by another, one reading is shown and the others are kept
//! beside it. What several writers inserted at one place is all kept, in the order of the texts, and what they have in
//! common once.
//!
//! Invariant: a pure function of the texts and their order. A unit of the result stands in one of them.

use super::text_units::{Cutter, Edit, Unit, UnitSize, edits, join, union};
use std::ops::Range;

/// The most units of all texts together. Beyond, the texts are in conflict as wholes.
const UNITS_MAX: usize = 20_000;

/// The most texts that a write leaves in conflict if it can do with fewer.
const REWRITTEN_MAX: usize = 4;

/// Texts merged into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MergedText {
    /// The text that is shown.
    pub text: String,
    /// Places where the texts disagree, in their order.
    pub conflicts: Vec<TextConflict>,
}

/// A place of a merged text for which its writers left different readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextConflict {
    /// Bytes of the merged text that are shown there.
    pub bytes: Range<usize>,
    /// The reading of each text, in the order of the texts; `None` if it did not change this place.
    pub readings: Vec<Option<String>>,
    /// Number of the text whose reading is shown.
    pub shown: usize,
}

impl TextConflict {
    /// Returns the readings that are not shown, each with the number of the last text that has it, the last text first.
    pub(super) fn others(&self) -> Vec<(usize, &str)> {
        let shown = self.readings.get(self.shown);
        let mut others: Vec<(usize, &str)> = Vec::new();
        for (text, reading) in self.readings.iter().enumerate().rev() {
            let known = |reading: &str| others.iter().any(|(_, known)| *known == reading);
            if let Some(other) = reading
                && Some(reading) != shown
                && !known(other)
            {
                others.push((text, other));
            }
        }
        others
    }
}

/// One text, cut and compared with the common one.
struct Version<'a> {
    units: Vec<Unit<'a>>,
    edits: Vec<Edit>,
}

impl<'a> Version<'a> {
    fn insertion_at(&self, at: usize) -> Option<&[Unit<'a>]> {
        let edit = self.edits.iter().find(|edit| edit.old == (at..at))?;
        self.units.get(edit.new.clone())
    }

    /// Returns what this version has in place of these units of the common text, if that differs. Insertions at the
    /// edges of the place do not belong to it.
    fn reading(&self, common: &[Unit<'a>], place: &Range<usize>) -> Option<Vec<Unit<'a>>> {
        let mut inside = self.edits.iter().filter(|edit| is_in(edit, place)).peekable();
        inside.peek()?;
        let (mut reading, mut at) = (Vec::new(), place.start);
        for edit in inside {
            reading.extend_from_slice(common.get(at..edit.old.start).unwrap_or_default());
            reading.extend_from_slice(self.units.get(edit.new.clone()).unwrap_or_default());
            at = edit.old.end;
        }
        reading.extend_from_slice(common.get(at..place.end).unwrap_or_default());
        Some(reading)
    }
}

/// Returns true if an edit is one of this place: it replaces units there, or inserts between two of them.
fn is_in(edit: &Edit, place: &Range<usize>) -> bool {
    match edit.old.is_empty() {
        true => place.start < edit.old.start && edit.old.start < place.end,
        false => place.start <= edit.old.start && edit.old.end <= place.end,
    }
}

/// Texts that were made from a common one, given in the order of their operations.
pub(super) struct TextMerge<'a> {
    size: UnitSize,
    common: Vec<Unit<'a>>,
    versions: Vec<Version<'a>>,
}

impl<'a> TextMerge<'a> {
    /// Compares each text with the common one. Returns `None` if they have too many units.
    pub(super) fn new(size: UnitSize, common: &'a str, texts: &[&'a str]) -> Option<Self> {
        let mut cutter = Cutter::new(size);
        let common = cutter.cut(common);
        let cut: Vec<_> = texts.iter().map(|text| cutter.cut(text)).collect();
        if common.len() + cut.iter().map(Vec::len).sum::<usize>() > UNITS_MAX {
            return None;
        }
        let version = |units: Vec<Unit<'a>>| Version { edits: edits(&common, &units), units };
        let versions = cut.into_iter().map(version).collect();
        Some(TextMerge { size, common, versions })
    }

    /// Merges them.
    pub(super) fn merged(&self) -> MergedText {
        let Joined { units, found } = Joined::of(self);
        let conflict = |found: &FoundConflict<'a>| TextConflict {
            bytes: bytes_of(&units, &found.units),
            readings: found.readings.iter().map(|units| units.as_deref().map(join)).collect(),
            shown: found.shown,
        };
        MergedText { text: join(&units), conflicts: found.iter().map(conflict).collect() }
    }

    /// Returns new versions of the texts that together show `wanted`, and leave open each conflict in which `wanted` shows
    /// what the merged text shows. Returns `None` if it leaves no conflict as it is: then `wanted` can replace all texts.
    pub(super) fn rewritten(&self, wanted: &str) -> Option<Vec<RewrittenText>> {
        let Joined { units, found } = Joined::of(self);
        let wanted = self.size.cut(wanted);
        let edits = edits(&units, &wanted);
        let left =
            found.iter().filter(|found| !edits.iter().any(|edit| touches(edit, &found.units)));
        let left: Vec<_> = left.map(|found| (moved(&found.units, &edits), found)).collect();
        (!left.is_empty()).then(|| self.with_readings(&wanted, &left))
    }

    /// Returns new versions of the texts that agree on `reading` at one conflict, and leave the other conflicts open.
    /// Returns `None` if there is no such conflict.
    pub(super) fn settled(&self, conflict: usize, reading: &'a str) -> Option<Vec<RewrittenText>> {
        let Joined { units, found } = Joined::of(self);
        let settled = found.get(conflict)?;
        let known = settled.readings.iter().flatten().find(|known| join(known) == reading);
        let chosen = match known {
            Some(known) => known.clone(),
            None => self.cut_for(reading, units.get(settled.units.start)),
        };
        let start = settled.units.start;
        let edit = [Edit { old: settled.units.clone(), new: start..start + chosen.len() }];
        let mut wanted = units.clone();
        wanted.splice(settled.units.clone(), chosen);
        let left = found.iter().enumerate().filter(|(n, _)| *n != conflict);
        let left: Vec<_> = left.map(|(_, found)| (moved(&found.units, &edit), found)).collect();
        Some(self.with_readings(&wanted, &left))
    }

    /// Cuts a text that is to stand in place of others, the first of which is `first`.
    fn cut_for(&self, text: &'a str, first: Option<&Unit<'a>>) -> Vec<Unit<'a>> {
        let mut units = self.size.cut(text);
        if let (Some(unit), Some(first)) = (units.first_mut(), first) {
            unit.separator = first.separator;
        }
        units
    }

    /// Returns the texts that leave open what stands at some places of `wanted`, one for each set of readings there.
    fn with_readings(
        &self,
        wanted: &[Unit<'a>],
        places: &[(Range<usize>, &FoundConflict<'a>)],
    ) -> Vec<RewrittenText> {
        let sets = ReadingSets::of(self.versions.len(), places);
        let text = |readings: &[Option<&[Unit<'a>]>]| {
            let (mut new, mut at) = (Vec::new(), 0);
            for ((range, found), reading) in places.iter().zip(readings) {
                new.extend_from_slice(wanted.get(at..range.start).unwrap_or_default());
                let before = || self.common.get(found.before.clone()).unwrap_or_default();
                new.extend_from_slice(reading.unwrap_or_else(before));
                at = range.end;
            }
            new.extend_from_slice(wanted.get(at..).unwrap_or_default());
            join(&new)
        };
        let sets = sets.0.into_iter();
        sets.map(|(texts, readings)| RewrittenText { text: text(&readings), texts }).collect()
    }
}

/// A text that is to be written in place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RewrittenText {
    pub text: String,
    /// Numbers of the texts that it replaces, in their order.
    pub texts: Vec<usize>,
}

/// Texts by what they have at the places of some conflicts.
#[expect(clippy::type_complexity, reason = "one pair for each set, in the only place that uses it")]
struct ReadingSets<'a, 'b>(Vec<(Vec<usize>, Vec<Option<&'b [Unit<'a>]>>)>);

impl<'a, 'b> ReadingSets<'a, 'b> {
    /// Sorts the texts into sets with the same readings. If that makes many, sets that do not contradict each other are
    /// joined: there are as many as the place with the most readings has. A conflict then names one writer for all that a
    /// joined text keeps.
    fn of(texts: usize, places: &[(Range<usize>, &'b FoundConflict<'a>)]) -> Self {
        let readings = |text: usize| -> Vec<Option<&'b [Unit<'a>]>> {
            let reading = |found: &'b FoundConflict<'a>| found.readings.get(text)?.as_deref();
            places.iter().map(|(_, found)| reading(found)).collect()
        };
        let all = || (0..texts).map(|text| (text, readings(text)));
        let mut same = ReadingSets(Vec::new());
        all().for_each(|(text, readings)| same.add(text, readings, |a, b| a == b));
        if same.0.len() <= REWRITTEN_MAX {
            return same;
        }
        let mut joined = ReadingSets(Vec::new());
        all().for_each(|(text, readings)| {
            joined.add(text, readings, |a, b| a.is_none() || b.is_none() || a == b);
        });
        joined
    }

    fn add(
        &mut self,
        text: usize,
        readings: Vec<Option<&'b [Unit<'a>]>>,
        fits: impl Fn(&Option<&'b [Unit<'a>]>, &Option<&'b [Unit<'a>]>) -> bool,
    ) {
        let fit = |set: &[Option<_>]| set.iter().zip(&readings).all(|(a, b)| fits(a, b));
        match self.0.iter_mut().find(|(_, set)| fit(set)) {
            Some((texts, set)) => {
                texts.push(text);
                set.iter_mut()
                    .zip(readings)
                    .for_each(|(known, reading)| *known = known.or(reading));
            }
            None => self.0.push((vec![text], readings)),
        }
    }
}

/// Returns true if an edit changes what stands at these units, or stands inside of them.
fn touches(edit: &Edit, units: &Range<usize>) -> bool {
    edit.old.start < units.end && units.start < edit.old.end
}

/// Returns where units stand after edits that do not touch them.
fn moved(units: &Range<usize>, edits: &[Edit]) -> Range<usize> {
    let last = edits.iter().rfind(|edit| edit.old.end <= units.start);
    let start = last.map_or(units.start, |edit| edit.new.end + (units.start - edit.old.end));
    start..start + units.len()
}

/// Returns the places of the common text that are replaced, each as wide as the edits that overlap there.
fn places(versions: &[Version<'_>]) -> Vec<Range<usize>> {
    let replaced = |edit: &&Edit| !edit.old.is_empty();
    let all = versions.iter().flat_map(|version| version.edits.iter().filter(replaced));
    let mut ranges: Vec<Range<usize>> = all.map(|edit| edit.old.clone()).collect();
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

/// A conflict, before the bytes are known at which it stands.
struct FoundConflict<'a> {
    units: Range<usize>,
    readings: Vec<Option<Vec<Unit<'a>>>>,
    before: Range<usize>,
    shown: usize,
}

/// The units of the merged text, and its conflicts.
struct Joined<'a> {
    units: Vec<Unit<'a>>,
    found: Vec<FoundConflict<'a>>,
}

impl<'a> Joined<'a> {
    fn of(merge: &TextMerge<'a>) -> Self {
        let mut joined = Joined { units: Vec::new(), found: Vec::new() };
        let mut at = 0;
        for place in places(&merge.versions) {
            joined.keep(merge, at..place.start);
            at = place.end;
            joined.replace(merge, place);
        }
        joined.keep(merge, at..merge.common.len());
        joined.insert(merge, merge.common.len());
        joined
    }

    /// Takes units that nobody replaced, each after what was inserted before it.
    fn keep(&mut self, merge: &TextMerge<'a>, range: Range<usize>) {
        for at in range {
            self.insert(merge, at);
            self.units.extend(merge.common.get(at));
        }
    }

    /// Takes what was inserted at one place: all of it. Units that several texts have there in one order are taken once: a
    /// writer may have gone on from the other's text.
    fn insert(&mut self, merge: &TextMerge<'a>, at: usize) {
        let inserted = merge.versions.iter().filter_map(|version| version.insertion_at(at));
        let all = inserted.fold(Vec::new(), |all, inserted| union(&all, inserted));
        self.units.extend(all);
    }

    fn replace(&mut self, merge: &TextMerge<'a>, place: Range<usize>) {
        self.insert(merge, place.start);
        let reading = |version: &Version<'a>| version.reading(&merge.common, &place);
        let readings: Vec<_> = merge.versions.iter().map(reading).collect();
        // The last operation is shown, as Automerge does for values of any kind.
        let Some(shown) = readings.iter().rposition(Option::is_some) else { return };
        let start = self.units.len();
        let reading = readings.get(shown).and_then(Option::as_deref).unwrap_or_default();
        self.units.extend_from_slice(reading);
        if readings.iter().flatten().any(|other| other != reading) {
            let units = start..self.units.len();
            self.found.push(FoundConflict { units, readings, before: place, shown });
        }
    }
}

/// Returns the bytes of the joined text at which these units stand, without the separator before them.
fn bytes_of(units: &[Unit<'_>], range: &Range<usize>) -> Range<usize> {
    let upto = |end: usize| join(units.get(..end).unwrap_or_default()).len();
    let end = upto(range.end);
    if range.is_empty() {
        return end..end;
    }
    let first = units.get(range.start).filter(|_| range.start > 0);
    upto(range.start) + first.map_or(0, |unit| unit.separator.len())..end
}

#[cfg(test)]
#[path = "text_merge_tests.rs"]
mod tests;
