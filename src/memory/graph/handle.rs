//! The handle of the graph, and its commits.

use super::keys::entity_key;
use crate::format::key::Key;
use crate::memory::documents::confirm;
use crate::memory::error::Result;
use crate::palace::{Batch, Outcome, Palace, WriteOptions};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The knowledge graph of a palace. Cheap to clone.
///
/// ```
/// use crdt_palace::memory::{Entity, Memory};
/// use crdt_palace::palace::Palace;
///
/// let dir = tempfile::tempdir()?;
/// let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
/// let ada = Entity {
///     name: "Ada".into(),
///     entity_type: "person".into(),
///     observations: vec!["wrote the first program".into()],
/// };
/// assert_eq!(memory.create_entities(&[ada.clone()])?, [ada.clone()]);
/// assert_eq!(memory.search_nodes("FIRST program")?.entities, [ada]);
/// // Each entity is a document of the palace.
/// assert!(memory.palace().get("entity/Ada")?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    pub(super) palace: Palace,
    by: Option<String>,
    /// Most bytes of the graph that one read returns.
    pub(super) bytes_max: usize,
    /// The outcomes of writes through this handle, if they are recorded.
    written: Option<Arc<Mutex<Vec<Outcome>>>>,
}

impl Memory {
    /// Makes a handle of the graph in this palace. History names the palace's program as the writer.
    #[must_use]
    pub fn new(palace: Palace) -> Self {
        Memory { palace, by: None, bytes_max: usize::MAX, written: None }
    }

    /// Returns a handle of the same graph for a client. History names `by`, its name and version, as the writer.
    ///
    /// ```
    /// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// let ada = Entity { name: "Ada".into(), entity_type: "person".into(), observations: vec![] };
    /// memory.by(Some("some-client/2.0".into())).create_entities(&[ada])?;
    /// assert_eq!(memory.palace().history("entity/Ada")?[0].by, "some-client/2.0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn by(&self, by: Option<String>) -> Self {
        Memory { by, ..self.clone() }
    }

    /// Returns a handle of the same graph whose reads return at most so many bytes: of texts, and 64 for each of them.
    /// Reads that find more are [`MemoryError::GraphTooLarge`].
    ///
    /// ```
    /// # use crdt_palace::memory::{Entity, Memory, MemoryError};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// let text = "x".repeat(2_000);
    /// let ada = Entity { name: "Ada".into(), entity_type: "person".into(), observations: vec![text] };
    /// memory.create_entities(&[ada])?;
    /// let bounded = memory.at_most(1_000);
    /// assert!(matches!(bounded.read_graph(), Err(MemoryError::GraphTooLarge { limit: 1_000 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`MemoryError::GraphTooLarge`]: crate::memory::MemoryError::GraphTooLarge
    #[must_use]
    pub fn at_most(&self, bytes: usize) -> Self {
        Memory { bytes_max: bytes, ..self.clone() }
    }

    /// Returns a handle of the same graph that records the outcomes of its writes, for [`Memory::written`].
    ///
    /// ```
    /// # use crdt_palace::memory::Memory;
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// memory.noting().delete_entities(&["Ada".into()])?;
    /// assert!(memory.written().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn noting(&self) -> Self {
        Memory { written: Some(Arc::default()), ..self.clone() }
    }

    /// Returns the outcome of each write through this handle, since [`Memory::noting`] made it.
    ///
    /// ```
    /// # use crdt_palace::memory::{Entity, Memory};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// let noting = memory.noting();
    /// let ada = Entity { name: "Ada".into(), entity_type: "person".into(), observations: vec![] };
    /// noting.create_entities(&[ada])?;
    /// let written = noting.written();
    /// assert_eq!((written[0].key.as_str(), written[0].changed), ("entity/Ada", true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn written(&self) -> Vec<Outcome> {
        let written = self.written.iter().map(|w| w.lock().unwrap_or_else(PoisonError::into_inner));
        written.flat_map(|written| written.clone()).collect()
    }

    /// Returns the palace that the graph is in.
    #[must_use]
    pub fn palace(&self) -> &Palace {
        &self.palace
    }

    pub(super) fn options(&self) -> WriteOptions {
        WriteOptions { by: self.by.clone(), ..WriteOptions::new() }
    }

    /// Makes the commit, unless it has no writes.
    pub(super) fn commit(&self, batch: Batch<'_>, writes: usize) -> Result<Vec<Outcome>> {
        self.commit_with_absent(batch, writes, &[])
    }

    /// Makes the commit, like [`Memory::commit`], and confirms that the entities in `not_found` are absent.
    ///
    /// The answer rests on their absence, and the process that deleted them may not have made that durable yet.
    pub(super) fn commit_with_absent(
        &self,
        mut batch: Batch<'_>,
        writes: usize,
        not_found: &[String],
    ) -> Result<Vec<Outcome>> {
        // No document can have existed under a name that no entity can have.
        let keys: BTreeSet<Key> = not_found.iter().flat_map(|name| entity_key(name)).collect();
        if writes + keys.len() == 0 {
            return Ok(Vec::new());
        }
        confirm(&mut batch, keys);
        let mut outcomes = batch.commit()?.outcomes;
        // The callers know nothing of the writes that only confirm.
        outcomes.truncate(writes);
        if let Some(written) = &self.written {
            written.lock().unwrap_or_else(PoisonError::into_inner).extend(outcomes.iter().cloned());
        }
        Ok(outcomes)
    }
}
