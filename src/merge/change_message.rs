//! The message of a change: the name of its writer, the kind of the change, and the commit that it undoes.
//!
//! A message is compact JSON, `{"by":"…","kind":"delete","undoes":"…","open":[…]}`. A field with its default (no writer, kind
//! `edit`, no commit, no text with open places) is left out, and if all are defaults there is no message. A message that is not such JSON comes from
//! another program: it is taken as the writer's name.

use super::chunk::Chunk;
use super::error::MergeError;
use super::open_places::{OpenPlace, hash_from_text};
use crate::format::hash::ChangeHash;
use automerge::ChangeMetadata;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Meaning of a change beyond its operations.
///
/// ```
/// use crdt_palace::palace::ChangeKind;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("k", &json!({"a": 1}))?;
/// palace.delete("k")?;
/// let kinds: Vec<ChangeKind> = palace.history("k")?.iter().map(|change| change.kind).collect();
/// assert_eq!(kinds, [ChangeKind::Edit, ChangeKind::Delete]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// The change means its operations, and nothing else.
    #[default]
    Edit,
    /// The change deletes the document. It has no operations, so that a concurrent edit brings the whole
    /// document back.
    Delete,
    /// The change records that a writer filed content that the document already has. It has no operations.
    Filed,
    /// A kind of a later version of this program. Its operations count like those of an edit.
    #[serde(other)]
    Unknown,
}

/// The message of a change, parsed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    pub by: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_edit")]
    pub kind: ChangeKind,
    /// Name of the commit whose effect on the document the change takes back; empty if it takes back none.
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    pub undoes: Cow<'a, str>,
    /// Texts that the change wrote with open places. Reading most messages needs none of it.
    #[serde(default, skip_deserializing, skip_serializing_if = "<[_]>::is_empty")]
    pub open: &'a [OpenText],
}

/// A text that a change wrote with open places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenText {
    /// Number of the operation in the change that wrote the text, from 0.
    pub operation: u64,
    pub places: Vec<OpenPlace>,
}

fn is_edit(kind: &ChangeKind) -> bool {
    *kind == ChangeKind::Edit
}

impl<'a> Message<'a> {
    /// Makes a message from the name of the writer and the kind of the change.
    pub fn new(by: &'a str, kind: ChangeKind) -> Self {
        Message { by: Cow::Borrowed(by), kind, ..Message::default() }
    }

    /// Parses the message of any change. Never fails: text that is not ours is the writer's name.
    pub fn parse(text: Option<&'a str>) -> Self {
        let Some(text) = text else { return Message::default() };
        serde_json::from_str(text).unwrap_or_else(|_| Message::new(text, ChangeKind::Edit))
    }

    /// Returns the text of the message, or `None` if all fields have their defaults.
    pub fn encode(&self) -> Option<String> {
        let says_nothing = self.by.is_empty() && self.undoes.is_empty() && self.open.is_empty();
        if says_nothing && is_edit(&self.kind) {
            return None;
        }
        // Fields of text cannot fail to become JSON.
        serde_json::to_string(self).ok()
    }

    /// Returns the texts that a message lists open places of. A malformed list counts as none.
    pub fn open_texts(text: &str) -> Vec<OpenText> {
        #[derive(Deserialize)]
        struct Open {
            open: Vec<OpenText>,
        }
        serde_json::from_str::<Open>(text).map_or_else(|_| Vec::new(), |found| found.open)
    }
}

/// Returns true if a message may list open places of texts. A search for the name is faster than parsing.
pub(super) fn lists_open_places(message: &str) -> bool {
    message.contains("\"open\":")
}

/// Writer, time and hash of a change.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.with(WriteOptions::new().by("ada/1.0")).put("k", &json!({"a": 1}))?;
/// let found = palace.get("k")?.ok_or("it was written")?;
/// let written = found.modified.ok_or("it has a change")?;
/// assert_eq!((written.by.as_str(), written.change), ("ada/1.0", found.heads.hashes()[0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Written {
    /// Name of the writer, such as `claude-code/2.1 (crdt-palace 0.1.0)`; empty if it gave none.
    pub by: String,
    /// Milliseconds since 1970, by the writer's clock.
    pub time_ms: i64,
    /// Hash of the change.
    #[serde(deserialize_with = "hash_from_text")]
    pub change: ChangeHash,
}

impl Written {
    /// Reads writer, time and hash of an applied change.
    pub(super) fn new(meta: &ChangeMetadata<'_>) -> Self {
        let message = Message::parse(meta.message.as_deref());
        Written {
            by: message.by.into_owned(),
            time_ms: meta.timestamp,
            change: ChangeHash(meta.hash.0),
        }
    }
}

/// Returns writer, time and hash of a raw change. Verifies it as [`super::hash_of`] does.
///
/// # Errors
/// [`MergeError::NotAChange`] or [`MergeError::Checksum`] if `change` is not one whole type-1 chunk, and
/// [`MergeError::TooMany`] if it would expand beyond the bounds of a change.
pub fn author_of(change: &[u8]) -> Result<Written, MergeError> {
    let Chunk { hash, time_ms, message, .. } = Chunk::parse(change)?;
    let message = Message::parse((!message.is_empty()).then_some(message));
    Ok(Written { by: message.by.into_owned(), time_ms, change: hash })
}
