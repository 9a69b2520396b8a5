//! Reasons why a change, a document or a write is refused.

use crate::format::hash::ChangeHash;
use automerge::AutomergeError;

/// The error of the `merge` layer.
///
/// ```
/// use crdt_palace::palace::{Error, MergeError, ValueType};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("k", &json!({"title": "Plan"}))?;
/// let error = palace.increment("k", &["title"], 1).unwrap_err();
/// let Error::Document { key, source } = error else { panic!("{error}") };
/// assert_eq!(key.as_str(), "k");
/// assert!(matches!(source, MergeError::WrongType { wanted: ValueType::Counter, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeError {
    /// The bytes are not one whole, uncompressed Automerge change chunk.
    #[error("not an uncompressed Automerge change: {why}")]
    NotAChange {
        /// Reason.
        why: &'static str,
    },
    /// The checksum in the chunk is not that of its content.
    #[error(
        "the change is damaged: its checksum does not match its content; look for a copy of the file \
         that it comes from"
    )]
    Checksum,
    /// The change holds, or would expand to, more than a change may hold.
    #[error("a change has at most {limit} {what}; this one has {count}{}", smaller(*limit))]
    TooMany {
        /// Things that it has too many of.
        what: &'static str,
        /// Number that it has.
        count: u64,
        /// Number that it may have.
        limit: u64,
    },
    /// The document's history would hold more than a document can have.
    #[error(
        "a document has at most {limit} {what} in its whole history, and this change would make it \
         {count}: write the present value to a document of another key"
    )]
    HistoryTooLong {
        /// Things that there would be too many of.
        what: &'static str,
        /// Number that there would be.
        count: u64,
        /// Number that there may be.
        limit: u64,
    },
    /// The operation counter is too far ahead of the changes that the change builds on.
    #[error(
        "operation counter {start} is too far ahead: the changes before it end at {before}; to go on \
         writing, put the value under another key"
    )]
    CounterTooFar {
        /// Counter of the change's first operation.
        start: u64,
        /// Highest counter among the changes that it builds on.
        before: u64,
    },
    /// The operation counter starts among those of the changes that the change builds on, or leaves a gap
    /// although the change has no operation.
    #[error(
        "operation counter {start} does not go on from the changes before it, which end at {before}"
    )]
    CounterMisplaced {
        /// Counter of the change's first operation.
        start: u64,
        /// Highest counter among the changes that it builds on.
        before: u64,
    },
    /// An operation does not fit the object that it changes.
    #[error("operation {counter} of the change is malformed: {why}")]
    MalformedOperation {
        /// Counter of the operation.
        counter: u64,
        /// Reason.
        why: &'static str,
    },
    /// The change does not build on the previous change of its actor.
    #[error(
        "change number {sequence} of actor {actor} does not build on the actor's change before it"
    )]
    SequenceGap {
        /// Actor, in hex.
        actor: String,
        /// Sequence number of the change for its actor.
        sequence: u64,
    },
    /// Another change has the same actor and sequence number.
    #[error(
        "actor {actor} has already made another change number {sequence}: two processes have written \
         under one id, such as a program and a copy of it made while it ran"
    )]
    DuplicateSequence {
        /// Actor, in hex.
        actor: String,
        /// Sequence number that was used twice.
        sequence: u64,
    },
    /// Automerge would not return the change with the same bytes once it is part of a document.
    #[error("the change is not in canonical form: Automerge would not return it byte for byte")]
    NotCanonical,
    /// A counter would leave the range in which every program reads numbers exactly.
    #[error(
        "the counter is {now}, and would be beyond {limit} after adding {by}: store larger numbers as text"
    )]
    CounterRange {
        /// Its value before.
        now: i64,
        /// The number to add.
        by: i64,
        /// [`COUNTER_VALUE_MAX`](super::COUNTER_VALUE_MAX).
        limit: i64,
    },
    /// Automerge refused the operation.
    #[error("Automerge refused: {why}")]
    Refused {
        /// Automerge's error.
        why: String,
    },
    /// Automerge panicked. The document was not changed.
    #[error("Automerge panicked over these bytes: {why}")]
    Panicked {
        /// Message of the panic.
        why: String,
    },
    /// The bytes are not one saved document.
    #[error("not a saved Automerge document: {why}")]
    NotADocument {
        /// Reason.
        why: String,
    },
    /// The document does not contain the version that was named.
    #[error("this document has no change {hash}; read it again and use the etag that you get")]
    UnknownVersion {
        /// First of its heads that is not in the document.
        hash: ChangeHash,
    },
    /// The value is longer than a document may be.
    #[error(
        "a value has at most {limit} bytes of JSON; this one has {bytes}: split it over several keys"
    )]
    TooLarge {
        /// Its length as JSON.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The maps and lists of the value are nested too deeply.
    #[error("maps and lists nest at most {limit} deep: make the value flatter")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The write needs a counter, a list or a map at the path, and something else is there.
    #[error("{path} holds {found}, not {wanted}")]
    WrongType {
        /// JSON pointer to the field.
        path: String,
        /// Type that is there.
        found: ValueType,
        /// Type that the write needs.
        wanted: ValueType,
    },
    /// The value of a document, or a patch of it, is no JSON object.
    #[error(
        "a document is a JSON object, and this value is {found}; put it into a field of an object"
    )]
    NotAnObject {
        /// Type of the value.
        found: ValueType,
    },
    /// The value cannot be serialized as JSON, or its `Serialize` implementation failed.
    #[error("the value cannot be written as JSON: {why}")]
    NotJson {
        /// Message of serde.
        why: String,
    },
    /// The path has no step. It must name a field: the document itself is always a map.
    #[error("the path is empty: name at least one field")]
    EmptyPath,
    /// The document has no such conflict now: it was settled, or its text has moved.
    #[error("there is no such conflict at {path} now: read the document again")]
    NoConflict {
        /// JSON pointer (RFC 6901) into the document.
        path: String,
    },
}

