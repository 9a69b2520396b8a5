//! Counts the documents that have an open conflict.
//!
//! Invariant: a document counts if a read of it now lists a conflict. Which documents have to be read is known from the
//! rows of snapshots and from what the tail shows, so the others cost little.

use crate::format::key::{Key, ONCE, PLACE_NOTES};
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
#[cfg(feature = "cli")]
use crate::palace::view::document::Document;
use crate::palace::view::rows::parse_view;
use crate::palace::view::view::View;
use std::collections::BTreeSet;

/// Most documents of snapshots that are read to count conflicts.
const READ_MAX: usize = 10_000;

/// The beginning of the list of conflicts in a view. In a JSON string its quotation marks would be escaped.
const CONFLICTS_BEGIN: &str = r#""conflicts":[{"path":"#;

/// A number of documents with open conflicts. Made by [`Palace::count_conflicts`].
///
/// ```
/// use crdt_palace::palace::{ConflictCount, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let first = palace.put("k", &json!({"n": 0}))?;
/// for n in [1, 2] {
///     palace.with(WriteOptions::new().base(first.etag.clone())).put("k", &json!({"n": n}))?;
/// }
/// let count: ConflictCount = palace.count_conflicts("")?;
/// assert_eq!((count.documents, count.at_least), (1, false));
/// assert_eq!(count.to_string(), "1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ConflictCount {
    /// The number of documents that were found to have one.
    pub documents: usize,
    /// True if there may be more: a bound of work was reached before all were looked at.
    pub at_least: bool,
}

impl std::fmt::Display for ConflictCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let least = if self.at_least { "at least " } else { "" };
        write!(f, "{least}{}", self.documents)
    }
}

impl Palace {
    /// Counts the documents whose keys start with `prefix` and that have an open conflict.
    ///
    /// Rows of a snapshot are searched once while it is open. Only documents that may have a conflict are read, at most
    /// 10,000. Beyond that the count is a lower bound, and says so. Records of calls that
    /// are made once are not counted.
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let first = palace.put("notes/a", &json!({"n": 0}))?;
    /// for n in [1, 2] {
    ///     palace.with(WriteOptions::new().base(first.etag.clone())).put("notes/a", &json!({"n": n}))?;
    /// }
    /// palace.compact(Default::default())?;
    /// assert_eq!(palace.count_conflicts("notes/")?.documents, 1);
    /// assert_eq!(palace.count_conflicts("plans/")?.documents, 0);
    /// palace.put("notes/a", &json!({"n": 3}))?; // settles it
    /// assert_eq!(palace.count_conflicts("")?.documents, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::get`].
    pub fn count_conflicts(&self, prefix: &str) -> Result<ConflictCount> {
        self.read_fresh(|view| count(view, prefix))
    }

    /// Returns the documents that have an open conflict, in the order of their keys, and true if there may be more. See
    /// [`Palace::count_conflicts`].
    ///
    /// # Errors
    /// As [`Palace::get`].
    #[cfg(feature = "cli")]
    pub(crate) fn documents_in_conflict(&self) -> Result<(Vec<Document>, bool)> {
        self.read_fresh(list)
    }
}

#[cfg(feature = "cli")]
fn list(view: &View) -> Result<(Vec<Document>, bool)> {
    let (mut keys, cut) = candidates(view)?;
    keys.extend(view.tail.documents().map(|(key, _)| key.clone()));
    keys.retain(|key| !is_internal(key));
    let mut documents = Vec::new();
    for key in &keys {
        documents.extend(view.read(key)?.filter(|document| !document.conflicts.is_empty()));
    }
    Ok((documents, cut))
}

/// Returns true for the documents that go with others: records of calls and notes of places.
fn is_internal(key: &Key) -> bool {
    [ONCE, PLACE_NOTES].iter().any(|it| key.as_str().starts_with(it))
}

fn count(view: &View, prefix: &str) -> Result<ConflictCount> {
    let mut found = ConflictCount::default();
    let counts = |key: &Key| key.as_str().starts_with(prefix) && !is_internal(key);
    for (key, document) in view.tail.documents().filter(|(key, _)| counts(key)) {
        let shown = view.shown(key, document)?;
        // Most documents have none, and need not be parsed.
        if shown.view.contains(CONFLICTS_BEGIN) {
            found.documents += usize::from(!parse_view(&shown.view, key)?.conflicts.is_empty());
        }
    }
    let (mut keys, cut) = candidates(view)?;
    keys.retain(|key| counts(key) && view.tail.document(key.as_str()).is_none());
    found.at_least = cut || keys.len() > READ_MAX;
    for key in keys.iter().take(READ_MAX) {
        let document = view.read(key)?;
        found.documents += usize::from(document.is_some_and(|it| !it.conflicts.is_empty()));
    }
    Ok(found)
}

/// Returns the documents of snapshots that may have a conflict, and true if there may be more.
fn candidates(view: &View) -> Result<(BTreeSet<Key>, bool)> {
    let (mut keys, mut cut) = (BTreeSet::new(), false);
    for snapshot in view.snapshots() {
        let numbers = snapshot.numbers_in_conflict()?;
        cut |= numbers.len() > READ_MAX;
        for number in numbers.iter().take(READ_MAX) {
            keys.insert(snapshot.numbered_key(*number)?);
        }
    }
    // Rows that know nothing of each other may be in conflict only together.
    keys.extend(view.divergent_keys()?.iter().cloned());
    Ok((keys, cut))
}
