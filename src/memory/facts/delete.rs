//! Deletes facts.
//!
//! Invariant: a delete hides a fact from queries, counts and search, and keeps its history. Whatever another process
//! wrote to the fact without having seen the delete brings it back: an assertion, an end, a source.

use super::fact::fact_key;
use super::handle::Facts;
use crate::memory::error::{MemoryError, Result};

/// Result of [`Facts::delete`].
///
/// ```
/// # use crdt_palace::memory::facts::{Facts, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// let fact = facts.assert(&Triple::new("Ada", "works_at", "Acme")?, None, None, None)?.fact;
/// let (deleted, again) = (facts.delete(&fact.id)?, facts.delete(&fact.id)?);
/// assert!(deleted.changed && !again.changed);
/// assert_eq!(deleted.etag, again.etag);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedFact {
    /// The version of the fact after the delete.
    pub etag: String,
    /// False if it was deleted before.
    pub changed: bool,
}

impl Facts {
    /// Deletes a fact: hides it, as if it had never been asserted. To delete it again is no error, and changes nothing.
    ///
    /// A fact that has ended needs no delete. To assert the fact again brings it back. So does an end that another
    /// process notes at the same moment.
    ///
    /// ```
    /// # use crdt_palace::memory::facts::{Facts, Triple};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
    /// let key = Triple::new("door", "has_code", "4711")?;
    /// let fact = facts.assert(&key, Some("2026-03-01"), None, None)?.fact;
    /// facts.delete(&fact.id)?;
    /// assert_eq!((facts.count()?, facts.stats()?.facts), (0, 0));
    /// let again = facts.assert(&key, Some("2026-03-01"), None, None)?;
    /// assert_eq!((again.new, again.fact.id), (true, fact.id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NoFactId`] if no fact ever had this id, and errors of the palace; then nothing was written.
    pub fn delete(&self, id: &str) -> Result<DeletedFact> {
        let unknown = || MemoryError::NoFactId { id: id.chars().take(100).collect() };
        let key = fact_key(id).ok_or_else(unknown)?;
        // The read rescans, so that what other processes have written is known.
        if self.palace.get(key.as_str())?.is_none() && !self.palace.has_history(&key)? {
            return Err(unknown());
        }
        let written =
            self.palace.with(self.options()).write(key.as_str(), |draft| draft.delete())?;
        Ok(DeletedFact { etag: written.etag.to_string(), changed: written.changed })
    }
}
