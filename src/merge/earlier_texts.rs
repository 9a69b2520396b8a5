//! The texts of earlier versions that were read for one view: several pairs of concurrent texts have one in common.

use automerge::{ChangeHash, ObjId};
use std::cell::RefCell;
use std::collections::HashMap;

/// A field of a map at an earlier version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EarlierField {
    pub version: Vec<ChangeHash>,
    pub map: ObjId,
    pub key: String,
    /// Number of versions that this one was reached through. Texts are merged through no more than so many.
    pub ancestor: usize,
}

/// The texts that were read at earlier versions. A field that shows no text has `None`.
#[derive(Debug, Default)]
pub(super) struct EarlierTexts(RefCell<HashMap<EarlierField, Option<String>>>);

impl EarlierTexts {
    /// Returns the text of a field at an earlier version, which is read once.
    pub fn text(
        &self,
        field: EarlierField,
        read: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        let known = self.0.borrow().get(&field).cloned();
        known.unwrap_or_else(|| {
            let text = read();
            self.0.borrow_mut().insert(field, text.clone());
            text
        })
    }
}
