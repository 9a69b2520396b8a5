//! Writing: one commit, of one document or several, all or nothing.
//!
//! Invariant: a commit builds on everything that was acknowledged before it started, and is
//! acknowledged only after its bytes, and those that they build on, are where the caller asked for.

use super::foundation::Foundation;
use super::state::{State, document_of};
use super::{Error, Palace, Result};
use crate::format::hash::{Etag, Heads};
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::format::record::{BODY_BYTES_MAX, Entry, RecordError, encode_commit};
use crate::fs::FsError;
use crate::merge::automerge::{AutomergeError, transaction::Transaction};
use crate::merge::{Doc, MergeError, NewChange, Stamp, View};
use crate::store::log::{Durability, Ticket};
use crate::store::{StoreError, lock};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// On which condition a write happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The document is at this version.
    Match(Etag),
    /// There is no such document, or it is deleted.
    Absent,
}

/// How a commit is made. The default: no condition, on top of what is there, durable.
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
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// Which document.
    pub key: Key,
    /// Its version now.
    pub etag: Etag,
    /// False if nothing differed, so that nothing was written.
    pub changed: bool,
}

/// An acknowledged commit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// One for each write, in the order in which they were given.
    pub outcomes: Vec<Outcome>,
    /// How safe it is.
    pub durability: Durability,
}

/// One document in the middle of a write: what it is, and ways to change it.
///
/// Every change made through it is part of the one commit.
#[derive(Debug)]
pub struct Draft<'a> {
    doc: &'a mut Doc,
    stamp: Stamp<'a>,
    base: Option<Heads>,
    changes: Vec<NewChange>,
}

impl Draft<'_> {
    /// The document as it is, with the changes made so far; `deleted` says whether it is hidden.
    #[must_use]
    pub fn view(&self) -> View {
        self.doc.view()
    }

    /// Whether there is such a document: it has a change, and is not deleted.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.doc.heads().is_empty() && !self.doc.is_deleted()
    }

    /// Makes the whole document this value; only what differs becomes operations.
    ///
    /// # Errors
    /// [`MergeError`] if the value is over 1 MiB, nested deeper than 64, or over 100,000 operations.
    pub fn put(&mut self, value: &Map<String, Value>) -> std::result::Result<(), MergeError> {
        let change = self.doc.put(&self.stamp, self.base.as_ref(), value)?;
        self.keep(change);
        Ok(())
    }

    /// Applies a JSON merge patch (RFC 7396): `null` removes a field.
    ///
    /// # Errors
    /// As [`Draft::put`].
    pub fn patch(&mut self, patch: &Map<String, Value>) -> std::result::Result<(), MergeError> {
        let change = self.doc.patch(&self.stamp, self.base.as_ref(), patch)?;
        self.keep(change);
        Ok(())
    }

    /// Adds to the counter at a path, which is made if it is not there.
    ///
    /// # Errors
    /// [`MergeError`] if something else than a counter is there.
    pub fn increment(&mut self, path: &[&str], by: i64) -> std::result::Result<(), MergeError> {
        let change = self.doc.increment(&self.stamp, self.base.as_ref(), path, by)?;
        self.keep(change);
        Ok(())
    }

    /// Appends to the list at a path.
    ///
    /// # Errors
    /// [`MergeError`] if there is no list.
    pub fn append(
        &mut self,
        path: &[&str],
        values: &[Value],
    ) -> std::result::Result<(), MergeError> {
        let change = self.doc.append(&self.stamp, path, values)?;
        self.keep(change);
        Ok(())
    }

    /// Removes the items of the list at a path for which `which` says so.
    ///
    /// # Errors
    /// [`MergeError`] if there is no list.
    pub fn remove_items(
        &mut self,
        path: &[&str],
        which: &dyn Fn(&Value) -> bool,
    ) -> std::result::Result<(), MergeError> {
        let change = self.doc.remove_items(&self.stamp, path, which)?;
        self.keep(change);
        Ok(())
    }

    /// Hides the document. An edit that is concurrent with this brings it back whole.
    ///
    /// # Errors
    /// [`MergeError`] if Automerge refuses.
    pub fn delete(&mut self) -> std::result::Result<(), MergeError> {
        let change = self.doc.delete(&self.stamp)?;
        self.keep(change);
        Ok(())
    }

    /// Changes the document through an Automerge transaction, for everything else. If the closure
    /// fails, nothing of it remains.
    ///
    /// # Errors
    /// [`MergeError`] with the closure's error.
    pub fn edit<T>(
        &mut self,
        edit: impl FnOnce(&mut Transaction<'_>) -> std::result::Result<T, AutomergeError>,
    ) -> std::result::Result<T, MergeError> {
        let (result, change) = self.doc.edit(&self.stamp, self.base.as_ref(), edit)?;
        self.keep(change);
        Ok(result)
    }

    /// Files this value under a key that was derived from it: whoever does so makes the same first
    /// change, byte for byte, so that the same content filed twice is one document without conflicts.
    /// Filing what is there already changes nothing.
    ///
    /// # Errors
    /// As [`Draft::put`].
    pub fn file(
        &mut self,
        key: &Key,
        value: &Map<String, Value>,
    ) -> std::result::Result<(), MergeError> {
        if self.exists() {
            return Ok(());
        }
        let (first, change) = Doc::first_filing(key, value)?;
        if !self.doc.contains(&change.hash) {
            let applied = self.doc.merge(&first);
            if let Some((_, error)) = applied.rejected.into_iter().next() {
                return Err(error);
            }
            self.changes.push(change);
        }
        let note = self.doc.note_filing(&self.stamp)?;
        self.changes.push(note);
        Ok(())
    }

    fn keep(&mut self, change: Option<NewChange>) {
        // What follows in this commit builds on what was just done.
        if change.is_some() {
            self.base = None;
        }
        self.changes.extend(change);
    }
}

