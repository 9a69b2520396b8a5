//! Cuts a text into units, and finds the units in which two texts differ.
//!
//! A unit is what two writers can change without touching each other's work: a line, or in prose a sentence of a line. It
//! knows what separates it from the unit before it, so that a unit that is added at the end of a text changes no other.

use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// Size of a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum UnitSize {
    /// A line.
    #[default]
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
        if text.is_empty() {
            return Vec::new();
        }
        let mut units = Vec::new();
        for line in text.split('\n') {
            match self {
                UnitSize::Line => units.push(Unit { separator: LINE_BREAK, text: line }),
                UnitSize::Sentence => cut_line(line, &mut units),
            }
        }
        units
    }
}

/// Cuts a line into sentences. White space at the end of the line belongs to its last sentence.
fn cut_line<'a>(line: &'a str, units: &mut Vec<Unit<'a>>) {
    let mut separator = LINE_BREAK;
    let mut sentences = line.split_sentence_bounds().peekable();
    if sentences.peek().is_none() {
        units.push(Unit { separator, text: "" });
    }
    while let Some(sentence) = sentences.next() {
        let text = if sentences.peek().is_some() { sentence.trim_end() } else { sentence };
        units.push(Unit { separator, text });
        separator = sentence.get(text.len()..).unwrap_or_default();
    }
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
/// Where as many units stand as stood there before, each replaces one: two writers may have changed neighbours.
pub(super) fn edits(old: &[Unit<'_>], new: &[Unit<'_>]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for op in capture_diff_slices(Algorithm::Histogram, old, new) {
        let (old, new) = (op.old_range(), op.new_range());
        match op {
            DiffOp::Equal { .. } => {}
            _ if old.len() == new.len() => {
                edits.extend(
                    old.zip(new).map(|(old, new)| Edit { old: old..old + 1, new: new..new + 1 }),
                );
            }
            _ => edits.push(Edit { old, new }),
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<&str> {
        UnitSize::Sentence.cut(text).into_iter().map(|unit| unit.text).collect()
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

    proptest! {
        #[test]
        fn units_make_their_text(text in "[ab .!\n\r\t東。]{0,40}") {
            for size in [UnitSize::Line, UnitSize::Sentence] {
                prop_assert_eq!(join(&size.cut(&text)), text.clone());
            }
        }
    }
}
