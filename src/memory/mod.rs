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
mod read;
mod when;
mod write;

pub use error::{MemoryError, Result};
pub use exchange::{BadLine, ImportReport};
pub use keys::ENTITY_NAME_BYTES_MAX;
pub use when::{milliseconds, readable};
pub use write::{DeletedEntities, DeletedObservations};

use crate::palace::{Palace, WriteOptions};
use serde::{Deserialize, Serialize};

/// A thing that something is known about.
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
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    palace: Palace,
    by: Option<String>,
}

impl Memory {
    /// The graph in this palace. History names the palace's program as the writer.
    #[must_use]
    pub fn new(palace: Palace) -> Self {
        Memory { palace, by: None }
    }

    /// The same graph; history names `by`, a client's name and version, as the writer.
    #[must_use]
    pub fn by(&self, by: Option<String>) -> Self {
        Memory { palace: self.palace.clone(), by }
    }

    /// The palace that the graph is in.
    #[must_use]
    pub fn palace(&self) -> &Palace {
        &self.palace
    }

    fn options(&self) -> WriteOptions {
        WriteOptions { by: self.by.clone(), ..WriteOptions::default() }
    }
}

#[cfg(test)]
mod tests;
