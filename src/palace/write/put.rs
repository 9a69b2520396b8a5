//! The calls that write one document, and the start of a batch.

use super::commit::Batch;
use super::draft::Draft;
use super::request::{Outcome, WriteOptions};
use crate::format::key::Key;
use crate::merge::MergeError;
use crate::merge::automerge::{AutomergeError, transaction::Transaction};
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use serde_json::{Map, Value};

impl Palace {
    /// Makes the document this value. Only what differs from what is there becomes operations, so
    /// that two writers who change different fields both keep their work.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let plan = json!({"title": "Plan", "done": false});
    /// let written = palace.put("notes/plan", plan.as_object().ok_or("an object")?)?;
    /// assert!(written.changed);
    /// // The same again: there is nothing to write.
    /// assert!(!palace.put("notes/plan", plan.as_object().ok_or("an object")?)?.changed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub fn put(&self, key: &str, value: &Map<String, Value>) -> Result<Outcome> {
        self.put_with(key, value, &WriteOptions::default())
    }

    /// As [`Palace::put`], with options.
    ///
    /// ```
    /// # use crdt_palace::palace::{Condition, Palace, WriteOptions};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let value = json!({"n": 1});
    /// let value = value.as_object().ok_or("an object")?;
    /// let absent = WriteOptions { if_match: Some(Condition::Absent), ..WriteOptions::default() };
    /// let first = palace.put_with("k", value, &absent)?;
    /// // It is there now, so the condition does not hold any more.
    /// assert!(palace.put_with("k", value, &absent).is_err());
    /// let same = WriteOptions { if_match: Some(Condition::Match(first.etag)), ..WriteOptions::default() };
    /// assert!(palace.put_with("k", value, &same).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub fn put_with(
        &self,
        key: &str,
        value: &Map<String, Value>,
        options: &WriteOptions,
    ) -> Result<Outcome> {
        self.write(key, options, |draft| draft.put(value))
    }

    /// Applies a JSON merge patch (RFC 7396): fields that it does not name stay, `null` removes one.
    ///
    /// ```
    /// # use crdt_palace::palace::{Palace, WriteOptions};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", json!({"a": 1, "b": 2}).as_object().ok_or("an object")?)?;
    /// let patch = json!({"b": null, "c": 3});
    /// palace.patch("k", patch.as_object().ok_or("an object")?, &WriteOptions::default())?;
    /// let found = palace.get("k")?.ok_or("it was written")?;
    /// assert_eq!(serde_json::Value::Object(found.value), json!({"a": 1, "c": 3}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub fn patch(
        &self,
        key: &str,
        patch: &Map<String, Value>,
        options: &WriteOptions,
    ) -> Result<Outcome> {
        self.write(key, options, |draft| draft.patch(patch))
    }

    /// Adds to a counter, which is made if it is not there. Increments made at the same time add up.
    ///
    /// ```
    /// # use crdt_palace::palace::{Palace, WriteOptions};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.increment("stats", &["visits"], 2, &WriteOptions::default())?;
    /// palace.increment("stats", &["visits"], 3, &WriteOptions::default())?;
    /// assert_eq!(palace.get("stats")?.ok_or("it was written")?.value["visits"], json!(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub fn increment(
        &self,
        key: &str,
        path: &[&str],
        by: i64,
        options: &WriteOptions,
    ) -> Result<Outcome> {
        self.write(key, options, |draft| draft.increment(path, by))
    }

    /// Hides a document. Its history stays, and an edit made at the same time brings it back whole: with a
    /// `base`, nothing happens if the document has changed since.
    /// To erase, see `crdt-compact --into NEW --forget KEY`.
    ///
    /// ```
    /// # use crdt_palace::palace::{Palace, WriteOptions};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", json!({"a": 1}).as_object().ok_or("an object")?)?;
    /// palace.delete("k", &WriteOptions::default())?;
    /// assert_eq!(palace.get("k")?, None);
    /// assert_eq!(palace.history("k")?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub fn delete(&self, key: &str, options: &WriteOptions) -> Result<Outcome> {
        self.write(key, options, |draft| draft.delete())
    }

    /// Changes a document through an Automerge transaction.
    ///
    /// ```
    /// # use crdt_palace::palace::{Palace, WriteOptions};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// use crdt_palace::palace::automerge::{ObjType, ROOT, transaction::Transactable};
    ///
    /// palace.edit("draft", &WriteOptions::default(), |tx| {
    ///     let text = tx.put_object(ROOT, "text", ObjType::Text)?;
    ///     tx.splice_text(&text, 0, 0, "Once upon a time")
    /// })?;
    /// assert_eq!(palace.get("draft")?.ok_or("it was written")?.value["text"], json!("Once upon a time"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`]; if the closure fails nothing is written.
    pub fn edit<T>(
        &self,
        key: &str,
        options: &WriteOptions,
        edit: impl FnOnce(&mut Transaction<'_>) -> std::result::Result<T, AutomergeError>,
    ) -> Result<(T, Outcome)> {
        let mut result = None;
        let outcome = self.write(key, options, |draft| {
            result = Some(draft.edit(edit)?);
            Ok(())
        })?;
        match result {
            Some(result) => Ok((result, outcome)),
            None => Err(Error::Batch { key: None }),
        }
    }

    /// Changes one document through a [`Draft`], which can also look at it.
    ///
    /// ```
    /// # use crdt_palace::palace::{Palace, WriteOptions};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.write("log", &WriteOptions::default(), |draft| {
    ///     if !draft.exists() {
    ///         draft.put(&serde_json::Map::from_iter([("lines".to_owned(), json!([]))]))?;
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
    /// * [`Error::EtagMismatch`] if `if_match` does not hold, [`Error::Unreadable`] if nobody can say;
    ///   [`Error::NoSuchVersion`] if `base` is not in the document's history.
    /// * [`Error::Store`] with [`ReadOnly`](crate::palace::StoreError::ReadOnly), with
    ///   [`Busy`](crate::palace::StoreError::Busy) if another conditional writer took more than 2 s, with
    ///   [`LockUntrusted`](crate::palace::StoreError::LockUntrusted) if a condition cannot be kept on this file
    ///   system, or with what the system says.
    pub fn write(
        &self,
        key: &str,
        options: &WriteOptions,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError>,
    ) -> Result<Outcome> {
        let key = Key::new(key)?;
        let mut batch = self.batch();
        batch.write(key.clone(), write);
        let receipt = batch.commit(options)?;
        receipt.outcomes.into_iter().next().ok_or(Error::Batch { key: Some(key) })
    }

    /// Starts a commit of several documents, which all appear at once or not at all.
    ///
    /// ```
    /// use crdt_palace::palace::Key;
    /// # use crdt_palace::palace::{Palace, WriteOptions};
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    ///
    /// let mut batch = palace.batch();
    /// batch.write(Key::new("account/a")?, |draft| draft.increment(&["amount"], -30));
    /// batch.write(Key::new("account/b")?, |draft| draft.increment(&["amount"], 30));
    /// let receipt = batch.commit(&WriteOptions::default())?;
    /// assert_eq!(receipt.outcomes.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }
}
