//! The calls that write, with options of their own.
//!
//! Invariant: a caller's value is serialized before any lock is taken, because that runs the caller's code.

use super::commit::Batch;
use super::draft::{Draft, object};
use super::request::{Outcome, WriteOptions};
use crate::format::key::Key;
use crate::merge::MergeError;
use crate::merge::automerge::{AutomergeError, transaction::Transaction};
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use serde::Serialize;
use serde_json::Value;
use std::cell::RefCell;

/// The calls of a [`Palace`] that write, each with the same [`WriteOptions`]. Made by [`Palace::with`].
///
/// ```
/// use crdt_palace::palace::automerge::{ROOT, transaction::Transactable};
/// use crdt_palace::palace::{Key, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let ada = palace.with(WriteOptions::new().by("ada/1.0"));
/// ada.put("k", &json!({"title": "Plan"}))?;
/// ada.patch("k", &json!({"title": "A plan"}))?;
/// ada.increment("k", &["read"], 1)?;
/// ada.edit("k", |tx| tx.put(ROOT, "done", true))?;
/// ada.write("k", |draft| draft.increment(&["read"], 1))?;
/// let mut batch = ada.batch();
/// batch.write(Key::new("other")?, |draft| draft.increment(&["read"], 1));
/// batch.commit()?;
/// ada.delete("k")?;
/// assert!(palace.history("k")?.iter().all(|change| change.by == "ada/1.0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Writes<'a> {
    palace: &'a Palace,
    options: WriteOptions,
}

impl<'a> Writes<'a> {
    pub(super) fn new(palace: &'a Palace, options: WriteOptions) -> Self {
        Writes { palace, options }
    }

    /// Writes a document as a whole, like [`Palace::put`].
    ///
    /// # Errors
    /// As [`Palace::put`].
    pub fn put<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<Outcome> {
        let key = Key::new(key)?;
        let value = object(value).map_err(|source| Error::Document { key: key.clone(), source })?;
        self.one(key, |draft| draft.put_object(&value))
    }

    /// Applies a JSON merge patch, like [`Palace::patch`].
    ///
    /// # Errors
    /// As [`Palace::patch`].
    pub fn patch<T: Serialize + ?Sized>(&self, key: &str, patch: &T) -> Result<Outcome> {
        let key = Key::new(key)?;
        let patch = object(patch).map_err(|source| Error::Document { key: key.clone(), source })?;
        self.one(key, |draft| draft.patch_object(&patch))
    }

    /// Adds to a counter, like [`Palace::increment`].
    ///
    /// # Errors
    /// As [`Palace::increment`].
    pub fn increment(&self, key: &str, path: &[&str], by: i64) -> Result<Outcome> {
        self.write(key, |draft| draft.increment(path, by))
    }

    /// Hides a document, like [`Palace::delete`].
    ///
    /// # Errors
    /// As [`Palace::delete`].
    pub fn delete(&self, key: &str) -> Result<Outcome> {
        self.write(key, |draft| draft.delete())
    }

    /// Changes a document through an Automerge transaction, like [`Palace::edit`].
    ///
    /// # Errors
    /// As [`Palace::edit`].
    pub fn edit<T>(
        &self,
        key: &str,
        edit: impl FnOnce(&mut Transaction<'_>) -> std::result::Result<T, AutomergeError>,
    ) -> Result<(T, Outcome)> {
        let mut result = None;
        let outcome = self.write(key, |draft| {
            result = Some(draft.edit(edit)?);
            Ok(())
        })?;
        // A commit that succeeded has run the closure, so there is a result.
        let result = result.ok_or(Error::EmptyBatch)?;
        Ok((result, outcome))
    }

    /// Changes one document through a [`Draft`], like [`Palace::write`].
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub fn write(
        &self,
        key: &str,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError>,
    ) -> Result<Outcome> {
        self.one(Key::new(key)?, write)
    }

    /// Starts a commit of several documents, like [`Palace::batch`]. A condition holds for each document without one of
    /// its own, and a base must be in the history of each.
    #[must_use]
    pub fn batch(&self) -> Batch<'a> {
        Batch::new(self.palace, self.options.clone())
    }

    /// Changes one document. If the options name a call that is made once, its record is part of the commit, with the
    /// answer that the closure returns.
    pub(crate) fn write_answering(
        &self,
        key: Key,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<Value, MergeError>,
    ) -> Result<Outcome> {
        let answer = RefCell::new(Value::Null);
        let mut batch = self.batch();
        batch.write(key, |draft| {
            *answer.borrow_mut() = write(draft)?;
            Ok(())
        });
        if let Some(once) = &self.options.once {
            batch.record(once, || answer.take());
        }
        batch.commit()?.outcomes.into_iter().next().ok_or(Error::EmptyBatch)
    }

    fn one(
        &self,
        key: Key,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError>,
    ) -> Result<Outcome> {
        let mut batch = Batch::new(self.palace, self.options.clone());
        batch.write(key, write);
        let receipt = batch.commit()?;
        receipt.outcomes.into_iter().next().ok_or(Error::EmptyBatch)
    }
}
