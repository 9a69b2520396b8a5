//! One of several concurrent texts: what it has in place of the units of the common text, and which places it has open.

use super::open_places::{OpenPlace, Reading, cut_after};
use super::text_units::{Edit, Unit, UnitSize, join};
use crate::format::hash::ChangeHash;
use std::collections::HashMap;
use std::ops::Range;

/// Units of a merged text, and the change that wrote them. If there are none, it took units out there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub units: Range<usize>,
    pub change: ChangeHash,
}

/// One text, cut and compared with the common one.
pub(super) struct Version<'a> {
    /// The change that wrote it. Of a merge, those that wrote its texts.
    pub changes: &'a [ChangeHash],
    /// The writers of the units of a merge, in the order of the units.
    written: &'a [Written],
    pub units: Vec<Unit<'a>>,
    /// Where it differs from the common text.
    pub all_edits: Vec<Edit>,
    /// Its open places, each with its position in the common text.
    pub open: Vec<(Position, &'a OpenPlace)>,
    /// Places that another writer has closed.
    closed: Vec<&'a OpenPlace>,
}

/// Position of an open place in the common text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// It stands in place of these units.
    Common(Range<usize>),
    /// It was inserted before the unit of this number, or nothing is shown there.
    Between(usize),
}

impl Position {
    /// Returns true if both have anything in common, or stand side by side.
    fn meets(&self, other: &Position) -> bool {
        use Position::{Between, Common};
        match (self, other) {
            (Common(a), Common(b)) => a.start < b.end && b.start < a.end,
            (Common(range), Between(at)) | (Between(at), Common(range)) => {
                range.start <= *at && *at <= range.end
            }
            (Between(a), Between(b)) => a == b,
        }
    }

    /// Returns true if it belongs to this run of units. What stands at the edges does not.
    fn is_in(&self, place: &Range<usize>) -> bool {
        match self {
            Position::Common(range) => place.start <= range.start && range.end <= place.end,
            Position::Between(at) => place.start < *at && *at < place.end,
        }
    }
}

/// Returns true if an edit is one of this place: it replaces units there, or inserts between two of them.
fn is_in(edit: &Edit, place: &Range<usize>) -> bool {
    match edit.old.is_empty() {
        true => place.start < edit.old.start && edit.old.start < place.end,
        false => place.start <= edit.old.start && edit.old.end <= place.end,
    }
}

impl<'a> Version<'a> {
    pub(super) fn new(
        units: Vec<Unit<'a>>,
        edits: Vec<Edit>,
        open: &'a [OpenPlace],
        changes: &'a [ChangeHash],
        written: &'a [Written],
    ) -> Self {
        let edits = open.iter().fold(edits, |edits, place| joined(edits, &place.units));
        let open = open.iter().map(|place| (position(&edits, &place.units), place)).collect();
        Version { changes, written, units, all_edits: edits, open, closed: Vec::new() }
    }

    /// Closes those of its open places that `closed` says. What it shows there is no edit of its own: its writer left the
    /// place as it was, and another one has decided.
    pub(super) fn close(&mut self, closed: Vec<bool>) {
        let (gone, left): (Vec<_>, Vec<_>) =
            self.open.drain(..).zip(closed).partition(|(_, closed)| *closed);
        self.closed = gone.into_iter().map(|((_, place), _)| place).collect();
        self.open = left.into_iter().map(|(open, _)| open).collect();
    }

    /// Iterates over the edits of its writer.
    pub(super) fn edits(&self) -> impl DoubleEndedIterator<Item = &Edit> {
        let is_closed = |edit: &&Edit| self.closed.iter().any(|place| place.units == edit.new);
        self.all_edits.iter().filter(move |edit| !is_closed(edit))
    }

    /// Iterates over the edits of its writer at a place.
    fn edits_in(&self, place: &Range<usize>) -> impl DoubleEndedIterator<Item = &Edit> {
        self.edits().filter(move |edit| is_in(edit, place))
    }

    /// Returns true if its writer has edited a place.
    pub(super) fn has_edit(&self, place: &Range<usize>) -> bool {
        self.edits_in(place).next().is_some()
    }

