//! Changes and moves drawers.
//!
//! Invariants: an id stays valid, whatever changes in its drawer. Two processes that change different fields of one
//! drawer both keep their work; if they write its text at once, both texts can be seen. A change that was made from an
//! older version is concurrent with everything since, and brings back a drawer that was deleted since. With
//! `if_match`, a change is written only if it was made from the newest version.

use super::change::{Change, Changed, DrawerVersion, mismatch};
#[cfg(feature = "mcp")]
use super::drawer::Drawer;
use super::drawer::{place_of, shown};
use super::file;
use super::handle::{Drawers, no_drawer};
use super::place::{Place, moved_key, name, parts};
use super::places::Places;
use super::settled::settled;
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::merge::{Conflict, MergeError, View, Written};
use crate::palace::distance::to_patch;
use crate::palace::{Batch, Choice, Condition, Document, Draft, Error, Outcome, Sent, Session};
use serde_json::{Map, Value, json};

impl Drawers {
    /// Changes the text of a drawer, moves it, or both. Its id stays the same.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let content = Some("We sign tokens with Ed25519.");
    /// let changed = drawers.update(&id, Change { content, room: Some("crypto"), ..Change::default() })?;
    /// assert_eq!(changed.drawer.content, "We sign tokens with Ed25519.");
    /// assert_eq!((changed.drawer.id.as_str(), changed.drawer.place.room.as_str()), (id.as_str(), "crypto"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NoDrawer`], [`MemoryError::EtagMismatch`], [`MemoryError::NoVersion`] if `base` is none of the
    /// drawer's, [`MemoryError::Argument`], and errors of the palace; then nothing was written.
    pub fn update(&self, id: &str, change: Change<'_>) -> Result<Changed> {
        let (key, value) = match self.document(id)? {
            Some(Document { key, value, .. }) => (key, value),
            None if change.if_match.is_some() => return Err(no_drawer(id)),
            None => (self.deleted_key(id)?.ok_or_else(|| no_drawer(id))?, Map::new()),
        };
        if value.contains_key("agent") {
            return Err(of_a_diary(id));
        }
        let (patch, place) = patch(&place_of(&key, &value), change, &*self.known_places()?)?;
        let session = self.session();
        let mut update = Update {
            key: &key,
            patch: &patch,
            change,
            session: &session,
            undeletes: self.session.is_some(),
            refused: None,
            left: None,
        };
        let mut batch = self.palace.with(self.effect()).batch();
        let write = |draft: &mut Draft<'_>| update.apply(draft);
        match change.if_match.cloned().map(Condition::Match) {
            Some(condition) => batch.write_if(key.clone(), condition, write),
            None => batch.write(key.clone(), write),
        };
        note_move(&mut batch, &key, id, &place)?;
        let committed = batch.commit();
        let (refused, left) = (update.refused, update.left);
        let outcomes = match (committed, refused) {
            (Err(Error::Document { .. }), Some(refused)) => return Err(refused.error(id, change)),
            (Err(Error::EtagMismatch { current, .. }), _) => {
                return Err(mismatch(id, current, &patch, &session));
            }
            (result, _) => result?.outcomes,
        };
        // The answer shows the drawer as this change left it, not as it is now. A client that passes this version back
        // has not seen later writes. And nothing is read after the commit, because a call that was written must not
        // fail.
        let Some((outcome, left)) = outcomes.into_iter().next().zip(left) else {
            return Err(no_drawer(id));
        };
        session.wrote(&key, &left.choice, &outcome, change.content.is_some());
        let unread = change.content.is_none() && left.choice.is_to_be_shown();
        let mut changed = Changed { unread, ..left.changed(&key, &patch, outcome) };
        changed.drawer.place = self.shown_or_stored(changed.drawer.place);
        Ok(changed)
    }
}

#[cfg(feature = "mcp")]
impl Drawer {
    /// Checks that the drawer can be changed.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if it is an entry of a diary.
    pub(crate) fn check_changeable(&self) -> Result<()> {
        if self.diary.is_some() { Err(of_a_diary(&self.id)) } else { Ok(()) }
    }
}

