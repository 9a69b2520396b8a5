//! A knowledge graph on a palace: entities with observations, and relations between them.
//!
//! Owns: how entities and relations become documents, and the rules of the nine operations of the
//! official reference memory server. Invariants: one operation is one commit; what two processes do
//! at the same time is united, nothing is lost; an observation is shown once however often it was
//! added; a relation is shown only while both of its entities are there. Must not know: who asks
//! (`mcp`, `cli`), and where the documents are.
//!
//! # The documents
//! * `entity/<name>` is `{"name", "entityType", "observations": [text, …]}`.
//! * `relation/<32 hex digits>` is `{"from", "to", "relationType"}`, filed by its content: whoever
//!   creates a relation makes the same document.

pub mod drawers;
pub mod facts;

mod error;
mod exchange;
mod keys;
#[cfg(feature = "mcp")]
#[doc(hidden)]
pub mod mempalace;
mod read;
mod when;
mod write;

pub use error::{MemoryError, Result};
pub use exchange::{BadLine, ImportReport};
pub use keys::{ENTITY_NAME_BYTES_MAX, is_of_graph};
pub use write::{DeletedEntities, DeletedObservations};

#[cfg(feature = "mcp")]
pub(crate) use when::{milliseconds, readable};

use crate::format::key::Key;
use crate::palace::keys::KEYS_MAX;
use crate::palace::read::PAGE_MAX;
use crate::palace::{Batch, Document, Outcome, Palace, WriteOptions};
use keys::entity_key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// A thing that something is known about.
///
/// ```
/// use crdt_palace::memory::Entity;
///
/// let text = r#"{"name":"Ada","entityType":"person","observations":["counts"]}"#;
/// let ada: Entity = serde_json::from_str(text)?;
/// assert_eq!((ada.entity_type.as_str(), ada.observations.len()), ("person", 1));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(rmcp::schemars::JsonSchema))]
#[cfg_attr(feature = "mcp", schemars(crate = "rmcp::schemars", inline, description = ""))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entity {
    /// The name of the entity
    pub name: String,
    /// The type of the entity
    pub entity_type: String,
    /// An array of observation contents associated with the entity
    pub observations: Vec<String>,
}

/// A directed link between two entities, in active voice.
///
/// ```
/// use crdt_palace::memory::Relation;
///
/// let knows: Relation = serde_json::from_str(r#"{"from":"Ada","to":"Bob","relationType":"knows"}"#)?;
/// assert_eq!(knows.relation_type, "knows");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(rmcp::schemars::JsonSchema))]
#[cfg_attr(feature = "mcp", schemars(crate = "rmcp::schemars", inline, description = ""))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Relation {
    /// The name of the entity where the relation starts
    pub from: String,
    /// The name of the entity where the relation ends
    pub to: String,
    /// The type of the relation
    pub relation_type: String,
}

/// Entities and relations: all of them, or those that a search found.
///
/// ```
/// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
/// # let named = |name: &str| Entity {
/// #     name: name.into(),
/// #     entity_type: "person".into(),
/// #     observations: vec![format!("is called {name}")],
/// # };
/// # memory.create_entities(&[named("Ada"), named("Bob")])?;
/// let graph = memory.read_graph()?;
/// let names: Vec<&str> = graph.entities.iter().map(|entity| entity.name.as_str()).collect();
/// assert_eq!(names, ["Ada", "Bob"]);
/// assert!(graph.relations.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(rmcp::schemars::JsonSchema))]
#[cfg_attr(feature = "mcp", schemars(crate = "rmcp::schemars", inline, description = ""))]
pub struct Graph {
    /// In the order of their names.
    pub entities: Vec<Entity>,
    /// In the order of their ends and types.
    pub relations: Vec<Relation>,
}

/// What to add to one entity.
///
/// ```
/// use crdt_palace::memory::Addition;
///
/// let addition: Addition = serde_json::from_str(r#"{"entityName":"Ada","contents":["counts"]}"#)?;
/// assert_eq!((addition.entity_name.as_str(), addition.contents.len()), ("Ada", 1));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(rmcp::schemars::JsonSchema))]
#[cfg_attr(feature = "mcp", schemars(crate = "rmcp::schemars", inline, description = ""))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Addition {
    /// The name of the entity to add the observations to
    pub entity_name: String,
    /// An array of observation contents to add
    pub contents: Vec<String>,
}

