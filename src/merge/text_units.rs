//! Cuts a text into units, and finds the units in which two texts differ.
//!
//! A unit is what two writers can change without touching each other's work: a line, or in prose a sentence of a line. It
//! knows what separates it from the unit before it, so that a unit that is added at the end of a text changes no other.

use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::HashMap;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// Size of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitSize {
    /// A line.
    Line,
    /// A sentence, as Unicode Standard Annex 29 bounds it, of a line.
    Sentence,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Unit<'a> {
    /// Stands between this unit and the one before it: a line break, or the white space between two sentences.
    pub separator: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Separator of the first unit of a line, also of the first line.
const LINE_BREAK: &str = "\n";

impl UnitSize {
    /// Cuts a text into units. An empty text has none.
    pub(super) fn cut(self, text: &str) -> Vec<Unit<'_>> {
        Cutter::new(self).cut(text)
    }
}

/// Cuts texts that have most lines in common. A line that was cut before is not cut again: finding the sentences of 50
/// texts took more than half of the time of their merge.
pub(super) struct Cutter<'a> {
    size: UnitSize,
    known: HashMap<&'a str, Vec<Unit<'a>>>,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(size: UnitSize) -> Self {
        Cutter { size, known: HashMap::new() }
    }

    /// Cuts a text into units. An empty text has none.
    pub(super) fn cut(&mut self, text: &'a str) -> Vec<Unit<'a>> {
        if text.is_empty() {
            return Vec::new();
        }
        let mut units = Vec::new();
        for line in text.split('\n') {
            match self.size {
                UnitSize::Line => units.push(Unit { separator: LINE_BREAK, text: line }),
                UnitSize::Sentence => {
                    units.extend(self.known.entry(line).or_insert_with(|| cut_line(line)).iter());
                }
            }
        }
        units
    }
}

/// Cuts a line into sentences. White space at the end of the line belongs to its last sentence.
fn cut_line(line: &str) -> Vec<Unit<'_>> {
    let (mut units, mut separator) = (Vec::new(), LINE_BREAK);
    let mut sentences = line.split_sentence_bounds().peekable();
    if sentences.peek().is_none() {
        units.push(Unit { separator, text: "" });
    }
    while let Some(sentence) = sentences.next() {
        let text = if sentences.peek().is_some() { sentence.trim_end() } else { sentence };
        units.push(Unit { separator, text });
        separator = sentence.get(text.len()..).unwrap_or_default();
    }
    units
}

/// Joins units to a text. Nothing separates the first one from what is not before it.
pub(super) fn join(units: &[Unit<'_>]) -> String {
    let mut text = String::new();
    for (n, unit) in units.iter().enumerate() {
        if n > 0 {
            text.push_str(unit.separator);
        }
        text.push_str(unit.text);
    }
    text
}

/// All units of two lists.
#[derive(Debug, Default)]
pub(super) struct Union<'a> {
    pub units: Vec<Unit<'a>>,
    /// For each unit of the first list, its number among all.
    pub first: Vec<usize>,
    /// The same for the second list.
    pub second: Vec<usize>,
}

/// Returns all units of both lists. Where they differ, those of the first come before those of the second.
pub(super) fn union<'a>(first: &[Unit<'a>], second: &[Unit<'a>]) -> Union<'a> {
    let mut all = Union::default();
    for op in capture_diff_slices(Algorithm::Histogram, first, second) {
        let start = all.units.len();
        all.first.extend(start..start + op.old_range().len());
        all.units.extend_from_slice(first.get(op.old_range()).unwrap_or_default());
        let start = if matches!(op, DiffOp::Equal { .. }) { start } else { all.units.len() };
        all.second.extend(start..start + op.new_range().len());
        if !matches!(op, DiffOp::Equal { .. }) {
            all.units.extend_from_slice(second.get(op.new_range()).unwrap_or_default());
        }
    }
    all
}

/// Replacement of some units by others. One of both may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// Units of the old text that are replaced.
    pub old: Range<usize>,
    /// Units of the new text that stand there instead.
    pub new: Range<usize>,
}

