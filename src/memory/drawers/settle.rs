//! Settles conflicts of drawers.
//!
//! Invariants: settling changes the field, or the part of the text, that is in conflict, and nothing else. The drawer
//! stays one that could have been filed: its text and its place are within their limits.

use super::change::Changed;
use super::drawer::{place_of, shown};
use super::file;
use super::handle::{Drawers, no_drawer};
use super::place::{Place, name};
use super::settled::settled;
use super::update::note_move;
use crate::format::hash::Etag;
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::merge::{Conflict, MergeError, View};
use crate::palace::{Choice, Condition, Document, Draft, Error, Session};
use serde_json::{Map, Value};

impl Drawers {
    /// Settles one conflict of a drawer: its field, or its part of the text, is `value` from now on. All other edits of
    /// the drawer stay, and its other conflicts stay open.
    ///
    /// `value` is one of the readings of the conflict, or another one. For a part of a text, it is a string that stands
    /// in place of that part. With `if_match`, nothing is settled if the drawer has another version.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "Sign with RSA.\nDeploy on Mondays.")?;
    /// let filed = drawers.file(&[item])?.remove(0);
    /// let base = filed.etag.parse()?;
    /// // Two clients that read the same text:
    /// for text in ["Sign with Ed25519.\nDeploy on Mondays.", "Sign with ECDSA.\nDeploy on Fridays."] {
    ///     drawers.update(&filed.id, Change { content: Some(text), base: Some(&base), ..Change::default() })?;
    /// }
    /// let conflict = drawers.get(&filed.id)?.conflicts.remove(0);
    /// let settled = drawers.settle(&filed.id, &conflict, &"Sign with Ed25519.".into(), None)?;
    /// assert_eq!(settled.drawer.content, "Sign with Ed25519.\nDeploy on Fridays.");
    /// assert!(settled.drawer.conflicts.is_empty());
    /// assert!(drawers.settle(&filed.id, &conflict, &"again".into(), None).is_err()); // it is settled
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NoDrawer`], [`MemoryError::NoConflict`] if the drawer does not have this conflict now,
    /// [`MemoryError::ConflictsChanged`] if it has another version than `if_match`, [`MemoryError::Argument`] if the
    /// text or the place would be over a limit, and errors of the palace; then nothing was settled.
    pub fn settle(
        &self,
        id: &str,
        conflict: &Conflict,
        value: &Value,
        if_match: Option<&Etag>,
    ) -> Result<Changed> {
        let Document { key, value: before, .. } =
            self.document(id)?.ok_or_else(|| no_drawer(id))?;
        let place = settled_place(&key, &before, conflict, value)?;
        let session = self.session();
        let mut settling =
            Settling { key: &key, conflict, value, session: &session, refused: None, left: None };
        let mut batch = self.palace.with(self.options()).batch();
        let write = |draft: &mut Draft<'_>| settling.apply(draft);
        match if_match.cloned().map(Condition::Match) {
            Some(condition) => batch.write_if(key.clone(), condition, write),
            None => batch.write(key.clone(), write),
        };
        note_move(&mut batch, &key, id, &place)?;
        let committed = batch.commit();
        let (refused, left) = (settling.refused, settling.left);
        let outcomes = match (committed, refused) {
            (Err(Error::Document { .. }), Some(refused)) => return Err(refused),
            (Err(error), _) => return Err(why_not_settled(id, error, &session)),
            (Ok(receipt), _) => receipt.outcomes,
        };
        let Some((outcome, left)) = outcomes.into_iter().next().zip(left) else {
            return Err(no_drawer(id));
        };
        session.wrote(&key, &left.choice, &outcome, false);
        let unread = left.choice.is_to_be_shown();
        let mut drawer = shown(&key, outcome.current, left.view);
        drawer.place = self.shown_or_stored(drawer.place);
        Ok(Changed {
            drawer,
            etag: outcome.etag.to_string(),
            changed: outcome.changed,
            settled: left.settled,
            merged: false,
            unread,
            beside: false,
            replaced_unseen: None,
            undeleted: None,
        })
    }
}

/// Returns the place of the drawer once the conflict is settled.
///
/// # Errors
/// [`MemoryError::Argument`] if the value cannot name the wing or room that it is for.
fn settled_place(
    key: &Key,
    before: &Map<String, Value>,
    conflict: &Conflict,
    value: &Value,
) -> Result<Place> {
    let place = place_of(key, before);
    match conflict.path.as_str() {
        "/wing" => Place::new(named("wing", value)?, &place.room),
        "/room" => Place::new(&place.wing, named("room", value)?),
        _ => Ok(place),
    }
}

fn named<'a>(field: &'static str, value: &'a Value) -> Result<&'a str> {
    let text = value.as_str().ok_or_else(|| MemoryError::argument(field, "pass a text"))?;
    // A settled name is written as it is given.
    match name(field, text)? == text {
        true => Ok(text),
        false => Err(MemoryError::argument(field, "pass the name without spaces around it")),
    }
}

/// Returns the error for a commit that failed.
fn why_not_settled(id: &str, error: Error, session: &Session) -> MemoryError {
    let id = id.to_owned();
    match error {
        Error::EtagMismatch { current: Some(now), .. } => {
            // The error names this version, so that a delete is compared with it.
            session.saw_some(&now.key, &now.heads);
            MemoryError::ConflictsChanged { id, etag: now.etag.to_string() }
        }
        Error::EtagMismatch { current: None, .. } => no_drawer(&id),
        Error::Document { source: MergeError::NoConflict { path }, .. } => {
            MemoryError::NoConflict { id, path }
        }
        error => error.into(),
    }
}

/// A conflict that is being settled.
struct Settling<'a> {
    key: &'a Key,
    conflict: &'a Conflict,
    value: &'a Value,
    session: &'a Session,
    refused: Option<MemoryError>,
    left: Option<Left>,
}

/// The drawer after the conflict was settled.
struct Left {
    choice: Choice,
    view: View,
    settled: Vec<Conflict>,
}

impl Settling<'_> {
    fn apply(&mut self, draft: &mut Draft<'_>) -> Result<(), MergeError> {
        // A client that has seen only the conflict has not read the text around it.
        let choice = self.session.present(draft, self.key);
        let before = draft.view()?;
        draft.settle(self.conflict, self.value)?;
        let view = draft.view()?;
        if let Err(error) = self.check_content(&before, &view) {
            self.refused = Some(error);
            return Err(MergeError::Refused { why: "the text is over a limit".to_owned() });
        }
        let settled = settled(before.conflicts.into_iter(), &view);
        self.left = Some(Left { choice, view, settled });
        Ok(())
    }

    /// Checks that a settled text can be filed.
    fn check_content(&self, before: &View, after: &View) -> Result<()> {
        if self.conflict.path != "/content" {
            return Ok(());
        }
        let text = after.value.get("content").and_then(Value::as_str);
        let text = text.ok_or_else(|| MemoryError::argument("text", "pass a text"))?;
        let was = before.value.get("content").and_then(Value::as_str).unwrap_or_default();
        // Texts that merged may be over the limit together, and settling has to be possible all the same.
        let is_shorter = text.len() <= was.len() && !text.trim().is_empty();
        if is_shorter { Ok(()) } else { file::checked("text", text).map(drop) }
    }
}
