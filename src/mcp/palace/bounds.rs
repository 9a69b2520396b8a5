//! How long a result may be.
//!
//! Invariant: the JSON text of a result stays under 100,000 bytes, which is about the 25,000 tokens that clients
//! let through. What is left out is said, with the way to get it.

use serde::Serialize;
use std::collections::BTreeMap;

/// What lists may take; the rest is for what stands around them.
const LIST_BYTES: usize = 90_000;
/// How much of one text is shown at once, in bytes of JSON.
const TEXT_BYTES: usize = 80_000;
/// How much of a value that is only mentioned is shown, in characters.
const MENTION_CHARS: usize = 500;

/// How many items fit one result.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Room(LIST_BYTES)
    }
}

impl Room {
    /// Whether this fits too. The first thing always does, so that each call gets on.
    pub fn takes(&mut self, item: &impl Serialize) -> bool {
        let length = serde_json::to_string(item).map_or(usize::MAX, |text| text.len() + 1);
        let first = self.0 == LIST_BYTES;
        match self.0.checked_sub(length) {
            Some(left) => self.0 = left,
            None if first => self.0 = 0,
            None => {
                self.0 = 0;
                return false;
            }
        }
        true
    }
}

/// As many items from the beginning as fit, and whether some did not.
pub(super) fn fitting<T: Serialize>(items: Vec<T>) -> (Vec<T>, bool) {
    let (mut room, all) = (Room::default(), items.len());
    let kept: Vec<T> = items.into_iter().take_while(|item| room.takes(item)).collect();
    let cut = kept.len() < all;
    (kept, cut)
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
        bytes += match character {
            '"' | '\\' | '\n' | '\t' | '\r' => 2,
            c if c.is_control() => 6,
            c => c.len_utf8(),
        };
        if bytes > TEXT_BYTES {
            return (shown, Some(n));
        }
        shown.push(character);
    }
    (shown, None)
}

/// A text that is only mentioned.
pub(super) fn mention(text: &str) -> String {
    match text.char_indices().nth(MENTION_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
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