    /// Returns which of its units it inserts before a unit of the common text.
    pub(super) fn insertion_at(&self, at: usize) -> Option<Range<usize>> {
        self.edits().find(|edit| edit.old == (at..at)).map(|edit| edit.new.clone())
    }

    /// Returns the units that it has taken out at one place and inserted at another, each with how often.
    pub(super) fn moved(&self, common: &[Unit<'a>]) -> HashMap<Unit<'a>, usize> {
        let (mut out, mut moved) = (HashMap::<Unit<'a>, usize>::new(), HashMap::new());
        for unit in self.edits().flat_map(|edit| common.get(edit.old.clone()).unwrap_or_default()) {
            *out.entry(*unit).or_default() += 1;
        }
        let inserted = self.edits().filter(|edit| edit.old.is_empty() && !out.is_empty());
        for unit in inserted.flat_map(|edit| self.units_at(edit.new.clone())) {
            if let Some(count) = out.get(unit) {
                let moved: &mut usize = moved.entry(*unit).or_default();
                *moved = (*moved + 1).min(*count);
            }
        }
        moved
    }

    /// Returns its units of these numbers.
    pub(super) fn units_at(&self, range: Range<usize>) -> &[Unit<'a>] {
        self.units.get(range).unwrap_or_default()
    }

    /// Returns what it has in place of these units of the common text. Insertions at the edges do not belong to it.
    pub(super) fn units_in(&self, place: &Range<usize>) -> &[Unit<'a>] {
        self.units_at(self.range_in(place))
    }

    fn range_in(&self, place: &Range<usize>) -> Range<usize> {
        let before = self.all_edits.iter().rfind(|edit| edit.old.end <= place.start);
        let within = self.all_edits.iter().rfind(|edit| edit.old.start < place.end);
        let end_of = |edit: Option<&Edit>, at: usize| {
            edit.map_or(at, |edit| edit.new.end + (at - edit.old.end))
        };
        let start = end_of(before, place.start);
        start..end_of(within, place.end).max(start)
    }

    /// Returns the change whose reading it has in place of these units.
    pub(super) fn writer_in(&self, place: &Range<usize>) -> Option<ChangeHash> {
        let units = self.range_in(place);
        let known = self.open_in(place).find(|(_, open)| open.units == units);
        known.map(|(_, open)| open.shown).or_else(|| self.writers_in(place).last().copied())
    }

    /// Returns what each of its writers has in place of these units of the common text, the last writer first.
    pub(super) fn readings_of_writers(
        &self,
        place: &Range<usize>,
        common: &[Unit<'a>],
    ) -> Vec<Reading> {
        let writers = self.writers_in(place);
        if writers.len() < 2
            || self.open_in(place).any(|(_, open)| open.units == self.range_in(place))
        {
            let reading = |change| Reading { change, text: join(self.units_in(place)) };
            return self.writer_in(place).map(reading).into_iter().collect();
        }
        let reading = |change: &ChangeHash| Reading {
            change: *change,
            text: join(&self.part_of(*change, place, common)),
        };
        writers.iter().rev().map(reading).collect()
    }

    /// Returns the changes that made its edits of these units, in the order of their operations.
    fn writers_in(&self, place: &Range<usize>) -> Vec<ChangeHash> {
        if self.changes.len() == 1 {
            return self.changes.to_vec();
        }
        let all: Vec<ChangeHash> = self
            .edits_in(place)
            .flat_map(|edit| self.written_by(edit))
            .map(|one| one.change)
            .collect();
        self.changes.iter().filter(|change| all.contains(change)).copied().collect()
    }

    /// Returns what stands in place of these units if only the edits of one writer are taken.
    fn part_of(
        &self,
        writer: ChangeHash,
        place: &Range<usize>,
        common: &[Unit<'a>],
    ) -> Vec<Unit<'a>> {
        let of_common = |range: Range<usize>| {
            common.get(range.start - place.start..range.end - place.start).unwrap_or_default()
        };
        let (mut units, mut at) = (Vec::new(), place.start);
        for edit in self.edits_in(place) {
            units.extend_from_slice(of_common(at..edit.old.start));
            let mut own = self.written_by(edit).filter(|one| one.change == writer).peekable();
            if own.peek().is_none() {
                units.extend_from_slice(of_common(edit.old.clone()));
            }
            units.extend(own.flat_map(|one| self.units_at(one.units)));
            at = edit.old.end;
        }
        units.extend_from_slice(of_common(at..place.end));
        units
    }

    /// Returns who wrote what it has in place of these units, where `start` is the number of the first unit there.
    pub(super) fn written_in(&self, place: &Range<usize>, start: usize) -> Vec<Written> {
        let first = self.range_in(place).start;
        let moved = |at: usize| start + at.saturating_sub(first);
        let written = self.edits_in(place).flat_map(|edit| self.written_by(edit));
        written
            .map(|one| Written { units: moved(one.units.start)..moved(one.units.end), ..one })
            .collect()
    }

    /// Iterates over what an edit wrote, unit by unit, and over what it took out.
    fn written_by(&self, edit: &Edit) -> impl Iterator<Item = Written> {
        let at = edit.new.clone();
        let by = |units: Range<usize>| {
            let change = self.writer_of(&units)?;
            Some(Written { units, change })
        };
        // One writer may have replaced a unit, and another have taken out the next one.
        let is_other = |removal: &Range<usize>| {
            self.all_edits.iter().any(|other| other.new == *removal && other != edit)
        };
        let removals = self.written.iter().filter(|one| one.units.is_empty()).filter(|one| {
            at.start <= one.units.start && one.units.end <= at.end && !is_other(&one.units)
        });
        let mut all: Vec<Written> = at.clone().filter_map(|unit| by(unit..unit + 1)).collect();
        all.extend(removals.cloned());
        if all.is_empty() {
            all.extend(by(at));
        }
        all.into_iter()
    }

    /// Returns the change that wrote a unit, or that took out what stood there if the range is empty.
    pub(super) fn writer_of(&self, unit: &Range<usize>) -> Option<ChangeHash> {
        let known = match unit.is_empty() {
            true => self.written.iter().find(|one| one.units == *unit),
            false => {
                let first = self.written.partition_point(|one| one.units.end <= unit.start);
                self.written.get(first).filter(|one| one.units.start <= unit.start)
            }
        };
        known.map(|one| one.change).or_else(|| self.changes.last().copied())
    }

    /// Iterates over its open places that belong to these units of the common text.
    pub(super) fn open_in<'s>(
        &'s self,
        place: &'s Range<usize>,
    ) -> impl Iterator<Item = &'s (Position, &'a OpenPlace)> {
        self.open.iter().filter(|(position, _)| position.is_in(place))
    }

    /// Iterates over its open places that stand before the unit of a number.
    pub(super) fn open_between(
        &self,
        at: usize,
    ) -> impl Iterator<Item = &(Position, &'a OpenPlace)> {
        self.open.iter().filter(move |(position, _)| *position == Position::Between(at))
    }

    /// Returns where units that it inserts at `at` stand among all that is inserted there. `numbers` has the place of each
    /// of its own. Returns `None` if they are behind those.
    pub(super) fn inserted_units(
        &self,
        at: usize,
        units: &Range<usize>,
        numbers: &[usize],
    ) -> Option<Range<usize>> {
        let start = self.insertion_at(at)?.start;
        let number = |unit: usize| numbers.get(unit.checked_sub(start)?).copied();
        let first = number(units.start)?;
        match units.len() {
            0 => Some(first..first),
            _ => Some(first..number(units.end - 1)? + 1),
        }
    }

    /// Iterates over the readings that it has open at these units of the common text, each as wide as those.
    pub(super) fn readings_in<'s>(
        &'s self,
        size: UnitSize,
        place: &'s Range<usize>,
    ) -> impl Iterator<Item = Reading> + 's {
        self.open_in(place).flat_map(move |(_, open)| {
            open.others.iter().map(move |other| {
                let text = self.reading_in(size, place, open, &other.text);
                Reading { change: other.change, text }
            })
        })
    }

