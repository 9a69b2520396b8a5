//! Finds the open places that changes list for the texts that they wrote.
//!
//! Trap: a change of another program may list anything. A place counts only if it lies within its text, and if all its
//! readings are of changes that the listing one builds on. Otherwise what is shown would depend on more than those.

use super::change_message::{Message, OpenText};
use super::common_version::CommonVersions;
use super::hashes::native;
use super::open_places::{OpenPlace, Reading};
use automerge::{Automerge, ChangeHash, ObjId};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The open places of the texts of one document.
pub(super) struct OpenTexts<'a> {
    am: &'a Automerge,
    common: &'a CommonVersions<'a>,
    /// Changes whose messages list open places.
    listing: HashSet<ChangeHash>,
    /// The texts that they list, once they were read. A message may list many.
    known: RefCell<HashMap<ChangeHash, Rc<[OpenText]>>>,
}

impl<'a> OpenTexts<'a> {
    /// Begins with a document that was not asked about yet.
    pub(super) fn new(am: &'a Automerge, common: &'a CommonVersions<'a>) -> Self {
        OpenTexts { am, common, listing: common.listing(), known: RefCell::default() }
    }

    /// Returns the places that are listed for the text that an operation wrote.
    pub(super) fn of(&self, operation: &ObjId) -> Vec<OpenPlace> {
        // Nearly no document has any.
        if self.listing.is_empty() {
            return Vec::new();
        }
        self.listed(operation).unwrap_or_default()
    }

    fn listed(&self, operation: &ObjId) -> Option<Vec<OpenPlace>> {
        let ObjId::Id(counter, ..) = operation else { return None };
        let change = self.am.hash_for_opid(operation)?;
        if !self.listing.contains(&change) {
            return None;
        }
        let number = counter.checked_sub(self.am.get_change_meta_by_hash(&change)?.start_op)?;
        let texts = self.texts(&change);
        texts.iter().find(|text| text.operation == number).map(|text| text.places.clone())
    }

    fn texts(&self, change: &ChangeHash) -> Rc<[OpenText]> {
        let known = self.known.borrow().get(change).cloned();
        known.unwrap_or_else(|| {
            let texts: Rc<[OpenText]> = self.read(change).unwrap_or_default().into();
            self.known.borrow_mut().insert(*change, texts.clone());
            texts
        })
    }

    fn read(&self, change: &ChangeHash) -> Option<Vec<OpenText>> {
        let message = self.am.get_change_meta_by_hash(change)?.message?;
        let mut texts = Message::open_texts(&message);
        let places = texts.iter().flat_map(|text| &text.places);
        let named: Vec<ChangeHash> = places.flat_map(OpenPlace::changes).map(native).collect();
        let seen = self.common.seen_by(change, named.iter())?;
        for text in &mut texts {
            text.places.retain(|place| seen.contains(&native(&place.shown)));
            for place in &mut text.places {
                place.others.retain(|Reading { change, .. }| seen.contains(&native(change)));
            }
        }
        Some(texts)
    }
}
