//! Lists and counts drawers by wing and room.
//!
//! Invariant: listing and counting read the keys, and the few drawers that were moved. No other drawer is read unless
//! it is part of the answer.

use super::drawer::{Drawer, drawer_of, place_of};
use super::handle::Drawers;
#[cfg(feature = "mcp")]
use super::place::wing_of;
use super::place::{DRAWERS, MOVED, Place, moved_drawer, name, parts};
use crate::format::key::Key;
use crate::memory::documents::each_key;
use crate::memory::error::{MemoryError, Result};
#[cfg(feature = "mcp")]
use std::collections::BTreeSet;
use std::collections::{BTreeMap, HashMap};

/// The number of drawers in each room of each wing.
pub type Counts = BTreeMap<String, BTreeMap<String, usize>>;

/// A page of drawers.
///
/// ```
/// # use crdt_palace::memory::drawers::{DrawerQuery, Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// for text in ["one", "two", "three"] {
///     drawers.file(&[Item::new(Place::new("atlas", "notes")?, text)?])?;
/// }
/// let query = DrawerQuery { wing: Some("atlas"), limit: 2, ..DrawerQuery::default() };
/// let first = drawers.list(&query)?;
/// assert_eq!((first.drawers.len(), first.total), (2, 3));
/// let rest = drawers.list(&DrawerQuery { after: first.next.as_deref(), ..query })?;
/// assert_eq!((rest.drawers.len(), rest.next), (1, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DrawerPage {
    /// The drawers of this page, in the order of their keys.
    pub drawers: Vec<Drawer>,
    /// The number of drawers on all pages.
    pub total: usize,
    /// The cursor of the next page; `None` after the last one.
    pub next: Option<String>,
}

/// The drawers to list. By default, the first 100 of all.
///
/// ```
/// # use crdt_palace::memory::drawers::{DrawerQuery, Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// # let id = drawers.file(&[item])?.remove(0).id;
/// let query = DrawerQuery { wing: Some("atlas"), ..DrawerQuery::default() };
/// assert_eq!(drawers.list(&query)?.total, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DrawerQuery<'a> {
    /// Only drawers in this wing.
    pub wing: Option<&'a str>,
    /// Only drawers in rooms of this name.
    pub room: Option<&'a str>,
    /// Only drawers behind this cursor: the `next` of an earlier page.
    pub after: Option<&'a str>,
    /// Number of drawers to leave out at the beginning. It counts only without a cursor.
    pub offset: usize,
    /// The most drawers to return.
    pub limit: usize,
}

impl Default for DrawerQuery<'_> {
    fn default() -> Self {
        DrawerQuery { wing: None, room: None, after: None, offset: 0, limit: 100 }
    }
}

/// A filter of wing and room; `None` allows any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PlaceFilter {
    pub wing: Option<String>,
    pub room: Option<String>,
}

impl PlaceFilter {
    pub fn new(wing: Option<&str>, room: Option<&str>) -> Result<Self> {
        let named = |field, text: Option<&str>| text.map(|text| name(field, text)).transpose();
        Ok(PlaceFilter { wing: named("wing", wing)?, room: named("room", room)? })
    }

    pub fn has(&self, wing: &str, room: &str) -> bool {
        self.wing.as_deref().is_none_or(|wanted| wanted == wing)
            && self.room.as_deref().is_none_or(|wanted| wanted == room)
    }

    /// Returns the prefix of the keys of drawers that were filed there.
    fn prefix(&self) -> String {
        match (&self.wing, &self.room) {
            (Some(wing), Some(room)) => format!("{DRAWERS}{wing}/{room}/"),
            (Some(wing), None) => format!("{DRAWERS}{wing}/"),
            (None, _) => DRAWERS.to_owned(),
        }
    }
}

/// The drawers that were moved, and their present places.
pub(super) type MovedDrawers = HashMap<Key, Place>;

impl Drawers {
    /// Counts the drawers in each room of each wing, or of one wing.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let counts = drawers.counts(None)?;
    /// assert_eq!(counts["atlas"]["decisions"], 1);
    /// assert!(drawers.counts(Some("elsewhere"))?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`], and errors of the palace.
    pub fn counts(&self, wing: Option<&str>) -> Result<Counts> {
        let mut counts = Counts::new();
        self.each(&PlaceFilter::new(wing, None)?, |_, wing, room| {
            if let Some(count) = counts.get_mut(wing).and_then(|rooms| rooms.get_mut(room)) {
                *count += 1;
                return;
            }
            counts.entry(wing.to_owned()).or_default().insert(room.to_owned(), 1);
        })?;
        Ok(counts)
    }

