//! Documents as bytes: saved, loaded, and applied and saved in one go.

use super::chunk::{check_document, says_change};
use super::doc::Doc;
use super::error::MergeError;
use super::panic_guard::catch_panic;
use automerge::{Automerge, ReadDoc, SaveOptions};
use std::collections::BTreeMap;

impl Doc {
    /// Reads what [`Doc::save`] or [`Doc::apply_and_save`] wrote.
    ///
    /// # Errors
    /// If the bytes are neither exactly one document chunk with a right checksum, whose heads follow
    /// from its content, nor one change that depends on no other.
    pub fn load(saved: &[u8]) -> Result<Self, MergeError> {
        let not = |why: String| MergeError::NotADocument { why };
        if saved.is_empty() {
            return Err(not("no bytes".to_owned()));
        }
        if says_change(saved) {
            let mut doc = Doc::new();
            if let Some((_, error)) = doc.apply([saved]).rejected.into_iter().next() {
                return Err(error);
            }
            let waits = || not("a change that depends on another".to_owned());
            return doc.pending.is_empty().then_some(doc).ok_or_else(waits);
        }
        let size = check_document(saved).map_err(|error| not(error.to_string()))?;
        let loaded = catch_panic(|| Automerge::load(saved))?;
        let am = loaded.map_err(|error| not(error.to_string()))?;
        if !am.get_missing_deps(&[]).is_empty() {
            return Err(not("changes without their dependencies follow it".to_owned()));
        }
        Ok(Doc { am: Box::new(am), size, pending: BTreeMap::new() })
    }

    /// All applied changes as one Automerge document chunk, not compressed. PendingChange changes are not
    /// in it: keep [`Doc::pending`] beside it. Equal documents may have different bytes; compare
    /// heads.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.am.save_with_options(SaveOptions { deflate: false, retain_orphans: false })
    }

    /// Adds raw changes and saves the result. The document that comes back was made from the saved
    /// bytes, as [`Doc::load`] would. `None` if anything was refused on the way: [`Doc::apply`] tells
    /// what. A document of a single change is saved as that change: it has been shown to load, and
    /// most documents are such.
    pub fn apply_and_save<'a>(
        self,
        changes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<(Self, Vec<u8>)> {
        let changes: Vec<&[u8]> = changes.into_iter().collect();
        let blank = self.heads().is_empty() && self.pending.is_empty();
        let doc = self.apply_without_copy(changes.iter().copied())?;
        if let (true, true, [only]) = (blank, doc.pending.is_empty(), changes.as_slice()) {
            return Some((doc, only.to_vec()));
        }
        let saved = doc.save();
        let loaded = Doc::load(&saved).ok()?;
        let same = loaded.heads() == doc.heads();
        same.then_some((Doc { pending: doc.pending, ..loaded }, saved))
    }
}