type Write<'a> = Box<dyn FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError> + 'a>;

/// Several writes that happen together or not at all. See [`Palace::batch`].
pub struct Batch<'a> {
    palace: &'a Palace,
    writes: Vec<(Key, Option<Condition>, Write<'a>)>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(palace: &'a Palace) -> Self {
        Batch { palace, writes: Vec::new() }
    }

    /// Adds a write of one document. The closure is called once, at the commit, with the document as
    /// it then is; if it fails, nothing of the batch happens.
    pub fn write(
        &mut self,
        key: Key,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError> + 'a,
    ) -> &mut Self {
        self.writes.push((key, None, Box::new(write)));
        self
    }

    /// As [`Batch::write`], on a condition of its own.
    pub fn write_if(
        &mut self,
        key: Key,
        condition: Condition,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError> + 'a,
    ) -> &mut Self {
        self.writes.push((key, Some(condition), Box::new(write)));
        self
    }

    /// Makes the commit. `options.if_match` is for every document of the batch that has no condition
    /// of its own.
    ///
    /// # Errors
    /// Any of [`Error`]; nothing was written then, unless it is [`StoreError::OutcomeUnknown`].
    pub fn commit(self, options: &WriteOptions) -> Result<Receipt> {
        let Batch { palace, writes } = self;
        check_keys(&writes)?;
        palace.writable()?;
        let conditional = options.if_match.is_some()
            || writes.iter().any(|(_, condition, _)| condition.is_some());
        let _serial = match conditional {
            true => {
                palace.shared.notice_replacement(&mut palace.state())?;
                palace.shared.root.ensure_created()?;
                Some(lock::conditional(&palace.shared.root)?)
            }
            false => None,
        };
        let made = palace.make(writes, options)?;
        let carried = match options.durability {
            Durability::Durable => palace.shared.put_on_disk(&made.foundation)?,
            Durability::Buffered => {
                palace.shared.sync_later(made.foundation);
                None
            }
        };
        for ticket in [made.ticket, carried].into_iter().flatten() {
            if let Err(error) = palace.shared.log.wait(ticket, options.durability) {
                palace.state().forget_unwritten(&palace.shared.log);
                return Err(error.into());
            }
        }
        palace.after_commit(options.durability);
        Ok(Receipt { outcomes: made.outcomes, durability: options.durability })
    }
}

