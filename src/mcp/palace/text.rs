//! How long a result of this set may be.
//!
//! Invariant: that of all results (`src/mcp/bounds.rs`), with lists that go on behind a name or number.

use super::answers::number;
use crate::mcp::bounds::{Room, fill, quoted_len, shortened};
use serde::Serialize;
use std::collections::BTreeMap;

/// What lists may take; the rest is for what stands around them.
const LIST_BYTES: usize = 90_000;
/// How much of one text is shown at once, in bytes of JSON.
const TEXT_BYTES: usize = 80_000;
/// How much of a value that is only mentioned is shown, in characters.
const MENTION_CHARS: usize = 500;
/// What the values in conflict may take in a result that is about something else, and those of one field.
pub(super) const CONFLICTS_BYTES: usize = 15_000;
pub(super) const OTHERS_BYTES: usize = 6_000;

/// What a result has for its list.
pub(super) fn room() -> Room {
    Room::new(LIST_BYTES)
}

/// As many items from the beginning as fit, and whether some did not.
pub(super) fn fitting<T: Serialize>(items: Vec<T>) -> (Vec<T>, bool) {
    fill(items, usize::MAX, LIST_BYTES)
}

/// As many items from the beginning as so many bytes hold, and how many more there are.
pub(super) fn first_of<T: Serialize>(
    items: impl ExactSizeIterator<Item = T>,
    bytes: usize,
) -> (Vec<T>, Option<i64>) {
    let count = items.len();
    let (kept, cut) = fill(items, usize::MAX, bytes);
    let left = number(count - kept.len());
    (kept, cut.then_some(left))
}

/// The entries of a map behind a name, as many as fit, and the last of them if some did not.
pub(super) fn fitting_behind<V: Serialize>(
    map: BTreeMap<String, V>,
    after: Option<&str>,
) -> (BTreeMap<String, V>, Option<String>) {
    let behind = |(name, _): &(String, V)| after.is_none_or(|after| name.as_str() > after);
    let (kept, cut) = fitting(map.into_iter().filter(behind).collect());
    let last = kept.last().map(|(name, _)| name.clone()).filter(|_| cut);
    (kept.into_iter().collect(), last)
}

/// The characters of a text from `offset` on that fit, and where to go on.
pub(super) fn part(text: &str, offset: usize) -> (String, Option<usize>) {
    let (mut shown, mut bytes) = (String::new(), 0);
    for (n, character) in text.chars().enumerate().skip(offset) {
        bytes += quoted_len(character);
        if bytes > TEXT_BYTES {
            return (shown, Some(n));
        }
        shown.push(character);
    }
    (shown, None)
}

/// A text that is only mentioned.
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
            let (shown, next) = part(&text, from);
            assert!(serde_json::to_string(&shown).unwrap().len() <= TEXT_BYTES + 2);
            whole.push_str(&shown);
            (offset, parts) = (next, parts + 1);
        }
        assert_eq!((whole == text, parts), (true, 3));
    }

    #[test]
    fn a_list_is_cut_before_it_is_too_long_and_never_to_nothing() {
        let (kept, cut) = fitting(vec!["x".repeat(40_000); 4]);
        assert_eq!((kept.len(), cut), (2, true));
        let (kept, cut) = fitting(vec!["x".repeat(200_000), "y".to_owned()]);
        assert_eq!((kept.len(), cut), (1, true));
        assert_eq!(fitting(vec!["x", "y"]), (vec!["x", "y"], false));
    }

    #[test]
    fn a_map_goes_on_behind_its_last_name() {
        let map: BTreeMap<String, String> =
            (0..10).map(|n| (format!("n{n}"), "x".repeat(20_000))).collect();
        let (mut names, mut after) = (Vec::new(), None::<String>);
        loop {
            let (kept, next) = fitting_behind(map.clone(), after.as_deref());
            names.extend(kept.into_keys());
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, map.into_keys().collect::<Vec<_>>());
    }
}
