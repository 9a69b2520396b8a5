//! The calls of one client: get, put, patch and delete.
//!
//! Invariant: nothing is noted of a write that failed, or of which it is unknown whether it was written.

use super::choice::Choice;
use super::client::Session;
use super::made::{Made, Wanted, make};
use super::told_numbers::ToldNumbers;
use crate::format::hash::{Etag, Heads};
use crate::format::key::Key;
use crate::merge::Written;
use crate::palace::error::{Error, Result};
use crate::palace::view::document::Document;
use crate::palace::write::draft::{Draft, object};
use crate::palace::write::request::{Outcome, WriteOptions};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The result of a write of a [`Session`].
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let (ann, bob) = (palace.session(), palace.session());
/// ann.put("k", &json!({"a": 1}))?;
/// bob.get("k")?;
/// palace.delete("k")?;
/// let written = bob.put("k", &json!({"a": 2}))?;
/// assert!(written.undeleted.is_some()); // it came back, with Bob's edit
/// assert_eq!(written.outcome.current_etag, palace.get("k")?.ok_or("it is back")?.etag);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionWrite {
    /// The outcome of the commit.
    pub outcome: Outcome,
    /// The document as it stands after the write, if that is not exactly what was sent.
    pub merged: Option<Document>,
    /// The document as it stands after the write, if that named a part of it only and the client knows nothing of the
    /// rest. Show all of it: it counts as read.
    pub unread: Option<Document>,
    /// The document before the write, if the client had not read it and the write replaced some of it. Of a patch, only
    /// the fields that it names. What this client wrote there last does not count.
    pub replaced_unseen: Option<Document>,
    /// Writer and time of the delete that this write undid, if another client made it.
    pub undeleted: Option<Written>,
}

/// The result of a delete of a [`Session`].
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let session = palace.session();
/// session.put("k", &json!({"a": 1}))?;
/// palace.put("k", &json!({"a": 2}))?;
/// let refused = session.delete("k")?;
/// assert_eq!(refused.changed_since.ok_or("it was changed since")?.value["a"], 2);
/// assert!(!refused.outcome.changed && palace.get("k")?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionDelete {
    /// The outcome of the commit. `changed` is false if nothing was deleted.
    pub outcome: Outcome,
    /// The present document, if it was changed since anything of it was last shown to the client. Then nothing was
    /// deleted, and the same call again deletes.
    pub changed_since: Option<Document>,
}

impl Session {
    /// Returns the document of this key, as [`Palace::get`](crate::palace::Palace::get) does. The version becomes a base
    /// for one write.
    ///
    /// # Errors
    /// As [`Palace::get`](crate::palace::Palace::get).
    pub fn get(&self, key: &str) -> Result<Option<Document>> {
        let found = self.palace().get(key)?;
        if let Some(document) = &found {
            self.saw_whole(&document.key, &document.heads);
        }
        Ok(found)
    }

    /// Writes a document as a whole. It is made from what the client has seen, so that changes of others since are kept.
    ///
    /// # Errors
    /// As [`Palace::put`](crate::palace::Palace::put).
    pub fn put<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<SessionWrite> {
        let key = Key::new(key)?;
        let value = object(value).map_err(|source| Error::Document { key: key.clone(), source })?;
        Ok(self.answered(&key, self.put_with(WriteOptions::new(), &key, &value)?))
    }

    /// Applies a JSON merge patch (RFC 7396), made from what the client has seen. Fields that it does not name stay as
    /// they are.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1, "b": 2}))?;
    /// let session = palace.session();
    /// session.get("k")?;
    /// palace.patch("k", &json!({"a": 3}))?;
    /// let written = session.patch("k", &json!({"a": 4}))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.conflicts.len(), 1); // both values of a are kept
    /// assert!(written.replaced_unseen.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::patch`](crate::palace::Palace::patch).
    pub fn patch<T: Serialize + ?Sized>(&self, key: &str, patch: &T) -> Result<SessionWrite> {
        let key = Key::new(key)?;
        let patch = object(patch).map_err(|source| Error::Document { key: key.clone(), source })?;
        Ok(self.answered(&key, self.patch_with(WriteOptions::new(), &key, &patch)?))
    }

    /// Writes the value of an earlier version over the present one, and says what it replaced if the client had not
    /// read that.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let first = palace.put("k", &json!({"a": 1}))?;
    /// palace.put("k", &json!({"a": 2}))?;
    /// let restored = palace.session().restore("k", &first.etag)?;
    /// assert_eq!(palace.get("k")?.ok_or("it was restored")?.value["a"], 1);
    /// assert_eq!(restored.replaced_unseen.ok_or("it was not read")?.value["a"], 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] if the document never had this version, or was deleted at it; or as
    /// [`Palace::put`](crate::palace::Palace::put).
    pub fn restore(&self, key: &str, version: &Etag) -> Result<SessionWrite> {
        let then = self.palace().get_at(key, version)?;
        let key = Key::new(key)?;
        let none = || Error::NoSuchVersion { key: key.clone(), etag: version.clone() };
        let value = then.ok_or_else(none)?.value;
        Ok(self.answered(&key, self.restore_with(WriteOptions::new(), &key, &value)?))
    }

