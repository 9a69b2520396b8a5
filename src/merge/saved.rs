//! Documents as bytes: saved, loaded, and applied and saved in one go.

use super::chunk::{check_document, claims_to_be_a_change};
use super::doc::Doc;
use super::error::MergeError;
use super::panic_guard::catch_panic;
use super::size_bounds::DocSize;
use automerge::{Automerge, ReadDoc, SaveOptions};

impl Doc {
    /// Loads what [`Doc::save`] or [`Doc::apply_and_save`] wrote: one document chunk, or one change that depends on
    /// no other.
    ///
    /// # Errors
    /// [`MergeError::NotADocument`] if the bytes are neither, or if the heads do not follow from the content; the
    /// errors of [`Doc::apply`] for a change.
    pub fn load(saved: &[u8]) -> Result<Self, MergeError> {
        if saved.is_empty() {
            return Err(not_a_document("no bytes"));
        }
        if claims_to_be_a_change(saved) {
            let mut doc = Doc::new();
            if let Some((_, error)) = doc.apply([saved]).rejected.into_iter().next() {
                return Err(error);
            }
            let depends = || not_a_document("a change that depends on another");
            return doc.pending.is_empty().then_some(doc).ok_or_else(depends);
        }
        let size = checked_size(saved)?;
        // Trap: `load`, never `load_incremental`. Into an empty document that drops good changes behind a torn one,
        // and returns `Ok`.
        let loaded = catch_panic(|| Automerge::load(saved))?;
        let am = loaded.map_err(|error| not_a_document(&error.to_string()))?;
        // A document that was saved with its queue would bring changes that only Automerge's queue holds.
        if !am.get_missing_deps(&[]).is_empty() {
            return Err(not_a_document("changes without their dependencies follow it"));
        }
        Ok(Doc { am: Box::new(am), size, ..Doc::default() })
    }

    /// Saves all applied changes as one uncompressed Automerge document chunk.
    ///
    /// Pending changes are not in it: keep those of [`Doc::pending`] beside it. Equal documents may have different
    /// bytes, depending on the order of their changes, so compare heads.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.am.save_with_options(SaveOptions { deflate: false, retain_orphans: false })
    }

    /// Adds raw changes and saves the result. Returns `None` if anything was refused: [`Doc::apply`] tells what.
    ///
    /// The document that is returned was loaded from the saved bytes, which shows that they can be loaded. A document
    /// of a single change is saved as that change, as most documents are.
    pub fn apply_and_save<'a>(
        self,
        changes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<(Self, Vec<u8>)> {
        let changes: Vec<&[u8]> = changes.into_iter().collect();
        let blank = self.heads().is_empty() && self.pending.is_empty();
        let doc = self.apply_without_copy(changes.iter().copied())?;
        // Applying the only change to an empty document is what `load` would do with it.
        if let (true, true, [only]) = (blank, doc.pending.is_empty(), changes.as_slice()) {
            return Some((doc, only.to_vec()));
        }
        // Trap: Automerge can save documents that it cannot load. What is not loaded again here may never be.
        let saved = doc.save();
        let loaded = Doc::load(&saved).ok()?;
        let same = loaded.heads() == doc.heads();
        same.then_some((Doc { pending: doc.pending, prose: doc.prose, ..loaded }, saved))
    }
}

/// Checks the frame of a saved document, and returns the size of its history.
fn checked_size(saved: &[u8]) -> Result<DocSize, MergeError> {
    check_document(saved).map_err(|error| match error {
        MergeError::NotAChange { why } => not_a_document(why),
        MergeError::TooMany { what, count, limit } => not_a_document(&format!(
            "it expands to {count} {what}, and a document has at most {limit}"
        )),
        MergeError::Checksum => not_a_document("its checksum does not match its content"),
        other => not_a_document(&other.to_string()),
    })
}

fn not_a_document(why: &str) -> MergeError {
    MergeError::NotADocument { why: why.to_owned() }
}