/// Returns the edits that lead from one text to another, in their order.
///
/// What was deleted or added among equal units is taken for the last of them that it can be. Otherwise two texts with the
/// same edit could have it at different units, and a merge would take it twice.
///
/// Where several units stand in place of several others, each that resembles one of those is an edit of that one: two
/// writers may have changed neighbours, and one may have added a unit beside.
pub(super) fn edits(old: &[Unit<'_>], new: &[Unit<'_>]) -> Vec<Edit> {
    // The last first.
    let mut found: Vec<Edit> = Vec::new();
    let ops = capture_diff_slices(Algorithm::Histogram, old, new);
    for op in ops.iter().rev().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
        let mut edit = Edit { old: op.old_range(), new: op.new_range() };
        edit.slide(old, new, found.last().map_or(old.len(), |next| next.old.start));
        while let Some(next) = found.pop_if(|next| edit.old.end == next.old.start) {
            (edit.old.end, edit.new.end) = (next.old.end, next.new.end);
            edit.slide(old, new, found.last().map_or(old.len(), |next| next.old.start));
        }
        found.push(edit);
    }
    let mut edits = Vec::new();
    for edit in found.into_iter().rev() {
        match edit.old.is_empty() || edit.new.is_empty() {
            true => edits.push(edit),
            false => split(old, new, edit.old, edit.new, &mut edits),
        }
    }
    edits
}

impl Edit {
    /// Moves what is only deleted, or only added, towards the end of the texts, over units that equal its own. The old
    /// units up to `end` are equal in both texts.
    fn slide(&mut self, old: &[Unit<'_>], new: &[Unit<'_>], end: usize) {
        let (units, range) = match (self.old.is_empty(), self.new.is_empty()) {
            (_, true) => (old, &self.old),
            (true, _) => (new, &self.new),
            _ => return,
        };
        let most = end.saturating_sub(self.old.end);
        let is_same = |by: &usize| units.get(range.start + by) == units.get(range.end + by);
        let by = (0..most).take_while(is_same).count();
        self.old = self.old.start + by..self.old.end + by;
        self.new = self.new.start + by..self.new.end + by;
    }
}

/// The most pairs of units that are compared where some stand in place of others.
const PAIRS_MAX: usize = 1 << 14;

