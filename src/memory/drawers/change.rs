//! Changes of drawers, and what comes of them.
//!
//! Invariant: an error about the version of a drawer carries its text, so that a retry needs no read.

use super::drawer::{Drawer, drawer_of, text};
use super::handle::{Drawers, no_drawer};
use crate::format::hash::{Etag, Heads};
use crate::memory::error::{MemoryError, Result};
use crate::merge::{Conflict, View, Written};
use crate::palace::{Document, Session};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The most drawers that one call deletes or reads.
pub const IDS_MAX: usize = 500;
/// The longest text that comes with a condition that failed, in bytes of JSON.
const MISMATCH_BYTES: usize = 90_000;

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
    /// The version that the change was made from. What others changed since is kept.
    pub base: Option<&'a Etag>,
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
    /// The drawer as it stands after the change, with what others wrote. A later change has another version.
    pub drawer: Drawer,
    /// The version of this change alone: a base for the next one. What others wrote at the same time is not part of it.
    pub etag: String,
    /// False if nothing differed, so nothing was written.
    pub changed: bool,
    /// The conflicts of concurrent writes that this change settled.
    pub settled: Vec<Conflict>,
    /// True if the drawer is not exactly as this change named it, because others wrote at the same time.
    pub merged: bool,
    /// True if the change named no text, and the client has read no text of this drawer. Show all of it: it counts as read.
    pub unread: bool,
    /// True if the change was made from an older version than the present one.
    pub beside: bool,
    /// The text that this change replaced, if the client had not read it.
    pub replaced_unseen: Option<DrawerVersion>,
    /// Writer and time of the delete that this change undid, if another client made it.
    pub undeleted: Option<Written>,
}

/// A version of a drawer that a call met and its client has not seen.
///
/// ```
/// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// # let filed = drawers.by(Some("ada/1.0".into())).file(&[item])?.remove(0);
/// let change = Change { content: Some("We sign tokens with Ed25519."), ..Change::default() };
/// let replaced = drawers.update(&filed.id, change)?.replaced_unseen.ok_or("it was not read")?;
/// assert_eq!((replaced.etag, replaced.text.as_str()), (filed.etag, "We sign tokens with RSA."));
/// assert_eq!(replaced.written.ok_or("it was filed")?.by, "ada/1.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrawerVersion {
    /// Its name.
    pub etag: String,
    /// Its newest change.
    pub written: Option<Written>,
    /// Its text.
    pub text: String,
}

impl DrawerVersion {
    pub(super) fn new(heads: &Heads, view: View) -> Self {
        let text = text(&view.value, "content").unwrap_or_default();
        DrawerVersion { etag: heads.etag().to_string(), written: view.modified, text }
    }

    pub(super) fn of(document: Document) -> Self {
        let Document { value, etag, modified, .. } = document;
        let text = text(&value, "content").unwrap_or_default();
        DrawerVersion { etag: etag.to_string(), written: modified, text }
    }
}

impl Drawers {
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
        let mut spellings = self.spellings()?;
        for id in distinct(ids)? {
            match self.document(id)? {
                Some(document) => drawers.push(spellings.show(drawer_of(document))?),
                None => not_found.push(id.clone()),
            }
        }
        Ok((drawers, not_found))
    }
}

/// Makes the error of a change whose condition did not hold. It carries the text, so it counts as a read.
pub(super) fn mismatch(
    id: &str,
    current: Option<Box<Document>>,
    patch: &Map<String, Value>,
    session: &Session,
) -> MemoryError {
    let Some(now) = current else { return no_drawer(id) };
    // A client that lost the answer to its own call must not apply its change to its own result.
    let same = |(field, value): (&String, &Value)| now.value.get(field) == Some(value);
    let already_applied = !patch.is_empty() && patch.iter().all(same);
    let fits = |text: &String| json!(text).to_string().len() <= MISMATCH_BYTES;
    let current = text(&now.value, "content").filter(fits);
    match current {
        Some(_) => session.saw_whole(&now.key, &now.heads),
        None => session.saw_some(&now.key, &now.heads),
    }
    let etag = now.etag.to_string();
    MemoryError::EtagMismatch { id: id.to_owned(), etag, already_applied, current }
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
