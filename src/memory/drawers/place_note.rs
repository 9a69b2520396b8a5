//! Says what a filter of wing and room names, if it names nothing or an old name.

use super::filter::PlaceFilter;
use super::handle::Drawers;
use super::place::{filter_name, folded};
use super::renames::FoldedPlace;
use crate::memory::error::Result;
pub use crate::memory::nearest::NEAREST_MAX;
use crate::memory::nearest::sort_by_distance;
use std::collections::BTreeSet;
use std::fmt;

/// A remark on a filter of wing and room.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place, PlaceNote};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// drawers.file(&[Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?])?;
/// let note = drawers.place_note(Some("altas"), None)?.ok_or("there is no such wing")?;
/// let PlaceNote::Unknown { name, nearest, .. } = note else { return Err("it is unknown".into()) };
/// assert_eq!((name.as_str(), nearest), ("altas", vec!["atlas".to_owned()]));
/// assert!(drawers.place_note(Some("Atlas"), None)?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlaceNote {
    /// No drawer is in a wing or room of this name.
    Unknown {
        /// The filter: `wing` or `room`.
        field: &'static str,
        /// The name that the filter gives.
        name: String,
        /// Names of the same kind that have drawers, the nearest first, at most [`NEAREST_MAX`]. A wing's rooms are those
        /// of the wing that the filter names.
        nearest: Vec<String>,
    },
    /// The wing or room was renamed.
    Renamed {
        /// The filter: `wing` or `room`.
        field: &'static str,
        /// The name that the filter gives.
        name: String,
        /// The name that is shown.
        now: String,
    },
}

impl fmt::Display for PlaceNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlaceNote::Unknown { field, name, nearest } if nearest.is_empty() => {
                write!(f, "no drawer is in a {field} named {name:?}, and there is no other {field}")
            }
            PlaceNote::Unknown { field, name, nearest } => {
                let names: Vec<String> = nearest.iter().map(|name| format!("{name:?}")).collect();
                let names = names.join(", ");
                write!(f, "no drawer is in a {field} named {name:?}; the nearest names are {names}")
            }
            PlaceNote::Renamed { field, name, now } => {
                write!(f, "the {field} {name:?} is called {now:?} now")
            }
        }
    }
}

impl Drawers {
    /// Returns a remark if a filter names a wing or room without drawers, or one that is called otherwise now. `None`
    /// if there is nothing to say, or no filter.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place, PlaceNote};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// drawers.file(&[Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?])?;
    /// let note = drawers.place_note(Some("atlas"), Some("plans"))?;
    /// assert!(matches!(note, Some(PlaceNote::Unknown { field: "room", .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`](crate::memory::MemoryError::Argument), and errors of the palace.
    pub fn place_note(&self, wing: Option<&str>, room: Option<&str>) -> Result<Option<PlaceNote>> {
        let places = self.places()?;
        let unknown = |field, name: &str, names| {
            let nearest = self.nearest(name, names)?;
            Ok(Some(PlaceNote::Unknown { field, name: name.to_owned(), nearest }))
        };
        if let Some(wing) = wing
            && !PlaceFilter::new(Some(wing), None, places.clone())?.is_there(&self.palace)?
        {
            return unknown("wing", wing, Names::Wings);
        }
        if let Some(room) = room
            && !PlaceFilter::new(wing, Some(room), places.clone())?.is_there(&self.palace)?
        {
            return unknown("room", room, Names::Rooms(wing));
        }
        self.renamed(wing, room)
    }

    fn renamed(&self, wing: Option<&str>, room: Option<&str>) -> Result<Option<PlaceNote>> {
        let Some(wing) = wing else { return Ok(None) };
        let (wing, spellings) = (filter_name("wing", wing)?, self.spellings()?);
        let shown = spellings.places.renames.wing(&wing);
        if shown != folded(&wing) {
            let now = spellings.wing(&shown)?.unwrap_or(shown);
            return Ok(Some(PlaceNote::Renamed { field: "wing", name: wing, now }));
        }
        let Some(room) = room else { return Ok(None) };
        let room = filter_name("room", room)?;
        let fold = spellings.places.renames.place(&wing, &room);
        if fold.room == folded(&room) {
            return Ok(None);
        }
        let now = spellings.room(&fold)?.unwrap_or(fold.room);
        Ok(Some(PlaceNote::Renamed { field: "room", name: room, now }))
    }

    /// Returns the names with the smallest edit distance between folded names, of several the first in byte order.
    fn nearest(&self, wanted: &str, names: Names<'_>) -> Result<Vec<String>> {
        let (spellings, mut folds) = (self.spellings()?, self.folds(names)?);
        sort_by_distance(&folded(wanted), &mut folds, |fold| {
            fold.room.as_ref().unwrap_or(&fold.wing)
        });
        let mut nearest: Vec<String> = Vec::new();
        for Fold { wing, room } in folds {
            if nearest.len() == NEAREST_MAX {
                break;
            }
            let filter = PlaceFilter::of_fold(&wing, room.as_deref(), &spellings.places);
            if filter.is_there(&self.palace)? {
                let name = match room {
                    None => spellings.wing(&wing)?.unwrap_or(wing),
                    Some(room) => {
                        let fold = FoldedPlace { wing, room };
                        spellings.room(&fold)?.unwrap_or(fold.room)
                    }
                };
                if !nearest.contains(&name) {
                    nearest.push(name);
                }
            }
        }
        Ok(nearest)
    }

    /// Returns the folded names of wings, or of rooms with their wings. Some may be empty.
    fn folds(&self, names: Names<'_>) -> Result<Vec<Fold>> {
        let places = self.places()?;
        let within = match names {
            Names::Rooms(Some(wing)) => Some(places.renames.wing(wing)),
            _ => None,
        };
        let all = places.folds().filter(|fold| within.as_ref().is_none_or(|it| fold.wing == *it));
        let fold = |FoldedPlace { wing, room }: &FoldedPlace| {
            let room = matches!(names, Names::Rooms(_)).then(|| room.clone());
            Fold { wing: wing.clone(), room }
        };
        Ok(all.map(fold).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// The names that one may have meant.
#[derive(Clone, Copy)]
enum Names<'a> {
    Wings,
    /// Those of one wing, or of all.
    Rooms(Option<&'a str>),
}

/// The folded name of a wing, or of a room in it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Fold {
    wing: String,
    room: Option<String>,
}
