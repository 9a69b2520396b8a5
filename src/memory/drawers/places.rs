//! The places of a palace: the spellings of wings and rooms, and the drawers that were moved.
//!
//! Invariants: names with one fold are one place, and so are names that a rename joins. The spelling that is shown
//! depends on the documents alone: the one that a rename gave, otherwise that of the most drawers, of several the first
//! in byte order. A process reads the places once, and then only what was written since.

use super::drawer::place_of;
use super::handle::Drawers;
use super::place::{DRAWERS, MOVED, Place, RENAMED, moved_drawer, moved_key, parts};
use super::renames::{FoldedPlace, Renames};
use crate::format::key::Key;
use crate::memory::documents::each_key;
use crate::memory::error::Result;
use crate::palace::{self, Palace, Progress};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A spelling of a wing under which drawers were filed.
#[derive(Clone, Debug, Default)]
pub(super) struct FiledWing {
    /// The folded name under which it is shown.
    pub fold: String,
    /// The spellings of its rooms, and the folded names under which they are shown. One may be empty by now.
    pub rooms: BTreeMap<String, FoldedPlace>,
}

/// The drawers that were moved to a place.
#[derive(Clone, Debug)]
pub(super) struct MovedTo {
    /// The folded names under which it is shown.
    pub fold: FoldedPlace,
    /// Their number.
    pub count: usize,
}

/// The places of a palace.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub renames: Renames,
    /// The drawers that were moved, and their present places.
    pub moved: HashMap<Key, Place>,
    /// The places of moved drawers.
    pub moved_to: HashMap<Place, MovedTo>,
    /// The wings that drawers were filed in, by their spellings. One may be empty by now.
    pub filed: BTreeMap<String, FiledWing>,
    /// The spellings of wings and places, by the folded names under which they are shown.
    wings: HashMap<String, BTreeSet<String>>,
    rooms: HashMap<FoldedPlace, BTreeSet<Place>>,
    pub counted: CountedSpellings,
}

/// The spellings that were counted, by folded wing and room, or an empty text for a wing. Each has its lead: the number of
/// drawers that it has more than every other spelling, at least.
#[derive(Debug, Default)]
pub(super) struct CountedSpellings(Mutex<HashMap<(String, String), (String, usize)>>);

impl Clone for CountedSpellings {
    fn clone(&self) -> Self {
        CountedSpellings(Mutex::new(self.lock().clone()))
    }
}

impl CountedSpellings {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), (String, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, wing: &str, room: &str) -> Option<String> {
        self.lock().get(&(wing.to_owned(), room.to_owned())).map(|(name, _)| name.clone())
    }

    /// Keeps a spelling. One that only its place in the order of bytes put first may be overtaken by any write.
    pub fn add(&self, wing: &str, room: &str, name: &str, lead: usize) {
        self.lock().insert((wing.to_owned(), room.to_owned()), (name.to_owned(), lead));
    }

    /// Forgets the spellings that may have lost their lead by this number of writes.
    fn wear(&self, writes: usize) {
        // A drawer that moves from one spelling to another takes two from a lead.
        self.lock().retain(|_, (_, lead)| {
            *lead = lead.saturating_sub(2 * writes);
            *lead > 0
        });
    }

    fn clear(&self) {
        self.lock().clear();
    }
}

/// The places as a process last read them.
#[derive(Default)]
struct Known {
    progress: Option<Progress>,
    places: Arc<Places>,
}

/// Returns the keys that were written since, and how far that goes.
type WrittenSince =
    fn(&Palace, Option<Progress>) -> palace::Result<(Option<BTreeSet<Key>>, Progress)>;

impl Drawers {
    /// Returns the places, as they are now.
    pub(super) fn places(&self) -> Result<Arc<Places>> {
        self.places_by(Palace::written_since)
    }

    /// Returns the places as of the last rescan. A call that has read or written already needs no other one.
    pub(super) fn known_places(&self) -> Result<Arc<Places>> {
        self.places_by(Palace::known_since)
    }

    fn places_by(&self, written_since: WrittenSince) -> Result<Arc<Places>> {
        let palace = &self.palace;
        palace.derived(|known: &mut Known| {
            let (written, now) = written_since(palace, known.progress)?;
            match written {
                None => known.places = Arc::new(Places::read(palace)?),
                Some(keys) if keys.is_empty() => {}
                Some(keys) => {
                    // What is half brought up to date is read anew by the next call.
                    known.progress = None;
                    Arc::make_mut(&mut known.places).update(palace, &keys)?;
                }
            }
            known.progress = Some(now);
            Ok(known.places.clone())
        })
    }
}

impl Places {
    fn read(palace: &Palace) -> Result<Self> {
        let mut places = Places { renames: Renames::read(palace)?, ..Places::default() };
        each_key(palace, MOVED, |note| match moved_drawer(note) {
            Some(key) => places.read_moved(palace, key),
            None => Ok(()),
        })?;
        let mut after = None::<String>;
        while let Some(key) = palace.keys_page(DRAWERS, after.as_deref(), 1)?.into_iter().next() {
            let Some((wing, room, _)) = parts(&key) else {
                // Another program's key.
                after = Some(key.as_str().to_owned());
                continue;
            };
            // This sorts behind every key of the room.
            after = Some(format!("{DRAWERS}{wing}/{room}/\u{10ffff}"));
            places.add_filed(wing, room);
        }
        Ok(places)
    }

