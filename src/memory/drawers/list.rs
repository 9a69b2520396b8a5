//! Lists and counts drawers by wing and room.
//!
//! Invariant: listing and counting read the keys, and the few drawers that were moved. No other drawer is read unless
//! it is part of the answer.

use super::drawer::{Drawer, drawer_of};
use super::filter::PlaceFilter;
use super::handle::Drawers;
use super::place::{DRAWERS, filter_name, parts};
#[cfg(feature = "mcp")]
use super::place::{folded, wing_of};
use super::places::Places;
use super::renames::FoldedPlace;
use super::spelling::most;
use crate::format::key::Key;
use crate::memory::documents::each_key;
use crate::memory::error::{MemoryError, Result};
use std::collections::BTreeMap;
#[cfg(feature = "mcp")]
use std::collections::BTreeSet;

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
        let filter = PlaceFilter::new(wing, None, self.places()?)?;
        self.each(&filter, |_, wing, room| {
            if let Some(count) = counts.get_mut(wing).and_then(|rooms| rooms.get_mut(room)) {
                *count += 1;
                return;
            }
            counts.entry(wing.to_owned()).or_default().insert(room.to_owned(), 1);
        })?;
        Ok(as_shown(&counts, &filter.places))
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
        let filter = PlaceFilter::new(wing, room, self.places()?)?;
        self.each(&filter, |key, _, _| keys.push(key.clone()))?;
        // `each` goes spelling by spelling, with the moved drawers last, and a page needs one order.
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
        let document = self.palace.get(key.as_str())?;
        document.map(|document| self.as_shown(drawer_of(document))).transpose()
    }

    /// Calls `take` with every drawer that the filter allows, and with its wing and room.
    pub(super) fn each(
        &self,
        filter: &PlaceFilter,
        mut take: impl FnMut(&Key, &str, &str),
    ) -> Result<()> {
        let moved = &filter.places.moved;
        for prefix in filter.prefixes() {
            // Keys of one room follow one another.
            let mut last = (String::new(), String::new(), false);
            each_key(&self.palace, &prefix, |key| {
                let Some((wing, room, _)) = parts(key) else { return Ok(()) };
                if (last.0.as_str(), last.1.as_str()) != (wing, room) {
                    last = (wing.to_owned(), room.to_owned(), filter.has(wing, room));
                }
                // A moved drawer is listed below, in its present place.
                if last.2 && !moved.contains_key(key) {
                    take(key, wing, room);
                }
                Ok(())
            })?;
        }
        // A drawer may have been moved into this place from any other, so all moved ones are checked.
        for (key, place) in moved {
            if filter.has(&place.wing, &place.room) {
                take(key, &place.wing, &place.room);
            }
        }
        Ok(())
    }

    /// Returns the wings that have drawers, in the order of their folded names. It is cheaper than [`Drawers::counts`]:
    /// it looks for one drawer in each wing.
    #[cfg(feature = "mcp")]
    pub(crate) fn wings(&self) -> Result<Vec<String>> {
        let spellings = self.spellings()?;
        let places = &spellings.places;
        let folds: BTreeSet<&String> = places.folds().map(|place| &place.wing).collect();
        let mut wings = Vec::new();
        for fold in folds {
            let filter = PlaceFilter::of_fold(fold, None, places);
            if filter.is_there(&self.palace)? {
                wings.push(spellings.wing(fold)?.unwrap_or_else(|| fold.clone()));
            }
        }
        Ok(wings)
    }

    /// Returns the folded names of the wings that drawers with these keys are shown in, with the old names of those wings.
    #[cfg(feature = "mcp")]
    pub(crate) fn wing_names<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a Key>,
    ) -> Result<BTreeSet<String>> {
        let (renames, mut names) = (&self.places()?.renames, BTreeSet::new());
        let wings: BTreeSet<&str> = keys.into_iter().filter_map(wing_of).collect();
        for wing in wings {
            let shown = renames.wing(wing);
            names.extend(renames.names_of_wing(&shown).cloned());
            names.extend([folded(wing), shown]);
        }
        Ok(names)
    }

    /// Returns the spellings under which drawers were filed in a wing, or in all wings. Some may have no drawers by now.
    pub(super) fn filed_wings(&self, wing: Option<&str>) -> Result<Vec<String>> {
        let places = self.places()?;
        let wing = wing.map(|wing| filter_name("wing", wing)).transpose()?;
        let wing = wing.map(|wing| places.renames.wing(&wing));
        Ok(match &wing {
            Some(wing) => places.filed_wings(wing).cloned().collect(),
            None => places.filed.keys().cloned().collect(),
        })
    }
}

/// Counts of the spellings of one name.
type BySpelling = BTreeMap<String, usize>;

/// Joins the counts of all spellings of a place, under the name that is shown.
fn as_shown(counts: &Counts, places: &Places) -> Counts {
    let mut wings: BTreeMap<String, (BySpelling, BTreeMap<String, BySpelling>)> = BTreeMap::new();
    for (wing, rooms) in counts {
        for (room, count) in rooms {
            let fold = places.fold(wing, room);
            let (wings, rooms) = wings.entry(fold.wing).or_default();
            *wings.entry(wing.clone()).or_default() += count;
            *rooms.entry(fold.room).or_default().entry(room.clone()).or_default() += count;
        }
    }
    let mut shown = Counts::new();
    for (wing, (spellings, rooms)) in wings {
        let given = places.renames.wing_name(&wing).cloned();
        let name = given.or_else(|| most(spellings.into_iter())).unwrap_or_else(|| wing.clone());
        let rooms = rooms.into_iter().map(|(room, spellings)| {
            let count = spellings.values().sum();
            let fold = FoldedPlace { wing: wing.clone(), room };
            let given = places.renames.room_name(&fold).cloned();
            (given.or_else(|| most(spellings.into_iter())).unwrap_or(fold.room), count)
        });
        shown.insert(name, rooms.collect());
    }
    shown
}

/// Returns the counts of the rooms of all wings together. A room has the spelling of the most drawers.
#[cfg(feature = "mcp")]
pub(crate) fn by_room(counts: &Counts) -> BTreeMap<String, usize> {
    let mut rooms: BTreeMap<String, BySpelling> = BTreeMap::new();
    for (room, count) in counts.values().flatten() {
        *rooms.entry(folded(room)).or_default().entry(room.clone()).or_default() += count;
    }
    let row = |(fold, spellings): (String, BySpelling)| {
        let count = spellings.values().sum();
        (most(spellings.into_iter()).unwrap_or(fold), count)
    };
    rooms.into_iter().map(row).collect()
}
