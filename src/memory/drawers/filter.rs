//! A filter of wing and room.
//!
//! Invariant: all spellings of a name, and its old names, allow the same drawers.

use super::place::{DRAWERS, filter_name, parts};
use super::places::{Places, room_prefix, wing_prefix};
use crate::format::key::Key;
use crate::memory::error::Result;
use crate::palace::Palace;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Keys that are read at a time to find a drawer.
const LOOKED_AT: usize = 100;

/// A filter of rooms.
#[derive(Debug)]
enum RoomFilter {
    /// The rooms that this name leads to, in each wing those that it is an old name of.
    Named(String),
    /// The room of this folded name, as renames lead to it.
    Fold(String),
}

/// A filter of wing and room; `None` allows any.
#[derive(Debug)]
pub(super) struct PlaceFilter {
    /// The folded name of the wing, as renames lead to it.
    wing: Option<String>,
    room: Option<RoomFilter>,
    pub places: Arc<Places>,
    /// The places that were asked for, and whether the filter allows them.
    known: RefCell<HashMap<String, HashMap<String, bool>>>,
}

impl PlaceFilter {
    pub fn new(wing: Option<&str>, room: Option<&str>, places: Arc<Places>) -> Result<Self> {
        let named =
            |field, text: Option<&str>| text.map(|text| filter_name(field, text)).transpose();
        let wing = named("wing", wing)?.map(|wing| places.renames.wing(&wing));
        let room = named("room", room)?.map(RoomFilter::Named);
        Ok(PlaceFilter { wing, room, places, known: RefCell::default() })
    }

    pub fn has(&self, wing: &str, room: &str) -> bool {
        if self.wing.is_none() && self.room.is_none() {
            return true;
        }
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.get(wing).and_then(|rooms| rooms.get(room)) {
            return *known;
        }
        let has = self.allows(wing, room);
        known.entry(wing.to_owned()).or_default().insert(room.to_owned(), has);
        has
    }

    /// Returns the filter of a wing, or of a room of it, by the folded names to which renames lead.
    pub fn of_fold(wing: &str, room: Option<&str>, places: &Arc<Places>) -> Self {
        let room = room.map(|room| RoomFilter::Fold(room.to_owned()));
        let (wing, known) = (Some(wing.to_owned()), RefCell::default());
        PlaceFilter { wing, room, places: places.clone(), known }
    }

    fn allows(&self, wing: &str, room: &str) -> bool {
        let fold = self.places.fold(wing, room);
        self.wing.as_ref().is_none_or(|wanted| fold.wing == *wanted)
            && match &self.room {
                None => true,
                // An old name of a room counts in the wings in which it is one.
                Some(RoomFilter::Named(name)) => {
                    fold.room == self.places.renames.place(wing, name).room
                }
                Some(RoomFilter::Fold(wanted)) => fold.room == *wanted,
            }
    }

    /// Returns the prefixes of the keys of drawers that were filed there.
    pub fn prefixes(&self) -> Vec<String> {
        let Some(wing) = &self.wing else { return vec![DRAWERS.to_owned()] };
        let (places, mut prefixes) = (&self.places, Vec::new());
        for wing in places.filed_wings(wing) {
            if self.room.is_none() {
                prefixes.push(wing_prefix(wing));
            } else if let Some(filed) = places.filed.get(wing) {
                let rooms = filed.rooms.keys().filter(|room| self.has(wing, room));
                prefixes.extend(rooms.map(|room| room_prefix(wing, room)));
            }
        }
        prefixes
    }

    /// Returns true if a drawer is there. It stops at the first one.
    pub fn is_there(&self, palace: &Palace) -> Result<bool> {
        if self.places.moved_to.keys().any(|place| self.has(&place.wing, &place.room)) {
            return Ok(true);
        }
        for prefix in self.prefixes() {
            let mut after = None::<String>;
            loop {
                let keys = palace.keys_page(&prefix, after.as_deref(), LOOKED_AT)?;
                let stays = |key: &Key| !self.places.moved.contains_key(key);
                let is_here = |key| parts(key).is_some_and(|(wing, room, _)| self.has(wing, room));
                if keys.iter().any(|key| stays(key) && is_here(key)) {
                    return Ok(true);
                }
                match keys.last() {
                    Some(last) if keys.len() == LOOKED_AT => after = Some(last.to_string()),
                    _ => break,
                }
            }
        }
        Ok(false)
    }
}
