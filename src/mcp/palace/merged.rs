//! A text that stands after a write and is not exactly what was sent: all of it, or the lines that differ.

use crate::mcp::page::{Budget, json_len, number, shortened};
use crate::mcp::tool::Call;
use crate::mcp::unseen::MERGED_BYTES;
use crate::memory::drawers::Drawer;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use std::collections::HashMap;

/// Most bytes of a text in full, as JSON: characters that are escaped take up to six.
const JSON_BYTES: usize = 3 * MERGED_BYTES;
/// Most bytes of lines that differ.
const LINES_BYTES: usize = MERGED_BYTES;
/// Most characters of one of them.
const LINE_CHARS: usize = 1_000;

/// A line that differs from what was sent
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct DifferingLine {
    /// Its number in the text that stands, from 1; absent if the line was sent and does not stand
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<i64>,
    pub text: String,
}

/// A text that stands after a write
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct MergedText {
    /// The whole text that stands now, up to 20,000 bytes: if merged, or if you moved a drawer of which you have read
    /// nothing. It counts as read
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// If merged and the text is longer: the lines that are not as they were sent; get_drawer gives all
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differing_lines: Vec<DifferingLine>,
    /// Number of such lines that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_lines: Option<i64>,
}

/// Returns a text if a result can carry it in full.
pub(super) fn in_full(text: &str) -> Option<String> {
    let fits = text.len() <= MERGED_BYTES && json_len(&text) <= JSON_BYTES;
    fits.then(|| text.to_owned())
}

/// Returns the text of a drawer that a client has not read, if the answer can carry it in full, and notes that it does.
pub(super) fn shown_in_answer(call: &Call, drawer: &Drawer, unread: bool) -> Option<String> {
    let text = in_full(&drawer.content).filter(|_| unread)?;
    call.session.saw_in_answer(&drawer.key, &drawer.heads);
    Some(text)
}

impl MergedText {
    /// Shows a whole text, if it is short enough.
    pub fn whole(stands: &str) -> Self {
        MergedText { text: in_full(stands), ..MergedText::default() }
    }

    /// Shows a text in the place of the one that was sent.
    pub fn new(sent: &str, stands: &str) -> Self {
        let whole = MergedText::whole(stands);
        if whole.text.is_some() {
            return whole;
        }
        let lines = differing(sent, stands);
        let (differing_lines, more_lines) = Budget::of(LINES_BYTES).keep(lines.into_iter());
        MergedText { text: None, differing_lines, more_lines }
    }
}

/// Returns the lines that stand and were not sent, then those that were sent and do not stand.
fn differing(sent: &str, stands: &str) -> Vec<DifferingLine> {
    let mut left: HashMap<&str, usize> = HashMap::new();
    sent.lines().for_each(|line| *left.entry(line).or_default() += 1);
    let shown = |line, text| DifferingLine { line, text: shortened(text, LINE_CHARS) };
    let mut found = Vec::new();
    for (n, line) in stands.lines().enumerate() {
        match left.get_mut(line) {
            Some(count) if *count > 0 => *count -= 1,
            _ => found.push(shown(Some(number(n + 1)), line)),
        }
    }
    for line in sent.lines() {
        if let Some(count) = left.get_mut(line).filter(|count| **count > 0) {
            *count -= 1;
            found.push(shown(None, line));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_merged_text_is_shown_whole_and_long_one_by_its_lines() {
        let short = MergedText::new("a", "a\nb");
        assert_eq!((short.text.as_deref(), short.differing_lines.len()), (Some("a\nb"), 0));
        let same = "the same line\n".repeat(2_000);
        let long = MergedText::new(&format!("mine\n{same}x"), &format!("{same}x\ntheirs"));
        let line = |line, text: &str| DifferingLine { line, text: text.to_owned() };
        assert_eq!(long.text, None);
        assert_eq!(long.differing_lines, [line(Some(2_002), "theirs"), line(None, "mine")]);
        let other: String = (0..9_000).map(|n| format!("line {n}\n")).collect();
        let cut = MergedText::new("", &other);
        assert_eq!(cut.more_lines, Some(9_000 - cut.differing_lines.len() as i64));
    }
}
