//! The knowledge graph of the reference memory server, on a palace.
//!
//! Owns: what entities, observations and relations are, and how they behave when several processes
//! change them at once. An entity is a document, `entity/<name>`; a relation is a document that is
//! filed by its content, `relation/<hash>`. Invariants: the same observation or relation added twice
//! appears once; a relation is hidden while one of its ends is deleted; an end that does not exist is
//! refused at the call, and never at a merge. Must not know: the protocol (`mcp`), files.

mod graph;
mod jsonl;

pub use jsonl::{ImportReport, Line, LineError};

use crate::format::key::{Key, KeyError};
use crate::palace::{Palace, WriteOptions};
use serde::{Deserialize, Serialize};

/// What can go wrong with the graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The palace.
    #[error(transparent)]
    Palace(#[from] crate::palace::Error),
    /// A name that cannot be the name of an entity.
    #[error("{source} (the name of an entity becomes the key entity/NAME)")]
    Name {
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A relation or an observation names an entity that does not exist.
    #[error(
        "there is no entity named {name:?}: create it with create_entities first; nothing was written"
    )]
    UnknownEntity {
        /// The name.
        name: String,
    },
    /// A line could not be read or written.
    #[error("cannot read or write the graph's lines")]
    Lines {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A result of the graph.
pub type Result<T> = std::result::Result<T, MemoryError>;

/// A thing that is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entity {
    /// The name of the entity
    pub name: String,
    /// The type of the entity
    pub entity_type: String,
    /// An array of observation contents associated with the entity
    pub observations: Vec<String>,
}

/// How two entities are related. Relations should be in active voice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Relation {
    /// The name of the entity where the relation starts
    pub from: String,
    /// The name of the entity where the relation ends
    pub to: String,
    /// The type of the relation
    pub relation_type: String,
}

/// Entities, and the relations among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(schemars::JsonSchema))]
pub struct Graph {
    /// In the order of their names.
    pub entities: Vec<Entity>,
    /// In order.
    pub relations: Vec<Relation>,
}

/// The observations that a call added to one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "mcp", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddedObservations {
    /// The entity.
    pub entity_name: String,
    /// What it did not have before.
    pub added_observations: Vec<String>,
}

/// A knowledge graph in a palace. Cheap to clone.
///
/// ```
/// use crdt_palace::memory::{Entity, Memory, Relation};
/// use crdt_palace::palace::Palace;
///
/// let dir = tempfile::tempdir()?;
/// let memory = Memory::new(Palace::open(dir.path())?, None);
/// let entity = |name: &str, fact: &str| Entity {
///     name: name.into(), entity_type: "person".into(), observations: vec![fact.into()],
/// };
/// memory.create_entities(&[entity("Ada", "writes programs"), entity("Charles", "builds engines")])?;
/// let knows = Relation { from: "Ada".into(), to: "Charles".into(), relation_type: "knows".into() };
/// memory.create_relations(&[knows.clone()])?;
/// let found = memory.search_nodes("PROGRAMS")?;
/// assert_eq!(found.entities[0].name, "Ada");
/// assert_eq!(found.relations, [knows]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    palace: Palace,
    by: Option<String>,
}

impl Memory {
    /// The graph in this palace. `by` is who writes, as history will show it.
    #[must_use]
    pub fn new(palace: Palace, by: Option<String>) -> Self {
        Memory { palace, by }
    }

    fn options(&self) -> WriteOptions {
        WriteOptions { by: self.by.clone(), ..WriteOptions::default() }
    }
}

/// Where the entities are.
const ENTITY: &str = "entity/";
/// Where the relations are.
const RELATION: &str = "relation/";

fn entity_key(name: &str) -> Result<Key> {
    Key::new(&format!("{ENTITY}{name}")).map_err(|source| MemoryError::Name { source })
}

/// Content decides: the same relation has the same key wherever it is made. Lengths keep the parts apart.
fn relation_key(relation: &Relation) -> Result<Key> {
    let mut hasher = blake3::Hasher::new();
    for part in [&relation.from, &relation.relation_type, &relation.to] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash: String = hasher.finalize().to_hex().chars().take(32).collect();
    Key::new(&format!("{RELATION}{hash}")).map_err(|source| MemoryError::Name { source })
}
