//! The spelling under which a place is shown.
//!
//! Invariant: every row of every answer shows a place under the same spelling, as long as nothing is written. Counting
//! stops as soon as one spelling has more drawers than the others can have.

use super::drawer::Drawer;
use super::handle::Drawers;
use super::place::Place;
use super::places::{Places, room_prefix, wing_prefix};
use super::renames::FoldedPlace;
use crate::memory::error::Result;
use crate::palace::Palace;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Keys that are counted at a time.
const COUNTED: usize = 1_000;

/// Finds the spellings of places.
pub(super) struct Spellings {
    palace: Palace,
    pub places: Arc<Places>,
    /// What was found, by the place as it is stored.
    shown: HashMap<Place, Place>,
}

impl Drawers {
    pub(super) fn spellings(&self) -> Result<Spellings> {
        Ok(Spellings::of(self.palace.clone(), self.places()?))
    }

    /// Returns the spellings as of the last rescan, for a call that has read or written already.
    pub(super) fn known_spellings(&self) -> Result<Spellings> {
        Ok(Spellings::of(self.palace.clone(), self.known_places()?))
    }

    /// Returns a drawer with its place as it is shown.
    pub(super) fn as_shown(&self, drawer: Drawer) -> Result<Drawer> {
        self.known_spellings()?.show(drawer)
    }

    /// Returns a place as it is shown after a write, or as it is stored if that cannot be read: a call that was written
    /// must not fail.
    pub(crate) fn shown_or_stored(&self, place: Place) -> Place {
        self.known_spellings().and_then(|mut known| known.shown(&place)).unwrap_or(place)
    }

    /// Returns a place under the names that are shown now.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// drawers.file(&[Item::new(Place::new("My App", "decisions")?, "We sign tokens with RSA.")?])?;
    /// let shown = drawers.shown_place(&Place::new("my-app", "Decisions")?)?;
    /// assert_eq!((shown.wing.as_str(), shown.room.as_str()), ("My App", "decisions"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn shown_place(&self, place: &Place) -> Result<Place> {
        self.spellings()?.shown(place)
    }
}

impl Spellings {
    fn of(palace: Palace, places: Arc<Places>) -> Self {
        Spellings { palace, places, shown: HashMap::new() }
    }

    pub fn show(&mut self, mut drawer: Drawer) -> Result<Drawer> {
        drawer.place = self.shown(&drawer.place)?;
        Ok(drawer)
    }

    /// Returns a place under the names that are shown.
    pub fn shown(&mut self, place: &Place) -> Result<Place> {
        if let Some(shown) = self.shown.get(place) {
            return Ok(shown.clone());
        }
        let fold = self.places.fold(&place.wing, &place.room);
        let wing = self.wing(&fold.wing)?.unwrap_or_else(|| place.wing.clone());
        let room = self.room(&fold)?.unwrap_or_else(|| place.room.clone());
        let shown = Place { wing, room };
        self.shown.insert(place.clone(), shown.clone());
        Ok(shown)
    }

    /// Returns the name of the wing of a folded name; `None` if no drawer was ever filed there.
    pub fn wing(&self, fold: &str) -> Result<Option<String>> {
        let places = &self.places;
        if let Some(given) = places.renames.wing_name(fold) {
            return Ok(Some(given.clone()));
        }
        if let Some(counted) = places.counted.get(fold, "") {
            return Ok(Some(counted));
        }
        let mut tallies = Tallies::default();
        for wing in places.filed_wings(fold) {
            tallies.of(wing).ranges.push(wing_prefix(wing));
        }
        for (place, moved) in &places.moved_to {
            if moved.fold.wing == fold {
                tallies.of(&place.wing).count += moved.count;
            }
        }
        tallies.most_used(&self.palace, places, (fold, ""))
    }

    /// Returns the name of the room of folded names; `None` if no drawer was ever filed there.
    pub fn room(&self, fold: &FoldedPlace) -> Result<Option<String>> {
        let places = &self.places;
        if let Some(given) = places.renames.room_name(fold) {
            return Ok(Some(given.clone()));
        }
        if let Some(counted) = places.counted.get(&fold.wing, &fold.room) {
            return Ok(Some(counted));
        }
        let mut tallies = Tallies::default();
        for Place { wing, room } in places.filed_places(fold) {
            tallies.of(room).ranges.push(room_prefix(wing, room));
        }
        for (place, moved) in &places.moved_to {
            if moved.fold == *fold {
                tallies.of(&place.room).count += moved.count;
            }
        }
        tallies.most_used(&self.palace, places, (&fold.wing, &fold.room))
    }
}

/// The drawers under one spelling, as far as they are counted.
#[derive(Default)]
struct Tally {
    count: usize,
    /// The prefixes of keys that are left to count.
    ranges: Vec<String>,
    /// The last key that was counted of the last prefix.
    after: Option<String>,
}

impl Tally {
    /// Counts the next drawers. Those that were moved are counted where they are now.
    fn count_on(&mut self, palace: &Palace, places: &Places) -> Result<()> {
        let Some(prefix) = self.ranges.last() else { return Ok(()) };
        let keys = palace.keys_page(prefix, self.after.as_deref(), COUNTED)?;
        self.count += keys.iter().filter(|key| !places.moved.contains_key(*key)).count();
        self.after = keys.last().map(|key| key.as_str().to_owned());
        if keys.len() < COUNTED {
            (self.after, _) = (None, self.ranges.pop());
        }
        Ok(())
    }
}

/// The spellings of one name.
#[derive(Default)]
struct Tallies(BTreeMap<String, Tally>);

impl Tallies {
    fn of(&mut self, spelling: &str) -> &mut Tally {
        self.0.entry(spelling.to_owned()).or_default()
    }

    /// Returns the spelling with the most drawers, and keeps it with its lead.
    fn most_used(
        mut self,
        palace: &Palace,
        places: &Places,
        (wing, room): (&str, &str),
    ) -> Result<Option<String>> {
        while self.is_open() {
            for tally in self.0.values_mut() {
                tally.count_on(palace, places)?;
            }
        }
        let counts: Vec<_> = self.0.into_iter().map(|(name, tally)| (name, tally.count)).collect();
        let Some(name) = most(counts.iter().cloned()) else { return Ok(None) };
        let (first, others): (Vec<_>, Vec<_>) =
            counts.iter().partition(|(other, _)| *other == name);
        let count = |all: Vec<&(String, usize)>| all.iter().map(|(_, count)| *count).max();
        // One spelling alone was not counted. Any write may bring another.
        let lead = match (count(first), count(others)) {
            (Some(first), Some(second)) => first.saturating_sub(second),
            _ => 1,
        };
        places.counted.add(wing, room, &name, lead);
        Ok(Some(name))
    }

    /// Returns true if it depends on drawers that are not counted yet which spelling has the most, or whether its lead is
    /// large.
    fn is_open(&self) -> bool {
        let (open, done): (Vec<_>, Vec<_>) =
            self.0.values().partition(|tally| !tally.ranges.is_empty());
        let most = done.iter().map(|tally| tally.count).max();
        match (open.as_slice(), most) {
            ([], _) | ([_], None) => false,
            ([last], Some(most)) => last.count <= most + COUNTED,
            _ => true,
        }
    }
}

/// Returns the name with the highest count, of several the first in byte order.
pub(super) fn most(counts: impl Iterator<Item = (String, usize)>) -> Option<String> {
    counts.max_by_key(|(name, count)| (*count, Reverse(name.clone()))).map(|(name, _)| name)
}
