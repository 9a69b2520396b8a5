//! Drawers: texts, filed word for word in rooms of wings, and found again by their words.
//!
//! Owns: what a drawer is as a document, and what filing, changing, moving, deleting and searching mean.
//! Invariants: the same text filed in the same room by any number of processes is one drawer without
//! conflicts; an id stays good for as long as its drawer is there, also when text or place change; counting
//! reads keys, not drawers. Must not know: who asks.
//!
//! # The documents
//! * `drawer/<wing>/<room>/<24 hex digits of a SHA-256>` is `{"wing", "room", "content", "filings"}`, filed by
//!   its content. `filings` is a list of `{"at", "source_file", "added_by"}`, one for each time that it was
//!   filed with something new to say; the last two are optional. What one process files twice is one drawer,
//!   and what two file at once has two filings. What was taken over from another system has a `from` there:
//!   the `id` that it had, and all else that was known of it.
//! * `drawer/<wing>/diary/<date>_<time>_<12 hex digits>` is an entry of a diary: also `agent` and `topic`.
//! * `moved/<wing>/<room>/<end>` says that the drawer whose key ends like this is elsewhere by now. Where, the
//!   drawer itself says. So the rooms of all drawers are known from keys, and from the few that were moved.

#[cfg(feature = "mcp")]
pub(in crate::memory) mod carry;
mod change;
mod diary;
mod duplicates;
mod file;
mod find;
mod list;
mod place;

pub use change::{Change, Changed, Deleted, DeletedOne, IDS_MAX};
pub use diary::{DiaryEntry, DiaryPage, ENTRIES_MAX, EntryWritten};
pub use duplicates::{Duplicate, similarity};
pub use file::{Filed, FiledAs, Item};
pub use find::{Found, HITS_MAX, Hit, QUERY_CHARS_MAX, Search};
pub use list::{Counts, DrawerPage};
pub use place::{NAME_CHARS_MAX, PLACE_BYTES_MAX, Place};

#[cfg(feature = "mcp")]
pub(crate) use change::distinct;
pub(crate) use place::drawer_id;
#[cfg(feature = "mcp")]
pub(crate) use place::{is_move, is_of_wing, wing_of};

use super::{MemoryError, Result};
use crate::format::hash::Etag;
use crate::format::key::Key;
use crate::merge::{Conflict, View, Written};
use crate::palace::{Document, Error, Palace, WriteOptions};
use serde_json::{Map, Value};

/// The longest text of a drawer, in characters.
pub const CONTENT_CHARS_MAX: usize = 100_000;

/// The field of a drawer that is a list.
const FILINGS: &str = "filings";

/// A drawer as it is now.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// let place = Place::new("atlas", "decisions")?;
/// let item = Item::new(place.clone(), "We sign tokens with RSA.")?.said(Some("adr/7.md"), Some("ada"))?;
/// let id = drawers.file(&[item])?.remove(0).id;
/// let drawer = drawers.get(&id)?;
/// assert_eq!((drawer.place, drawer.content.as_str()), (place, "We sign tokens with RSA."));
/// assert_eq!((drawer.source_files, drawer.added_by), (vec!["adr/7.md".into()], vec!["ada".into()]));
/// assert!(drawer.diary.is_none() && drawer.conflicts.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Drawer {
    /// Its id.
    pub id: String,
    /// Where it is now.
    pub place: Place,
    /// Its text.
    pub content: String,
    /// When it was filed first: milliseconds since 1970, by the filer's clock.
    pub filed_ms: Option<i64>,
    /// The files that it comes from, as those say who filed it.
    pub source_files: Vec<String>,
    /// Who filed it, as far as they said so.
    pub added_by: Vec<String>,
    /// Whose diary it is an entry of, and under which topic.
    pub diary: Option<(String, String)>,
    /// Its version.
    pub etag: String,
    /// What several writers set at once: the values that are not shown.
    pub conflicts: Vec<Conflict>,
    /// Who changed it last.
    pub modified: Option<Written>,
}

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
    palace: Palace,
    by: Option<String>,
}

