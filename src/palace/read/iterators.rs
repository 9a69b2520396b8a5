//! Iterators over documents and keys, which read a page when the one before it is used up.

use super::keys::KEYS_MAX;
use crate::format::key::Key;
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
use crate::palace::view::document::Document;
use std::vec::IntoIter;

/// Documents that a [`Scan`] reads at once. They may have 1 MiB each, and all are in memory.
const SCAN_AT_ONCE: usize = 100;

/// An iterator over the documents of a prefix, in the order of their keys. Made by [`Palace::scan`].
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// for n in 0..250 {
///     palace.put(&format!("notes/{n:03}"), &json!({"n": n}))?;
/// }
/// let mut numbers = 0..;
/// for document in palace.scan("notes/") {
///     assert_eq!(document?.value["n"].as_u64(), numbers.next());
/// }
/// assert_eq!(numbers.next(), Some(250));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator reads nothing until it is used"]
pub struct Scan<'a> {
    palace: &'a Palace,
    prefix: String,
    page: IntoIter<Document>,
    next: Next,
}

/// An iterator over the keys of a prefix, in their order. Made by [`Palace::keys`].
///
/// ```
/// # use crdt_palace::palace::{Key, Palace};
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// for key in ["notes/b", "notes/a"] {
///     palace.increment(key, &["n"], 1)?;
/// }
/// let keys = palace.keys("notes/").collect::<Result<Vec<Key>, _>>()?;
/// assert_eq!(keys, [Key::new("notes/a")?, Key::new("notes/b")?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator reads nothing until it is used"]
pub struct Keys<'a> {
    palace: &'a Palace,
    prefix: String,
    page: IntoIter<Key>,
    next: Next,
}

/// The page to read when the present one is used up.
#[derive(Debug)]
enum Next {
    First,
    After(String),
    None,
}

impl Next {
    /// Returns the cursor of the page to read, if there is one. Then there is none until that page has been read: an
    /// iterator ends with the error that a page failed with.
    fn take(&mut self) -> Option<Option<String>> {
        match std::mem::replace(self, Next::None) {
            Next::First => Some(None),
            Next::After(cursor) => Some(Some(cursor)),
            Next::None => None,
        }
    }
}

impl Palace {
    /// Iterates over the documents whose keys start with `prefix`, in the order of their keys.
    ///
    /// It reads as it goes, a page at a time, and shows each page as it is then. A document that exists all the time comes
    /// exactly once, whatever other processes write meanwhile. The first error ends it. [`Palace::scan_page`] returns a
    /// single page.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// for key in ["notes/a", "notes/b", "plans/a"] {
    ///     palace.put(key, &json!({"title": key}))?;
    /// }
    /// for document in palace.scan("notes/") {
    ///     let document = document?;
    ///     assert_eq!(document.value["title"], document.key.as_str());
    /// }
    /// assert_eq!(palace.scan("notes/").count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scan(&self, prefix: &str) -> Scan<'_> {
        let (prefix, page) = (prefix.to_owned(), Vec::new().into_iter());
        Scan { palace: self, prefix, page, next: Next::First }
    }

    /// Iterates over the keys that start with `prefix`, in their order. Deleted documents are left out. Cheaper than
    /// [`Palace::scan`], and reads a page at a time like it. [`Palace::keys_page`] returns a single page.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// for key in ["notes/a", "notes/b", "plans/a"] {
    ///     palace.increment(key, &["n"], 1)?;
    /// }
    /// for key in palace.keys("notes/") {
    ///     assert!(key?.as_str().starts_with("notes/"));
    /// }
    /// assert_eq!(palace.keys("notes/").count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys(&self, prefix: &str) -> Keys<'_> {
        let (prefix, page) = (prefix.to_owned(), Vec::new().into_iter());
        Keys { palace: self, prefix, page, next: Next::First }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(document) = self.page.next() {
                return Some(Ok(document));
            }
            let cursor = self.next.take()?;
            match self.palace.scan_page(&self.prefix, cursor.as_deref(), SCAN_AT_ONCE) {
                // A page of deleted documents is empty, and has a cursor all the same.
                Ok(page) => {
                    self.next = page.cursor.map_or(Next::None, Next::After);
                    self.page = page.documents.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Iterator for Keys<'_> {
    type Item = Result<Key>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.page.next() {
                return Some(Ok(key));
            }
            let after = self.next.take()?;
            match self.palace.keys_page(&self.prefix, after.as_deref(), KEYS_MAX) {
                Ok(page) => {
                    let more = page.last().filter(|_| page.len() == KEYS_MAX);
                    self.next = more.map_or(Next::None, |last| Next::After(last.to_string()));
                    self.page = page.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl std::iter::FusedIterator for Scan<'_> {}
impl std::iter::FusedIterator for Keys<'_> {}