fn of_a_diary(id: &str) -> MemoryError {
    let why = format!("{id} is a diary entry, which cannot be changed: write another entry");
    MemoryError::argument("drawer_id", why)
}

/// Checks the fields to change, and returns them with the place that the drawer will have.
fn patch(
    place: &Place,
    change: Change<'_>,
    places: &Places,
) -> Result<(Map<String, Value>, Place)> {
    let mut patch = Map::new();
    if let Some(content) = change.content {
        patch.insert("content".to_owned(), json!(file::checked("content", content)?));
    }
    let named = |field, given: Option<&str>| given.map(|text| name(field, text)).transpose();
    let (wing, room) = (named("wing", change.wing)?, named("room", change.room)?);
    // In another wing, a room keeps the name that it has, not the one that its drawers were filed under.
    let kept = || wing.is_some().then(|| places.renamed_room(place).clone());
    let room = room.or_else(kept);
    let given =
        Place::new(wing.as_ref().unwrap_or(&place.wing), room.as_ref().unwrap_or(&place.room))?;
    let place = spelled_as(place, given, places);
    patch.extend(wing.map(|_| ("wing".to_owned(), json!(place.wing))));
    patch.extend(room.map(|_| ("room".to_owned(), json!(place.room))));
    if patch.is_empty() {
        let why = "there is nothing to change: pass at least one of content, wing and room";
        return Err(MemoryError::argument("content", why));
    }
    Ok((patch, place))
}

/// Returns the place to move a drawer to, with the stored names as far as it stays where it is: another spelling is no
/// move.
pub(super) fn spelled_as(stored: &Place, mut given: Place, places: &Places) -> Place {
    if places.renames.wing(&given.wing) == places.renames.wing(&stored.wing) {
        given.wing.clone_from(&stored.wing);
    }
    if places.is_same(&given, stored) { stored.clone() } else { given }
}

/// Notes that a drawer is not in the place where it was filed, if so.
pub(super) fn note_move(batch: &mut Batch<'_>, key: &Key, id: &str, place: &Place) -> Result<()> {
    if !is_at(key, place) {
        let moved = moved_key(key)?;
        // Filing the note by its content lets two processes that move the drawer at once write the same document.
        let note = Map::from_iter([("drawer".to_owned(), json!(id))]);
        batch.write(moved.clone(), move |draft| draft.file(&moved, &note));
    }
    Ok(())
}

/// Tells whether a drawer is in the place where it was filed.
fn is_at(key: &Key, place: &Place) -> bool {
    parts(key).is_some_and(|(wing, room, _)| wing == place.wing && room == place.room)
}

/// Why a change was not made. The error of the closure stops the whole commit, with the note of a move.
#[derive(Clone, Copy)]
enum Refused {
    Gone,
    OfADiary,
    NoVersion,
}

impl Refused {
    fn error(self, id: &str, change: Change<'_>) -> MemoryError {
        match self {
            Refused::Gone => no_drawer(id),
            Refused::OfADiary => of_a_diary(id),
            Refused::NoVersion => {
                let version = change.base.map(ToString::to_string).unwrap_or_default();
                MemoryError::NoVersion { id: id.to_owned(), version }
            }
        }
    }
}

/// A change that is being made.
struct Update<'a> {
    key: &'a Key,
    patch: &'a Map<String, Value>,
    change: Change<'a>,
    session: &'a Session,
    /// True if a client that has not seen the drawer brings it back.
    undeletes: bool,
    refused: Option<Refused>,
    left: Option<Left>,
}

/// The drawer after the change.
struct Left {
    choice: Choice,
    view: View,
    settled: Vec<Conflict>,
    replaced_unseen: Option<DrawerVersion>,
    undeleted: Option<Written>,
}