/// What was added to one entity.
///
/// ```
/// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
/// # let named = |name: &str| Entity {
/// #     name: name.into(),
/// #     entity_type: "person".into(),
/// #     observations: vec![format!("is called {name}")],
/// # };
/// # memory.create_entities(&[named("Ada"), named("Bob")])?;
/// let contents = vec!["counts".to_owned(), "is called Ada".to_owned()]; // it has the second one already
/// let added = memory.add_observations(&[Addition { entity_name: "Ada".into(), contents }])?;
/// assert_eq!(added[0].added_observations, ["counts"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(rmcp::schemars::JsonSchema))]
#[cfg_attr(feature = "mcp", schemars(crate = "rmcp::schemars", inline, description = ""))]
#[serde(rename_all = "camelCase")]
pub struct Added {
    /// The name of the entity
    pub entity_name: String,
    /// The observations that it did not have before
    pub added_observations: Vec<String>,
}

/// What to delete from one entity.
///
/// ```
/// use crdt_palace::memory::Deletion;
///
/// let deletion: Deletion = serde_json::from_str(r#"{"entityName":"Ada","observations":["counts"]}"#)?;
/// assert_eq!(deletion.observations, ["counts"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(rmcp::schemars::JsonSchema))]
#[cfg_attr(feature = "mcp", schemars(crate = "rmcp::schemars", inline, description = ""))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deletion {
    /// The name of the entity containing the observations
    pub entity_name: String,
    /// An array of observations to delete
    pub observations: Vec<String>,
}

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
    palace: Palace,
    by: Option<String>,
    /// What was written through it, if that is noted.
    written: Option<Arc<Mutex<Vec<Outcome>>>>,
}

impl Memory {
    /// The graph in this palace. History names the palace's program as the writer.
    #[must_use]
    pub fn new(palace: Palace) -> Self {
        Memory { palace, by: None, written: None }
    }

    /// The same graph; history names `by`, a client's name and version, as the writer.
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

    /// The same graph; what is written through it from now on is noted, for [`Memory::written`].
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

    /// What became of each document that was written through it since [`Memory::noting`].
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

    /// The palace that the graph is in.
    #[must_use]
    pub fn palace(&self) -> &Palace {
        &self.palace
    }

    fn options(&self) -> WriteOptions {
        WriteOptions { by: self.by.clone(), ..WriteOptions::default() }
    }

    /// Makes the commit, unless it would be one of nothing.
    fn commit(&self, batch: Batch<'_>, writes: usize) -> Result<Vec<Outcome>> {
        self.commit_beside(batch, writes, &[])
    }

    /// As [`Memory::commit`], also for entities that were not found: who deleted them may not have put that on disk,
    /// and the answer relies on it. So they are written too, with nothing.
    fn commit_beside(
        &self,
        mut batch: Batch<'_>,
        writes: usize,
        not_found: &[String],
    ) -> Result<Vec<Outcome>> {
        // What no entity can be named was never there.
        let keys: BTreeSet<Key> = not_found.iter().flat_map(|name| entity_key(name)).collect();
        if writes + keys.len() == 0 {
            return Ok(Vec::new());
        }
        for key in keys {
            batch.write(key, |_| Ok(()));
        }
        let mut outcomes = batch.commit(&self.options())?.outcomes;
        outcomes.truncate(writes);
        if let Some(written) = &self.written {
            written.lock().unwrap_or_else(PoisonError::into_inner).extend(outcomes.iter().cloned());
        }
        Ok(outcomes)
    }
}

/// Calls `take` with every key that starts like this, in order.
fn each_key(palace: &Palace, prefix: &str, mut take: impl FnMut(&Key) -> Result<()>) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let keys = palace.keys(prefix, after.as_deref(), KEYS_MAX)?;
        keys.iter().try_for_each(&mut take)?;
        match keys.last() {
            Some(last) if keys.len() == KEYS_MAX => after = Some(last.as_str().to_owned()),
            _ => return Ok(()),
        }
    }
}

/// Calls `take` with every document whose key starts like this, in the order of the keys.
fn each_document(palace: &Palace, prefix: &str, mut take: impl FnMut(Document)) -> Result<()> {
    let mut cursor: Option<String> = None;
    loop {
        let page = palace.scan(prefix, cursor.as_deref(), PAGE_MAX)?;
        page.documents.into_iter().for_each(&mut take);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
