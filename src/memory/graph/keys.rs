//! The keys of entities and relations, and their form as documents.

use super::entity::{ENTITIES, Entity, Relation};
use crate::format::key::{Key, KeyError};
use crate::memory::error::{MemoryError, Result};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The prefix of the keys of relations.
pub(super) const RELATIONS: &str = "relation/";

/// Tells whether the document with this key is part of the graph.
///
/// ```
/// use crdt_palace::memory::is_of_graph;
/// use crdt_palace::palace::Key;
///
/// assert!(is_of_graph(&Key::new("entity/Ada")?));
/// assert!(!is_of_graph(&Key::new("notes/Ada")?));
/// # Ok::<(), crdt_palace::palace::KeyError>(())
/// ```
#[must_use]
pub fn is_of_graph(key: &Key) -> bool {
    [ENTITIES, RELATIONS].iter().any(|prefix| key.as_str().starts_with(prefix))
}

/// The field of an entity that holds its observations, a list.
pub(super) const OBSERVATIONS: &str = "observations";

/// Returns the key of the entity with this name.
pub(super) fn entity_key(name: &str) -> Result<Key> {
    let refused = |why| MemoryError::Name { start: name.chars().take(24).collect::<String>(), why };
    if name.is_empty() {
        return Err(refused("it is empty"));
    }
    Key::new(&format!("{ENTITIES}{name}")).map_err(|error| match error {
        KeyError::Control { .. } => refused("it has a control character, such as a line break"),
        KeyError::TooLong { .. } | KeyError::Empty => refused("it is too long"),
    })
}

/// Returns the key of a relation: a hash of its three parts. Each part is hashed with its length, so that no two
/// relations get the same input.
pub(super) fn relation_key(relation: &Relation) -> Result<Key> {
    let mut hasher = blake3::Hasher::new();
    for part in [&relation.from, &relation.to, &relation.relation_type] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digits: String = hasher.finalize().to_hex().chars().take(32).collect();
    Ok(Key::new(&format!("{RELATIONS}{digits}"))?)
}

/// Returns each text once, in the order of first appearance.
pub(super) fn distinct<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.into_iter().filter(|text| seen.insert(text.as_str())).cloned().collect()
}

pub(super) fn entity_value(entity: &Entity) -> Map<String, Value> {
    Map::from_iter([
        ("name".to_owned(), json!(entity.name)),
        ("entityType".to_owned(), json!(entity.entity_type)),
        (OBSERVATIONS.to_owned(), json!(entity.observations)),
    ])
}

pub(super) fn relation_value(relation: &Relation) -> Map<String, Value> {
    Map::from_iter([
        ("from".to_owned(), json!(relation.from)),
        ("to".to_owned(), json!(relation.to)),
        ("relationType".to_owned(), json!(relation.relation_type)),
    ])
}

fn text(value: &Map<String, Value>, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

/// Returns the observations that a document shows, each once.
pub(super) fn observations_of(value: &Map<String, Value>) -> Vec<String> {
    let items = value.get(OBSERVATIONS).and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<String> = items.filter_map(Value::as_str).map(str::to_owned).collect();
    distinct(&texts)
}

/// Returns the entity that a document is. The key decides the name: another program that writes into the document
/// cannot make two entities of one name.
pub(super) fn entity_of(key: &Key, value: &Map<String, Value>) -> Entity {
    Entity {
        name: key.as_str().strip_prefix(ENTITIES).unwrap_or(key.as_str()).to_owned(),
        entity_type: text(value, "entityType").unwrap_or_default(),
        observations: observations_of(value),
    }
}

/// Returns the relation that a document is; `None` if a field is missing.
pub(super) fn relation_of(value: &Map<String, Value>) -> Option<Relation> {
    Some(Relation {
        from: text(value, "from")?,
        to: text(value, "to")?,
        relation_type: text(value, "relationType")?,
    })
}
