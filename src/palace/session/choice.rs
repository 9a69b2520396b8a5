//! The version that a client's write is made from.
//!
//! Invariant: the choice is made under the writer's lock, with the document as it then is. A version that the document
//! does not have is passed over.

use super::adopted::adopts;
use super::client::Session;
use super::distance::{Distance, between, named, named_by, to_patch};
use super::versions::Candidate;
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::merge::{MergeError, View};
use crate::palace::write::draft::Draft;
use crate::palace::write::request::Outcome;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// What a client sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent<'a> {
    /// The whole value of a document.
    Whole(&'a Map<String, Value>),
    /// A merge patch. What it does not name stays.
    Patch(&'a Map<String, Value>),
}

impl Sent<'_> {
    /// Returns the distance of a version from what is sent.
    pub fn distance(&self, from: &View) -> Distance {
        self.distance_from(&from.value)
    }

    fn distance_from(&self, from: &Map<String, Value>) -> Distance {
        match self {
            Sent::Whole(value) => between(from, value),
            Sent::Patch(patch) => to_patch(from, patch),
        }
    }

    /// Returns the part of a value that it is compared with.
    fn part_of(&self, value: Arc<Map<String, Value>>) -> Arc<Map<String, Value>> {
        match self {
            Sent::Whole(_) => value,
            Sent::Patch(patch) => Arc::new(named((*value).clone(), patch)),
        }
    }

    /// Returns the value that it gives to that part.
    fn value(&self) -> Cow<'_, Map<String, Value>> {
        match self {
            Sent::Whole(value) => Cow::Borrowed(value),
            Sent::Patch(patch) => Cow::Owned(named_by(patch)),
        }
    }
}

/// The version that a write is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The version.
    pub from: Heads,
    /// The present version before the write.
    pub present: Heads,
    /// True if it is the present version only because the client has read none whole, or if the client has named one as
    /// its base that it made without reading it.
    pub unseen: bool,
    /// True if the client does not know the whole value of the version that the write is made from.
    pub unread: bool,
    /// True if the client knows the whole value of no version.
    pub knows_none: bool,
    /// True if the present version is the client's own last write.
    pub is_own: bool,
    /// The version that the client came to know last, of those that it knows whole.
    pub latest: Option<Heads>,
}

impl Choice {
    /// Makes it a choice for a write of a value that its client has not read: that of an earlier version.
    pub fn of_unread_value(self) -> Self {
        Choice { unread: true, ..self }
    }

    /// Returns true if the answer to a write of a part is to carry the whole value. A client that knows another version
    /// whole may go on from that and not look at this one, so that it must not count as read.
    pub fn is_to_be_shown(&self) -> bool {
        self.unread && self.knows_none
    }

    /// Returns true if the write is concurrent with something.
    pub fn is_behind(&self) -> bool {
        self.from != self.present
    }
}

impl Session {
    /// Chooses the version from which a write is made, and makes the draft build on it: of those that the client knows
    /// whole, the one with the smallest distance; otherwise the present one.
    ///
    /// # Errors
    /// [`MergeError`] if a version cannot be shown.
    pub(crate) fn choose(
        &self,
        draft: &mut Draft<'_>,
        key: &Key,
        sent: Sent<'_>,
    ) -> Result<Choice, MergeError> {
        let present = draft.version();
        let known = self.versions(key);
        let known: Vec<_> = known.candidates().filter(|one| draft.contains(&one.heads)).collect();
        let is_own = known.iter().any(|one| one.own && one.heads == present);
        let latest = known.last().map(|one| one.heads.clone());
        let known = self.with_values(known, draft, key)?;
        let nearest = nearest(known, &present, draft, sent);
        let unseen = nearest.is_none() && !present.is_empty();
        let from = nearest.unwrap_or_else(|| present.clone());
        draft.build_on(from.clone());
        Ok(Choice { from, present, unseen, unread: unseen, knows_none: unseen, is_own, latest })
    }

    /// Adds the values of versions, and keeps those that were not kept yet. Nearly every client knows one version, for which
    /// nothing is compared.
    fn with_values(
        &self,
        mut known: Vec<Candidate>,
        draft: &mut Draft<'_>,
        key: &Key,
    ) -> Result<Vec<Candidate>, MergeError> {
        if known.len() < 2 {
            return Ok(known);
        }
        for one in known.iter_mut().filter(|one| one.value.is_none()) {
            let value = Arc::new(draft.view_at(&one.heads)?.value);
            self.note(key, |versions| versions.keep_value(&one.heads, &value));
            one.value = Some(value);
        }
        Ok(known)
    }

    /// Returns the version that the draft builds on, because the client named it: as its base, or in a condition.
    ///
    /// A base counts as read, also by another session. Only one that this client made itself, on something that it had not
    /// read, is not. A condition names what is to be replaced, and tells nothing of what was read.
    pub(crate) fn named(&self, draft: &Draft<'_>, key: &Key, is_base: bool) -> Choice {
        let (from, present) = (draft.base(), draft.version());
        let known = self.versions(key);
        let unread = match is_base {
            true => known.is_unread(&from),
            false => !from.is_empty() && !known.is_known_whole(&from),
        };
        let knows_none = known.candidates().next().is_none();
        Choice {
            from,
            present,
            unseen: is_base && unread,
            unread,
            knows_none,
            is_own: false,
            latest: None,
        }
    }

