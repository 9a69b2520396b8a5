//! What a read gives.

use crate::format::hash::{Etag, Heads};
use crate::format::key::Key;
use crate::merge::{Conflict, View, Written as Change};
use serde_json::{Map, Value};

/// A document as it is now, or was at some version.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let written = palace.put("k", json!({"a": 1}).as_object().ok_or("an object")?)?;
/// let found = palace.get("k")?.ok_or("it was written")?;
/// assert_eq!((found.key.as_str(), &found.value["a"]), ("k", &json!(1)));
/// assert_eq!((found.etag, found.heads.hashes().len()), (written.etag, 1));
/// assert!(found.conflicts.is_empty() && !found.incomplete);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Document {
    /// Its key.
    pub key: Key,
    /// Its content.
    pub value: Map<String, Value>,
    /// Its version: give it back as `if_match`, as `base`, or to `get_at`.
    pub etag: Etag,
    /// The full hashes behind the etag.
    #[serde(skip)]
    pub heads: Heads,
    /// Fields that several writers set at once: the values that are not shown, with who and when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Who changed it last, and when.
    pub modified: Option<Change>,
    /// True if changes of it wait for others that nobody has brought yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

impl Document {
    /// `None` if the view is that of a deleted document, or of none.
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

/// Some documents, and where to go on.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// for key in ["a", "b", "c"] {
///     palace.put(key, json!({"n": 1}).as_object().ok_or("an object")?)?;
/// }
/// let page = palace.scan("", None, 2)?;
/// assert_eq!(page.documents.len(), 2);
/// let page = palace.scan("", page.cursor.as_deref(), 2)?;
/// assert_eq!((page.documents[0].key.as_str(), page.cursor), ("c", None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
pub struct Page {
    /// In the order of their keys.
    pub documents: Vec<Document>,
    /// Give it back to get the next page; `None` if this was the last.
    pub cursor: Option<String>,
}
