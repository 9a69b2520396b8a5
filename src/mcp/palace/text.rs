//! Texts of drawers and diaries in results: in parts, or only their beginning.

use crate::mcp::page::{Budget, number, piece, shortened};
use serde::Serialize;

/// Most bytes of a text in one result, as JSON.
const TEXT_BYTES: usize = 80_000;
/// Most characters of a text or value that is only mentioned.
const MENTION_CHARS: usize = 500;

/// Returns the part of a text from character `offset` on that a result has room for, and the offset of the next part.
/// `frame` is the result without the text.
pub(super) fn part(text: &str, offset: usize, frame: &impl Serialize) -> (String, Option<i64>) {
    let start = text.char_indices().nth(offset).map_or(text.len(), |(at, _)| at);
    let max = TEXT_BYTES.min(Budget::around(frame).left());
    let Some((part, end)) = piece(text, start, max) else { return (String::new(), None) };
    let next = offset + part.chars().count();
    (part.to_owned(), (end < text.len()).then(|| number(next)))
}

/// A text that is only mentioned: its beginning, and `…` if that is not all.
pub(super) fn mention(text: &str) -> String {
    shortened(text, MENTION_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_in_parts_that_fit_and_make_up_the_whole() {
        let text: String = (0..100_000).map(|n| if n % 3 == 0 { '"' } else { 'ö' }).collect();
        let (mut whole, mut offset, mut parts) = (String::new(), Some(0), 0);
        while let Some(from) = offset {
            let (shown, next) = part(&text, usize::try_from(from).unwrap(), &());
            assert!(serde_json::to_string(&shown).unwrap().len() <= TEXT_BYTES + 2);
            whole.push_str(&shown);
            (offset, parts) = (next, parts + 1);
        }
        assert_eq!((whole == text, parts), (true, 3));
        let (short, next) = part(&text, 0, &"x".repeat(90_000));
        assert!(short.len() < 10_000 && next.is_some(), "the frame takes its part first");
        assert_eq!(part("ab", 7, &()), (String::new(), None));
    }
}
