//! Moves many drawers at once.
//!
//! Invariants: each commit is whole: a drawer and the note of its move are in one. The same call again moves only what is
//! left. A drawer that was deleted meanwhile stays deleted.

use super::change::{IDS_MAX, distinct};
use super::drawer::place_of;
use super::filter::PlaceFilter;
use super::handle::Drawers;
use super::place::{Place, drawer_id, name};
use super::places::Places;
use super::update::{note_move, spelled_as};
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::merge::MergeError;
use crate::palace::{Choice, Draft, Session, WriteOptions};
use serde_json::{Map, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The most drawers that one call moves.
pub const MOVES_MAX: usize = 5_000;
/// The most drawers that one commit moves.
const COMMIT: usize = 500;

/// Drawers to move, and their new place.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, MoveDrawers, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// for text in ["one", "two", "three"] {
///     drawers.file(&[Item::new(Place::new("atlas", "notes")?, text)?])?;
/// }
/// let to = MoveDrawers { wing: Some("atlas"), to_room: Some("history"), ..MoveDrawers::default() };
/// assert_eq!(drawers.move_all(&MoveDrawers { dry_run: true, ..to }, |_, _| {})?.moved, 3);
/// assert_eq!(drawers.move_all(&to, |_, _| {})?.moved, 3);
/// assert_eq!(drawers.move_all(&to, |_, _| {})?.there, 3); // nothing is left to move
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MoveDrawers<'a> {
    /// The ids of the drawers, at most [`IDS_MAX`]; empty to move all of a place.
    pub ids: &'a [String],
    /// All drawers of this wing.
    pub wing: Option<&'a str>,
    /// All drawers of rooms of this name.
    pub room: Option<&'a str>,
    /// The new wing; without one, each stays in its wing.
    pub to_wing: Option<&'a str>,
    /// The new room; without one, each stays in its room.
    pub to_room: Option<&'a str>,
    /// True to count only.
    pub dry_run: bool,
}

/// Result of [`Drawers::move_all`].
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, MoveDrawers, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let id = drawers.file(&[Item::new(Place::new("atlas", "notes")?, "one")?])?.remove(0).id;
/// let ids = [id, "drawer_atlas_notes_0".to_owned()];
/// let done = drawers.move_all(
///     &MoveDrawers { ids: &ids, to_wing: Some("bosun"), ..MoveDrawers::default() },
///     |_, _| {},
/// )?;
/// assert_eq!((done.moved, done.not_found), (1, vec!["drawer_atlas_notes_0".to_owned()]));
/// assert!(!done.more);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrawersMoved {
    /// The number of drawers that were moved, or would be.
    pub moved: usize,
    /// The number of drawers that were there already.
    pub there: usize,
    /// The number of diary entries. They stay where they are.
    pub entries: usize,
    /// The ids without a drawer, and those of drawers that were deleted during the call.
    pub not_found: Vec<String>,
    /// True if more drawers are left to move: the same call again goes on.
    pub more: bool,
}

/// A drawer to move, and the place where it was read.
struct Planned {
    key: Key,
    place: Place,
}

impl Drawers {
    /// Moves drawers to another wing, room or both: those with these ids, or all of a place. Their ids stay. At most
    /// [`MOVES_MAX`] are moved by one call, in commits of 500. After each commit, `progress` gets the number of drawers
    /// that are done and of all.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, MoveDrawers, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let id = drawers.file(&[Item::new(Place::new("atlas", "notes")?, "one")?])?.remove(0).id;
    /// let to = MoveDrawers { room: Some("notes"), to_wing: Some("bosun"), ..MoveDrawers::default() };
    /// drawers.move_all(&to, |done, all| assert_eq!((done, all), (1, 1)))?;
    /// assert_eq!(drawers.get(&id)?.place.wing, "bosun");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if it names no drawers or no new place, and errors of the palace. Commits that were made
    /// before stay, and the same call goes on.
    pub fn move_all(
        &self,
        wanted: &MoveDrawers<'_>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<DrawersMoved> {
        let target = Target::new(wanted)?;
        let places = self.places()?;
        let mut result = DrawersMoved::default();
        let mut planned = Vec::new();
        for Planned { key, place } in self.planned(wanted, &places, &mut result)? {
            let id = drawer_id(&key).unwrap_or_default();
            if id.starts_with("diary_") {
                result.entries += 1;
            } else if target.of(&place, &places)? == place {
                result.there += 1;
            } else {
                planned.push(Planned { key, place });
            }
        }
        result.more = planned.len() > MOVES_MAX;
        planned.truncate(MOVES_MAX);
        if wanted.dry_run {
            result.moved = planned.len();
            return Ok(result);
        }
        let (mut done, all) = (0, planned.len());
        for part in planned.chunks(COMMIT) {
            done += part.len();
            // If the call is made once, its last commit has the record, so that one that was killed goes on.
            let options = if done == all { self.effect() } else { self.options() };
            self.move_part((part, options), &target, &places, &mut result)?;
            progress(done, all);
        }
        Ok(result)
    }

