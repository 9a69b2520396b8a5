//! Renamed wings and rooms: which name leads to which.
//!
//! # The documents
//! `moved/=<32 hex digits>` is `{"wing", "to"}` for a wing, or `{"wing", "room", "to"}` for a room of a wing. `wing` and
//! `room` are folded names, and `to` is the new name. The digits are the beginning of the SHA-256 of `wing`, a slash,
//! and `room` or nothing. The prefix is that of the notes of moves, which no drawer's note can begin with. So a program
//! that does not know renames finds a note without a drawer, and passes over it.
//!
//! # The rule
//! A name leads to the fold of its `to`, and on from there, to the first name that leads nowhere. Names that lead to one
//! another in a circle are one place, under the first of their folds in byte order. A room is followed in each wing that
//! its own wing leads to. Two names that two processes give at once are a conflict of `to`: all processes show the same
//! one, and the other leads to it, unless it was renamed itself. The result is a function of the documents alone.

use super::place::{RENAMED, folded};
use crate::format::key::Key;
use crate::memory::documents::each_key;
use crate::memory::error::Result;
use crate::palace::{Document, Palace};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// The folded names of a wing and a room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FoldedPlace {
    pub wing: String,
    pub room: String,
}

/// Returns the old name of the place that a document renames, as `wing` or `wing/room` in folded names, and the new one;
/// `None` if it renames none.
#[cfg(feature = "mcp")]
pub(crate) fn renamed_place(key: &Key, value: &Map<String, Value>) -> Option<(String, String)> {
    let text = |field| value.get(field).and_then(Value::as_str);
    let (wing, to) = (text("wing")?, text("to")?.to_owned());
    let place = text("room").map_or_else(|| wing.to_owned(), |room| format!("{wing}/{room}"));
    key.as_str().starts_with(RENAMED).then_some((place, to))
}

/// The renamed places, by their folded names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Renames {
    wings: BTreeMap<String, String>,
    rooms: BTreeMap<FoldedPlace, String>,
    /// The spellings that renames gave, by the folded names under which places are shown.
    wing_names: HashMap<String, String>,
    room_names: HashMap<FoldedPlace, String>,
}

impl Renames {
    /// Reads all of them.
    pub fn read(palace: &Palace) -> Result<Self> {
        let (mut renames, mut beside) = (Renames::default(), Vec::new());
        each_key(palace, RENAMED, |key| {
            if let Some(document) = palace.get_unrefreshed(key.as_str())? {
                renames.add(&document.value);
                beside.extend(given_beside(&document));
            }
            Ok(())
        })?;
        // A name that a rename leads on from keeps its own rename.
        let known = renames.clone();
        for rename in beside.iter().filter(|rename| !known.has(rename)) {
            renames.add(rename);
        }
        renames.spell();
        Ok(renames)
    }

    /// Finds the spelling of each name: the one that a name gave to itself, or else the first in byte order.
    fn spell(&mut self) {
        // Of two of one name, the last one stays.
        let mut wings: Vec<_> =
            self.wings.iter().map(|(from, to)| (folded(to), *from == folded(to), to)).collect();
        wings.sort_by_key(|(_, own, to)| (*own, Reverse(*to)));
        let names = wings.into_iter().map(|(fold, _, to)| (fold, to.clone())).collect();
        let mut rooms = Vec::new();
        for (from, to) in &self.rooms {
            let fold = FoldedPlace { wing: self.wing_of_fold(&from.wing), room: folded(to) };
            rooms.push((*from == fold, Reverse(to), fold));
        }
        rooms.sort();
        self.room_names =
            rooms.into_iter().map(|(_, Reverse(to), fold)| (fold, to.clone())).collect();
        self.wing_names = names;
    }

    fn add(&mut self, value: &Map<String, Value>) {
        let text = |field| value.get(field).and_then(Value::as_str);
        // Another program may have written a document without these fields.
        let (Some(wing), Some(to)) = (text("wing"), text("to")) else { return };
        let wing = folded(wing);
        match text("room") {
            None => keep_first(self.wings.entry(wing).or_default(), to),
            Some(room) => {
                let place = FoldedPlace { wing, room: folded(room) };
                keep_first(self.rooms.entry(place).or_default(), to);
            }
        }
    }

