//! The results of reads.

use crate::format::hash::{Etag, Heads};
use crate::format::key::Key;
use crate::merge::{Conflict, View, Written as Change};
use serde_json::{Map, Value};

/// A document at its present version, or at an earlier one.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let written = palace.put("k", &json!({"a": 1}))?;
/// let found = palace.get("k")?.ok_or("it was written")?;
/// assert_eq!((found.key.as_str(), &found.value["a"]), ("k", &json!(1)));
/// assert_eq!((found.etag, found.heads.hashes().len()), (written.etag, 1));
/// assert!(found.conflicts.is_empty() && !found.incomplete);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Document {
    /// Its key.
    pub key: Key,
    /// Its content.
    pub value: Map<String, Value>,
    /// Its version, to be passed to [`WriteOptions`](crate::palace::WriteOptions) or to
    /// [`get_at`](crate::palace::Palace::get_at).
    pub etag: Etag,
    /// The full hashes behind the etag.
    #[serde(skip)]
    pub heads: Heads,
    /// Fields that several writers set concurrently: the values that are not shown, with their writers and times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// The writer and the time of its last change.
    pub modified: Option<Change>,
    /// True if it has pending changes: they build on changes that are missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

impl Document {
    /// Makes a document of a view. `None` if there is no document, or it is deleted.
    pub(in crate::palace) fn of(
        key: Key,
        heads: Heads,
        view: View,
        incomplete: bool,
    ) -> Option<Self> {
        if heads.is_empty() || view.deleted {
            return None;
        }
        let View { value, conflicts, modified, .. } = view;
        Some(Document { key, value, etag: heads.etag(), heads, conflicts, modified, incomplete })
    }
}

/// A page of documents, and the cursor of the next one.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// for key in ["a", "b", "c"] {
///     palace.put(key, &json!({"n": 1}))?;
/// }
/// let page = palace.scan_page("", None, 2)?;
/// assert_eq!(page.documents.len(), 2);
/// let page = palace.scan_page("", page.cursor.as_deref(), 2)?;
/// assert_eq!((page.documents[0].key.as_str(), page.cursor), ("c", None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The documents, in the order of their keys.
    pub documents: Vec<Document>,
    /// The cursor of the next page; `None` after the last one.
    pub cursor: Option<String>,
}
