//! One of several concurrent texts: what it has in place of the units of the common text, and which places it has open.

use super::open_places::{OpenPlace, Reading, cut_after};
use super::text_units::{Edit, Unit, UnitSize, join};
use crate::format::hash::ChangeHash;
use std::ops::Range;

/// One text, cut and compared with the common one.
pub(super) struct Version<'a> {
    /// Change that wrote it.
    pub change: ChangeHash,
    pub units: Vec<Unit<'a>>,
    pub edits: Vec<Edit>,
    /// Its open places, each with its position in the common text.
    pub open: Vec<(Position, &'a OpenPlace)>,
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
pub(super) fn is_in(edit: &Edit, place: &Range<usize>) -> bool {
    match edit.old.is_empty() {
        true => place.start < edit.old.start && edit.old.start < place.end,
        false => place.start <= edit.old.start && edit.old.end <= place.end,
    }
}

impl<'a> Version<'a> {
    pub(super) fn new(
        change: ChangeHash,
        edits: Vec<Edit>,
        units: Vec<Unit<'a>>,
        open: &'a [OpenPlace],
    ) -> Self {
        let edits = open.iter().fold(edits, |edits, place| joined(edits, &place.units));
        let open = open.iter().map(|place| (position(&edits, &place.units), place)).collect();
        Version { change, units, edits, open }
    }

    /// Returns the units that it inserts before a unit of the common text.
    pub(super) fn insertion_at(&self, at: usize) -> Option<&[Unit<'a>]> {
        self.units.get(self.insertion(at)?.new.clone())
    }

    fn insertion(&self, at: usize) -> Option<&Edit> {
        self.edits.iter().find(|edit| edit.old == (at..at))
    }

    /// Returns what it has in place of these units of the common text. Insertions at the edges do not belong to it.
    pub(super) fn units_in(&self, place: &Range<usize>) -> &[Unit<'a>] {
        self.units.get(self.range_in(place)).unwrap_or_default()
    }

    fn range_in(&self, place: &Range<usize>) -> Range<usize> {
        let before = self.edits.iter().rfind(|edit| edit.old.end <= place.start);
        let within = self.edits.iter().rfind(|edit| edit.old.start < place.end);
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
        Some(known.map_or(self.change, |(_, open)| open.shown))
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
        let start = self.insertion(at)?.new.start;
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

    /// Returns true if it has a place open that `other` has open too: one with the same readings, or one with a reading of
    /// the same change that stands there, or that `other` has in no such form.
    pub(super) fn lists(&self, position: &Position, place: &OpenPlace, other: &Self) -> bool {
        self.has(place)
            || self.open.iter().any(|(own, open)| {
                let mut changes = open.changes();
                changes.any(|change| place.changes().any(|other| other == change))
                    && (own.meets(position) || !other.has(open))
            })
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
