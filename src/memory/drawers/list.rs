//! Which drawers there are, and how many of them where.
//!
//! Invariant: this costs a look at the keys, and at the few drawers that were moved; no other is read unless
//! it is part of the answer.

use super::place::{DRAWERS, MOVED, Place, moved_drawer, name, parts};
#[cfg(feature = "mcp")]
use super::wing_of;
use super::{Drawer, Drawers, drawer_of, place_of};
use crate::format::key::Key;
use crate::memory::{MemoryError, Result, each_key};
#[cfg(feature = "mcp")]
use std::collections::BTreeSet;
use std::collections::{BTreeMap, HashMap};

/// How many drawers each room of each wing has.
pub type Counts = BTreeMap<String, BTreeMap<String, usize>>;

/// Some drawers.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// for text in ["one", "two", "three"] {
///     drawers.file(&[Item::new(Place::new("atlas", "notes")?, text)?])?;
/// }
/// let first = drawers.list(Some("atlas"), None, None, 0, 2)?;
/// assert_eq!((first.drawers.len(), first.total), (2, 3));
/// let rest = drawers.list(Some("atlas"), None, first.next.as_deref(), 0, 2)?;
/// assert_eq!((rest.drawers.len(), rest.next), (1, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DrawerPage {
    /// In the order of their keys.
    pub drawers: Vec<Drawer>,
    /// How many there are in all.
    pub total: usize,
    /// For what comes behind; `None` if nothing does.
    pub next: Option<String>,
}

/// Which wing, and which room: `None` for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Within {
    pub wing: Option<String>,
    pub room: Option<String>,
}

impl Within {
    pub fn new(wing: Option<&str>, room: Option<&str>) -> Result<Self> {
        let named = |field, text: Option<&str>| text.map(|text| name(field, text)).transpose();
        Ok(Within { wing: named("wing", wing)?, room: named("room", room)? })
    }

    pub fn has(&self, wing: &str, room: &str) -> bool {
        self.wing.as_deref().is_none_or(|wanted| wanted == wing)
            && self.room.as_deref().is_none_or(|wanted| wanted == room)
    }

    /// What the keys of drawers that were filed there start with.
    fn prefix(&self) -> String {
        match (&self.wing, &self.room) {
            (Some(wing), Some(room)) => format!("{DRAWERS}{wing}/{room}/"),
            (Some(wing), None) => format!("{DRAWERS}{wing}/"),
            (None, _) => DRAWERS.to_owned(),
        }
    }
}

/// The drawers that are not where they were filed, and where they are.
pub(super) type Moved = HashMap<Key, Place>;

impl Drawers {
    /// How many drawers there are in each room of each wing, or of one.
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
    /// [`MemoryError::Argument`], or what the palace says.
    pub fn counts(&self, wing: Option<&str>) -> Result<Counts> {
        let mut counts = Counts::new();
        self.each(&Within::new(wing, None)?, |_, wing, room| {
            if let Some(count) = counts.get_mut(wing).and_then(|rooms| rooms.get_mut(room)) {
                *count += 1;
                return;
            }
            counts.entry(wing.to_owned()).or_default().insert(room.to_owned(), 1);
        })?;
        Ok(counts)
    }

    /// The drawers of a wing, a room or both, at most `limit` of them. `after` is what an earlier page gave as
    /// `next`; without it, the first `offset` are left out.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let page = drawers.list(Some("atlas"), Some("decisions"), None, 0, 10)?;
    /// assert_eq!(page.drawers[0].id, id);
    /// assert!(drawers.list(None, None, None, 1, 10)?.drawers.is_empty()); // the only one is left out
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`], or what the palace says.
    pub fn list(
        &self,
        wing: Option<&str>,
        room: Option<&str>,
        after: Option<&str>,
        offset: usize,
        limit: usize,
    ) -> Result<DrawerPage> {
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

    /// The keys of a list of drawers behind `after`, or without it behind the first `offset`, in order; and how many
    /// drawers the whole list has.
    pub(crate) fn keys_behind(
        &self,
        wing: Option<&str>,
        room: Option<&str>,
        after: Option<&str>,
        offset: usize,
    ) -> Result<(Vec<Key>, usize)> {
        let mut keys = Vec::new();
        self.each(&Within::new(wing, room)?, |key, _, _| keys.push(key.clone()))?;
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

    /// The drawer under a key, if it is still there.
    pub(crate) fn under(&self, key: &Key) -> Result<Option<Drawer>> {
        Ok(self.palace.get(key.as_str())?.map(drawer_of))
    }

    /// Names every drawer there, with its wing and room.
    pub(super) fn each(
        &self,
        within: &Within,
        mut take: impl FnMut(&Key, &str, &str),
    ) -> Result<()> {
        let moved = self.moved()?;
        each_key(&self.palace, &within.prefix(), |key| {
            let filed = parts(key).filter(|(wing, room, _)| within.has(wing, room));
            if let Some((wing, room, _)) = filed.filter(|_| !moved.contains_key(key)) {
                take(key, wing, room);
            }
            Ok(())
        })?;
        for (key, place) in &moved {
            if within.has(&place.wing, &place.room) {
                take(key, &place.wing, &place.room);
            }
        }
        Ok(())
    }

    /// The wings that there are, in their order. Cheaper than [`Drawers::counts`]: only those that drawers were
    /// moved out of are counted.
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

    /// The wings that something was filed in, found by leaping from one to the next.
    pub(super) fn filed_wings(&self) -> Result<Vec<String>> {
        let (mut wings, mut after) = (Vec::new(), None::<String>);
        while let Some(key) = self.palace.keys(DRAWERS, after.as_deref(), 1)?.into_iter().next() {
            let rest = key.as_str().strip_prefix(DRAWERS).unwrap_or_default();
            let wing = rest.split('/').next().unwrap_or_default().to_owned();
            // Behind every key of this wing.
            after = Some(format!("{DRAWERS}{wing}/\u{10ffff}"));
            wings.push(wing);
        }
        Ok(wings)
    }

    /// The drawers that were moved, and where they are now.
    pub(super) fn moved(&self) -> Result<Moved> {
        let mut moved = Moved::new();
        each_key(&self.palace, MOVED, |key| {
            let Some(key) = moved_drawer(key) else { return Ok(()) };
            if let Some(document) = self.palace.get_unrefreshed(key.as_str())? {
                let place = place_of(&key, &document.value);
                moved.insert(key, place);
            }
            Ok(())
        })?;
        Ok(moved)
    }
}
