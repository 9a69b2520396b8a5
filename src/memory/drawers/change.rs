//! Changes, moves and deletes drawers.
//!
//! Invariants: an id stays valid, whatever changes in its drawer. Two processes that change different fields of one
//! drawer both keep their work; if they write its text at once, both texts can be seen. A delete hides a drawer, and a
//! change made at the same time brings it back whole. With `if_match`, a change is written only if it was made from the
//! newest version.

use super::drawer::{Drawer, drawer_of, place_of, shown};
use super::file;
use super::handle::{Drawers, no_drawer};
use super::place::{Place, keys_of, moved_key, name, parts};
use crate::format::hash::Etag;
use crate::format::key::Key;
use crate::memory::documents::confirm;
use crate::memory::error::{MemoryError, Result};
use crate::merge::{Conflict, MergeError, View};
use crate::palace::{Condition, Document, Draft, Error, WriteOptions};
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// The most drawers that one call deletes or reads.
pub const IDS_MAX: usize = 500;

/// The fields of a drawer to change.
///
/// ```
/// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// # let id = drawers.file(&[item])?.remove(0).id;
/// drawers.update(&id, Change { room: Some("history"), ..Change::default() })?;
/// let drawer = drawers.get(&id)?; // the id stays good
/// assert_eq!((drawer.place.wing.as_str(), drawer.place.room.as_str()), ("atlas", "history"));
/// assert_eq!(drawer.content, "We sign tokens with RSA.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// The new text.
    pub content: Option<&'a str>,
    /// The new wing.
    pub wing: Option<&'a str>,
    /// The new room.
    pub room: Option<&'a str>,
    /// The version that the drawer must have for the change: an etag that was read before.
    pub if_match: Option<&'a Etag>,
}

/// Result of [`Drawers::update`].
///
/// ```
/// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// # let id = drawers.file(&[item])?.remove(0).id;
/// let change = Change { content: Some("We sign tokens with Ed25519."), ..Change::default() };
/// let first = drawers.update(&id, change)?;
/// assert!(first.changed && first.settled.is_empty()); // there was no concurrent change to settle
/// let again = drawers.update(&id, change)?;
/// assert!(!again.changed);
/// assert_eq!(again.drawer.etag, first.drawer.etag);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Changed {
    /// The drawer as this change left it. A later change has another version.
    pub drawer: Drawer,
    /// False if nothing differed, so nothing was written.
    pub changed: bool,
    /// The conflicts of concurrent writes that this change settled.
    pub settled: Vec<Conflict>,
}

/// Result of [`Drawers::delete`].
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// # let id = drawers.file(&[item])?.remove(0).id;
/// let ids = [id.clone(), "drawer_atlas_decisions_0".to_owned()];
/// let done = drawers.delete(&ids)?;
/// assert_eq!((done.deleted[0].0.as_str(), done.deleted.len()), (id.as_str(), 1));
/// assert_eq!(done.not_found, ["drawer_atlas_decisions_0"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// The ids of the drawers that this call deleted, each with the version of the delete.
    pub deleted: Vec<(String, String)>,
    /// The ids without a drawer.
    pub not_found: Vec<String>,
}

/// Result of [`Drawers::delete_one`].
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// # let id = drawers.file(&[item])?.remove(0).id;
/// let gone = drawers.delete_one(&id, None)?;
/// assert!(gone.changed);
/// assert_eq!(drawers.delete_one(&id, None)?.etag, gone.etag); // nothing was written
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedOne {
    /// The version of the drawer after the delete.
    pub etag: String,
    /// False if it was deleted before.
    pub changed: bool,
}

impl Drawers {
    /// Changes the text of a drawer, moves it, or both. Its id stays the same.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let content = Some("We sign tokens with Ed25519.");
    /// let changed = drawers.update(&id, Change { content, room: Some("crypto"), ..Change::default() })?;
    /// assert_eq!(changed.drawer.content, "We sign tokens with Ed25519.");
    /// assert_eq!((changed.drawer.id.as_str(), changed.drawer.place.room.as_str()), (id.as_str(), "crypto"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NoDrawer`], [`MemoryError::EtagMismatch`], [`MemoryError::Argument`], and errors of the palace;
    /// then nothing was written.
    pub fn update(&self, id: &str, change: Change<'_>) -> Result<Changed> {
        let Document { key, value, .. } = self.document(id)?.ok_or_else(|| no_drawer(id))?;
        if value.contains_key("agent") {
            let why =
                format!("{id} is a diary entry, which cannot be changed: write another entry");
            return Err(MemoryError::argument("drawer_id", why));
        }
        let (patch, place) = patch(&place_of(&key, &value), change)?;
        let condition = change.if_match.cloned().map(Condition::Match);
        let (gone, left) = (Cell::new(false), RefCell::default());
        let mut batch = self.palace.with(self.options()).batch();
        let write = |draft: &mut Draft<'_>| apply(draft, &patch, &gone, &left);
        match condition {
            Some(condition) => batch.write_if(key.clone(), condition, write),
            None => batch.write(key.clone(), write),
        };
        if !is_at(&key, &place) {
            let moved = moved_key(&key)?;
            // Filing the note by its content lets two processes that move the drawer at once write the same document.
            let note = Map::from_iter([("drawer".to_owned(), json!(id))]);
            batch.write(moved.clone(), move |draft| draft.file(&moved, &note));
        }
        let outcomes = match batch.commit() {
            Err(Error::Document { .. }) if gone.get() => return Err(no_drawer(id)),
            Err(Error::EtagMismatch { current, .. }) => return Err(mismatch(id, current, &patch)),
            result => result?.outcomes,
        };
        // The answer shows the drawer as this change left it, not as it is now. A client that passes this version back
        // has not seen later writes. And nothing is read after the commit, because a call that was written must not
        // fail.
        let Some((outcome, (view, settled))) = outcomes.first().zip(left.into_inner()) else {
            return Err(no_drawer(id));
        };
        let drawer = shown(&key, &outcome.etag, view);
        Ok(Changed { drawer, changed: outcome.changed, settled })
    }

