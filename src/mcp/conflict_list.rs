//! Lists of open conflicts, and the value that settles one: what the tool sets share.
//!
//! Invariant: a list goes on in the document in which its page ended. If that has changed since, the list shows it from
//! its first conflict on, because the numbers of its conflicts and its etag have changed too.

use super::arguments::{argument, bad_cursor, optional_etag};
use super::page::{Budget, Page};
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::memory::MemoryError;
use crate::merge::Conflict;
use crate::palace;
use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;

/// Documents with conflicts that are read at a time.
pub(super) const PART: usize = 20;

/// The place in a list of conflicts at which a page ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConflictCursor {
    /// Number of conflicts of the last document that were shown.
    shown: usize,
    /// The version of that document.
    etag: String,
    /// Its key.
    pub key: String,
}

impl ConflictCursor {
    /// Reads a cursor.
    ///
    /// # Errors
    /// [`palace::Error::Cursor`] if no list has given it.
    pub fn parse(text: &str) -> palace::Result<Self> {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().ok_or_else(|| bad_cursor(text));
        let (shown, etag, key) = (next()?, next()?.to_owned(), next()?.to_owned());
        let shown = shown.parse().map_err(|_| bad_cursor(text))?;
        Ok(ConflictCursor { shown, etag, key })
    }

    /// Returns the cursor behind the first `shown` conflicts of a document.
    pub fn behind(shown: usize, etag: &str, key: &str) -> String {
        format!("{shown}:{etag}:{key}")
    }

    /// Returns the number of conflicts of this document that were shown already; 0 if it has changed since.
    pub fn shown_of(&self, etag: &str, key: &str) -> usize {
        if self.etag == etag && self.key == key { self.shown } else { 0 }
    }
}

/// Iterates over documents that are read in parts, each part behind the key of the document before it: `first`, then
/// those behind `after`.
pub(super) fn in_parts<T, E>(
    first: Option<T>,
    mut after: Option<String>,
    key: fn(&T) -> &str,
    mut read: impl FnMut(Option<&str>) -> Result<Vec<T>, E>,
) -> impl Iterator<Item = Result<T, E>> {
    let (mut part, mut over) = (VecDeque::from_iter(first), false);
    std::iter::from_fn(move || {
        if part.is_empty() && !over {
            match read(after.as_deref()) {
                Ok(next) => part = next.into(),
                Err(error) => {
                    over = true;
                    return Some(Err(error));
                }
            }
        }
        let next = part.pop_front();
        over = over || next.is_none();
        after = next.as_ref().map(|next| key(next).to_owned());
        next.map(Ok)
    })
}

/// A document, and its conflicts as a list shows them.
pub(super) struct InConflict<T> {
    pub key: Key,
    pub etag: String,
    pub heads: Heads,
    pub conflicts: Vec<T>,
}

/// Fills a page with the conflicts of documents. Calls `showed` with the key and the version of each document of which it
/// has a conflict.
///
/// # Errors
/// The first error of a document.
pub(super) fn page_of_conflicts<T: Serialize, E>(
    cursor: Option<&ConflictCursor>,
    documents: impl Iterator<Item = Result<InConflict<T>, E>>,
    showed: impl Fn(&Key, &Heads),
) -> Result<Page<T>, E> {
    let (mut read, mut count) = (Vec::new(), 0);
    let items = |document: Result<InConflict<T>, E>| {
        let InConflict { key, etag, heads, conflicts } = match document {
            Ok(document) => document,
            Err(error) => return vec![Err(error)],
        };
        let skipped = cursor.map_or(0, |cursor| cursor.shown_of(&etag, key.as_str()));
        let behind = |n: usize| ConflictCursor::behind(n + 1, &etag, key.as_str());
        let conflicts = conflicts.into_iter().enumerate().skip(skipped);
        let conflicts: Vec<_> = conflicts.map(|(n, one)| Ok((behind(n), one))).collect();
        read.push((count, key, heads));
        count += conflicts.len();
        conflicts
    };
    let page =
        Page::try_fill(documents.flat_map(items), usize::MAX, false, &mut Budget::around(&()))?;
    // Of the last document that was read, nothing may have fitted.
    let shown = read.iter().filter(|(first, ..)| *first < page.items.len());
    shown.for_each(|(_, key, heads)| showed(key, heads));
    Ok(page)
}