    /// Returns a page of the drawers that the query allows, in the order of their keys.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{DrawerQuery, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let page = drawers.list(&DrawerQuery { room: Some("decisions"), ..DrawerQuery::default() })?;
    /// assert_eq!(page.drawers[0].id, id);
    /// let page = drawers.list(&DrawerQuery { offset: 1, ..DrawerQuery::default() })?;
    /// assert!(page.drawers.is_empty()); // the only one is left out
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`], and errors of the palace.
    pub fn list(&self, query: &DrawerQuery<'_>) -> Result<DrawerPage> {
        let DrawerQuery { wing, room, after, offset, limit } = *query;
        let (keys, total) = self.keys_behind(wing, room, after, offset)?;
        let mut page = DrawerPage { drawers: Vec::new(), total, next: None };
        for key in &keys {
            if page.drawers.len() == limit {
                return Ok(page);
            }
            page.drawers.extend(self.under(key)?);
            page.next = Some(key.as_str().to_owned());
        }
        page.next = None;
        Ok(page)
    }

    /// Returns the keys of a list of drawers behind `after`, or without it behind the first `offset`, in order; and the
    /// number of drawers of the whole list.
    pub(crate) fn keys_behind(
        &self,
        wing: Option<&str>,
        room: Option<&str>,
        after: Option<&str>,
        offset: usize,
    ) -> Result<(Vec<Key>, usize)> {
        let mut keys = Vec::new();
        self.each(&PlaceFilter::new(wing, room)?, |key, _, _| keys.push(key.clone()))?;
        // The moved drawers come last from `each`, and a page needs one order.
        keys.sort_unstable();
        let total = keys.len();
        let start = match after {
            None => offset.min(total),
            Some(after) if after.starts_with(DRAWERS) => {
                keys.partition_point(|key| key.as_str() <= after)
            }
            Some(after) => return Err(MemoryError::cursor(after)),
        };
        Ok((keys.split_off(start), total))
    }

    /// Reads the drawer under a key, if it is still there.
    pub(crate) fn under(&self, key: &Key) -> Result<Option<Drawer>> {
        Ok(self.palace.get(key.as_str())?.map(drawer_of))
    }

    /// Calls `take` with every drawer that the filter allows, and with its wing and room.
    pub(super) fn each(
        &self,
        filter: &PlaceFilter,
        mut take: impl FnMut(&Key, &str, &str),
    ) -> Result<()> {
        let moved = self.moved()?;
        each_key(&self.palace, &filter.prefix(), |key| {
            let filed = parts(key).filter(|(wing, room, _)| filter.has(wing, room));
            // A moved drawer is listed below, in its present place.
            if let Some((wing, room, _)) = filed.filter(|_| !moved.contains_key(key)) {
                take(key, wing, room);
            }
            Ok(())
        })?;
        // A drawer may have been moved into this place from any other, so all moved ones are checked.
        for (key, place) in &moved {
            if filter.has(&place.wing, &place.room) {
                take(key, &place.wing, &place.room);
            }
        }
        Ok(())
    }

    /// Returns the wings that have drawers, in order. It is cheaper than [`Drawers::counts`], because it counts only in
    /// wings that drawers were moved out of.
    #[cfg(feature = "mcp")]
    pub(crate) fn wings(&self) -> Result<BTreeSet<String>> {
        let moved = self.moved()?;
        let left: BTreeSet<&str> = moved.keys().filter_map(wing_of).collect();
        let mut wings: BTreeSet<String> = moved.values().map(|place| place.wing.clone()).collect();
        for wing in self.filed_wings()? {
            if !left.contains(wing.as_str()) || !self.counts(Some(&wing))?.is_empty() {
                wings.insert(wing);
            }
        }
        Ok(wings)
    }

    /// Returns the wings that drawers were filed in. It reads one key a wing, and skips the others.
    pub(super) fn filed_wings(&self) -> Result<Vec<String>> {
        let (mut wings, mut after) = (Vec::new(), None::<String>);
        while let Some(key) =
            self.palace.keys_page(DRAWERS, after.as_deref(), 1)?.into_iter().next()
        {
            let rest = key.as_str().strip_prefix(DRAWERS).unwrap_or_default();
            let wing = rest.split('/').next().unwrap_or_default().to_owned();
            // This sorts behind every key of the wing.
            after = Some(format!("{DRAWERS}{wing}/\u{10ffff}"));
            wings.push(wing);
        }
        Ok(wings)
    }

    /// Returns the drawers that were moved, and their present places.
    pub(super) fn moved(&self) -> Result<MovedDrawers> {
        let mut moved = MovedDrawers::new();
        each_key(&self.palace, MOVED, |key| {
            let Some(key) = moved_drawer(key) else { return Ok(()) };
            // The note stays when its drawer is deleted. Reading the keys has rescanned already.
            if let Some(document) = self.palace.get_unrefreshed(key.as_str())? {
                let place = place_of(&key, &document.value);
                moved.insert(key, place);
            }
            Ok(())
        })?;
        Ok(moved)
    }
}