    /// Returns what it would have in place of these units of the common text with another reading at an open place.
    fn reading_in(
        &self,
        size: UnitSize,
        place: &Range<usize>,
        open: &OpenPlace,
        reading: &str,
    ) -> String {
        let all = self.range_in(place);
        if all == open.units {
            return reading.to_owned();
        }
        let units = |range: Range<usize>| self.units.get(range).unwrap_or_default();
        let first = units(open.units.clone()).first();
        let separator = first.map_or(open.separator.as_str(), |unit| unit.separator);
        let mut text = units(all.start..open.units.start).to_vec();
        text.extend(cut_after(size, separator, reading));
        text.extend_from_slice(units(open.units.end..all.end));
        join(&text)
    }

    /// Returns true if it has a place open that `other` has open too: one with the same readings; or one with a reading of
    /// the same change that stands there, or that `other` has in no such form; or one that stands there and has a reading
    /// with the same text, since each may name another of the changes that a reading came through.
    pub(super) fn lists(&self, position: &Position, place: &OpenPlace, other: &Self) -> bool {
        self.has(place)
            || self.open.iter().any(|(own, open)| {
                let is_there = own.meets(position);
                let mut changes = open.changes();
                let has_change = changes.any(|change| place.changes().any(|other| other == change));
                has_change && (is_there || !other.has(open))
                    || is_there && self.has_text_of(open, place, other)
            })
    }

