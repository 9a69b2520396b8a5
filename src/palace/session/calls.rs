//! The calls of one client: get, put, patch and delete.
//!
//! Invariant: nothing is noted of a write that failed, or of which it is unknown whether it was written.

use super::choice::{Choice, Sent};
use super::client::Session;
use super::told_numbers::ToldNumbers;
use crate::format::hash::{Etag, Heads};
use crate::format::key::Key;
use crate::merge::{MergeError, View, Written};
use crate::palace::error::{Error, Result};
use crate::palace::view::document::Document;
use crate::palace::write::draft::{Draft, object};
use crate::palace::write::request::{Outcome, WriteOptions};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Characters of the value that a write replaced, in the record of a call that is made once.
const REPLACED_CHARS: usize = 600;

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
    /// The document before the write, if the client had not read it and the write replaced some of it. Of a patch, only
    /// the fields that it names.
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

/// The value of a write.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    Whole(&'a Map<String, Value>),
    /// The value of an earlier version, to be written over the present one.
    Earlier(&'a Map<String, Value>),
    Patch(&'a Map<String, Value>),
}

impl<'a> Wanted<'a> {
    fn sent(self) -> Sent<'a> {
        match self {
            Wanted::Whole(value) | Wanted::Earlier(value) => Sent::Whole(value),
            Wanted::Patch(patch) => Sent::Patch(patch),
        }
    }

    fn write(
        &self,
        draft: &mut Draft<'_>,
        choice: &Choice,
        told: &ToldNumbers,
    ) -> std::result::Result<(), MergeError> {
        let base = if told.is_empty() { None } else { Some(draft.view_at(&choice.from)?.value) };
        let meant = |sent| match &base {
            Some(base) => Cow::Owned(told.meant(base, sent)),
            None => Cow::Borrowed(sent),
        };
        match *self {
            Wanted::Whole(value) => draft.put_object(&meant(value)),
            Wanted::Earlier(value) => draft.put_object(value),
            Wanted::Patch(patch) => draft.patch_object(&meant(patch)),
        }
    }

    /// Returns what the write replaces of a document, if anything.
    fn replaced(&self, mut before: View) -> Option<View> {
        if self.sent().distance(&before).is_zero() {
            return None;
        }
        if let Wanted::Patch(patch) = self {
            before.value.retain(|name, _| patch.contains_key(name));
        }
        (!before.value.is_empty()).then_some(before)
    }
}

/// The part of a result that is known before the commit.
pub(super) struct Made {
    pub choice: Choice,
    pub merged: Option<Document>,
    pub replaced_unseen: Option<Document>,
    pub undeleted: Option<Written>,
    /// The version that has the patch and what the client came to know last, if the patch does not build on that.
    pub joined: Option<Heads>,
}

impl Made {
    /// Returns what a repeated call answers with. Of what was replaced it has the beginning.
    pub fn answer(&self, draft: &Draft<'_>) -> Value {
        let replaced = self.replaced_unseen.as_ref().map(|replaced| {
            let text = Value::Object(replaced.value.clone()).to_string();
            let text: String = text.chars().take(REPLACED_CHARS).collect();
            json!({"etag": replaced.etag, "modified": replaced.modified, "text": text})
        });
        json!({
            "etag": draft.own_version().etag(),
            "changed": draft.is_changed(),
            "merged": self.merged.is_some(),
            "replaced_unseen": replaced,
            "undeleted": self.undeleted,
        })
    }
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
        self.restore_with(WriteOptions::new(), &key, &value)
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
    fn answered(&self, key: &Key, written: SessionWrite) -> SessionWrite {
        if written.merged.is_some() {
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
        let is_named = options.base.is_some() || options.if_match.is_some();
        let is_once = options.once.is_some();
        let mut made = None;
        let outcome = self.palace().with(options).write_answering(key.clone(), |draft| {
            let choice = match wanted {
                _ if is_named => Choice::named(draft),
                Wanted::Earlier(_) => self.present(draft, key),
                _ => self.choose(draft, key, wanted.sent())?,
            };
            let told = self.told_since(draft, key, &choice);
            let made = made.insert(make(draft, key, wanted, choice, &told)?);
            Ok(if is_once { made.answer(draft) } else { Value::Null })
        })?;
        self.written(key, outcome, made, matches!(wanted, Wanted::Whole(_)))
    }

    /// Notes a write that was made, and returns its result.
    pub(super) fn written(
        &self,
        key: &Key,
        outcome: Outcome,
        made: Option<Made>,
        is_whole: bool,
    ) -> Result<SessionWrite> {
        // A commit that succeeded has run the closure.
        let Made { choice, merged, replaced_unseen, undeleted, joined } =
            made.ok_or(Error::EmptyBatch)?;
        match joined {
            Some(joined) => self.patched_beside(key, &choice, &outcome, &joined),
            None => self.wrote(key, &choice, &outcome, is_whole),
        }
        Ok(SessionWrite { outcome, merged, replaced_unseen, undeleted })
    }

    /// Hides a document like [`Session::delete`]. With a base it is compared with that version, with a condition with
    /// none.
    pub(crate) fn delete_with(&self, options: WriteOptions, key: &Key) -> Result<SessionDelete> {
        let (based, conditional) = (options.base.is_some(), options.if_match.is_some());
        let mut changed_since = None;
        let outcome = self.palace().with(options).write(key.as_str(), |draft| {
            let present = draft.version();
            let is_changed = match based {
                true => draft.base() != present,
                false => !conditional && self.has_changed(draft, key),
            };
            if is_changed && draft.exists() {
                changed_since = Document::of(key.clone(), present, draft.view()?, false);
                return Ok(());
            }
            draft.delete()
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

/// Makes the write of a draft that builds on the chosen version.
pub(super) fn make(
    draft: &mut Draft<'_>,
    key: &Key,
    wanted: Wanted<'_>,
    choice: Choice,
    told: &ToldNumbers,
) -> std::result::Result<Made, MergeError> {
    let is_deleted = !choice.present.is_empty() && !draft.exists();
    let before = if choice.unseen || is_deleted { Some(draft.view()?) } else { None };
    if is_deleted
        && choice.is_behind()
        && wanted.sent().distance(&draft.view_at(&choice.from)?).is_zero()
    {
        // A value that is the same as before the delete changes nothing there, and has to come back all the same.
        draft.build_on(choice.present.clone());
    }
    wanted.write(draft, &choice, told)?;
    let undeleted = match &before {
        Some(before) if is_deleted && !choice.is_own && draft.exists() => before.modified.clone(),
        _ => None,
    };
    let document = |heads, view| Document::of(key.clone(), heads, view, false);
    let replaced = before.filter(|_| choice.unseen).and_then(|before| wanted.replaced(before));
    let replaced_unseen = replaced.and_then(|view| document(choice.present.clone(), view));
    // What is made from the present version shows what was sent.
    let after = if choice.is_behind() { Some(draft.view()?) } else { None };
    let merged = after.filter(|after| !wanted.sent().distance(after).is_zero());
    let merged = merged.and_then(|after| document(draft.version(), after));
    let latest = choice.latest.as_ref().filter(|_| matches!(wanted, Wanted::Patch(_)));
    let beside = latest.filter(|latest| !draft.includes(&choice.from, latest));
    let joined = beside.map(|latest| draft.join(latest, &draft.own_version()));
    Ok(Made { choice, merged, replaced_unseen, undeleted, joined })
}
