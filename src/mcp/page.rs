//! How much a result may hold. A client gives up on, or cuts, what has more than about 25,000 tokens; four bytes
//! are about one token.
//!
//! Invariant: what is left out is said, with what to call for it.

use crate::merge::{Candidate, Conflict, Settled, Written};
use crate::palace::status::time_text;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::Value;

/// The most bytes of JSON in a result.
pub(super) const RESULT_BYTES: usize = 100_000;
/// What a result needs besides its items: names of fields, a key, an etag, a cursor.
const FRAME_BYTES: usize = 4_000;
/// The most bytes of items in a result.
pub(super) const ITEM_BYTES: usize = RESULT_BYTES - FRAME_BYTES;
/// The most bytes of conflicts in a result that is about something else.
pub(super) const ASIDE_BYTES: usize = 20_000;
/// The most bytes of one value in conflict, and of all those of one field.
const SIDE_BYTES: usize = 4_000;
const SIDES_BYTES: usize = 4 * SIDE_BYTES;
/// The most bytes of the value that an ETAG_MISMATCH shows.
pub(super) const CURRENT_BYTES: usize = 50_000;
/// The longest name of a writer that is shown, in characters. Anybody can write anything there.
const BY_CHARS: usize = 200;
/// The most characters of a path that are shown: names of fields may be long.
const PATH_CHARS: usize = 1_000;

/// Who wrote something, and when
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct By {
    /// The writer, as it calls itself
    pub by: String,
    /// When, by the writer's clock
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

impl By {
    pub fn new(by: &str, time_ms: i64) -> Self {
        // The first change of what is filed by its content has no time: whoever files it makes the same one.
        By { by: by.chars().take(BY_CHARS).collect(), time: time_text(time_ms) }
    }
}

/// A value, who wrote it, and in which version.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Side {
    /// The value; left out if it is long
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// If it is left out: how many bytes of JSON it has. document_get with this etag as version shows it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// The writer, as it calls itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When, by the writer's clock
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The version in which it was written
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl Side {
    /// The value, if it has no more than `max` bytes.
    pub fn bounded(value: Value, max: usize, written: Option<&Written>) -> Self {
        let length = value.to_string().len();
        let by = written.map(|written| By::new(&written.by, written.time_ms));
        let (by, time) = by.map_or((None, None), |by| (Some(by.by), by.time));
        Side {
            value: (length <= max).then_some(value),
            bytes: (length > max).then_some(length as i64),
            by,
            time,
            etag: written.map(|written| written.change.etag().to_string()),
        }
    }

    fn of(Candidate { value, written }: Candidate) -> Self {
        Side::bounded(value, SIDE_BYTES, Some(&written))
    }
}

/// A field that several writers set at the same time
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Disputed {
    /// Which field: a JSON pointer
    pub path: String,
    /// The value that is shown
    pub shown: Side,
    /// The others. Writing the field once more, with any value, settles it
    pub others: Vec<Side>,
    /// How many more there are
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
}

impl Disputed {
    pub fn of(conflict: Conflict, document: &Value) -> Self {
        let value = document.pointer(&conflict.path).cloned().unwrap_or_default();
        let (others, more) = sides(conflict.others);
        let shown = Side::of(Candidate { value, written: conflict.shown });
        Disputed { path: shortened(&conflict.path, PATH_CHARS), shown, others, more }
    }
}

/// Values in conflict that a write put an end to
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Ended {
    /// Which field: a JSON pointer
    pub path: String,
    /// The values that are gone from it; document_get still has them under their etags as version
    pub values: Vec<Side>,
    /// How many more there are
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
}

impl Ended {
    pub fn of(settled: Settled) -> Self {
        let (values, more) = sides(settled.values);
        Ended { path: shortened(&settled.path, PATH_CHARS), values, more }
    }
}

/// As many values as fit, and how many do not.
fn sides(values: Vec<Candidate>) -> (Vec<Side>, Option<i64>) {
    let count = values.len();
    let (sides, more) = fill(values.into_iter().map(Side::of), count, SIDES_BYTES);
    let left = (count - sides.len()) as i64;
    (sides, more.then_some(left))
}

/// What is left of a result for its items.
#[derive(Debug)]
pub(super) struct Room {
    left: usize,
    empty: bool,
}

impl Room {
    pub fn new(bytes: usize) -> Self {
        Room { left: bytes, empty: true }
    }

    /// Whether this fits too. The first thing always does, so that each call gets on; behind one that does not,
    /// nothing does.
    pub fn takes(&mut self, item: &impl Serialize) -> bool {
        // What cannot become JSON cannot be sent either; it is found out when it is.
        let length = serde_json::to_string(item).map_or(0, |text| text.len() + 1);
        let fits = length <= self.left || self.empty;
        self.left = if fits { self.left.saturating_sub(length) } else { 0 };
        self.empty = false;
        fits
    }
}

/// As many items as fit, and whether there are more. There is always one, unless there is none.
pub(super) fn fill<T: Serialize>(
    items: impl IntoIterator<Item = T>,
    limit: usize,
    bytes: usize,
) -> (Vec<T>, bool) {
    let (mut taken, mut room) = (Vec::new(), Room::new(bytes));
    for item in items {
        if taken.len() == limit || !room.takes(&item) {
            return (taken, true);
        }
        taken.push(item);
    }
    (taken, false)
}

/// How many bytes a character has in a JSON string.
pub(super) fn quoted_len(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\t' | '\r' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    }
}

/// The piece of a text from `offset` on that has at most `max` bytes once it stands in a JSON string, and where it
/// ends.
pub(super) fn piece(text: &str, offset: usize, max: usize) -> Option<(&str, usize)> {
    let rest = text.get(offset..)?;
    let mut left = max;
    let fits =
        |(_, c): &(usize, char)| left.checked_sub(quoted_len(*c)).map(|rest| left = rest).is_some();
    let length = rest.char_indices().take_while(fits).last().map_or(0, |(at, c)| at + c.len_utf8());
    Some((rest.get(..length)?, offset + length))
}

/// The beginning, marked if it is not all.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole_and_respect_the_bound() {
        let text = "a\"é\u{1}東\\z".repeat(50);
        let (mut whole, mut offset) = (String::new(), 0);
        while offset < text.len() {
            let (part, end) = piece(&text, offset, 40).unwrap();
            assert!(serde_json::to_string(part).unwrap().len() <= 42 && end > offset);
            whole.push_str(part);
            offset = end;
        }
        assert_eq!(whole, text);
        assert_eq!(piece("é", 1, 40), None);
    }

    #[test]
    fn items_fill_a_result_and_no_more() {
        assert_eq!(fill(["aa", "bb", "cc"], 10, 12), (vec!["aa", "bb"], true));
        assert_eq!(fill(["aa", "bb"], 10, 12), (vec!["aa", "bb"], false));
        assert_eq!(fill(["aa", "bb"], 1, 12), (vec!["aa"], true));
        assert_eq!(fill(["too long"], 10, 2), (vec!["too long"], false));
    }
}