    /// Returns true if it has all that another version has open at a place: its writer was shown no conflict there, but
    /// one text with both readings.
    pub(super) fn has_all_readings(&self, size: UnitSize, place: &OpenPlace, other: &Self) -> bool {
        let has = |unit: &Unit<'_>| self.units.iter().any(|own| own.text == unit.text);
        let shown = other.units_at(place.units.clone());
        let others = place.others.iter().flat_map(|one| size.cut(&one.text));
        !shown.is_empty() && shown.iter().all(has) && others.into_iter().all(|unit| has(&unit))
    }

    /// Returns true if a reading of its open place has the text of one that another version has at an open place.
    fn has_text_of(&self, open: &OpenPlace, place: &OpenPlace, other: &Self) -> bool {
        let [own, others] = [(self, open), (other, place)].map(|(version, place)| {
            let shown = join(version.units_at(place.units.clone()));
            let not_shown = place.others.iter().map(|one| one.text.clone());
            std::iter::once(shown).chain(not_shown).collect::<Vec<_>>()
        });
        own.iter().any(|text| others.contains(text))
    }

    /// Returns true if it has a place open with the same readings.
    fn has(&self, place: &OpenPlace) -> bool {
        let mut open = self.open.iter();
        open.any(|(_, open)| open.shown == place.shown && open.others == place.others)
    }
}

/// Makes one edit of those that an open place reaches into, so that it stands in one edit or in none.
fn joined(edits: Vec<Edit>, units: &Range<usize>) -> Vec<Edit> {
    let reaches = |edit: &Edit| match edit.new.is_empty() {
        true => units.start < edit.new.start && edit.new.start < units.end,
        false => edit.new.start < units.end && units.start < edit.new.end,
    };
    let first = edits.iter().position(reaches);
    let last = edits.iter().rposition(reaches);
    let (Some(first), Some(last)) = (first, last) else { return edits };
    let (Some(start), Some(end)) = (edits.get(first), edits.get(last)) else { return edits };
    let new = units.start.min(start.new.start)..units.end.max(end.new.end);
    let before = start.new.start.saturating_sub(new.start);
    let after = new.end.saturating_sub(end.new.end);
    let old = start.old.start.saturating_sub(before)..end.old.end + after;
    let mut all = edits;
    all.splice(first..=last, [Edit { old, new }]);
    all
}

/// Returns the position of an open place in the common text.
fn position(edits: &[Edit], units: &Range<usize>) -> Position {
    let has = |edit: &&Edit| match units.is_empty() {
        true => edit.new == *units || edit.new.start < units.start && units.start < edit.new.end,
        false => edit.new.start <= units.start && units.end <= edit.new.end,
    };
    if let Some(edit) = edits.iter().find(has) {
        return match edit.old.is_empty() {
            true => Position::Between(edit.old.start),
            false => Position::Common(edit.old.clone()),
        };
    }
    let before = edits.iter().rfind(|edit| edit.new.end <= units.start);
    let start = before.map_or(units.start, |edit| edit.old.end + (units.start - edit.new.end));
    match units.is_empty() {
        true => Position::Between(start),
        false => Position::Common(start..start + units.len()),
    }
}