/// Splits a replacement into edits of single units, and what was deleted and added between them.
fn split(
    old: &[Unit<'_>],
    new: &[Unit<'_>],
    old_range: Range<usize>,
    new_range: Range<usize>,
    edits: &mut Vec<Edit>,
) {
    if old_range.len() == new_range.len() {
        let pairs = old_range.zip(new_range);
        edits.extend(pairs.map(|(old, new)| Edit { old: old..old + 1, new: new..new + 1 }));
        return;
    }
    let texts = |units: &[Unit<'_>], range: &Range<usize>| -> Vec<String> {
        let units = units.get(range.clone()).unwrap_or_default();
        units.iter().map(|unit| unit.text.to_owned()).collect()
    };
    let pairs = resembling(&texts(old, &old_range), &texts(new, &new_range));
    let (mut old_at, mut new_at) = (old_range.start, new_range.start);
    for (old, new) in pairs {
        let (old, new) = (old_range.start + old, new_range.start + new);
        between(old_at..old, new_at..new, edits);
        edits.push(Edit { old: old..old + 1, new: new..new + 1 });
        (old_at, new_at) = (old + 1, new + 1);
    }
    between(old_at..old_range.end, new_at..new_range.end, edits);
}

/// Adds the edit of units that resemble none on the other side, if there are any.
fn between(old: Range<usize>, new: Range<usize>, edits: &mut Vec<Edit>) {
    if !old.is_empty() || !new.is_empty() {
        edits.push(Edit { old, new });
    }
}

/// Returns pairs of texts that resemble each other, rising on both sides: those with the most characters in common.
fn resembling(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        return Vec::new();
    }
    let width = new.len() + 1;
    // The most characters that the texts from here on have in common, by rows of `new`.
    let mut best = vec![0_usize; (old.len() + 1) * width];
    let at = |best: &[usize], o: usize, n: usize| best.get(o * width + n).copied().unwrap_or(0);
    for (o, old) in old.iter().enumerate().rev() {
        for (n, new) in new.iter().enumerate().rev() {
            let paired = resemblance(old, new).map_or(0, |common| common + at(&best, o + 1, n + 1));
            let value = paired.max(at(&best, o + 1, n)).max(at(&best, o, n + 1));
            if let Some(place) = best.get_mut(o * width + n) {
                *place = value;
            }
        }
    }
    let (mut o, mut n, mut pairs) = (0, 0, Vec::new());
    while let (Some(one), Some(other)) = (old.get(o), new.get(n)) {
        let now = at(&best, o, n);
        let paired = resemblance(one, other).map(|common| common + at(&best, o + 1, n + 1));
        if paired == Some(now) {
            pairs.push((o, n));
            (o, n) = (o + 1, n + 1);
        } else if at(&best, o + 1, n) == now {
            o += 1;
        } else {
            n += 1;
        }
    }
    pairs
}

/// Returns the number of characters that two texts have in common at their start and at their end, if that is at least
/// half of them.
fn resemblance(a: &str, b: &str) -> Option<usize> {
    let same = |(a, b): &(char, char)| a == b;
    let start = a.chars().zip(b.chars()).take_while(same).count();
    let (longer, shorter) = match (a.chars().count(), b.chars().count()) {
        (a, b) if a > b => (a, b),
        (a, b) => (b, a),
    };
    let rest = shorter - start;
    let end = a.chars().rev().zip(b.chars().rev()).take(rest).take_while(same).count();
    let common = start + end;
    (common > 0 && 4 * common >= longer + shorter).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<&str> {
        UnitSize::Sentence.cut(text).into_iter().map(|unit| unit.text).collect()
    }

    #[test]
    fn edit_among_equal_lines_is_at_the_last_of_them() {
        let edits_of = |old: &str, new: &str| -> Vec<(Range<usize>, Range<usize>)> {
            let (old, new) = (UnitSize::Line.cut(old), UnitSize::Line.cut(new));
            edits(&old, &new).into_iter().map(|edit| (edit.old, edit.new)).collect()
        };
        for (before, after) in [("", ""), ("x\n", "\nx"), ("x\ny\n", "")] {
            for (first, last) in [("", ""), ("new\n", ""), ("", "\nnew"), ("c\n", "\nb")] {
                let old = format!("{before}a\na{after}");
                let new = format!("{first}{before}a\nb{after}{last}");
                let at = before.matches('\n').count();
                let all = edits_of(&old, &new);
                let replaced = all.iter().find(|(old, _)| old.contains(&(at + 1)));
                assert_eq!(replaced.map(|(old, _)| old.clone()), Some(at + 1..at + 2), "{all:?}");
                assert!(!all.iter().any(|(old, _)| old.contains(&at)), "{new:?}: {all:?}");
            }
        }
        assert_eq!(edits_of("a\nb\na\nz", "a\nz"), [(1..3, 1..1)]);
        assert_eq!(edits_of("a\nz", "a\na\na\nz"), [(1..1, 1..3)]);
    }

    #[test]
    fn sentences_of_lines_are_units() {
        assert_eq!(
            texts("One. Two!  Three?\n\n- Four e.g. five."),
            ["One.", "Two!", "Three?", "", "- Four e.g. five."]
        );
        assert_eq!(texts("東京です。京都です。"), ["東京です。", "京都です。"]);
        assert!(texts("").is_empty());
        assert_eq!(UnitSize::Line.cut("One. Two.\n").len(), 2);
    }

    #[test]
    fn what_is_added_at_either_end_changes_no_other_unit() {
        for size in [UnitSize::Line, UnitSize::Sentence] {
            let old = size.cut("b\nc");
            for (text, at) in [("a\nb\nc", 0), ("b\nc\nd", 2)] {
                let new = size.cut(text);
                assert_eq!(edits(&old, &new), [Edit { old: at..at, new: at..at + 1 }], "{text:?}");
            }
        }
        let [old, new] = ["One.", "One. Two."].map(|text| UnitSize::Sentence.cut(text));
        assert_eq!(edits(&old, &new), [Edit { old: 1..1, new: 1..2 }]);
    }

    #[test]
    fn neighbours_that_were_changed_are_told_from_what_was_added() {
        let old = UnitSize::Line.cut("first line\nsecond line\nthird line");
        let new = UnitSize::Line.cut("first line!\nnew\nthird line, changed\nanother");
        let edit = |old: Range<usize>, new: Range<usize>| Edit { old, new };
        let all = [edit(0..1, 0..1), edit(1..2, 1..2), edit(2..3, 2..3), edit(3..3, 3..4)];
        assert_eq!(edits(&old, &new), all);
        let long: Vec<String> = (0..PAIRS_MAX).map(|n| n.to_string()).collect();
        assert!(resembling(&long, &long[..2]).is_empty(), "too many to compare");
        assert_eq!(resemblance("ab", "cd"), None);
        assert_eq!(resemblance("", ""), None);
        assert_eq!(resemblance("aa", "a"), Some(1));
    }

    proptest! {
        #[test]
        fn units_make_their_text(text in "[ab .!\n\r\t東。]{0,40}") {
            for size in [UnitSize::Line, UnitSize::Sentence] {
                prop_assert_eq!(join(&size.cut(&text)), text.clone());
            }
        }
    }
}
