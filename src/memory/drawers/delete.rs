//! Deletes drawers.
//!
//! Invariants: a delete hides a drawer, and a change made at the same time brings it back whole. A client does not delete
//! a drawer that was changed since it was last shown anything of it, until it asks again.

use super::change::{DrawerVersion, distinct, mismatch};
use super::handle::{Drawers, no_drawer};
use super::place::keys_of;
use crate::format::hash::Etag;
use crate::format::key::Key;
use crate::memory::documents::confirm;
use crate::memory::error::{MemoryError, Result};
use crate::merge::{MergeError, View};
use crate::palace::{Condition, Draft, Error, Session, WriteOptions};
use serde_json::Map;
use std::cell::RefCell;
use std::collections::HashMap;

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
    /// The ids of the drawers that were changed since anything of them was last shown to the client, each with its
    /// present version. They were not deleted; the same call again deletes them.
    pub changed_since: Vec<(String, DrawerVersion)>,
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
    /// False if it was deleted before, or stays.
    pub changed: bool,
    /// The present version of a drawer that stays. It was changed since anything of it was last shown to the client, or
    /// since the base that the call names. Without a base, the same call again deletes it.
    pub changed_since: Option<DrawerVersion>,
}

impl Drawers {
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
        let (session, found) = (self.session(), RefCell::new(HashMap::new()));
        let mut batch = self.palace.with(self.effect()).batch();
        for (key, _) in &keys {
            batch.write(key.clone(), |draft| delete_unless_changed(draft, key, &session, &found));
        }
        let outcomes = batch.commit()?.outcomes;
        let mut found = found.into_inner();
        for ((key, id), outcome) in keys.iter().zip(outcomes) {
            match found.remove(key) {
                Some(view) => {
                    session.saw_some(key, &outcome.current);
                    let version = DrawerVersion::new(&outcome.current, view);
                    result.changed_since.push(((*id).clone(), version));
                }
                None if outcome.changed => {
                    session.deleted(key, &outcome);
                    result.deleted.push(((*id).clone(), outcome.etag.to_string()));
                }
                // Another process deleted it between the read and the commit.
                None => result.not_found.push((*id).clone()),
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
        self.delete_with(id, if_match, None)
    }

    /// Deletes a drawer, unless it was changed since a version. To delete it again is no error.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// let filed = drawers.file(&[item])?.remove(0);
    /// drawers.update(&filed.id, Change { room: Some("history"), ..Change::default() })?;
    /// let stays = drawers.delete_since(&filed.id, &filed.etag.parse()?)?;
    /// let now = stays.changed_since.ok_or("it was moved")?;
    /// assert!(drawers.delete_since(&filed.id, &now.etag.parse()?)?.changed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Drawers::delete_one`]; [`MemoryError::NoVersion`] if the drawer never had this version.
    pub fn delete_since(&self, id: &str, base: &Etag) -> Result<DeletedOne> {
        self.delete_with(id, None, Some(base))
    }

    pub(crate) fn delete_with(
        &self,
        id: &str,
        if_match: Option<&Etag>,
        base: Option<&Etag>,
    ) -> Result<DeletedOne> {
        let (if_match, base) = (if_match.cloned().map(Condition::Match), base.cloned());
        let key = match self.document(id)? {
            Some(document) => document.key,
            // A condition names a version that the caller has seen. A deleted drawer cannot have it.
            None if if_match.is_some() => return Err(no_drawer(id)),
            None => self.deleted_key(id)?.ok_or_else(|| no_drawer(id))?,
        };
        let (options, session) = (WriteOptions { if_match, base, ..self.effect() }, self.session());
        let deleted = match session.delete_with(options, &key) {
            Err(Error::EtagMismatch { current, .. }) => {
                return Err(mismatch(id, current, &Map::new(), &session));
            }
            Err(Error::NoSuchVersion { etag, .. }) => {
                let (id, version) = (id.to_owned(), etag.to_string());
                return Err(MemoryError::NoVersion { id, version });
            }
            deleted => deleted?,
        };
        Ok(DeletedOne {
            etag: deleted.outcome.etag.to_string(),
            changed: deleted.outcome.changed,
            changed_since: deleted.changed_since.map(DrawerVersion::of),
        })
    }

    /// Returns the key of a drawer that existed at some time.
    pub(super) fn deleted_key(&self, id: &str) -> Result<Option<Key>> {
        for key in keys_of(id) {
            if self.palace.has_history(&key)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

/// Deletes a drawer, or keeps its view in `found` if it was changed since it was shown to the client.
fn delete_unless_changed(
    draft: &mut Draft<'_>,
    key: &Key,
    session: &Session,
    found: &RefCell<HashMap<Key, View>>,
) -> Result<(), MergeError> {
    if !draft.exists() {
        return Ok(());
    }
    if session.has_changed(draft, key) {
        found.borrow_mut().insert(key.clone(), draft.view()?);
        return Ok(());
    }
    draft.delete()
}