    /// Returns the present version, for a write that is made from that in any case.
    pub(crate) fn present(&self, draft: &Draft<'_>, key: &Key) -> Choice {
        let present = draft.version();
        let known = self.versions(key);
        let knows_none = known.candidates().next().is_none();
        let known: Vec<_> = known.candidates().filter(|one| one.heads == present).collect();
        let is_own = known.iter().any(|one| one.own);
        let unseen = known.is_empty() && !present.is_empty();
        let from = present.clone();
        Choice { from, present, unseen, unread: unseen, knows_none, is_own, latest: None }
    }

    /// Notes that the answer to a write carries the whole value of a version.
    pub(crate) fn saw_in_answer(&self, key: &Key, heads: &Heads) {
        self.note(key, |versions| versions.saw_in_answer(heads));
    }

    /// Notes that the client made a document, with a value that it knows.
    pub(crate) fn created(&self, key: &Key, outcome: &Outcome) {
        self.note(key, |versions| versions.wrote(&Heads::default(), &outcome.own, true));
    }

    /// Notes that the client deleted a document.
    pub(crate) fn deleted(&self, key: &Key, outcome: &Outcome) {
        self.note(key, |versions| versions.deleted(&outcome.own));
    }

    /// Notes a patch that was made from another version than the one that the client came to know last. `joined` has that
    /// one and the patch.
    pub(crate) fn patched_beside(
        &self,
        key: &Key,
        choice: &Choice,
        outcome: &Outcome,
        joined: &Heads,
    ) {
        self.note(key, |versions| versions.patched_beside(&choice.from, &outcome.own, joined));
    }

    /// Notes a write that was made. `is_whole` is true if the client named the whole value of the document.
    pub(crate) fn wrote(&self, key: &Key, choice: &Choice, outcome: &Outcome, is_whole: bool) {
        let knows_whole = is_whole || !choice.unread;
        self.note(key, |versions| versions.wrote(&choice.from, &outcome.own, knows_whole));
    }
}

/// A version that a write may be made from, and the value that it shows: of a patch, the part that it names.
struct Ranked {
    version: Candidate,
    value: Arc<Map<String, Value>>,
    distance: Distance,
}

impl Ranked {
    /// Returns true if the client sends the value of an earlier version again. It takes back its own edit: made from
    /// that version, the write would change nothing.
    fn is_taken_back(&self, present: &Heads) -> bool {
        self.distance.is_zero() && !self.version.own && self.version.heads != *present
    }

    /// Returns true if the client has read this version after an answer to its write, and its next write is no farther
    /// from it than from what it wrote or what the answer showed, or is that value again. It decides on what it has read,
    /// for example on a conflict with its own write.
    fn follows(&self, earlier: &Ranked, draft: &Draft<'_>) -> bool {
        let Candidate { own, answered, .. } = self.version;
        let is_as_near =
            self.distance.units() <= earlier.distance.units() || earlier.distance.is_zero();
        // An answer may have been lost. Then the client sends the same again, or goes on from what it sent. So only a
        // value that is nearer tells that it has seen the answer.
        !own && !answered
            && is_as_near
            && (earlier.version.own || earlier.version.answered)
            && draft.includes(&self.version.heads, &earlier.version.heads)
    }
}

/// Drops what only an answer showed, if the client sends nothing of it. It has lost that answer, or ignores it.
fn drop_lost_answers(ranked: &mut Vec<Ranked>, sent: Sent<'_>) {
    let is_answer = |one: &Ranked| one.version.answered && !one.version.own;
    let Some(own) = ranked.iter().find(|one| one.version.own) else { return };
    if !ranked.iter().any(is_answer) {
        return;
    }
    let (own, sent) = (own.value.clone(), sent.value());
    ranked.retain(|one| !is_answer(one) || adopts(&own, &one.value, &sent));
}

/// Returns the version with the smallest distance, of several the client's own last write or the one seen first.
fn nearest(
    mut known: Vec<Candidate>,
    present: &Heads,
    draft: &Draft<'_>,
    sent: Sent<'_>,
) -> Option<Heads> {
    if known.len() < 2 {
        return known.pop().map(|one| one.heads);
    }
    let ranked = known.into_iter().filter_map(|version| {
        let value = version.value.clone()?;
        Some(Ranked { distance: sent.distance_from(&value), value: sent.part_of(value), version })
    });
    let mut ranked: Vec<Ranked> = ranked.collect();
    drop_lost_answers(&mut ranked, sent);
    let own = ranked.iter().find(|one| one.version.own).map(|one| one.version.heads.clone());
    // What a client reads after its own write takes nothing back: it decides for what that shows, for example in a conflict.
    let is_later =
        |one: &Ranked| own.as_ref().is_some_and(|own| draft.includes(&one.version.heads, own));
    let is_taken_back = |one: &Ranked| one.is_taken_back(present) && !is_later(one);
    if !ranked.iter().all(is_taken_back) {
        ranked.retain(|one| !is_taken_back(one));
    }
    let is_followed = |one: &Ranked| {
        one.version.heads != *present && ranked.iter().any(|other| other.follows(one, draft))
    };
    let followed: Vec<bool> = ranked.iter().map(is_followed).collect();
    let ranked: Vec<Ranked> = ranked
        .into_iter()
        .zip(followed)
        .filter(|(_, followed)| !followed)
        .map(|(one, _)| one)
        .collect();
    // A client that replaces its own value is as near to every earlier one.
    let nearest = ranked.iter().min_by_key(|one| (one.distance, !one.version.own));
    let first = nearest?;
    // Of versions that show the same, the last one has the fewest changes beside it.
    let last = ranked.iter().rev().find(|one| one.value == first.value);
    last.map(|last| last.version.heads.clone())
}
