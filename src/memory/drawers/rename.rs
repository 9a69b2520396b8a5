//! Renames wings and rooms.
//!
//! Invariants: a rename writes one small document, or two, and no drawer: keys and ids stay. Its rule is in `renames`.

use super::filter::PlaceFilter;
use super::handle::Drawers;
use super::place::{filter_name, folded, name};
use super::place_note::PlaceNote;
use super::renames::{FoldedPlace, Renames, rename_document};
use crate::memory::error::{MemoryError, Result};

/// A wing or room to rename.
///
/// ```
/// # use crdt_palace::memory::drawers::{DrawerQuery, Drawers, Item, Place, Rename};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # drawers.file(&[Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?])?;
/// let done = drawers.rename(&Rename { wing: "atlas", to: "Bosun", ..Rename::default() })?;
/// assert_eq!((done.from.as_str(), done.to.as_str(), done.drawers), ("atlas", "Bosun", 1));
/// let old_name = DrawerQuery { wing: Some("atlas"), ..DrawerQuery::default() };
/// assert_eq!(drawers.list(&old_name)?.drawers[0].place.wing, "Bosun");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rename<'a> {
    /// The wing, under any name that finds it.
    pub wing: &'a str,
    /// The room of it to rename; without one, the wing is renamed.
    pub room: Option<&'a str>,
    /// The new name.
    pub to: &'a str,
    /// Allows a name that another wing, or another room of this wing, has. The two are one from then on.
    pub join: bool,
}

/// Result of [`Drawers::rename`].
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place, Rename};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # drawers.file(&[Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?])?;
/// let rename = Rename { wing: "atlas", room: Some("decisions"), to: "choices", join: false };
/// assert!(drawers.rename(&rename)?.changed);
/// let again = drawers.rename(&rename)?; // the old name still finds it
/// assert!(!again.changed && !again.joined);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renamed {
    /// The name that was shown before.
    pub from: String,
    /// The name that is shown now.
    pub to: String,
    /// The number of drawers there now.
    pub drawers: usize,
    /// True if two places were joined.
    pub joined: bool,
    /// False if the place had this name already, so nothing was written.
    pub changed: bool,
}

impl Drawers {
    /// Renames a wing, or a room of it. No drawer is written: ids, keys and versions stay. The old name still finds it.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place, Rename};
    /// # use crdt_palace::memory::MemoryError;
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// for wing in ["atlas", "bosun"] {
    ///     drawers.file(&[Item::new(Place::new(wing, "decisions")?, "We sign tokens with RSA.")?])?;
    /// }
    /// let rename = Rename { wing: "atlas", to: "bosun", ..Rename::default() };
    /// assert!(matches!(drawers.rename(&rename), Err(MemoryError::PlaceExists { .. })));
    /// assert_eq!(drawers.rename(&Rename { join: true, ..rename })?.drawers, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if no drawer is in the place or a name is not valid, [`MemoryError::PlaceExists`], and
    /// errors of the palace; then nothing was written.
    pub fn rename(&self, rename: &Rename<'_>) -> Result<Renamed> {
        let Rename { wing, room, to, join } = *rename;
        if let Some(PlaceNote::Unknown { field, name, nearest }) =
            self.place_note(Some(wing), room)?
        {
            return Err(MemoryError::argument(field, no_place(&name, &nearest)));
        }
        let (places, to) = (self.places()?, name("to", to)?);
        let wing = filter_name("wing", wing)?;
        let room = room.map(|room| filter_name("room", room)).transpose()?;
        let place = At {
            fold: places.renames.place(&wing, room.as_deref().unwrap_or_default()),
            is_room: room.is_some(),
        };
        let from = self.name_of(&place)?;
        let target = place.leads_to(&places.renames, &to);
        let drawers = if target == place { 0 } else { self.drawers_at(&target)? };
        if drawers > 0 && !join {
            let field = if place.is_room { "room" } else { "wing" };
            return Err(MemoryError::PlaceExists { field, name: to, drawers });
        }
        let changed = from != to && self.write_rename(&place, &to)?;
        let now = At {
            fold: self.places()?.renames.place(&wing, room.as_deref().unwrap_or_default()),
            is_room: place.is_room,
        };
        let joined = changed && drawers > 0;
        Ok(Renamed {
            from,
            to: self.name_of(&now)?,
            drawers: self.drawers_at(&now)?,
            joined,
            changed,
        })
    }

    fn name_of(&self, place: &At) -> Result<String> {
        let (spellings, At { fold, is_room }) = (self.spellings()?, place);
        Ok(match is_room {
            true => spellings.room(fold)?.unwrap_or_else(|| fold.room.clone()),
            false => spellings.wing(&fold.wing)?.unwrap_or_else(|| fold.wing.clone()),
        })
    }

    fn drawers_at(&self, place: &At) -> Result<usize> {
        let (mut count, places) = (0, self.places()?);
        let filter = PlaceFilter::of_fold(&place.fold.wing, place.room(), &places);
        self.each(&filter, |_, _, _| count += 1)?;
        Ok(count)
    }

    /// Writes that a place leads to a name. If that name leads back to the place, it leads to itself from now on.
    fn write_rename(&self, place: &At, to: &str) -> Result<bool> {
        let (wing, to_fold) = (&place.fold.wing, folded(to));
        let mut documents = vec![rename_document(wing, place.room(), to)?];
        if to_fold != *place.own() && place.leads_to(&self.places()?.renames, to) == *place {
            documents.push(match place.is_room {
                true => rename_document(wing, Some(&to_fold), to)?,
                false => rename_document(&to_fold, None, to)?,
            });
        }
        let mut batch = self.palace.with(self.effect()).batch();
        for (key, value) in &documents {
            batch.write(key.clone(), move |draft| draft.put(value));
        }
        Ok(batch.commit()?.outcomes.iter().any(|outcome| outcome.changed))
    }
}

/// A wing, or a room of it, by the folded names to which renames lead. A wing has no room.
#[derive(PartialEq, Eq)]
struct At {
    fold: FoldedPlace,
    is_room: bool,
}

impl At {
    fn room(&self) -> Option<&str> {
        self.is_room.then_some(self.fold.room.as_str())
    }

    fn own(&self) -> &String {
        if self.is_room { &self.fold.room } else { &self.fold.wing }
    }

    /// Returns where another name of a wing, or of a room of this wing, leads.
    fn leads_to(&self, renames: &Renames, name: &str) -> At {
        let fold = match self.is_room {
            true => renames.place(&self.fold.wing, name),
            false => renames.place(name, ""),
        };
        At { fold, is_room: self.is_room }
    }
}

fn no_place(name: &str, nearest: &[String]) -> String {
    let name: String = name.chars().take(200).collect();
    match nearest {
        [] => {
            format!("no drawer is in {name:?}, so nothing was written: list_wings shows the names")
        }
        nearest => format!(
            "no drawer is in {name:?}, so nothing was written: the nearest names are {}",
            nearest.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
        ),
    }
}