    fn update(&mut self, palace: &Palace, keys: &BTreeSet<Key>) -> Result<()> {
        if keys.iter().any(|key| key.as_str().starts_with(RENAMED)) {
            self.renames = Renames::read(palace)?;
            self.fold_anew();
        }
        self.counted.wear(keys.iter().filter(|key| parts(key).is_some()).count());
        for key in keys {
            if let Some((wing, room, _)) = parts(key) {
                self.add_filed(wing, room);
                if self.moved.contains_key(key) || palace.has_history(&moved_key(key)?)? {
                    self.read_moved(palace, key.clone())?;
                }
            } else if let Some(key) = moved_drawer(key) {
                self.read_moved(palace, key)?;
            }
        }
        Ok(())
    }

    fn add_filed(&mut self, wing: &str, room: &str) {
        if self.filed.get(wing).is_some_and(|filed| filed.rooms.contains_key(room)) {
            return;
        }
        let fold = self.renames.place(wing, room);
        let place = Place { wing: wing.to_owned(), room: room.to_owned() };
        let filed = self.filed.entry(wing.to_owned()).or_default();
        filed.fold.clone_from(&fold.wing);
        filed.rooms.insert(room.to_owned(), fold.clone());
        self.wings.entry(fold.wing.clone()).or_default().insert(wing.to_owned());
        self.rooms.entry(fold).or_default().insert(place);
    }

    /// Folds all names again, because renames lead elsewhere.
    fn fold_anew(&mut self) {
        self.counted.clear();
        self.wings.clear();
        self.rooms.clear();
        for (wing, filed) in std::mem::take(&mut self.filed) {
            filed.rooms.keys().for_each(|room| self.add_filed(&wing, room));
        }
        for (place, moved) in &mut self.moved_to {
            moved.fold = self.renames.place(&place.wing, &place.room);
        }
    }

    /// Reads where a drawer is that was moved. The note stays when the drawer is deleted.
    fn read_moved(&mut self, palace: &Palace, key: Key) -> Result<()> {
        let document = palace.get_unrefreshed(key.as_str())?;
        let place = document.map(|document| place_of(&key, &document.value));
        let before = match &place {
            Some(place) => self.moved.insert(key, place.clone()),
            None => self.moved.remove(&key),
        };
        if let Some(before) = before
            && let Some(moved) = self.moved_to.get_mut(&before)
        {
            moved.count -= 1;
            if moved.count == 0 {
                self.moved_to.remove(&before);
            }
        }
        if let Some(place) = place {
            let renames = &self.renames;
            let new =
                |place: &Place| MovedTo { fold: renames.place(&place.wing, &place.room), count: 0 };
            self.moved_to.entry(place).or_insert_with_key(new).count += 1;
        }
        Ok(())
    }

    /// Returns the spellings under which drawers were filed in the wing of this folded name.
    pub fn filed_wings(&self, wing: &str) -> impl Iterator<Item = &String> {
        self.wings.get(wing).into_iter().flatten()
    }

    /// Returns the places under whose spellings drawers were filed in the place of these folded names.
    pub fn filed_places(&self, place: &FoldedPlace) -> impl Iterator<Item = &Place> {
        self.rooms.get(place).into_iter().flatten()
    }

    /// Returns the folded names under which a place is shown.
    pub fn fold(&self, wing: &str, room: &str) -> FoldedPlace {
        let known = self.filed.get(wing).and_then(|filed| filed.rooms.get(room));
        known.cloned().unwrap_or_else(|| self.renames.place(wing, room))
    }

    /// Returns the folded names under which all places are shown. One may be empty by now.
    pub fn folds(&self) -> impl Iterator<Item = &FoldedPlace> {
        self.rooms.keys().chain(self.moved_to.values().map(|moved| &moved.fold))
    }

    /// Returns the name of a room that a rename gave to it, or else the stored one. It is the room's name in another wing.
    pub fn renamed_room<'a>(&'a self, stored: &'a Place) -> &'a String {
        let renamed = self.renames.room_name(&self.fold(&stored.wing, &stored.room));
        renamed.unwrap_or(&stored.room)
    }

    /// Returns true if two spellings name one place.
    pub fn is_same(&self, a: &Place, b: &Place) -> bool {
        a == b || self.fold(&a.wing, &a.room) == self.fold(&b.wing, &b.room)
    }
}

/// Returns the prefix of the keys of drawers that were filed in a room.
pub(super) fn room_prefix(wing: &str, room: &str) -> String {
    format!("{DRAWERS}{wing}/{room}/")
}

/// Returns the prefix of the keys of drawers that were filed in a wing.
pub(super) fn wing_prefix(wing: &str) -> String {
    format!("{DRAWERS}{wing}/")
}