/// Type of a value in a document, as [`MergeError::WrongType`] names it.
///
/// ```
/// use crdt_palace::palace::ValueType;
///
/// assert_eq!(ValueType::Counter.to_string(), "a counter");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueType {
    /// A map of fields.
    Map,
    /// A list of elements.
    List,
    /// A text that is edited by characters. A string that was put is a [`ValueType::String`].
    Text,
    /// A counter, which only increments make.
    Counter,
    /// A string.
    String,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// Null.
    Null,
    /// No value.
    Nothing,
}

impl ValueType {
    /// Returns the type of a JSON value.
    pub(crate) fn of_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Object(_) => ValueType::Map,
            serde_json::Value::Array(_) => ValueType::List,
            serde_json::Value::String(_) => ValueType::String,
            serde_json::Value::Number(_) => ValueType::Number,
            serde_json::Value::Bool(_) => ValueType::Boolean,
            serde_json::Value::Null => ValueType::Null,
        }
    }
}

impl std::fmt::Display for ValueType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ValueType::Map => "a map",
            ValueType::List => "a list",
            ValueType::Text => "a text",
            ValueType::Counter => "a counter",
            ValueType::String => "a string",
            ValueType::Number => "a number",
            ValueType::Boolean => "true or false",
            ValueType::Null => "null",
            ValueType::Nothing => "nothing",
        })
    }
}

/// Returns the advice for a change that has too much of something, unless nothing of it is allowed at all.
fn smaller(limit: u64) -> &'static str {
    if limit == 0 { "" } else { ": split it into smaller writes" }
}

impl MergeError {
    /// Converts an error of Automerge. Not a public `From`: no type of Automerge is part of this one's interface.
    pub(super) fn refused(error: AutomergeError) -> Self {
        match error {
            AutomergeError::DuplicateSeqNumber(sequence, actor) => {
                MergeError::DuplicateSequence { actor: actor.to_hex_string(), sequence }
            }
            other => MergeError::Refused { why: other.to_string() },
        }
    }
}