    /// Deletes drawers, all in one commit. An id without a drawer is no error.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// drawers.delete(std::slice::from_ref(&id))?;
    /// assert!(drawers.get(&id).is_err());
    /// assert!(drawers.delete(&[id])?.deleted.is_empty()); // it was gone
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if there are more than [`IDS_MAX`] ids, and errors of the palace; then nothing was
    /// written.
    pub fn delete(&self, ids: &[String]) -> Result<Deleted> {
        let (mut result, mut keys) = (Deleted::default(), Vec::new());
        for id in distinct(ids)? {
            match self.document(id)? {
                Some(document) => keys.push((document.key, id)),
                None => result.not_found.push(id.clone()),
            }
        }
        if !result.not_found.is_empty() {
            self.await_durable(&result.not_found)?;
        }
        if keys.is_empty() {
            return Ok(result);
        }
        let mut batch = self.palace.with(self.options()).batch();
        for (key, _) in &keys {
            batch.write(key.clone(), delete);
        }
        let outcomes = batch.commit()?.outcomes;
        for ((_, id), outcome) in keys.into_iter().zip(outcomes) {
            match outcome.changed {
                true => result.deleted.push((id.clone(), outcome.etag.to_string())),
                // Another process deleted it between the read and the commit.
                false => result.not_found.push(id.clone()),
            }
        }
        Ok(result)
    }

    /// Returns when the present state of these drawers is durable, also if they are deleted.
    ///
    /// Another process may have written that state, and not yet made it durable. An answer that rests on it without
    /// writing calls this first.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("palace");
    /// # let drawers = Drawers::new(Palace::open(&path)?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let other = Drawers::new(Palace::open(&path)?);
    /// let seen = other.get(&id)?; // its writer may not have synced it yet
    /// other.await_durable(&[id])?; // a power cut cannot undo it now
    /// assert_eq!(seen.content, "We sign tokens with RSA.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace; then the state may be durable or not.
    pub fn await_durable(&self, ids: &[String]) -> Result<()> {
        let mut keys = Vec::new();
        // An id may stand for several keys. One that was never written has nothing to wait for.
        for key in distinct(ids)?.flat_map(|id| keys_of(id)) {
            if self.palace.has_history(&key)? {
                keys.push(key);
            }
        }
        if !keys.is_empty() {
            let mut batch = self.palace.with(self.options()).batch();
            confirm(&mut batch, keys);
            batch.commit()?;
        }
        Ok(())
    }

    /// Deletes a drawer; with `if_match` only if it has this version. To delete it again is no error.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// let filed = drawers.file(&[item])?.remove(0);
    /// let moved = drawers.update(&filed.id, Change { room: Some("history"), ..Change::default() })?;
    /// assert!(drawers.delete_one(&filed.id, Some(&filed.etag.parse()?)).is_err()); // it was changed since
    /// let gone = drawers.delete_one(&filed.id, Some(&moved.drawer.etag.parse()?))?;
    /// assert!(gone.changed && drawers.get(&filed.id).is_err());
    /// let again = drawers.delete_one(&filed.id, None)?;
    /// assert_eq!((again.changed, again.etag), (false, gone.etag));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NoDrawer`] if there never was one, or with `if_match` if there is none now;
    /// [`MemoryError::EtagMismatch`]; and errors of the palace.
    /// Then nothing was written.
    pub fn delete_one(&self, id: &str, if_match: Option<&Etag>) -> Result<DeletedOne> {
        let if_match = if_match.cloned().map(Condition::Match);
        let key = match self.document(id)? {
            Some(document) => document.key,
            // A condition names a version that the caller has seen. A deleted drawer cannot have it.
            None if if_match.is_some() => return Err(no_drawer(id)),
            None => self.deleted_key(id)?.ok_or_else(|| no_drawer(id))?,
        };
        let options = WriteOptions { if_match, ..self.options() };
        match self.palace.with(options).write(key.as_str(), delete) {
            Err(Error::EtagMismatch { current, .. }) => Err(mismatch(id, current, &Map::new())),
            outcome => {
                let outcome = outcome?;
                Ok(DeletedOne { etag: outcome.etag.to_string(), changed: outcome.changed })
            }
        }
    }