    /// Hides a document, unless it was changed since anything of it was last shown to the client. The same call again
    /// hides it then.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let session = palace.session();
    /// session.put("k", &json!({"a": 1}))?;
    /// palace.put("k", &json!({"a": 2}))?;
    /// assert!(session.delete("k")?.changed_since.is_some());
    /// assert!(session.delete("k")?.outcome.changed && palace.get("k")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::delete`](crate::palace::Palace::delete).
    pub fn delete(&self, key: &str) -> Result<SessionDelete> {
        self.delete_with(WriteOptions::new(), &Key::new(key)?)
    }

    /// Notes that a result shows the whole merged document, if it does, and returns it.
    pub(super) fn answered(&self, key: &Key, written: SessionWrite) -> SessionWrite {
        if written.merged.is_some() || written.unread.is_some() {
            self.saw_in_answer(key, &written.outcome.current);
        }
        written
    }

    /// Writes a document as a whole. A base or a condition in the options takes the place of what the client has seen.
    pub(crate) fn put_with(
        &self,
        options: WriteOptions,
        key: &Key,
        value: &Map<String, Value>,
    ) -> Result<SessionWrite> {
        self.write(options, key, Wanted::Whole(value))
    }

    /// Changes the fields that a patch names, like [`Session::put_with`].
    pub(crate) fn patch_with(
        &self,
        options: WriteOptions,
        key: &Key,
        patch: &Map<String, Value>,
    ) -> Result<SessionWrite> {
        self.write(options, key, Wanted::Patch(patch))
    }

    /// Writes the value of an earlier version over the present one.
    pub(crate) fn restore_with(
        &self,
        options: WriteOptions,
        key: &Key,
        value: &Map<String, Value>,
    ) -> Result<SessionWrite> {
        self.write(options, key, Wanted::Earlier(value))
    }

    fn write(&self, options: WriteOptions, key: &Key, wanted: Wanted<'_>) -> Result<SessionWrite> {
        let is_base = options.base.is_some();
        let is_named = is_base || options.if_match.is_some();
        let is_once = options.once.is_some();
        let mut made = None;
        let outcome = self.palace().with(options).write_answering(key.clone(), |draft| {
            let choice = match wanted {
                _ if is_named => self.named(draft, key, is_base),
                Wanted::Earlier(_) => self.present(draft, key),
                _ => self.choose(draft, key, wanted.sent())?,
            };
            let told = self.told_since(draft, key, &choice);
            let known = self.versions(key);
            let made = made.insert(make(draft, key, wanted, choice, (&told, known.own_values()))?);
            Ok(if is_once { made.answer(draft) } else { Value::Null })
        })?;
        self.written(key, outcome, made, (matches!(wanted, Wanted::Whole(_)), wanted.values()))
    }

    /// Notes a write that was made, and returns its result. `is_whole` is true if the client named the whole value, and
    /// `values` has what it gave to the fields that it named otherwise.
    pub(super) fn written(
        &self,
        key: &Key,
        outcome: Outcome,
        made: Option<Made>,
        (is_whole, values): (bool, Option<Cow<'_, Map<String, Value>>>),
    ) -> Result<SessionWrite> {
        // A commit that succeeded has run the closure.
        let Made { choice, merged, unread, replaced_unseen, undeleted, joined } =
            made.ok_or(Error::EmptyBatch)?;
        match joined {
            Some(joined) => self.patched_beside(key, &choice, &outcome, &joined),
            None => self.wrote(key, &choice, &outcome, is_whole),
        }
        if let Some(values) = values.filter(|_| choice.unread) {
            self.note(key, |versions| versions.wrote_values(&values));
        }
        Ok(SessionWrite { outcome, merged, unread, replaced_unseen, undeleted })
    }

    /// Hides a document like [`Session::delete`]. With a base it is compared with that version, with a condition with
    /// none.
    pub(crate) fn delete_with(&self, options: WriteOptions, key: &Key) -> Result<SessionDelete> {
        let (based, conditional) = (options.base.is_some(), options.if_match.is_some());
        let mut changed_since = None;
        let outcome = self.palace().with(options).write_answering(key.clone(), |draft| {
            let present = draft.version();
            let is_changed = match based {
                true => draft.base() != present,
                false => !conditional && self.has_changed(draft, key),
            };
            if is_changed && draft.exists() {
                changed_since = Document::of(key.clone(), present, draft.view()?, false);
            } else {
                draft.delete()?;
            }
            let (etag, changed) = (draft.own_version().etag(), draft.is_changed());
            let deleted = changed_since.is_none();
            Ok(json!({"etag": etag, "changed": changed, "deleted": deleted}))
        })?;
        match &changed_since {
            Some(document) => self.saw_some(key, &document.heads),
            None if outcome.changed => self.deleted(key, &outcome),
            None => {}
        }
        Ok(SessionDelete { outcome, changed_since })
    }

    /// Returns the numbers that the client was told after the version that its write is made from.
    fn told_since(&self, draft: &Draft<'_>, key: &Key, choice: &Choice) -> ToldNumbers {
        if !choice.is_behind() {
            return ToldNumbers::default();
        }
        let is_known =
            |heads: &Heads| !draft.contains(heads) || draft.includes(&choice.from, heads);
        self.versions(key).told_numbers().newer_than(is_known)
    }

    /// Returns true if the document was changed since anything of it was last shown to the client.
    pub(crate) fn has_changed(&self, draft: &Draft<'_>, key: &Key) -> bool {
        let versions = self.versions(key);
        let newest = versions.newest().filter(|newest| draft.contains(newest));
        newest.is_some_and(|newest| *newest != draft.version())
    }
}
