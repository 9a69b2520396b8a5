//! Changing, moving and deleting drawers.
//!
//! Invariants: an id stays good, whatever of its drawer changes; two who change different things of one
//! drawer both keep their work, and of two texts written at once both can be seen. A delete hides a drawer,
//! and a change made at the same time brings it back whole. With `if_match`, nothing is written that was not made
//! from what is there.

use super::place::{Place, keys_of, moved_key, name, parts};
use super::{Drawer, Drawers, drawer_of, file, no_drawer, place_of, shown};
use crate::format::hash::Etag;
use crate::format::key::Key;
use crate::memory::{MemoryError, Result};
use crate::merge::{Conflict, MergeError, View};
use crate::palace::{Condition, Document, Draft, Error, WriteOptions};
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// The most drawers that one call deletes or reads.
pub const IDS_MAX: usize = 500;

/// What shall be different.
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
    /// The text.
    pub content: Option<&'a str>,
    /// The wing.
    pub wing: Option<&'a str>,
    /// The room.
    pub room: Option<&'a str>,
    /// Only if the drawer is at this version: an etag that was read before.
    pub if_match: Option<&'a Etag>,
}

/// What became of it.
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
/// assert!(first.changed && first.settled.is_empty()); // nobody else had changed the text meanwhile
/// let again = drawers.update(&id, change)?;
/// assert!(!again.changed);
/// assert_eq!(again.drawer.etag, first.drawer.etag);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The drawer as this left it. What somebody has written behind it has another version.
    pub drawer: Drawer,
    /// False if it was like that.
    pub changed: bool,
    /// What several writers had set at once, and this settled.
    pub settled: Vec<Conflict>,
}

/// What [`Drawers::delete`] did.
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
pub struct Deleted {
    /// These were there, each with its last version.
    pub deleted: Vec<(String, String)>,
    /// These were not.
    pub not_found: Vec<String>,
}

/// What [`Drawers::delete_one`] did.
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
pub struct DeletedOne {
    /// Its version as a deleted one.
    pub etag: String,
    /// False if it was deleted before.
    pub changed: bool,
}

impl Drawers {
    /// Changes the text of a drawer, moves it, or both. Its id stays.
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
    /// [`MemoryError::NoDrawer`], [`MemoryError::EtagMismatch`], [`MemoryError::Argument`], or what the palace
    /// says; nothing was written then.
    pub fn update(&self, id: &str, change: Change<'_>) -> Result<Changed> {
        let Document { key, value, .. } = self.document(id)?.ok_or_else(|| no_drawer(id))?;
        if value.contains_key("agent") {
            let why = format!("{id} is an entry of a diary, which only grows: write another entry");
            return Err(MemoryError::argument("drawer_id", why));
        }
        let (patch, place) = patch(&place_of(&key, &value), change)?;
        let condition = change.if_match.cloned().map(Condition::Match);
        let (gone, left) = (Cell::new(false), RefCell::default());
        let mut batch = self.palace.batch();
        let write = |draft: &mut Draft<'_>| apply(draft, &patch, &gone, &left);
        match condition {
            Some(condition) => batch.write_if(key.clone(), condition, write),
            None => batch.write(key.clone(), write),
        };
        if !is_at(&key, &place) {
            let moved = moved_key(&key)?;
            let note = Map::from_iter([("drawer".to_owned(), json!(id))]);
            batch.write(moved.clone(), move |draft| draft.file(&moved, &note));
        }
        let outcomes = match batch.commit(&self.options()) {
            Err(Error::Document { .. }) if gone.get() => return Err(no_drawer(id)),
            Err(Error::EtagMismatch { current, .. }) => return Err(mismatch(id, current, &patch)),
            result => result?.outcomes,
        };
        // As this left it, and not as it is now: who passes the version of this answer back has not seen what others
        // wrote since. And nothing is read after the commit: a call that has done its work must not fail.
        let Some((outcome, (view, settled))) = outcomes.first().zip(left.into_inner()) else {
            return Err(no_drawer(id));
        };
        let drawer = shown(&key, &outcome.etag, view);
        Ok(Changed { drawer, changed: outcome.changed, settled })
    }

    /// Deletes drawers, all in one commit. What is not there needs no deleting.
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
    /// [`MemoryError::Argument`] if there are more than [`IDS_MAX`], or what the palace says; nothing was
    /// written then.
    pub fn delete(&self, ids: &[String]) -> Result<Deleted> {
        let (mut result, mut keys) = (Deleted::default(), Vec::new());
        for id in distinct(ids)? {
            match self.document(id)? {
                Some(document) => keys.push((document.key, id)),
                None => result.not_found.push(id.clone()),
            }
        }
        if !result.not_found.is_empty() {
            self.secure(&result.not_found)?;
        }
        if keys.is_empty() {
            return Ok(result);
        }
        let mut batch = self.palace.batch();
        for (key, _) in &keys {
            batch.write(key.clone(), delete);
        }
        let outcomes = batch.commit(&self.options())?.outcomes;
        for ((_, id), outcome) in keys.into_iter().zip(outcomes) {
            match outcome.changed {
                true => result.deleted.push((id.clone(), outcome.etag.to_string())),
                // Somebody else was faster.
                false => result.not_found.push(id.clone()),
            }
        }
        Ok(result)
    }

