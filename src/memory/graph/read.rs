//! Reads the graph: all of it, by search, or by name.
//!
//! Invariant: entities are read before relations, and a relation is shown only if both of its entities were read. So no
//! relation ever points at nothing, whatever is written at the same time.

use super::entity::{ENTITIES, Entity, Graph, Relation};
use super::handle::Memory;
use super::keys::{RELATIONS, distinct, entity_key, entity_of, relation_of};
use crate::memory::documents::each_document;
use crate::memory::error::Result;
use crate::palace::Document;
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
        let entities = self.entities()?;
        let names: HashSet<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
        let mut relations = self.relations()?;
        relations.retain(|r| names.contains(r.from.as_str()) && names.contains(r.to.as_str()));
        Ok(Graph { entities, relations })
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
        let mut graph = self.read_graph()?;
        let has = |text: &String| text.to_lowercase().contains(&query);
        graph.entities.retain(|entity| {
            has(&entity.name) || has(&entity.entity_type) || entity.observations.iter().any(has)
        });
        let found: HashSet<&str> = graph.entities.iter().map(|e| e.name.as_str()).collect();
        graph.relations.retain(|relation| touches(relation, &found));
        Ok(graph)
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
        for name in distinct(names) {
            found.insert(name.clone(), self.entity(&name)?);
        }
        let entities: Vec<Entity> = found.values().flatten().cloned().collect();
        let opened: HashSet<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
        let mut relations = Vec::new();
        for relation in self.relations()? {
            if touches(&relation, &opened) && self.has_ends(&relation, &mut found)? {
                relations.push(relation);
            }
        }
        Ok(Graph { entities, relations })
    }

    fn has_ends(
        &self,
        relation: &Relation,
        found: &mut BTreeMap<String, Option<Entity>>,
    ) -> Result<bool> {
        for end in [&relation.from, &relation.to] {
            let there = match found.get(end) {
                Some(entity) => entity.is_some(),
                None => {
                    let entity = self.entity(end)?;
                    found.entry(end.clone()).or_insert(entity).is_some()
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
        let documents = self.documents(ENTITIES)?;
        Ok(documents.iter().map(|document| entity_of(&document.key, &document.value)).collect())
    }

    /// Returns all relations, in the order of their parts, also those whose entities are deleted.
    pub(super) fn relations(&self) -> Result<Vec<Relation>> {
        let documents = self.documents(RELATIONS)?;
        let mut relations: Vec<Relation> =
            documents.iter().filter_map(|document| relation_of(&document.value)).collect();
        relations.sort_unstable();
        relations.dedup();
        Ok(relations)
    }

    fn documents(&self, prefix: &str) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        each_document(&self.palace, prefix, |document| documents.push(document))?;
        Ok(documents)
    }
}

/// Tells whether one end of the relation is among these entities.
pub(super) fn touches(relation: &Relation, names: &HashSet<&str>) -> bool {
    names.contains(relation.from.as_str()) || names.contains(relation.to.as_str())
}
