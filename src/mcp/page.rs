//! A page of a result: the items that fit, and the cursor of those that do not.
//!
//! A client drops, or cuts, a result of more than about 25,000 tokens; four bytes are about one token.
//!
//! Invariants: a result has at most [`RESULT_BYTES`] of JSON, with everything in it, also what it repeats from the
//! arguments. What is left out is said, with what to call for it. A page has at least one item unless the list is
//! empty, so that a client that follows the cursors comes to the end.

use serde::Serialize;
use std::convert::Infallible;
use std::io;

/// Most bytes of JSON in a result.
pub(super) const RESULT_BYTES: usize = 100_000;
/// Most bytes of an answer that has no pages: a graph or a document that is read whole.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes kept free for a cursor. The longest is a key, in which every character may be escaped.
const CURSOR_BYTES: usize = 4_000;
/// Bytes kept free for notes about the arguments.
pub(super) const NOTES_BYTES: usize = 3_000;
/// Most bytes of a text that a result repeats from its arguments. All arguments that mean something are shorter.
const ECHO_CHARS: usize = 500;

/// Bytes of JSON that a result still has for its items.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    /// Returns what a result has for its lists; `frame` is the same result with empty lists.
    pub fn around(frame: &impl Serialize) -> Self {
        let kept_free = CURSOR_BYTES + NOTES_BYTES + json_len(frame);
        Budget { left: RESULT_BYTES.saturating_sub(kept_free) }
    }

    /// A budget of so many bytes, for a list that is not the subject of its result.
    pub fn of(bytes: usize) -> Self {
        Budget { left: bytes }
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Sets aside at most `bytes` of this budget for one list. What the list does not use is lost.
    pub fn share(&mut self, bytes: usize) -> Self {
        let share = bytes.min(self.left);
        self.left -= share;
        Budget { left: share }
    }

    /// Spends what the item needs, if that much is left. Behind an item that does not fit nothing fits.
    pub fn takes(&mut self, item: &impl Serialize) -> bool {
        // An item is followed by a comma.
        let left = self.left.checked_sub(json_len(item) + 1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Returns the items that fit, from the first on, and the number of those that do not, if there are any.
    pub fn keep<T: Serialize>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
    ) -> (Vec<T>, Option<i64>) {
        let count = items.len();
        let kept: Vec<T> = items.take_while(|item| self.takes(item)).collect();
        let left_out = count - kept.len();
        (kept, (left_out > 0).then(|| number(left_out)))
    }
}

/// Items of a list, and where the next page starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

impl<T: Serialize> Page<T> {
    /// Fills a page. Each item comes with the cursor of what is behind it. The page ends after `limit` items, or
    /// before the first item that does not fit; `more` says whether the list goes on behind `items`.
    pub fn fill(
        items: impl IntoIterator<Item = (String, T)>,
        limit: usize,
        more: bool,
        budget: &mut Budget,
    ) -> Self {
        let items = items.into_iter().map(Ok::<_, Infallible>);
        match Page::try_fill(items, limit, more, budget) {
            Ok(page) => page,
            Err(never) => match never {},
        }
    }

    /// Fills a page of items that are read one by one, as [`Page::fill`] does.
    ///
    /// # Errors
    /// The first error of an item.
    pub fn try_fill<E>(
        items: impl IntoIterator<Item = Result<(String, T), E>>,
        limit: usize,
        more: bool,
        budget: &mut Budget,
    ) -> Result<Self, E> {
        let (mut page, mut last) = (Page { items: Vec::new(), next_cursor: None }, None);
        for item in items {
            let (cursor, item) = item?;
            // The first item is always taken: no item alone is longer than a result, and a page without one would
            // come back for ever.
            let fits = budget.takes(&item) || page.items.is_empty();
            if page.items.len() == limit || !fits {
                page.next_cursor = last;
                return Ok(page);
            }
            page.items.push(item);
            last = Some(cursor);
        }
        page.next_cursor = last.filter(|_| more);
        Ok(page)
    }
}

/// Counts the bytes of a value as JSON.
pub(super) fn json_len(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // A value that cannot become JSON cannot be sent either; sending it reports the error.
    serde_json::to_writer(&mut counter, value).map_or(0, |()| counter.0)
}

/// A count as results have it: JSON integers are signed.
pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as results have it that leave out 0.
pub(super) fn some_number(count: usize) -> Option<i64> {
    (count > 0).then(|| number(count))
}

/// Bytes of a character in a JSON string.
fn quoted_len(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\t' | '\r' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

/// Returns the piece of a text from byte `offset` on that needs at most `max` bytes in a JSON string, and where it
/// ends; `None` if the text has no character at `offset`.
pub(super) fn piece(text: &str, offset: usize, max: usize) -> Option<(&str, usize)> {
    let rest = text.get(offset..)?;
    let mut left = max;
    let fits =
        |(_, c): &(usize, char)| left.checked_sub(quoted_len(*c)).map(|rest| left = rest).is_some();
    let length = rest.char_indices().take_while(fits).last().map_or(0, |(at, c)| at + c.len_utf8());
    Some((rest.get(..length)?, offset + length))
}

/// Returns the beginning of a text, and `…` if that is not all of it.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// An argument as a result repeats it.
pub(super) fn echoed(text: &str) -> String {
    shortened(text, ECHO_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items with their numbers as cursors.
    fn fill(
        items: &[&'static str],
        limit: usize,
        bytes: usize,
    ) -> (Vec<&'static str>, Option<String>) {
        let items = items.iter().enumerate().map(|(n, item)| (n.to_string(), *item));
        let Page { items, next_cursor } = Page::fill(items, limit, false, &mut Budget::of(bytes));
        (items, next_cursor)
    }

    #[test]
    fn pieces_make_the_whole_and_respect_the_bound() {
        let text = "a\"é\u{1}東\\z\u{7f}".repeat(50);
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
    fn items_fill_a_page_and_no_more() {
        let cursor = |n: &str| Some(n.to_owned());
        assert_eq!(fill(&["aa", "bb", "cc"], 10, 12), (vec!["aa", "bb"], cursor("1")));
        assert_eq!(fill(&["aa", "bb"], 10, 12), (vec!["aa", "bb"], None));
        assert_eq!(fill(&["aa", "bb"], 1, 12), (vec!["aa"], cursor("0")));
        assert_eq!(fill(&["too long"], 10, 2), (vec!["too long"], None));
        assert_eq!(fill(&["too long", "b"], 10, 2), (vec!["too long"], cursor("0")));
        let goes_on = Page::fill([("k".to_owned(), 1)], 10, true, &mut Budget::of(9));
        assert_eq!(goes_on.next_cursor, cursor("k"));
        let none = Page::fill(Vec::<(String, u8)>::new(), 10, true, &mut Budget::of(9));
        assert_eq!(none, Page { items: Vec::new(), next_cursor: None });
    }

    #[test]
    fn a_list_in_a_result_is_cut_and_says_how_much_is_missing() {
        let mut budget = Budget::of(12);
        assert_eq!(budget.keep(["aa", "bb", "cc"].into_iter()), (vec!["aa", "bb"], Some(1)));
        assert_eq!(budget.keep(["a"].into_iter()), (vec![], Some(1)));
        assert_eq!(Budget::of(12).keep(["aa"].into_iter()), (vec!["aa"], None));
    }

    #[test]
    fn a_frame_and_its_items_stay_within_a_result() {
        #[derive(Serialize)]
        struct Result {
            echo: String,
            items: Vec<String>,
        }
        let mut result = Result { echo: "\"".repeat(20_000), items: Vec::new() };
        let items = (0..10).map(|n| (n.to_string(), "x".repeat(8_500)));
        let page = Page::fill(items, 100, false, &mut Budget::around(&result));
        assert_eq!(page.next_cursor.as_deref(), Some("5"));
        result.items = page.items;
        assert!(json_len(&result) <= RESULT_BYTES);
    }
}