    /// Puts on disk what it rests on that these drawers are as they are, or are gone: another process may have written it
    /// and not be done. For answers that need no write, and count as durable.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("palace");
    /// # let drawers = Drawers::new(Palace::open(&path)?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let others = Drawers::new(Palace::open(&path)?);
    /// let seen = others.get(&id)?; // its writer may still be writing it
    /// others.secure(&[id])?; // what was seen is there to stay
    /// assert_eq!(seen.content, "We sign tokens with RSA.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What the palace says: it may or may not be on disk then.
    pub fn secure(&self, ids: &[String]) -> Result<()> {
        let (mut batch, mut any) = (self.palace.batch(), false);
        for key in distinct(ids)?.flat_map(|id| keys_of(id)) {
            if self.palace.has_history(&key)? {
                batch.write(key, |_| Ok(()));
                any = true;
            }
        }
        if any {
            // Nothing differs, so nothing is written: but it comes back when what it was decided by is on disk.
            batch.commit(&self.options())?;
        }
        Ok(())
    }

    /// Deletes a drawer; with `if_match` only if it is at this version. One that was deleted before needs no deleting.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// let filed = drawers.file(&[item])?.remove(0);
    /// let moved = drawers.update(&filed.id, Change { room: Some("history"), ..Change::default() })?;
    /// assert!(drawers.delete_one(&filed.id, Some(&filed.etag.parse()?)).is_err()); // somebody has changed it
    /// let gone = drawers.delete_one(&filed.id, Some(&moved.drawer.etag.parse()?))?;
    /// assert!(gone.changed && drawers.get(&filed.id).is_err());
    /// let again = drawers.delete_one(&filed.id, None)?;
    /// assert_eq!((again.changed, again.etag), (false, gone.etag));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NoDrawer`] if there never was one, or with `if_match` if there is none now,
    /// [`MemoryError::EtagMismatch`], or what the palace says; nothing was
    /// written then.
    pub fn delete_one(&self, id: &str, if_match: Option<&Etag>) -> Result<DeletedOne> {
        let if_match = if_match.cloned().map(Condition::Match);
        let key = match self.document(id)? {
            Some(document) => document.key,
            None if if_match.is_some() => return Err(no_drawer(id)),
            None => self.deleted_key(id)?.ok_or_else(|| no_drawer(id))?,
        };
        let options = WriteOptions { if_match, ..self.options() };
        match self.palace.write(key.as_str(), &options, delete) {
            Err(Error::EtagMismatch { current, .. }) => Err(mismatch(id, current, &Map::new())),
            outcome => {
                let outcome = outcome?;
                Ok(DeletedOne { etag: outcome.etag.to_string(), changed: outcome.changed })
            }
        }
    }

    /// The key of a drawer that was there once.
    fn deleted_key(&self, id: &str) -> Result<Option<Key>> {
        for key in keys_of(id) {
            if self.palace.has_history(&key)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The drawers with these ids, in their order, and the ids that name none.
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
    /// [`MemoryError::Argument`] if there are more than [`IDS_MAX`], or what the palace says.
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

/// Why a change on a condition was refused.
fn mismatch(id: &str, current: Option<Box<Document>>, patch: &Map<String, Value>) -> MemoryError {
    let Some(now) = current else { return no_drawer(id) };
    let same = |(field, value): (&String, &Value)| now.value.get(field) == Some(value);
    let is_so = !patch.is_empty() && patch.iter().all(same);
    MemoryError::EtagMismatch { id: id.to_owned(), etag: now.etag.to_string(), is_so }
}

/// Returns each id once, in order; two of them may stand for one drawer only if they are the same.
pub(crate) fn distinct(ids: &[String]) -> Result<impl Iterator<Item = &String>> {
    if ids.is_empty() || ids.len() > IDS_MAX {
        let why = format!("pass 1 to {IDS_MAX} ids, not {}", ids.len());
        return Err(MemoryError::argument("drawer_ids", why));
    }
    let mut seen = BTreeSet::new();
    Ok(ids.iter().filter(move |id| seen.insert(*id)))
}

/// The fields that shall be different, checked, and where the drawer is then.
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
        let why = "nothing is to be changed: pass at least one of content, wing and room";
        return Err(MemoryError::argument("content", why));
    }
    Ok((patch, place))
}

/// Whether a drawer is where it was filed.
fn is_at(key: &Key, place: &Place) -> bool {
    parts(key).is_some_and(|(wing, room, _)| wing == place.wing && room == place.room)
}

/// Notes in `left` what the drawer is then, and what this settled.
fn apply(
    draft: &mut Draft<'_>,
    patch: &Map<String, Value>,
    gone: &Cell<bool>,
    left: &RefCell<Option<(View, Vec<Conflict>)>>,
) -> Result<(), MergeError> {
    if !draft.exists() {
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
