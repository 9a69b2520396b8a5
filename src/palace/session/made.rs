//! Makes a client's write of a document, and finds what its answer has to tell.

use super::choice::{Choice, Sent};
use super::distance::{named, named_by};
use super::own_values::OwnValues;
use super::told_numbers::ToldNumbers;
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::merge::{MergeError, View, Written};
use crate::palace::view::document::Document;
use crate::palace::write::draft::Draft;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Characters of the value that a write replaced, in the record of a call that is made once.
const REPLACED_CHARS: usize = 600;

/// The value of a write.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    Whole(&'a Map<String, Value>),
    /// The value of an earlier version, to be written over the present one.
    Earlier(&'a Map<String, Value>),
    Patch(&'a Map<String, Value>),
}

impl<'a> Wanted<'a> {
    pub fn sent(self) -> Sent<'a> {
        match self {
            Wanted::Whole(value) | Wanted::Earlier(value) => Sent::Whole(value),
            Wanted::Patch(patch) => Sent::Patch(patch),
        }
    }

    fn write(
        &self,
        draft: &mut Draft<'_>,
        choice: &Choice,
        told: &ToldNumbers,
    ) -> std::result::Result<(), MergeError> {
        let base = if told.is_empty() { None } else { Some(draft.view_at(&choice.from)?.value) };
        let meant = |sent| match &base {
            Some(base) => Cow::Owned(told.meant(base, sent)),
            None => Cow::Borrowed(sent),
        };
        match *self {
            Wanted::Whole(value) => draft.put_object(&meant(value)),
            Wanted::Earlier(value) => draft.put_object(value),
            Wanted::Patch(patch) => draft.patch_object(&meant(patch)),
        }
    }

    /// Returns what the write replaces of a document, if anything.
    fn replaced(&self, mut before: View, own: &OwnValues) -> Option<View> {
        if self.sent().distance(&before).is_zero() {
            return None;
        }
        let (Wanted::Whole(sent) | Wanted::Earlier(sent) | Wanted::Patch(sent)) = *self;
        let part = match self {
            Wanted::Patch(patch) => named(before.value.clone(), patch),
            _ => before.value.clone(),
        };
        let replaces = |name: &str| {
            part.get(name).is_some_and(|kept| own.replaces_others(name, kept, sent.get(name)))
        };
        if let Wanted::Patch(_) = self {
            before.value.retain(|name, _| replaces(name));
        } else if !before.value.keys().any(|name| replaces(name)) {
            return None;
        }
        (!before.value.is_empty()).then_some(before)
    }

    /// Returns the values that the client gives to the fields that it names, of a document of which it may not know the
    /// rest; `None` if it knows all of it.
    pub fn values(self) -> Option<Cow<'a, Map<String, Value>>> {
        match self {
            // Of an earlier version, the client has named the version and may not know the value.
            Wanted::Whole(_) | Wanted::Earlier(_) => None,
            Wanted::Patch(patch) => Some(Cow::Owned(named_by(patch))),
        }
    }
}

/// The part of a result that is known before the commit.
pub(super) struct Made {
    pub choice: Choice,
    pub merged: Option<Document>,
    pub unread: Option<Document>,
    pub replaced_unseen: Option<Document>,
    pub undeleted: Option<Written>,
    /// The version that has the patch and what the client came to know last, if the patch does not build on that.
    pub joined: Option<Heads>,
}

impl Made {
    /// Returns what a repeated call answers with. Of what was replaced it has the beginning.
    pub fn answer(&self, draft: &Draft<'_>) -> Value {
        let replaced = self.replaced_unseen.as_ref().map(|replaced| {
            let text = Value::Object(replaced.value.clone()).to_string();
            let text: String = text.chars().take(REPLACED_CHARS).collect();
            json!({"etag": replaced.etag, "modified": replaced.modified, "text": text})
        });
        json!({
            "etag": draft.own_version().etag(),
            "changed": draft.is_changed(),
            "merged": self.merged.is_some(),
            "replaced_unseen": replaced,
            "undeleted": self.undeleted,
        })
    }
}

/// Makes the write of a draft that builds on the chosen version.
pub(super) fn make(
    draft: &mut Draft<'_>,
    key: &Key,
    wanted: Wanted<'_>,
    choice: Choice,
    (told, own): (&ToldNumbers, &OwnValues),
) -> std::result::Result<Made, MergeError> {
    let choice = match wanted {
        Wanted::Earlier(_) => choice.of_unread_value(),
        _ => choice,
    };
    let is_deleted = !choice.present.is_empty() && !draft.exists();
    let hidden = if is_deleted { Some(draft.view()?) } else { None };
    let before = if choice.unseen { Some(draft.view_at(&choice.from)?) } else { None };
    if is_deleted
        && choice.is_behind()
        && wanted.sent().distance(&draft.view_at(&choice.from)?).is_zero()
    {
        // A value that is the same as before the delete changes nothing there, and has to come back all the same.
        draft.build_on(choice.present.clone());
    }
    wanted.write(draft, &choice, told)?;
    let undeleted = hidden.filter(|_| !choice.is_own && draft.exists());
    let undeleted = undeleted.and_then(|hidden| hidden.modified);
    let document = |heads, view| Document::of(key.clone(), heads, view, false);
    let replaced = before.and_then(|before| wanted.replaced(before, own));
    let replaced_unseen = replaced.and_then(|view| document(choice.from.clone(), view));
    // What is made from the present version shows what was sent.
    let after = if choice.is_behind() { Some(draft.view()?) } else { None };
    let merged = after.filter(|after| !wanted.sent().distance(after).is_zero());
    let merged = merged.and_then(|after| document(draft.version(), after));
    let latest = choice.latest.as_ref().filter(|_| matches!(wanted, Wanted::Patch(_)));
    let beside = latest.filter(|latest| !draft.includes(&choice.from, latest));
    let joined = beside.map(|latest| draft.join(latest, &draft.own_version()));
    let is_part = !matches!(wanted, Wanted::Whole(_));
    let unread = if is_part && merged.is_none() && choice.is_to_be_shown() {
        document(draft.version(), draft.view()?)
    } else {
        None
    };
    Ok(Made { choice, merged, unread, replaced_unseen, undeleted, joined })
}