impl Left {
    fn changed(self, key: &Key, patch: &Map<String, Value>, outcome: Outcome) -> Changed {
        let beside = self.choice.is_behind();
        let merged = beside && !to_patch(&self.view.value, patch).is_zero();
        Changed {
            drawer: shown(key, outcome.current, self.view),
            etag: outcome.etag.to_string(),
            changed: outcome.changed,
            settled: self.settled,
            merged,
            unread: false,
            beside,
            replaced_unseen: self.replaced_unseen,
            undeleted: self.undeleted,
        }
    }
}

impl Update<'_> {
    /// Applies the patch to the version that the change was made from.
    fn apply(&mut self, draft: &mut Draft<'_>) -> Result<(), MergeError> {
        let made = self.apply_or_refuse(draft)?;
        self.left = Some(made.map_err(|refused| {
            self.refused = Some(refused);
            MergeError::Refused { why: "it cannot be changed".to_owned() }
        })?);
        Ok(())
    }

    fn apply_or_refuse(&self, draft: &mut Draft<'_>) -> Result<Result<Left, Refused>, MergeError> {
        let Some(mut choice) = self.choice(draft)? else { return Ok(Err(Refused::NoVersion)) };
        let hidden = if draft.exists() { None } else { Some(draft.view()?) };
        let mut before = draft.view_at(&choice.from)?;
        if before.deleted {
            let Some(from) = self.version_to_bring_back(draft, &choice) else {
                return Ok(Err(Refused::Gone));
            };
            (choice.from, choice.unseen) = (from.clone(), true);
            draft.build_on(from);
            before = draft.view_at(&choice.from)?;
        }
        if before.deleted || before.value.is_empty() {
            return Ok(Err(Refused::Gone));
        }
        if before.value.contains_key("agent") {
            return Ok(Err(Refused::OfADiary));
        }
        self.write(draft, hidden.is_some(), &before)?;
        let undeleted = hidden.filter(|_| !choice.is_own).and_then(|hidden| hidden.modified);
        let view = draft.view()?;
        let named = before.conflicts.iter().filter(|one| self.names(one));
        let settled = settled(named.cloned(), &view);
        let replaced_unseen = self.replaces(&before) && choice.unseen;
        let replaced_unseen = replaced_unseen.then(|| DrawerVersion::new(&choice.from, before));
        Ok(Ok(Left { view, choice, settled, replaced_unseen, undeleted }))
    }

    /// Returns the version that the change is made from; `None` if it names one that there is not.
    fn choice(&self, draft: &mut Draft<'_>) -> Result<Option<Choice>, MergeError> {
        match (self.change.base, self.change.if_match) {
            (Some(base), _) => {
                let Some(base) = draft.resolve(base) else { return Ok(None) };
                draft.build_on(base);
                Ok(Some(self.session.named(draft, self.key, true)))
            }
            (None, Some(_)) => Ok(Some(self.session.named(draft, self.key, false))),
            (None, None) => self.session.choose(draft, self.key, Sent::Patch(self.patch)).map(Some),
        }
    }

    /// Returns the version to change if the chosen one is a delete; `None` if the drawer stays deleted.
    fn version_to_bring_back(&self, draft: &Draft<'_>, choice: &Choice) -> Option<Heads> {
        match draft.before_delete() {
            // Another client brought it back after this one had deleted it.
            None => Some(choice.present.clone()),
            Some(before) => (self.undeletes && !choice.is_own).then_some(before),
        }
    }

    fn write(&self, draft: &mut Draft<'_>, hidden: bool, before: &View) -> Result<(), MergeError> {
        if hidden && to_patch(&before.value, self.patch).is_zero() {
            // A change that changes nothing there has to bring the drawer back all the same.
            draft.build_on(draft.version());
            return draft.put(&before.value);
        }
        draft.revise(self.patch)
    }

    /// Returns true if the change names the field of this conflict.
    fn names(&self, conflict: &Conflict) -> bool {
        self.patch.keys().any(|field| conflict.path == format!("/{field}"))
    }

    /// Returns true if the change replaces this text by another one.
    fn replaces(&self, before: &View) -> bool {
        let content = self.patch.get("content");
        content.is_some() && content != before.value.get("content")
    }
}