fn check_keys(writes: &[(Key, Option<Condition>, Write<'_>)]) -> Result<()> {
    let mut keys: Vec<&Key> = writes.iter().map(|(key, ..)| key).collect();
    keys.sort_unstable();
    let twice =
        keys.iter().zip(keys.iter().skip(1)).find(|(a, b)| a == b).map(|(key, _)| (*key).clone());
    if twice.is_some() || keys.is_empty() { Err(Error::Batch { key: twice }) } else { Ok(()) }
}

/// A commit that has its place in the log.
struct Made {
    /// What has to be waited for. Of a commit in which nothing differed, the commit of this process that
    /// made it so, if any: "it is there already" is a promise too.
    ticket: Option<Ticket>,
    foundation: Foundation,
    outcomes: Vec<Outcome>,
}

impl Palace {
    fn make(
        &self,
        writes: Vec<(Key, Option<Condition>, Write<'_>)>,
        options: &WriteOptions,
    ) -> Result<Made> {
        let mut state = self.fresh()?;
        let keys: Vec<Key> = writes.iter().map(|(key, ..)| key.clone()).collect();
        let made = self.make_in(&mut state, writes, options);
        // A local Automerge commit cannot be rolled back: documents with changes that did not become
        // a commit are loaded again.
        if made.is_err() {
            keys.iter().for_each(|key| state.evict(key));
        }
        made
    }

    fn make_in(
        &self,
        state: &mut State,
        writes: Vec<(Key, Option<Condition>, Write<'_>)>,
        options: &WriteOptions,
    ) -> Result<Made> {
        if options.if_match.is_some() || writes.iter().any(|(_, condition, _)| condition.is_some())
        {
            check_readable(state)?;
        }
        let instance = state.instance(&self.shared.log)?;
        let time_ms = self.shared.root.fs().now_ms();
        let by = options.by.as_deref().unwrap_or(&self.shared.program);
        let (mut carried, mut entries, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        for (key, condition, write) in writes {
            let doc = state.load(&key)?;
            check_condition(doc, &key, condition.as_ref().or(options.if_match.as_ref()))?;
            let base = resolve_base(doc, &key, options.base.as_ref())?;
            // Queued changes of this very actor may be among those that wait, and would collide.
            let actor = match doc.waiting().next() {
                None => instance.0,
                Some(_) => self.shared.root.random()?,
            };
            let stamp = Stamp { actor, time_ms, by };
            let mut draft = Draft { doc, stamp, base, changes: Vec::new() };
            write(&mut draft).map_err(|source| Error::Document { key: key.clone(), source })?;
            let Draft { doc, changes, .. } = draft;
            let etag = doc.heads().etag();
            outcomes.push(Outcome { key: key.clone(), etag, changed: !changes.is_empty() });
            let entry = |change| Entry { key: key.clone(), change };
            carried.extend(state.to_carry(&key)?.into_iter().map(entry));
            entries.extend(changes.into_iter().map(|change| entry(Bytes::from(change.bytes))));
        }
        let keys: BTreeSet<Key> = outcomes.iter().map(|outcome| outcome.key.clone()).collect();
        let segments = state.follower.unsynced(state.foreign_places(&keys));
        let foundation = Foundation { keys, segments };
        let body = Bytes::from(encode_commit(&entries));
        if body.len() > BODY_BYTES_MAX {
            return Err(StoreError::from(RecordError::TooLarge(body.len())).into());
        }
        // In records of their own, so that no amount of them can make a commit too large.
        for entry in carried {
            self.enqueue(state, instance, Bytes::from(encode_commit(&[entry])))?;
        }
        if !entries.is_empty() {
            self.enqueue(state, instance, body)?;
        }
        Ok(Made { ticket: state.tail.last_own(&foundation.keys), foundation, outcomes })
    }

    fn enqueue(&self, state: &mut State, instance: InstanceId, body: Bytes) -> Result<()> {
        match self.shared.log.enqueue(instance, body.clone()) {
            Some(ticket) => state.add_own(ticket, body),
            None => {
                let source = std::io::Error::other("the write before this one failed; try again");
                let path = self.shared.root.path().to_owned();
                return Err(FsError { action: "write to", path, source }.into());
            }
        }
        Ok(())
    }
}

/// Where a snapshot cannot be read, nobody can say that a condition holds.
fn check_readable(state: &State) -> Result<()> {
    match state.follower.unreadable().next() {
        Some((snapshot, _)) => Err(Error::Unreadable { snapshot }),
        None => Ok(()),
    }
}

fn check_condition(doc: &Doc, key: &Key, condition: Option<&Condition>) -> Result<()> {
    let exists = !doc.heads().is_empty() && !doc.is_deleted();
    let holds = match condition {
        None => true,
        Some(Condition::Absent) => !exists,
        Some(Condition::Match(etag)) => exists && doc.heads().etag() == *etag,
    };
    if holds {
        return Ok(());
    }
    let current = document_of(doc, key).map(Box::new);
    Err(Error::EtagMismatch { key: key.clone(), current })
}

fn resolve_base(doc: &Doc, key: &Key, base: Option<&Etag>) -> Result<Option<Heads>> {
    let Some(etag) = base else { return Ok(None) };
    match doc.resolve(etag) {
        Some(heads) => Ok(Some(heads)),
        None => Err(Error::NoSuchVersion { key: key.clone(), etag: etag.clone() }),
    }
}

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
    /// Any of [`Error`].
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
    /// Any of [`Error`].
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
    /// Any of [`Error`].
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
    /// Any of [`Error`].
    pub fn increment(
        &self,
        key: &str,
        path: &[&str],
        by: i64,
        options: &WriteOptions,
    ) -> Result<Outcome> {
        self.write(key, options, |draft| draft.increment(path, by))
    }

    /// Hides a document. Its history stays, and an edit made at the same time brings it back whole.
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
    /// Any of [`Error`].
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
    /// use crdt_palace::merge::automerge::{ObjType, ROOT, transaction::Transactable};
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
    /// Any of [`Error`]; if the closure fails nothing is written.
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
    /// Any of [`Error`]; if the closure fails nothing is written.
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
    /// use crdt_palace::format::key::Key;
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