/// Returns the conflict with a number, counted from 1.
///
/// # Errors
/// [`MemoryError::Argument`] if there is none.
pub(super) fn numbered<T>(
    number: i64,
    mut conflicts: impl ExactSizeIterator<Item = T>,
) -> Result<T, MemoryError> {
    let count = conflicts.len();
    let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    index.and_then(|index| conflicts.nth(index)).ok_or_else(|| {
        let why = match count {
            0 => "there is no open conflict: nothing is left to settle".to_owned(),
            _ => format!("{number} is out of range: pass 1 to {count}, a number from the list"),
        };
        argument("conflict", why)
    })
}

/// Returns the value that settles a conflict: the reading that `take` names, or `other`, which the argument `field` has.
///
/// # Errors
/// [`MemoryError::Argument`] unless exactly one of them is given and can stand there.
pub(super) fn settling_value(
    conflict: &Conflict,
    shown: &Value,
    take: Option<&str>,
    (field, other): (&'static str, Option<Value>),
) -> Result<Value, MemoryError> {
    let value = match (optional_etag("take", take)?, other) {
        (Some(take), None) => {
            let others = conflict.others.iter().map(|other| (&other.written, &other.value));
            let mut readings = std::iter::once((&conflict.shown, shown)).chain(others);
            let taken = readings.find(|(written, _)| written.change.etag() == take);
            let why =
                "no reading of this conflict has this etag: pass one that the list shows for it";
            taken.map(|(_, value)| value.clone()).ok_or_else(|| argument("take", why))?
        }
        (None, Some(other)) => other,
        _ => {
            let why =
                format!("pass either take, the etag of a reading, or {field}, another reading");
            return Err(argument("take", why));
        }
    };
    if conflict.range.is_some() && !value.is_string() {
        return Err(argument(field, "only a part of a text is in conflict: pass a text for it"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_cursors_survive_any_key_and_start_again_after_a_change() {
        let cursor = ConflictCursor::behind(3, "0123456789abcdef", "a:b/c");
        let cursor = ConflictCursor::parse(&cursor).unwrap();
        assert_eq!(cursor.key, "a:b/c");
        assert_eq!(cursor.shown_of("0123456789abcdef", "a:b/c"), 3);
        assert_eq!(cursor.shown_of("fedcba9876543210", "a:b/c"), 0);
        assert_eq!(cursor.shown_of("0123456789abcdef", "a"), 0);
        for bad in ["", "1", "1:e", "x:e:k", "-1:e:k"] {
            assert!(ConflictCursor::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_of_a_list_come_one_after_the_other() {
        let all = ["a", "b", "c", "d"];
        let read = |after: Option<&str>| -> Result<Vec<&str>, ()> {
            let behind = all.into_iter().filter(|key| after.is_none_or(|after| *key > after));
            Ok(behind.take(2).collect())
        };
        let read_all = |first, after: Option<&str>| {
            let keys = in_parts(first, after.map(str::to_owned), |key| key, read);
            keys.collect::<Result<Vec<_>, _>>().unwrap()
        };
        assert_eq!(read_all(None, None), all);
        assert_eq!(read_all(Some("b"), Some("b")), ["b", "c", "d"]);
        assert_eq!(read_all(None, Some("c")), ["d"]);
    }

    #[test]
    fn numbers_of_conflicts_begin_at_one() {
        let conflicts = ["a", "b"];
        let of = |number| numbered(number, conflicts.iter()).copied();
        assert_eq!((of(1).unwrap(), of(2).unwrap()), ("a", "b"));
        for number in [0, 3, -1, i64::MIN, i64::MAX] {
            assert!(of(number).is_err(), "{number}");
        }
        let none: [&str; 0] = [];
        let error = numbered(1, none.iter()).unwrap_err();
        assert!(error.to_string().contains("nothing is left"), "{error}");
    }
}
