//! Why a change, a document or a write was not taken.

use crate::format::hash::ChangeHash;

/// The error of the `merge` layer.
///
/// ```
/// use crdt_palace::palace::{Error, MergeError, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("k", json!({"title": "Plan"}).as_object().ok_or("an object")?)?;
/// let error = palace.increment("k", &["title"], 1, &WriteOptions::default()).unwrap_err();
/// let Error::Document { key, source } = error else { panic!("{error}") };
/// assert_eq!(key.as_str(), "k");
/// assert!(matches!(source, MergeError::WrongType { wanted: "a counter", .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeError {
    /// The bytes are not one whole, uncompressed Automerge change chunk.
    #[error("not an uncompressed Automerge change: {why}")]
    NotAChange {
        /// What was expected and not found.
        why: &'static str,
    },
    /// The checksum in the chunk is not that of its content.
    #[error("the change is damaged: its checksum does not match its content")]
    Checksum,
    /// The change holds, or would expand to, more than a change may hold.
    #[error("a change has at most {limit} {what}; this one has {count}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        count: u64,
        /// How much there may be.
        limit: u64,
    },
    /// The document's history would hold more than a document can have.
    #[error(
        "a document has at most {limit} {what} in its whole history, and this change would make it \
         {count}: write what it shows to a document of another key"
    )]
    HistoryTooLong {
        /// What there would be too much of.
        what: &'static str,
        /// How many there would be.
        count: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The operation counter runs ahead of the changes that it builds on.
    #[error("operation counter {start} is too far ahead: the changes before it end at {before}")]
    CounterTooFar {
        /// Where the change starts to count.
        start: u64,
        /// The highest counter among the changes it depends on.
        before: u64,
    },
    /// The operation counter starts among those of the changes that it builds on, or where there is no operation.
    #[error(
        "operation counter {start} does not go on from the changes before it, which end at {before}"
    )]
    CounterMisplaced {
        /// Where the change starts to count.
        start: u64,
        /// The highest counter among the changes it depends on.
        before: u64,
    },
    /// An operation does not fit the object that it is for.
    #[error("operation {counter} of the change is none that Automerge makes: {why}")]
    MalformedOperation {
        /// The operation's counter.
        counter: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The change does not build on the one that its actor made before.
    #[error("change number {sequence} of actor {actor} does not build on the one before it")]
    SequenceGap {
        /// The actor.
        actor: String,
        /// The number within the actor's changes.
        sequence: u64,
    },
    /// Another change carries the same actor and sequence number.
    #[error("actor {actor} has already made another change number {sequence}")]
    DuplicateSequence {
        /// The actor, in hex.
        actor: String,
        /// The number that was used twice.
        sequence: u64,
    },
    /// The change would not come back with the same bytes once it is part of a document.
    #[error("the change is not in canonical form: it could not be given back byte for byte")]
    NotCanonical,
    /// Automerge refused.
    #[error("Automerge refused: {why}")]
    Refused {
        /// Its own words.
        why: String,
    },
    /// Automerge panicked; nothing of the document was changed.
    #[error("Automerge could not digest these bytes (it panicked: {why})")]
    Panicked {
        /// The panic's message.
        why: String,
    },
    /// The bytes are not one saved document.
    #[error("not a saved Automerge document: {why}")]
    NotADocument {
        /// What is wrong with them.
        why: String,
    },
    /// A version was named that this document does not contain.
    #[error("this document has no change {hash}; read it again and use the etag you get")]
    UnknownVersion {
        /// The first head that is not there.
        hash: ChangeHash,
    },
    /// The JSON text is longer than a document may be.
    #[error("a value has at most {limit} bytes of JSON; this one has {bytes}")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Maps and lists are nested too deeply.
    #[error("maps and lists nest at most {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Something else stands where the write wants a counter, a list or a map.
    #[error("{path} holds {found}, not {wanted}")]
    WrongType {
        /// JSON pointer.
        path: String,
        /// What is there.
        found: &'static str,
        /// What the write needs.
        wanted: &'static str,
    },
    /// A path without a step: the document itself is always a map.
    #[error("the path is empty: name at least one field")]
    EmptyPath,
}

impl From<automerge::AutomergeError> for MergeError {
    fn from(error: automerge::AutomergeError) -> Self {
        match error {
            automerge::AutomergeError::DuplicateSeqNumber(sequence, actor) => {
                MergeError::DuplicateSequence { actor: actor.to_hex_string(), sequence }
            }
            other => MergeError::Refused { why: other.to_string() },
        }
    }
}
