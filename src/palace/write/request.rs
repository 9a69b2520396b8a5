//! Options of a write, and its result.

use super::once::Once;
use crate::format::hash::{Etag, Heads};
use crate::format::key::Key;
use crate::merge::Settled;
use crate::store::group_commit::Durability;

/// The condition of a write: it happens only if this holds.
///
/// ```
/// use crdt_palace::palace::{Condition, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let on = |condition| palace.with(WriteOptions::new().condition(condition));
/// let first = on(Condition::Absent).increment("k", &["n"], 1)?;
/// on(Condition::Match(first.etag.clone())).increment("k", &["n"], 1)?;
/// assert!(on(Condition::Match(first.etag)).increment("k", &["n"], 1).is_err());
/// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["n"], 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// The document is at this version.
    Match(Etag),
    /// There is no such document, or it is deleted.
    Absent,
}

/// Options of a commit, given to [`Palace::with`](crate::palace::Palace::with). By default a commit has no condition,
/// builds on the present version, names the program as its writer, and is durable.
///
/// ```
/// use crdt_palace::palace::{Condition, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let first = palace.put("k", &json!({"list": ["a"]}))?;
/// palace.put("k", &json!({"list": ["a", "b"]}))?;
/// // This writer had read the first version, and adds to that.
/// let ada = palace.with(WriteOptions::new().base(first.etag).by("ada/1.0"));
/// let merged = ada.put("k", &json!({"list": ["c", "a"]}))?;
/// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["list"], json!(["c", "a", "b"]));
///
/// let options = WriteOptions::new().if_match(merged.current_etag).buffered();
/// palace.with(options).delete("k")?;
/// palace.with(WriteOptions::new().if_absent()).put("k", &json!({"list": []}))?;
/// assert!(palace.with(WriteOptions::new().condition(Condition::Absent)).delete("k").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    pub(crate) if_match: Option<Condition>,
    pub(crate) base: Option<Etag>,
    pub(crate) by: Option<String>,
    pub(crate) durability: Durability,
    /// The name of the call, if it is to be made once.
    pub(crate) once: Option<Once>,
}

impl WriteOptions {
    /// Makes the default options.
    #[must_use]
    pub fn new() -> Self {
        WriteOptions::default()
    }

    /// Writes only if this condition holds. Conditional writers wait for one another, at most 2 s.
    #[must_use]
    pub fn condition(mut self, condition: Condition) -> Self {
        self.if_match = Some(condition);
        self
    }

    /// Writes only if the document is at this version: the etag of a read, or the
    /// [`current_etag`](Outcome::current_etag) of a write.
    #[must_use]
    pub fn if_match(self, etag: Etag) -> Self {
        self.condition(Condition::Match(etag))
    }

    /// Writes only if there is no such document.
    #[must_use]
    pub fn if_absent(self) -> Self {
        self.condition(Condition::Absent)
    }

    /// Names the version that the change was made from. The change becomes concurrent with everything written since
    /// then, and both are kept. `None` is the present version, as without this call.
    #[must_use]
    pub fn base(mut self, etag: impl Into<Option<Etag>>) -> Self {
        self.base = etag.into();
        self
    }

    /// Names the writer for the history: a client's name and version.
    #[must_use]
    pub fn by(mut self, writer: impl Into<String>) -> Self {
        self.by = Some(writer.into());
        self
    }

    /// Acknowledges the commit before it is on disk: see [`Durability::Buffered`].
    #[must_use]
    pub fn buffered(self) -> Self {
        self.durability(Durability::Buffered)
    }

    /// Sets the point at which the commit is acknowledged.
    ///
    /// ```
    /// use crdt_palace::palace::{Durability, WriteOptions};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    ///
    /// for durability in [Durability::Buffered, Durability::Durable] {
    ///     let written = palace.with(WriteOptions::new().durability(durability)).increment("k", &["n"], 1)?;
    ///     assert!(written.changed);
    /// }
    /// assert_eq!(palace.get("k")?.map(|found| found.value["n"].clone()), Some(2.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// The result of a commit for one of its documents.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let outcome = palace.put("k", &json!({"a": 1}))?;
/// assert_eq!((outcome.key.as_str(), outcome.changed), ("k", true));
/// assert_eq!(outcome.etag, palace.get("k")?.ok_or("it was written")?.etag);
///
/// // A write from an older version names its own change alone. The document now has another field, too.
/// palace.put("k", &json!({"a": 1, "b": 2}))?;
/// let options = WriteOptions::new().base(outcome.etag);
/// let beside = palace.with(options).put("k", &json!({"a": 3}))?;
/// assert_eq!(palace.get("k")?.ok_or("it was written")?.etag, beside.current_etag);
/// let own = palace.get_at("k", &beside.etag)?.ok_or("it was written")?;
/// assert_eq!((own.value.get("a"), own.value.get("b")), (Some(&json!(3)), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The document.
    pub key: Key,
    /// The version right after this write: its own change, with only what that was made from. What others wrote since
    /// that version is not part of it, so a later write may name it as its base. If nothing was written, it is the
    /// version that the write would have been made from.
    pub etag: Etag,
    /// The version of the document after the commit, with everything that others wrote. The same as `etag` if the write
    /// was made from the present version.
    pub current_etag: Etag,
    /// False if nothing differed, so that nothing was written.
    pub changed: bool,
    /// Conflicting values that this write removed, with their writers and times. A delete removes none: it hides the
    /// conflicts with the document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<Settled>,
    /// The full hashes behind `etag`.
    #[serde(skip)]
    pub(crate) own: Heads,
    /// The full hashes behind `current_etag`.
    #[serde(skip)]
    pub(crate) current: Heads,
}

/// An acknowledged commit.
///
/// ```
/// use crdt_palace::palace::{Durability, Key};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let mut batch = palace.batch();
/// batch.write(Key::new("b")?, |draft| draft.increment(&["n"], 1));
/// batch.write(Key::new("a")?, |draft| draft.increment(&["n"], 1));
/// let receipt = batch.commit()?;
/// let keys: Vec<&str> = receipt.outcomes.iter().map(|outcome| outcome.key.as_str()).collect();
/// assert_eq!((keys, receipt.durability), (vec!["b", "a"], Durability::Durable));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Receipt {
    /// One outcome for each write, in the order of the writes.
    pub outcomes: Vec<Outcome>,
    /// The durability that the commit has.
    pub durability: Durability,
}
