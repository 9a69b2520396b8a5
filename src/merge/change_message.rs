//! The message of a change: who made it, and whether it means something beyond its operations.
//!
//! It is compact JSON, `{"by":"…","kind":"delete"}`; a key with its default (no writer, kind `edit`)
//! is left out, and the default of both is no message. A message that is not such JSON was written
//! by a program that knows nothing of this: it is taken for the writer's name.

use super::chunk::Chunk;
use super::error::MergeError;
use crate::format::hash::ChangeHash;
use automerge::ChangeMetadata;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a change means.
///
/// ```
/// use crdt_palace::palace::{ChangeKind, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("k", json!({"a": 1}).as_object().ok_or("an object")?)?;
/// palace.delete("k", &WriteOptions::default())?;
/// let kinds: Vec<ChangeKind> = palace.history("k")?.iter().map(|change| change.kind).collect();
/// assert_eq!(kinds, [ChangeKind::Edit, ChangeKind::Delete]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// Its operations, and nothing else.
    #[default]
    Edit,
    /// The document is deleted. Has no operations, so that an edit made at the same time brings the
    /// whole document back.
    Delete,
    /// Somebody filed the content that the document already has. Has no operations.
    Filed,
    /// A kind that a later version invented; its operations count like any other's.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    pub by: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_edit")]
    pub kind: ChangeKind,
}

fn is_edit(kind: &ChangeKind) -> bool {
    *kind == ChangeKind::Edit
}

impl<'a> Message<'a> {
    pub fn new(by: &'a str, kind: ChangeKind) -> Self {
        Message { by: Cow::Borrowed(by), kind }
    }

    pub fn parse(text: Option<&'a str>) -> Self {
        let Some(text) = text else { return Message::default() };
        serde_json::from_str(text).unwrap_or_else(|_| Message::new(text, ChangeKind::Edit))
    }

    /// `None` where everything has its default.
    pub fn encode(&self) -> Option<String> {
        if self.by.is_empty() && is_edit(&self.kind) {
            return None;
        }
        // Two fields of text cannot fail to become JSON.
        serde_json::to_string(self).ok()
    }
}

/// Who made a change, and when.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let options = WriteOptions { by: Some("ada/1.0".into()), ..WriteOptions::default() };
/// palace.put_with("k", json!({"a": 1}).as_object().ok_or("an object")?, &options)?;
/// let found = palace.get("k")?.ok_or("it was written")?;
/// let written = found.modified.ok_or("somebody wrote it")?;
/// assert_eq!((written.by.as_str(), written.change), ("ada/1.0", found.heads.hashes()[0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Free text, such as `claude-code/2.1 (crdt-palace 0.1.0)`; empty if the writer did not say.
    pub by: String,
    /// Milliseconds since 1970, by the writer's clock.
    pub time_ms: i64,
    /// The change.
    #[serde(deserialize_with = "hash_from_text")]
    pub change: ChangeHash,
}

fn hash_from_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<ChangeHash, D::Error> {
    let text = Cow::<'de, str>::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl Written {
    pub(super) fn new(meta: &ChangeMetadata<'_>) -> Self {
        let message = Message::parse(meta.message.as_deref());
        Written {
            by: message.by.into_owned(),
            time_ms: meta.timestamp,
            change: ChangeHash(meta.hash.0),
        }
    }
}

/// Who made a change, when, and its hash. Verifies as [`super::hash_of`] does.
///
/// # Errors
/// If `change` is not one whole type-1 chunk, its checksum is wrong, or it expands beyond its bounds.
pub fn author_of(change: &[u8]) -> Result<Written, MergeError> {
    let Chunk { hash, time_ms, message, .. } = Chunk::parse(change)?;
    let message = Message::parse((!message.is_empty()).then_some(message));
    Ok(Written { by: message.by.into_owned(), time_ms, change: hash })
}
