//! The handle of the drawers of a palace, and reading one drawer.

use super::drawer::{Drawer, drawer_of};
use super::place;
use crate::format::hash::Etag;
use crate::memory::error::{MemoryError, Result};
use crate::palace::{Document, Error, Once, Palace, Session, WriteOptions};

/// The drawers of a palace. Cheap to clone.
///
/// ```
/// use crdt_palace::memory::drawers::{Drawers, Item, Place, Search};
/// use crdt_palace::palace::Palace;
///
/// let dir = tempfile::tempdir()?;
/// let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with Ed25519.")?;
/// let filed = drawers.by(Some("some-client/2.0".into())).file(&[item])?;
/// let found = drawers.search(&Search { query: "which key signs tokens?", ..Search::default() })?;
/// assert_eq!(found.hits[0].drawer.id, filed[0].id);
/// let drawer = drawers.get(&filed[0].id)?;
/// assert_eq!(drawer.modified.ok_or("it was written")?.by, "some-client/2.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Drawers {
    pub(super) palace: Palace,
    by: Option<String>,
    /// The session of the client, if it has one: what it has seen.
    pub(super) session: Option<Session>,
    /// The name of the call whose write is made once.
    once: Option<Once>,
}

impl Drawers {
    /// Makes a handle of the drawers in this palace.
    #[must_use]
    pub fn new(palace: Palace) -> Self {
        Drawers { palace, by: None, session: None, once: None }
    }

    /// Returns a handle of the same drawers for a client. History names `by`, its name and version, as the writer.
    #[must_use]
    pub fn by(&self, by: Option<String>) -> Self {
        Drawers { by, ..self.clone() }
    }

    /// Returns a handle of the same drawers for a client's session. A change without a base is made from what the client
    /// has seen, so that what others changed since is kept. The caller notes what it shows to the client: see
    /// [`Session::saw_whole`]. Changes of this handle are noted by it.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// let palace = Palace::open(dir.path().join("palace"))?;
    /// let drawers = Drawers::new(palace.clone());
    /// let ann = drawers.in_session(palace.session());
    /// let id = ann.file(&[Item::new(Place::new("atlas", "decisions")?, "We sign with RSA.")?])?.remove(0).id;
    /// let move_it = Change { room: Some("history"), ..Change::default() };
    /// drawers.update(&id, move_it)?;
    /// let content = Some("We sign with Ed25519."); // she knows the text that she filed
    /// let changed = ann.update(&id, Change { content, ..Change::default() })?;
    /// assert!(changed.replaced_unseen.is_none());
    /// assert_eq!(changed.drawer.place.room, "history"); // the move of the other client is kept
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_session(&self, session: Session) -> Self {
        Drawers { session: Some(session), ..self.clone() }
    }

    /// Returns the session of the client, or one that has seen nothing.
    pub(super) fn session(&self) -> Session {
        self.session.clone().unwrap_or_else(|| self.palace.session())
    }

    /// Returns a handle whose next write is made once, however often the call of this name is sent. A call makes one
    /// write.
    #[cfg(feature = "mcp")]
    pub(crate) fn once(self, once: Option<Once>) -> Self {
        Drawers { once, ..self }
    }

    /// Returns the options of the write that the call is about.
    pub(super) fn effect(&self) -> WriteOptions {
        WriteOptions { once: self.once.clone(), ..self.options() }
    }

    pub(super) fn options(&self) -> WriteOptions {
        WriteOptions { by: self.by.clone(), ..WriteOptions::new() }
    }

    /// Returns the drawer with this id.
    ///
    /// # Errors
    /// [`MemoryError::NoDrawer`], and errors of the palace.
    pub fn get(&self, id: &str) -> Result<Drawer> {
        let document = self.document(id)?.ok_or_else(|| no_drawer(id))?;
        self.as_shown(drawer_of(document))
    }

    /// Returns the drawer with this id as it was at a version, which is an etag of it, or of a value in conflict. The
    /// drawer may be deleted by now.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// let filed = drawers.file(&[item])?.remove(0);
    /// let change = Change { content: Some("We sign tokens with Ed25519."), ..Change::default() };
    /// drawers.update(&filed.id, change)?;
    /// let then = drawers.get_at(&filed.id, &filed.etag.parse()?)?;
    /// assert_eq!(then.content, "We sign tokens with RSA.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NoVersion`], [`MemoryError::NoDrawer`] if there is none or it was deleted at that version, and
    /// errors of the palace.
    pub fn get_at(&self, id: &str, version: &Etag) -> Result<Drawer> {
        for key in place::keys_of(id) {
            match self.palace.get_at(key.as_str(), version) {
                Ok(document) => {
                    let drawer = document.map(drawer_of).ok_or_else(|| no_drawer(id))?;
                    return self.as_shown(drawer);
                }
                // An id may stand for more than one key.
                Err(Error::NoSuchVersion { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Drawer { id, .. } = self.get(id)?;
        Err(MemoryError::NoVersion { id, version: version.to_string() })
    }

    /// Returns the document of the drawer with this id.
    pub(super) fn document(&self, id: &str) -> Result<Option<Document>> {
        for key in place::keys_of(id) {
            if let Some(document) = self.palace.get(key.as_str())? {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }
}

pub(super) fn no_drawer(id: &str) -> MemoryError {
    MemoryError::NoDrawer { id: id.chars().take(200).collect() }
}
