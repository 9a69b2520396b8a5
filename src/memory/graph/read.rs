//! Reads the graph: all of it, by search, or by name.
//!
//! Invariant: entities are read before relations, and a relation is shown only if both of its entities were read. So no
//! relation ever points at nothing, whatever is written at the same time.

use super::entity::{ENTITIES, Entity, Graph, Relation};
use super::handle::Memory;
use super::keys::{RELATIONS, distinct, entity_key, entity_of, relation_of};
use crate::memory::documents::each_document;
use crate::memory::error::{MemoryError, Result};
use std::collections::{BTreeMap, HashSet};

impl Memory {
    /// Returns the whole graph.
    ///
    /// ```
    /// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// let named = |name: &str| Entity {
    ///     name: name.into(),
    ///     entity_type: "person".into(),
    ///     observations: vec![format!("is called {name}")],
    /// };
    /// memory.create_entities(&[named("Ada"), named("Bob")])?;
    /// let knows = Relation { from: "Ada".into(), to: "Bob".into(), relation_type: "knows".into() };
    /// memory.create_relations(&[knows.clone()])?;
    /// let graph = memory.read_graph()?;
    /// assert_eq!((graph.entities.len(), graph.relations), (2, vec![knows]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn read_graph(&self) -> Result<Graph> {
        self.graph_of(|_| true)
    }

    /// Returns the entities that have `query` in their name, their type or an observation, and every relation of at
    /// least one of them. Case does not matter.
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
    /// let found = memory.search_nodes("CALLED bob")?;
    /// assert_eq!((found.entities.len(), found.entities[0].name.as_str()), (1, "Bob"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn search_nodes(&self, query: &str) -> Result<Graph> {
        let query = query.to_lowercase();
        let has = |text: &String| text.to_lowercase().contains(&query);
        self.graph_of(|entity| {
            has(&entity.name) || has(&entity.entity_type) || entity.observations.iter().any(has)
        })
    }

    /// Returns the entities that fit, and every relation of at least one of them.
    fn graph_of(&self, fits: impl Fn(&Entity) -> bool) -> Result<Graph> {
        let (mut budget, mut names) = (Budget::of(self), HashSet::new());
        let mut entities = Vec::new();
        each_document(&self.palace, ENTITIES, |document| {
            let entity = entity_of(&document.key, &document.value);
            names.insert(entity.name.clone());
            if fits(&entity) {
                budget.spend(&entity_texts(&entity))?;
                entities.push(entity);
            }
            Ok(())
        })?;
        let found: HashSet<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
        // A relation may outlive its entities, because a delete in another process did not see it.
        let has_ends = |r: &Relation| names.contains(&r.from) && names.contains(&r.to);
        let relations = self.relations_if(|relation| {
            let shown = touches(relation, &found) && has_ends(relation);
            if shown {
                budget.spend(&relation_texts(relation))?;
            }
            Ok(shown)
        })?;
        Ok(Graph { entities, relations })
    }

    /// Returns the entities with these names, and every relation of at least one of them. Names without an entity are
    /// left out.
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
    /// let found = memory.open_nodes(&["Bob".into(), "Nobody".into()])?;
    /// assert_eq!((found.entities.len(), found.entities[0].name.as_str()), (1, "Bob"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn open_nodes(&self, names: &[String]) -> Result<Graph> {
        let mut found: BTreeMap<String, Option<Entity>> = BTreeMap::new();
        let mut budget = Budget::of(self);
        for name in distinct(names) {
            let entity = self.entity(&name)?;
            entity.iter().try_for_each(|entity| budget.spend(&entity_texts(entity)))?;
            found.insert(name.clone(), entity);
        }
        let entities: Vec<Entity> = found.values().flatten().cloned().collect();
        let opened: HashSet<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
        let mut there: BTreeMap<String, bool> =
            found.iter().map(|(name, entity)| (name.clone(), entity.is_some())).collect();
        let relations = self.relations_if(|relation| {
            let shown = touches(relation, &opened) && self.has_ends(relation, &mut there)?;
            if shown {
                budget.spend(&relation_texts(relation))?;
            }
            Ok(shown)
        })?;
        Ok(Graph { entities, relations })
    }

    fn has_ends(&self, relation: &Relation, known: &mut BTreeMap<String, bool>) -> Result<bool> {
        for end in [&relation.from, &relation.to] {
            let there = match known.get(end) {
                Some(there) => *there,
                None => {
                    // Ends that were not asked for are read once, and remembered.
                    let there = self.entity(end)?.is_some();
                    known.insert(end.clone(), there);
                    there
                }
            };
            if !there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the entity with this name; `None` also for a name that no entity can have.
    pub(super) fn entity(&self, name: &str) -> Result<Option<Entity>> {
        let Ok(key) = entity_key(name) else { return Ok(None) };
        let document = self.palace.get(key.as_str())?;
        Ok(document.map(|document| entity_of(&document.key, &document.value)))
    }

    /// Returns all entities, in the order of their names.
    pub(super) fn entities(&self) -> Result<Vec<Entity>> {
        let mut entities = Vec::new();
        each_document(&self.palace, ENTITIES, |document| {
            entities.push(entity_of(&document.key, &document.value));
            Ok(())
        })?;
        Ok(entities)
    }

    /// Returns all relations, in the order of their parts, also those whose entities are deleted.
    pub(super) fn relations(&self) -> Result<Vec<Relation>> {
        self.relations_if(|_| Ok(true))
    }

    fn relations_if(
        &self,
        mut fits: impl FnMut(&Relation) -> Result<bool>,
    ) -> Result<Vec<Relation>> {
        let mut relations = Vec::new();
        each_document(&self.palace, RELATIONS, |document| {
            if let Some(relation) = relation_of(&document.value)
                && fits(&relation)?
            {
                relations.push(relation);
            }
            Ok(())
        })?;
        relations.sort_unstable();
        relations.dedup();
        Ok(relations)
    }
}

/// Bytes that a read may still return.
struct Budget {
    left: usize,
    limit: usize,
}

/// Bytes that a text takes beside its own: its place in a list, and its marks in JSON.
const TEXT_BYTES: usize = 64;

impl Budget {
    fn of(memory: &Memory) -> Self {
        Budget { left: memory.bytes_max, limit: memory.bytes_max }
    }

    fn spend(&mut self, texts: &[&str]) -> Result<()> {
        let bytes = texts.iter().map(|text| text.len() + TEXT_BYTES).sum();
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(MemoryError::GraphTooLarge { limit: self.limit })?;
        Ok(())
    }
}

fn entity_texts(entity: &Entity) -> Vec<&str> {
    let own = [entity.name.as_str(), entity.entity_type.as_str()];
    own.into_iter().chain(entity.observations.iter().map(String::as_str)).collect()
}

fn relation_texts(relation: &Relation) -> [&str; 3] {
    [&relation.from, &relation.to, &relation.relation_type].map(String::as_str)
}

/// Tells whether one end of the relation is among these entities.
pub(super) fn touches(relation: &Relation, names: &HashSet<&str>) -> bool {
    names.contains(relation.from.as_str()) || names.contains(relation.to.as_str())
}
