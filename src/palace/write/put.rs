//! Calls that write one document, and the start of a batch.

use super::commit::Batch;
use super::draft::Draft;
use super::request::{Outcome, WriteOptions};
use super::writes::Writes;
use crate::merge::MergeError;
use crate::merge::automerge::{AutomergeError, transaction::Transaction};
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
use serde::Serialize;

impl Palace {
    /// Returns the calls that write, with these options: a condition, a base, a writer's name, less durability.
    ///
    /// ```
    /// # use crdt_palace::palace::{Palace, WriteOptions};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let absent = palace.with(WriteOptions::new().if_absent());
    /// let first = absent.put("k", &json!({"n": 1}))?;
    /// assert!(absent.put("k", &json!({"n": 2})).is_err()); // it is there now
    /// palace.with(WriteOptions::new().if_match(first.etag)).put("k", &json!({"n": 2}))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with(&self, options: WriteOptions) -> Writes<'_> {
        Writes::new(self, options)
    }

    /// Writes a document as a whole: a `json!` object, a map, or a struct that serializes to an object. Only the
    /// differences become operations, so two writers who change different fields both keep their work.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// #[derive(serde::Serialize)]
    /// struct Plan {
    ///     title: String,
    ///     done: bool,
    /// }
    ///
    /// let plan = Plan { title: "Plan".to_owned(), done: false };
    /// let written = palace.put("notes/plan", &plan)?;
    /// assert!(written.changed);
    /// // The same again: there is nothing to write.
    /// assert!(!palace.put("notes/plan", &plan)?.changed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`]; [`NotAnObject`](MergeError::NotAnObject) if the value is no object.
    pub fn put<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<Outcome> {
        self.with(WriteOptions::new()).put(key, value)
    }

    /// Applies a JSON merge patch (RFC 7396): fields that it does not name stay, `null` removes one.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1, "b": 2}))?;
    /// palace.patch("k", &json!({"b": null, "c": 3}))?;
    /// let found = palace.get("k")?.ok_or("it was written")?;
    /// assert_eq!(serde_json::Value::Object(found.value), json!({"a": 1, "c": 3}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::put`].
    pub fn patch<T: Serialize + ?Sized>(&self, key: &str, patch: &T) -> Result<Outcome> {
        self.with(WriteOptions::new()).patch(key, patch)
    }

    /// Adds to a counter, and makes it if it is not there. Increments made at the same time add up.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.increment("stats", &["visits"], 2)?;
    /// palace.increment("stats", &["visits"], 3)?;
    /// assert_eq!(palace.get("stats")?.ok_or("it was written")?.value["visits"], 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub fn increment(&self, key: &str, path: &[&str], by: i64) -> Result<Outcome> {
        self.with(WriteOptions::new()).increment(key, path, by)
    }

    /// Hides a document. Its history stays, and a concurrent edit brings it back whole. With a `base`, nothing happens
    /// if the document has changed since. To erase a document, run `crdt-compact --into NEW --forget KEY`.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// palace.delete("k")?;
    /// assert_eq!(palace.get("k")?, None);
    /// assert_eq!(palace.history("k")?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub fn delete(&self, key: &str) -> Result<Outcome> {
        self.with(WriteOptions::new()).delete(key)
    }

    /// Changes a document through an Automerge transaction.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// use crdt_palace::palace::automerge::{ObjType, ROOT, transaction::Transactable};
    ///
    /// palace.edit("draft", |tx| {
    ///     let text = tx.put_object(ROOT, "text", ObjType::Text)?;
    ///     tx.splice_text(&text, 0, 0, "Once upon a time")
    /// })?;
    /// assert_eq!(palace.get("draft")?.ok_or("it was written")?.value["text"], "Once upon a time");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`]. If the closure fails, nothing is written.
    pub fn edit<T>(
        &self,
        key: &str,
        edit: impl FnOnce(&mut Transaction<'_>) -> std::result::Result<T, AutomergeError>,
    ) -> Result<(T, Outcome)> {
        self.with(WriteOptions::new()).edit(key, edit)
    }

    /// Changes one document through a [`Draft`], which also shows it.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.write("log", |draft| {
    ///     if !draft.exists() {
    ///         draft.put(&json!({"lines": []}))?;
    ///     }
    ///     draft.append(&["lines"], &[json!("one more")])
    /// })?;
    /// assert_eq!(palace.get("log")?.ok_or("it was written")?.value["lines"], json!(["one more"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Nothing was written, unless it is [`OutcomeUnknown`](crate::palace::StoreError::OutcomeUnknown): then later
    /// reads may find it.
    ///
    /// * [`Error::Key`] if `key` cannot name a document: see [`Key`].
    /// * [`Error::Document`] if the closure fails, or a value is over a limit:
    ///   [`VALUE_BYTES_MAX`](crate::palace::VALUE_BYTES_MAX), [`NESTING_MAX`](crate::palace::NESTING_MAX),
    ///   [`OPERATIONS_MAX`](crate::palace::OPERATIONS_MAX).
    /// * [`Error::EtagMismatch`] if a condition does not hold; [`Error::Unreadable`] if that cannot be decided;
    ///   [`Error::NoSuchVersion`] if `base` is not in the document's history.
    /// * [`Error::Store`] with [`ReadOnly`](crate::palace::StoreError::ReadOnly), with
    ///   [`Busy`](crate::palace::StoreError::Busy) if another conditional writer took more than 2 s, with
    ///   [`LockUntrusted`](crate::palace::StoreError::LockUntrusted) if a condition cannot be kept on this file
    ///   system, or with an error of the operating system.
    /// * [`Error::Nested`] if the closure of another write calls it.
    ///
    /// [`Error::Key`]: crate::palace::Error::Key
    /// [`Key`]: crate::palace::Key
    /// [`Error::Document`]: crate::palace::Error::Document
    /// [`Error::EtagMismatch`]: crate::palace::Error::EtagMismatch
    /// [`Error::Unreadable`]: crate::palace::Error::Unreadable
    /// [`Error::NoSuchVersion`]: crate::palace::Error::NoSuchVersion
    /// [`Error::Store`]: crate::palace::Error::Store
    /// [`Error::Nested`]: crate::palace::Error::Nested
    pub fn write(
        &self,
        key: &str,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError>,
    ) -> Result<Outcome> {
        self.with(WriteOptions::new()).write(key, write)
    }

    /// Starts a commit of several documents, which all appear at once or not at all.
    ///
    /// ```
    /// use crdt_palace::palace::Key;
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    ///
    /// let mut batch = palace.batch();
    /// batch.write(Key::new("account/a")?, |draft| draft.increment(&["amount"], -30));
    /// batch.write(Key::new("account/b")?, |draft| draft.increment(&["amount"], 30));
    /// let receipt = batch.commit()?;
    /// assert_eq!(receipt.outcomes.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self, WriteOptions::new())
    }
}
