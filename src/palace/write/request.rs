//! Options of a write, and what its caller is told.

use crate::format::hash::Etag;
use crate::format::key::Key;
use crate::merge::Settled;
use crate::store::group_commit::Durability;

/// On which condition a write happens.
///
/// ```
/// use crdt_palace::palace::{Condition, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let on = |condition| WriteOptions { if_match: Some(condition), ..WriteOptions::default() };
/// let first = palace.increment("k", &["n"], 1, &on(Condition::Absent))?;
/// palace.increment("k", &["n"], 1, &on(Condition::Match(first.etag.clone())))?;
/// assert!(palace.increment("k", &["n"], 1, &on(Condition::Match(first.etag))).is_err());
/// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["n"], 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The document is at this version.
    Match(Etag),
    /// There is no such document, or it is deleted.
    Absent,
}

/// How a commit is made. The default: no condition, on top of what is there, durable.
///
/// ```
/// use crdt_palace::palace::{Durability, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let first = palace.put("k", json!({"list": ["a"]}).as_object().ok_or("an object")?)?;
/// palace.put("k", json!({"list": ["a", "b"]}).as_object().ok_or("an object")?)?;
/// // This writer had read the first version, and adds to that.
/// let options = WriteOptions {
///     base: Some(first.etag),
///     by: Some("ada/1.0".into()),
///     durability: Durability::Durable,
///     if_match: None,
/// };
/// palace.put_with("k", json!({"list": ["c", "a"]}).as_object().ok_or("an object")?, &options)?;
/// let found = palace.get("k")?.ok_or("it was written")?;
/// assert_eq!(found.value["list"], json!(["c", "a", "b"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Write only if this holds. Conditional writers wait for one another, at most 2 s.
    pub if_match: Option<Condition>,
    /// The version that the caller's change was made from. It becomes concurrent with what came since,
    /// and both are kept.
    pub base: Option<Etag>,
    /// Who writes, as history will show it: a client's name and version.
    pub by: Option<String>,
    /// When the commit counts as done.
    pub durability: Durability,
}

/// What became of one document of a commit.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let outcome = palace.put("k", json!({"a": 1}).as_object().ok_or("an object")?)?;
/// assert_eq!((outcome.key.as_str(), outcome.changed), ("k", true));
/// assert_eq!(outcome.etag, palace.get("k")?.ok_or("it was written")?.etag);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// Which document.
    pub key: Key,
    /// Its version now.
    pub etag: Etag,
    /// False if nothing differed, so that nothing was written.
    pub changed: bool,
    /// Values that were in conflict before this write and are gone after it: with who and when, for whoever
    /// should have been asked. A delete settles nothing: it hides the conflicts with the document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<Settled>,
}

/// An acknowledged commit.
///
/// ```
/// use crdt_palace::palace::{Durability, Key, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let mut batch = palace.batch();
/// batch.write(Key::new("b")?, |draft| draft.increment(&["n"], 1));
/// batch.write(Key::new("a")?, |draft| draft.increment(&["n"], 1));
/// let receipt = batch.commit(&WriteOptions::default())?;
/// let keys: Vec<&str> = receipt.outcomes.iter().map(|outcome| outcome.key.as_str()).collect();
/// assert_eq!((keys, receipt.durability), (vec!["b", "a"], Durability::Durable));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// One for each write, in the order in which they were given.
    pub outcomes: Vec<Outcome>,
    /// How safe it is.
    pub durability: Durability,
}
