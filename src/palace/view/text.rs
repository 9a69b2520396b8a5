//! The texts in a value, as the word index of a snapshot is given them.

use crate::merge::Conflict;
use crate::snapshot::{Terms, words};
use memchr::memmem::Finder;
use serde_json::{Map, Value};

/// Returns all texts in a value, and in the readings in conflict that it does not show, a line each.
pub fn text_of(value: &Map<String, Value>, conflicts: &[Conflict]) -> String {
    text_of_fields(value, conflicts, |_| true)
}

/// As [`text_of`], of the fields whose names are wanted.
pub fn text_of_fields(
    value: &Map<String, Value>,
    conflicts: &[Conflict],
    wanted: impl Fn(&str) -> bool,
) -> String {
    let mut text = String::new();
    let shown = value.iter().filter(|(name, _)| wanted(name));
    shown.for_each(|(_, value)| collect(value, &mut text));
    let open = conflicts.iter().filter(|conflict| wanted(conflict.field()));
    let others = open.flat_map(|conflict| &conflict.others);
    others.for_each(|other| collect(&other.value, &mut text));
    text
}

/// Adds the texts of one field to `text`.
fn collect(value: &Value, text: &mut String) {
    match value {
        Value::String(string) => {
            text.push_str(string);
            text.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, text)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the distinct words of [`text_of`] in order, each between two spaces. No word holds a space, so a search for
/// `" word "` finds a word, and one for `" wor"` a beginning.
pub fn distinct_words(value: &Map<String, Value>, conflicts: &[Conflict]) -> String {
    let mut found = words(&text_of(value, conflicts));
    found.sort_unstable();
    found.dedup();
    let mut text =
        String::with_capacity(found.iter().map(|word| word.len() + 1).sum::<usize>() + 1);
    text.push(' ');
    for word in found {
        text.push_str(&word);
        text.push(' ');
    }
    text
}

/// Terms of a query, to be looked for in what [`distinct_words`] gives.
#[derive(Debug)]
pub struct Patterns(Vec<Finder<'static>>);

impl Patterns {
    /// Patterns of these terms, in their order.
    #[must_use]
    pub fn of(terms: &Terms) -> Self {
        Patterns(terms.patterns().map(|pattern| Finder::new(&pattern).into_owned()).collect())
    }

    /// Returns true if each of them is among these words.
    #[must_use]
    pub fn all_in(&self, words: &str) -> bool {
        self.0.iter().all(|pattern| pattern.find(words.as_bytes()).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_find_the_words_that_terms_accept() {
        let value = json!({"a": "Panic in the night", "b": ["night", {"c": "東京"}], "d": 7});
        let found = distinct_words(value.as_object().unwrap(), &[]);
        assert_eq!(found, " in night panic the 京 東 ");
        let all_words = words("Panic in the night night 東京");
        for (terms, expected) in [
            (Terms::default().whole("night panic"), true),
            (Terms::default().whole("nigh"), false),
            (Terms::default().prefix("nigh"), true),
            (Terms::default().prefix("ight"), false),
            (Terms::default().whole("東 the"), true),
            (Terms::default().whole("the day"), false),
        ] {
            assert_eq!(Patterns::of(&terms).all_in(&found), expected, "{terms:?}");
            assert_eq!(terms.accept(&all_words), expected, "{terms:?}");
        }
        assert_eq!(distinct_words(&Map::new(), &[]), " ");
    }
}
