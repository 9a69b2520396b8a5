//! One change, as a history or a dump lists it.

use super::change_graph::operations_of;
use super::change_message::{ChangeKind, Message};
use super::hashes::hashes;
use crate::format::hash::ChangeHash;
use automerge::ChangeMetadata;

/// One change, as a history or a dump lists it.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let options = WriteOptions::new().by("ada/1.0");
/// palace.with(options.clone()).put("k", &json!({"a": 1, "b": 2}))?;
/// palace.with(options.clone()).put("k", &json!({"a": 3, "b": 2}))?;
/// let history = palace.history("k")?;
/// assert_eq!((history[0].operations, history[1].operations), (2, 1));
/// assert_eq!((history[1].sequence, history[1].by.as_str()), (2, "ada/1.0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ChangeInfo {
    /// Hash of the change: its name.
    pub hash: ChangeHash,
    /// Actor that made the change, in hex: the 16 bytes of an instance. Four more follow where the instance could
    /// not go on with its own numbers, such as in a write at an earlier version.
    pub actor: String,
    /// Sequence number of the change for its actor in this document, from 1.
    pub sequence: u64,
    /// Counter of its first operation.
    pub start_op: u64,
    /// Milliseconds since 1970; 0 for a first change that is derived from its content.
    pub time_ms: i64,
    /// Name of the writer; may be empty.
    pub by: String,
    /// Meaning of the change.
    pub kind: ChangeKind,
    /// Name of the commit whose effect on the document it takes back; empty if it takes back none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub undoes: String,
    /// Hashes of the changes that it builds on.
    pub deps: Vec<ChangeHash>,
    /// Number of its operations.
    pub operations: u64,
    /// Operations in words. A dump has them; a history leaves them out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<String>,
}

impl ChangeInfo {
    /// Describes an applied change without decoding its operations.
    pub(super) fn new(meta: &ChangeMetadata<'_>) -> Self {
        let message = Message::parse(meta.message.as_deref());
        ChangeInfo {
            hash: ChangeHash(meta.hash.0),
            actor: meta.actor.to_hex_string(),
            sequence: meta.seq,
            start_op: meta.start_op,
            time_ms: meta.timestamp,
            by: message.by.into_owned(),
            kind: message.kind,
            undoes: message.undoes.into_owned(),
            deps: hashes(&meta.deps),
            operations: operations_of(meta),
            ops: Vec::new(),
        }
    }
}
