//! A text with places at which several readings are open.
//!
//! A *place* is a run of units of a text. The text shows one reading there, and the others are kept beside it until a
//! write changes the place. A write elsewhere takes the place along.

use super::text_units::{Edit, Unit, UnitSize, edits, join};
use crate::format::hash::ChangeHash;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;

/// The text that one change wrote at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reading {
    #[serde(deserialize_with = "hash_from_text")]
    pub change: ChangeHash,
    pub text: String,
}

/// A place of a text at which several readings are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenPlace {
    /// Units of the text that are shown there. Empty if the reading that is shown is a removal.
    pub units: Range<usize>,
    /// Change whose reading is shown.
    #[serde(deserialize_with = "hash_from_text")]
    pub shown: ChangeHash,
    /// Separator between a reading and the unit before it, if nothing is shown.
    #[serde(default = "line_break", skip_serializing_if = "is_line_break")]
    pub separator: String,
    /// The readings that are not shown, the latest operation first. All texts are different, and none is the shown one.
    pub others: Vec<Reading>,
}

/// A text, and its open places in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AnnotatedText {
    pub text: String,
    pub open: Vec<OpenPlace>,
}

pub(super) fn line_break() -> String {
    "\n".to_owned()
}

fn is_line_break(separator: &str) -> bool {
    separator == "\n"
}

/// Reads a hash from its hex digits.
pub(super) fn hash_from_text<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<ChangeHash, D::Error> {
    let text = Cow::<'de, str>::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl OpenPlace {
    /// Iterates over the changes of all readings, the shown one first.
    pub(super) fn changes(&self) -> impl Iterator<Item = &ChangeHash> {
        std::iter::once(&self.shown).chain(self.others.iter().map(|other| &other.change))
    }

    /// Adds a reading, unless it is there or is the one that is shown.
    pub(super) fn add(&mut self, reading: Reading, shown: &str) {
        if reading.text != shown && self.others.iter().all(|known| known.text != reading.text) {
            self.others.push(reading);
        }
    }
}

impl AnnotatedText {
    /// Joins units to a text whose open places are given by those units.
    pub(super) fn of_units(size: UnitSize, units: &[Unit<'_>], mut open: Vec<OpenPlace>) -> Self {
        let text = join(units);
        if open.is_empty() {
            return AnnotatedText { text, open };
        }
        // The text may be cut differently from the units that it was joined from: a sentence may end elsewhere.
        let (given, cut) = (bounds(units), bounds(&size.cut(&text)));
        if given != cut {
            for place in &mut open {
                let bytes = bytes_of(&given, &place.units);
                let units = covering(&cut, &bytes);
                widen(place, &text, bytes, &bytes_of(&cut, &units));
                place.units = units;
            }
        }
        AnnotatedText { open: joined(open, &text, &cut), text }
    }

    /// Returns the places that fit a text, of those that a message lists for it.
    pub(super) fn of_message(size: UnitSize, text: &str, listed: Vec<OpenPlace>) -> Self {
        let units = bounds(&size.cut(text));
        let fits = |place: &OpenPlace| {
            place.units.start <= place.units.end && place.units.end <= units.len()
        };
        let mut open: Vec<OpenPlace> = Vec::new();
        for place in listed.into_iter().filter(fits) {
            let shown = text.get(bytes_of(&units, &place.units)).unwrap_or_default();
            let mut fresh = OpenPlace { others: Vec::new(), ..place };
            place.others.into_iter().for_each(|other| fresh.add(other, shown));
            open.extend((!fresh.others.is_empty()).then_some(fresh));
        }
        AnnotatedText { open: joined(open, text, &units), text: text.to_owned() }
    }

    /// Returns the bytes at which each place stands, without the separator before it.
    pub(super) fn bytes(&self, size: UnitSize) -> Vec<Range<usize>> {
        let units = bounds(&size.cut(&self.text));
        self.open.iter().map(|place| bytes_of(&units, &place.units)).collect()
    }

    /// Returns the places that stay open in `wanted`, a text that was written in place of this one: those that show there
    /// what they show here.
    pub(super) fn left_in(&self, size: UnitSize, wanted: &str) -> Vec<OpenPlace> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let edits = edits(&size.cut(&self.text), &size.cut(wanted));
        let is_left = |place: &&OpenPlace| !edits.iter().any(|edit| touches(edit, &place.units));
        let moved =
            |place: &OpenPlace| OpenPlace { units: moved(&place.units, &edits), ..place.clone() };
        self.open.iter().filter(is_left).map(moved).collect()
    }

