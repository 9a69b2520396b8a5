//! One change, as history and dumps show it.

use super::change_message::{ChangeKind, Message};
use super::hashes::hashes;
use crate::format::hash::ChangeHash;
use automerge::ChangeMetadata;

/// One change, as history and dumps show it.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let options = WriteOptions { by: Some("ada/1.0".into()), ..WriteOptions::default() };
/// palace.put_with("k", json!({"a": 1, "b": 2}).as_object().ok_or("an object")?, &options)?;
/// palace.put_with("k", json!({"a": 3, "b": 2}).as_object().ok_or("an object")?, &options)?;
/// let history = palace.history("k")?;
/// assert_eq!((history[0].operations, history[1].operations), (2, 1));
/// assert_eq!((history[1].sequence, history[1].by.as_str()), (2, "ada/1.0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChangeInfo {
    /// Its name.
    pub hash: ChangeHash,
    /// Who made it: the 16 bytes of an instance, in hex, or those and a suffix (see
    /// [`Doc::put`]).
    pub actor: String,
    /// The how-many-eth change of this actor in this document, from 1.
    pub sequence: u64,
    /// The counter of its first operation.
    pub start_op: u64,
    /// Milliseconds since 1970; 0 for a first change that does not depend on who makes it.
    pub time_ms: i64,
    /// The writer, as it calls itself; may be empty.
    pub by: String,
    /// What it means.
    pub kind: ChangeKind,
    /// The changes it builds on.
    pub deps: Vec<ChangeHash>,
    /// How many operations it has.
    pub operations: u64,
    /// The operations in words; a history leaves them out, a dump has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<String>,
}

impl ChangeInfo {
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
            deps: hashes(&meta.deps),
            operations: (meta.max_op + 1).saturating_sub(meta.start_op),
            ops: Vec::new(),
        }
    }
}