    /// Returns the key of a drawer that existed at some time.
    fn deleted_key(&self, id: &str) -> Result<Option<Key>> {
        for key in keys_of(id) {
            if self.palace.has_history(&key)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Returns the drawers with these ids, in the same order, and the ids without a drawer.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let (found, not_found) = drawers.get_all(&["none".to_owned(), id.clone()])?;
    /// assert_eq!((found[0].id.as_str(), found.len()), (id.as_str(), 1));
    /// assert_eq!(not_found, ["none"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if there are more than [`IDS_MAX`] ids, and errors of the palace.
    pub fn get_all(&self, ids: &[String]) -> Result<(Vec<Drawer>, Vec<String>)> {
        let (mut drawers, mut not_found) = (Vec::new(), Vec::new());
        for id in distinct(ids)? {
            match self.document(id)? {
                Some(document) => drawers.push(drawer_of(document)),
                None => not_found.push(id.clone()),
            }
        }
        Ok((drawers, not_found))
    }
}

/// Makes the error of a change whose condition did not hold.
fn mismatch(id: &str, current: Option<Box<Document>>, patch: &Map<String, Value>) -> MemoryError {
    let Some(now) = current else { return no_drawer(id) };
    // A client that lost the answer to its own call must not apply its change to its own result.
    let same = |(field, value): (&String, &Value)| now.value.get(field) == Some(value);
    let already_applied = !patch.is_empty() && patch.iter().all(same);
    MemoryError::EtagMismatch { id: id.to_owned(), etag: now.etag.to_string(), already_applied }
}

/// Returns each id once. Two different ids never name the same drawer.
pub(crate) fn distinct(ids: &[String]) -> Result<impl Iterator<Item = &String>> {
    if ids.is_empty() || ids.len() > IDS_MAX {
        let why = format!("pass 1 to {IDS_MAX} ids, not {}", ids.len());
        return Err(MemoryError::argument("drawer_ids", why));
    }
    let mut seen = BTreeSet::new();
    Ok(ids.iter().filter(move |id| seen.insert(*id)))
}

/// Checks the fields to change, and returns them with the place that the drawer will have.
fn patch(place: &Place, change: Change<'_>) -> Result<(Map<String, Value>, Place)> {
    let mut patch = Map::new();
    if let Some(content) = change.content {
        patch.insert("content".to_owned(), json!(file::checked("content", content)?));
    }
    let named = |field, given: Option<&str>| given.map(|text| name(field, text)).transpose();
    let (wing, room) = (named("wing", change.wing)?, named("room", change.room)?);
    let place =
        Place::new(wing.as_ref().unwrap_or(&place.wing), room.as_ref().unwrap_or(&place.room))?;
    patch.extend(wing.map(|wing| ("wing".to_owned(), json!(wing))));
    patch.extend(room.map(|room| ("room".to_owned(), json!(room))));
    if patch.is_empty() {
        let why = "there is nothing to change: pass at least one of content, wing and room";
        return Err(MemoryError::argument("content", why));
    }
    Ok((patch, place))
}

/// Tells whether a drawer is in the place where it was filed.
fn is_at(key: &Key, place: &Place) -> bool {
    parts(key).is_some_and(|(wing, room, _)| wing == place.wing && room == place.room)
}

/// Applies a patch, and puts the new view of the drawer into `left`, with the conflicts that the patch settled.
fn apply(
    draft: &mut Draft<'_>,
    patch: &Map<String, Value>,
    gone: &Cell<bool>,
    left: &RefCell<Option<(View, Vec<Conflict>)>>,
) -> Result<(), MergeError> {
    if !draft.exists() {
        // The drawer was deleted after it was read. The error stops the whole commit, with the note of the move.
        gone.set(true);
        return Err(MergeError::Refused { why: "it was deleted".to_owned() });
    }
    let named =
        |conflict: &Conflict| patch.keys().any(|field| conflict.path == format!("/{field}"));
    let settled = draft.view()?.conflicts.into_iter().filter(named).collect();
    draft.patch(patch)?;
    left.replace(Some((draft.view()?, settled)));
    Ok(())
}

fn delete(draft: &mut Draft<'_>) -> Result<(), MergeError> {
    if draft.exists() { draft.delete() } else { Ok(()) }
}