    /// Returns true if the name that a rename is of leads somewhere already.
    fn has(&self, rename: &Map<String, Value>) -> bool {
        let text = |field| rename.get(field).and_then(Value::as_str).map(folded);
        match (text("wing"), text("room")) {
            (Some(wing), None) => self.wings.contains_key(&wing),
            (Some(wing), Some(room)) => self.rooms.contains_key(&FoldedPlace { wing, room }),
            (None, _) => true,
        }
    }

    /// Returns the folded wings that a folded wing leads to, from itself to the one under which it is shown.
    fn wings_from(&self, wing: &str) -> Vec<String> {
        follow(wing, |wing| self.wings.get(wing))
    }

    /// Returns the folded name under which a wing is shown.
    pub fn wing(&self, wing: &str) -> String {
        self.wing_of_fold(&folded(wing))
    }

    /// Returns the folded name under which the wing of a folded name is shown.
    pub fn wing_of_fold(&self, fold: &str) -> String {
        let last = if self.wings.is_empty() { None } else { self.wings_from(fold).pop() };
        last.unwrap_or_else(|| fold.to_owned())
    }

    /// Returns the folded names under which a place is shown.
    pub fn place(&self, wing: &str, room: &str) -> FoldedPlace {
        let (wing, mut room) = (folded(wing), folded(room));
        let wings = self.wings_from(&wing);
        if !self.rooms.is_empty() {
            for wing in &wings {
                let next = |room: &str| {
                    self.rooms.get(&FoldedPlace { wing: wing.clone(), room: room.to_owned() })
                };
                room = follow(&room, next).pop().unwrap_or(room);
            }
        }
        FoldedPlace { wing: wings.into_iter().next_back().unwrap_or(wing), room }
    }

    /// Returns the spelling that a rename gave to the wing of this folded name; `None` if none did.
    pub fn wing_name(&self, wing: &str) -> Option<&String> {
        self.wing_names.get(wing)
    }

    /// Returns the spelling that a rename gave to the room of these folded names; `None` if none did.
    pub fn room_name(&self, place: &FoldedPlace) -> Option<&String> {
        self.room_names.get(place)
    }

    /// Returns the folded names of wings that lead to a folded wing.
    #[cfg(feature = "mcp")]
    pub fn names_of_wing(&self, wing: &str) -> impl Iterator<Item = &String> {
        self.wings.keys().filter(move |from| self.wing_of_fold(from) == wing)
    }
}

/// Returns a rename of each name that another process gave to the place at once, to the one that is shown. Its caller was
/// told that the place has that name, so it must go on finding it.
fn given_beside(document: &Document) -> Vec<Map<String, Value>> {
    let others = document.conflicts.iter().filter(|conflict| conflict.path == "/to");
    let others = others.flat_map(|conflict| &conflict.others);
    let of_room = document.value.contains_key("room");
    let rename = |other: &str| {
        let mut rename = document.value.clone();
        rename.insert(if of_room { "room" } else { "wing" }.to_owned(), json!(folded(other)));
        rename
    };
    others.filter_map(|other| other.value.as_str()).map(rename).collect()
}

/// Returns the names from `start` on, each once. If they come back to one of their own, the circle's first name in byte
/// order is the last.
fn follow<'a>(start: &str, next: impl Fn(&str) -> Option<&'a String>) -> Vec<String> {
    let mut names = vec![start.to_owned()];
    while let Some(to) = names.last().and_then(|last| next(last)) {
        let to = folded(to);
        if let Some(at) = names.iter().position(|name| *name == to) {
            let first = names.iter().skip(at).min().cloned();
            names.extend(first);
            break;
        }
        names.push(to);
    }
    names
}

/// Two documents have one name only if their writers fold differently. The first name in byte order counts.
fn keep_first(kept: &mut String, to: &str) {
    if kept.is_empty() || to < kept.as_str() {
        to.clone_into(kept);
    }
}

/// Returns key and content of the document that renames a place, by its folded names.
pub(super) fn rename_document(
    wing: &str,
    room: Option<&str>,
    to: &str,
) -> Result<(Key, Map<String, Value>)> {
    let hash = Sha256::digest(format!("{wing}/{}", room.unwrap_or_default()));
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut value =
        Map::from_iter([("wing".to_owned(), json!(wing)), ("to".to_owned(), json!(to))]);
    value.extend(room.map(|room| ("room".to_owned(), json!(room))));
    Ok((Key::new(&format!("{RENAMED}{digits}"))?, value))
}