    /// Returns the drawers that the call names, in the order of their keys.
    fn planned(
        &self,
        wanted: &MoveDrawers<'_>,
        places: &Arc<Places>,
        result: &mut DrawersMoved,
    ) -> Result<Vec<Planned>> {
        let mut planned = Vec::new();
        if wanted.ids.is_empty() {
            let filter = PlaceFilter::new(wanted.wing, wanted.room, places.clone())?;
            self.each(&filter, |key, wing, room| {
                let place = Place { wing: wing.to_owned(), room: room.to_owned() };
                planned.push(Planned { key: key.clone(), place });
            })?;
            planned.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            return Ok(planned);
        }
        for id in distinct(wanted.ids)? {
            match self.document(id)? {
                Some(document) => {
                    let place = place_of(&document.key, &document.value);
                    planned.push(Planned { key: document.key, place });
                }
                None => result.not_found.push(id.clone()),
            }
        }
        Ok(planned)
    }

    /// Moves drawers in one commit.
    fn move_part(
        &self,
        (part, options): (&[Planned], WriteOptions),
        target: &Target,
        places: &Places,
        result: &mut DrawersMoved,
    ) -> Result<()> {
        let (session, made) = (self.session(), RefCell::new(HashMap::new()));
        let mut batch = self.palace.with(options).batch();
        for Planned { key, .. } in part {
            let (session, made) = (&session, &made);
            batch.write(key.clone(), move |draft| {
                let moved = move_one(draft, key, target, places, session)?;
                made.borrow_mut().extend(moved.map(|choice| (key.clone(), choice)));
                Ok(())
            });
        }
        // If the drawer is elsewhere by now, the process that moved it has written the note.
        for Planned { key, place } in part {
            let id = drawer_id(key).unwrap_or_default();
            note_move(&mut batch, key, &id, &target.of(place, places)?)?;
        }
        let outcomes = batch.commit()?.outcomes;
        let made = made.into_inner();
        for (Planned { key, .. }, outcome) in part.iter().zip(outcomes) {
            match made.get(key) {
                Some(choice) if outcome.changed => {
                    session.wrote(key, choice, &outcome, false);
                    result.moved += 1;
                }
                Some(_) => result.there += 1,
                None => result.not_found.push(drawer_id(key).unwrap_or_default()),
            }
        }
        Ok(())
    }
}

/// The new place of drawers.
struct Target {
    wing: Option<String>,
    room: Option<String>,
}

impl Target {
    fn new(wanted: &MoveDrawers<'_>) -> Result<Self> {
        let is_place = wanted.wing.is_some() || wanted.room.is_some();
        if is_place != wanted.ids.is_empty() {
            let why = format!(
                "pass either drawer_ids, 1 to {IDS_MAX}, or the wing or room whose drawers to move"
            );
            return Err(MemoryError::argument("drawer_ids", why));
        }
        let named = |field, text: Option<&str>| text.map(|text| name(field, text)).transpose();
        let target = Target {
            wing: named("to_wing", wanted.to_wing)?,
            room: named("to_room", wanted.to_room)?,
        };
        match (&target.wing, &target.room) {
            (None, None) => {
                let why = "pass the new wing, the new room (to_room), or both";
                Err(MemoryError::argument("to_wing", why))
            }
            _ => Ok(target),
        }
    }

    /// Returns where a drawer is to be, with the stored names as far as it stays where it is.
    fn of(&self, stored: &Place, places: &Places) -> Result<Place> {
        let wing = self.wing.as_ref().unwrap_or(&stored.wing);
        let given = Place::new(wing, self.room.as_ref().unwrap_or(places.renamed_room(stored)))?;
        Ok(spelled_as(stored, given, places))
    }
}

/// Moves a drawer from where it is now, and returns the version that the move is made from; `None` if it is deleted.
fn move_one(
    draft: &mut Draft<'_>,
    key: &Key,
    target: &Target,
    places: &Places,
    session: &Session,
) -> Result<Option<Choice>, MergeError> {
    if !draft.exists() {
        return Ok(None);
    }
    let choice = session.present(draft, key);
    let stored = place_of(key, &draft.view()?.value);
    let place = target
        .of(&stored, places)
        .map_err(|error| MergeError::Refused { why: error.to_string() })?;
    let mut patch = Map::new();
    if place.wing != stored.wing {
        patch.insert("wing".to_owned(), json!(place.wing));
    }
    if place.room != stored.room {
        patch.insert("room".to_owned(), json!(place.room));
    }
    if !patch.is_empty() {
        draft.patch(&patch)?;
    }
    Ok(Some(choice))
}
