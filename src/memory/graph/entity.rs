//! The types of the graph, and of what its operations take and return.

use crate::format::key::KEY_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// The prefix of the keys of entities.
pub(super) const ENTITIES: &str = "entity/";
/// The longest name of an entity, in bytes of UTF-8: the rest of a document key.
pub const ENTITY_NAME_BYTES_MAX: usize = KEY_BYTES_MAX - ENTITIES.len();

/// A thing, and the observations about it.
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

/// Entities and relations: all of a palace, or those that a search found.
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
    /// The entities, in the order of their names.
    pub entities: Vec<Entity>,
    /// The relations, in the order of their ends and types.
    pub relations: Vec<Relation>,
}

/// Observations to add to one entity.
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

/// Observations that were added to one entity.
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
#[non_exhaustive]
pub struct Added {
    /// The name of the entity
    pub entity_name: String,
    /// The observations that it did not have before
    pub added_observations: Vec<String>,
}

/// Observations to delete from one entity.
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
