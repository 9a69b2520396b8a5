//! The versions of a document in the middle of a write, for a caller that chooses which one the write is made from.

use super::draft::Draft;
use crate::format::hash::{Etag, Heads};
use crate::merge::{MergeError, View};

impl Draft<'_> {
    /// Returns the version of the document with the changes made so far. Empty if it has no change.
    pub(crate) fn version(&self) -> Heads {
        match &self.doc {
            Some(doc) => doc.heads(),
            None => Heads::new(self.changes.iter().map(|change| change.hash).collect()),
        }
    }

    /// Returns the version that the next change builds on.
    pub(crate) fn base(&self) -> Heads {
        self.base.clone().unwrap_or_else(|| self.version())
    }

    /// Returns the version right after the last change, with only what that was made from.
    pub(crate) fn own_version(&self) -> Heads {
        if self.last.is_empty() { self.base() } else { self.last.clone() }
    }

    /// Returns the version that has the changes of both versions, and no others. The document must have both.
    pub(crate) fn join(&self, a: &Heads, b: &Heads) -> Heads {
        self.doc.as_ref().map_or_else(|| b.clone(), |doc| doc.join(a, b))
    }

    /// Makes the next change from this version, concurrent with everything since. If the document does not have it, that
    /// change is refused.
    pub(crate) fn build_on(&mut self, version: Heads) {
        self.base = (version != self.version()).then_some(version);
    }

    /// Returns true if the document has all changes of a version.
    pub(crate) fn contains(&self, version: &Heads) -> bool {
        !version.is_empty() && self.doc.as_ref().is_some_and(|doc| doc.contains_all(version))
    }

    /// Returns true if a version of the document has all changes of another one.
    pub(crate) fn includes(&self, version: &Heads, other: &Heads) -> bool {
        let since = self.doc.as_ref().map(|doc| doc.since(version)).unwrap_or_default();
        self.contains(other) && !other.hashes().iter().any(|change| since.contains(change))
    }

    /// Returns the version that an etag names; `None` if the document has no such version.
    pub(crate) fn resolve(&self, etag: &Etag) -> Option<Heads> {
        self.doc.as_ref().and_then(|doc| doc.resolve(etag))
    }

    /// Returns true if a change was made.
    pub(crate) fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Returns the version before the delete of a document that is deleted; `None` if it is not.
    pub(crate) fn before_delete(&self) -> Option<Heads> {
        let doc = self.doc.as_ref().filter(|doc| doc.is_deleted())?;
        Some(doc.before(&doc.heads()))
    }

    /// Returns the document as it was at a version.
    ///
    /// # Errors
    /// [`MergeError::UnknownVersion`] if the document does not have it.
    pub(crate) fn view_at(&mut self, version: &Heads) -> Result<View, MergeError> {
        let doc = self.doc()?;
        if doc.heads() == *version { Ok(doc.view()) } else { doc.view_at(version) }
    }
}