impl Drawers {
    /// The drawers in this palace.
    #[must_use]
    pub fn new(palace: Palace) -> Self {
        Drawers { palace, by: None }
    }

    /// The same drawers; history names `by`, a client's name and version, as the writer.
    #[must_use]
    pub fn by(&self, by: Option<String>) -> Self {
        Drawers { palace: self.palace.clone(), by }
    }

    fn options(&self) -> WriteOptions {
        WriteOptions { by: self.by.clone(), ..WriteOptions::default() }
    }

    /// The drawer with this id.
    ///
    /// # Errors
    /// [`MemoryError::NoDrawer`], or what the palace says.
    pub fn get(&self, id: &str) -> Result<Drawer> {
        let document = self.document(id)?.ok_or_else(|| no_drawer(id))?;
        Ok(drawer_of(document))
    }

    /// The drawer with this id as it was at a version: an etag of it, or of a value in conflict. Also of one that
    /// is deleted by now.
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
    /// [`MemoryError::NoVersion`], [`MemoryError::NoDrawer`] if there is none or it was deleted at that version, or
    /// what the palace says.
    pub fn get_at(&self, id: &str, version: &Etag) -> Result<Drawer> {
        for key in place::keys_of(id) {
            match self.palace.get_at(key.as_str(), version) {
                Ok(document) => return document.map(drawer_of).ok_or_else(|| no_drawer(id)),
                // An id may stand for more than one key.
                Err(Error::NoSuchVersion { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Drawer { id, .. } = self.get(id)?;
        Err(MemoryError::NoVersion { id, version: version.to_string() })
    }

    /// The document of the drawer with this id.
    fn document(&self, id: &str) -> Result<Option<Document>> {
        for key in place::keys_of(id) {
            if let Some(document) = self.palace.get(key.as_str())? {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }
}

fn no_drawer(id: &str) -> MemoryError {
    MemoryError::NoDrawer { id: id.chars().take(200).collect() }
}

fn text(value: &Map<String, Value>, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

/// Where a document says that its drawer is; its key, if it does not say so.
fn place_of(key: &Key, value: &Map<String, Value>) -> Place {
    let (wing, room, _) = place::parts(key).unwrap_or_default();
    let said = |field, key: &str| text(value, field).unwrap_or_else(|| key.to_owned());
    Place { wing: said("wing", wing), room: said("room", room) }
}

/// When a drawer was filed first.
fn filed_ms(value: &Map<String, Value>) -> Option<i64> {
    filings(value).filter_map(|filing| filing.get("at").and_then(Value::as_i64)).min()
}

fn filings(value: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    value.get(FILINGS).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// What the filings say, each once.
fn said(value: &Map<String, Value>, field: &str) -> Vec<String> {
    let mut said: Vec<String> = filings(value).filter_map(|filing| text(filing, field)).collect();
    said.sort();
    said.dedup();
    said
}

fn drawer_of(document: Document) -> Drawer {
    let Document { key, value, etag, conflicts, modified, .. } = document;
    shown(&key, &etag, View { value, conflicts, modified, deleted: false })
}

/// The drawer under this key, as a view shows it.
fn shown(key: &Key, etag: &Etag, view: View) -> Drawer {
    let View { value, conflicts, modified, .. } = view;
    Drawer {
        id: drawer_id(key).unwrap_or_else(|| key.to_string()),
        place: place_of(key, &value),
        content: text(&value, "content").unwrap_or_default(),
        filed_ms: filed_ms(&value),
        source_files: said(&value, "source_file"),
        added_by: said(&value, "added_by"),
        diary: text(&value, "agent").zip(text(&value, "topic")),
        etag: etag.to_string(),
        conflicts,
        modified,
    }
}

#[cfg(test)]
mod tests;