    /// Returns the text with `reading` at one of its places, and the other places. Returns `None` if there is no such place.
    pub(super) fn settled(&self, size: UnitSize, place: usize, reading: &str) -> Option<Self> {
        let settled = self.open.get(place)?;
        let mut units = size.cut(&self.text);
        let first = units.get(settled.units.clone()).and_then(|units| units.first());
        let separator = first.map_or(settled.separator.as_str(), |unit| unit.separator);
        let chosen = cut_after(size, separator, reading);
        let start = settled.units.start;
        let edit = [Edit { old: settled.units.clone(), new: start..start + chosen.len() }];
        units.splice(settled.units.clone(), chosen);
        let left = self.open.iter().enumerate().filter(|(n, _)| *n != place);
        let left =
            left.map(|(_, place)| OpenPlace { units: moved(&place.units, &edit), ..place.clone() });
        Some(Self::of_units(size, &units, left.collect()))
    }

    /// Returns the text once for each reading that it does not show, with that reading in its place.
    pub(super) fn with_others(&self, size: UnitSize) -> Vec<Reading> {
        let others = self.open.iter().enumerate().flat_map(|(n, place)| {
            place.others.iter().filter_map(move |other| {
                let text = self.settled(size, n, &other.text)?.text;
                Some(Reading { change: other.change, text })
            })
        });
        others.collect()
    }
}

/// Cuts a text that is to stand behind a separator.
pub(super) fn cut_after<'a>(size: UnitSize, separator: &'a str, text: &'a str) -> Vec<Unit<'a>> {
    let mut units = size.cut(text);
    units.first_mut().into_iter().for_each(|first| first.separator = separator);
    units
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

/// Returns the bytes at which each unit stands in the joined text, without its separator.
fn bounds(units: &[Unit<'_>]) -> Vec<Range<usize>> {
    let mut end = 0;
    let bound = |(n, unit): (usize, &Unit<'_>)| {
        let start = end + if n > 0 { unit.separator.len() } else { 0 };
        end = start + unit.text.len();
        start..end
    };
    units.iter().enumerate().map(bound).collect()
}

/// Returns the bytes at which a run of units stands. One without units stands behind the unit before it.
fn bytes_of(bounds: &[Range<usize>], units: &Range<usize>) -> Range<usize> {
    match bounds.get(units.clone()).unwrap_or_default() {
        [] => {
            let before = units.start.checked_sub(1).and_then(|before| bounds.get(before));
            let end = before.map_or(0, |before| before.end);
            end..end
        }
        [first, .., last] => first.start..last.end,
        [only] => only.clone(),
    }
}

/// Returns the units that some bytes of the text touch.
fn covering(bounds: &[Range<usize>], bytes: &Range<usize>) -> Range<usize> {
    let first = bounds.partition_point(|unit| unit.end <= bytes.start);
    let end = bounds.partition_point(|unit| unit.start < bytes.end);
    first..end.max(first)
}

/// Moves runs of units to where they stand in the text that was joined from all units. It may be cut differently from
/// these: a sentence may end elsewhere.
pub(super) fn recut<'r>(
    size: UnitSize,
    units: &[Unit<'_>],
    text: &str,
    runs: impl Iterator<Item = &'r mut Range<usize>>,
) {
    let (given, cut) = (bounds(units), bounds(&size.cut(text)));
    if given != cut {
        runs.for_each(|run| *run = covering(&cut, &bytes_of(&given, run)));
    }
}

/// Makes a place wider: its readings get what the text shows around them.
fn widen(place: &mut OpenPlace, text: &str, from: Range<usize>, to: &Range<usize>) {
    let before = text.get(to.start..from.start).unwrap_or_default();
    let after = text.get(from.end..to.end).unwrap_or_default();
    for other in &mut place.others {
        other.text = format!("{before}{}{after}", other.text);
    }
}

/// Joins places that overlap to one, which has the readings of both.
fn joined(mut open: Vec<OpenPlace>, text: &str, units: &[Range<usize>]) -> Vec<OpenPlace> {
    open.sort_by_key(|place| (place.units.start, place.units.end));
    let mut all: Vec<OpenPlace> = Vec::new();
    for mut place in open {
        let overlaps =
            |last: &&mut OpenPlace| place.units.start < last.units.end || place.units == last.units;
        let Some(last) = all.last_mut().filter(overlaps) else {
            all.push(place);
            continue;
        };
        let both = last.units.start..last.units.end.max(place.units.end);
        let bytes = bytes_of(units, &both);
        let (first, second) = (bytes_of(units, &last.units), bytes_of(units, &place.units));
        widen(last, text, first, &bytes);
        widen(&mut place, text, second, &bytes);
        last.units = both;
        let shown = text.get(bytes).unwrap_or_default();
        place.others.into_iter().for_each(|other| last.add(other, shown));
    }
    all
}
