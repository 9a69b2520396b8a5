//! Changes the graph. Each operation is one commit: all of it happens, or nothing.

use super::entity::{Added, Addition, Deletion, Entity, Relation};
use super::handle::Memory;
use super::keys::{
    OBSERVATIONS, distinct, entity_key, entity_value, observations_of, relation_key, relation_value,
};
use super::read::touches;
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::merge::{MergeError, ValueType};
use crate::palace::{Draft, Outcome};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

/// Result of [`Memory::delete_entities`].
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
/// let done = memory.delete_entities(&["Ada".into(), "Nobody".into()])?;
/// assert_eq!((done.deleted, done.not_found), (vec!["Ada".to_owned()], vec!["Nobody".to_owned()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedEntities {
    /// Names of the entities that this call deleted.
    pub deleted: Vec<String>,
    /// Names without an entity.
    pub not_found: Vec<String>,
}

/// Result of [`Memory::delete_observations`].
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
/// let from = |name: &str| Deletion {
///     entity_name: name.into(),
///     observations: vec!["is called Ada".into(), "is tall".into()],
/// };
/// let done = memory.delete_observations(&[from("Ada"), from("Nobody")])?;
/// assert_eq!((done.deleted, done.missing), (1, vec!["Nobody".to_owned()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedObservations {
    /// Number of observations that this call deleted.
    pub deleted: usize,
    /// Names without an entity.
    pub missing: Vec<String>,
}

impl Memory {
    /// Creates entities, and returns those that did not exist. An entity that was deleted is created anew, with these
    /// observations only. If two processes create the same entity at once, it has the observations of both.
    ///
    /// ```
    /// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// let ada = Entity { name: "Ada".into(), entity_type: "person".into(), observations: vec![] };
    /// assert_eq!(memory.create_entities(&[ada.clone()])?, [ada.clone()]);
    /// assert_eq!(memory.create_entities(&[ada])?, []); // it is there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Name`], and errors of the palace; then nothing was written.
    pub fn create_entities(&self, entities: &[Entity]) -> Result<Vec<Entity>> {
        let mut wanted: Vec<(Key, Entity)> = Vec::new();
        let mut seen = HashSet::new();
        for entity in entities {
            let key = entity_key(&entity.name)?;
            // A batch takes a key once. The first of two entities of one name counts.
            if seen.insert(&entity.name) {
                let observations = distinct(&entity.observations);
                wanted.push((key, Entity { observations, ..entity.clone() }));
            }
        }
        let mut batch = self.palace.with(self.options()).batch();
        for (key, entity) in &wanted {
            batch.write(key.clone(), |draft| match draft.exists() {
                // An existing entity is left as it is, and the outcome says that nothing changed.
                true => Ok(()),
                false => draft.put(&entity_value(entity)),
            });
        }
        let outcomes = self.commit(batch, wanted.len())?;
        Ok(changed(wanted, &outcomes))
    }

    /// Creates relations, and returns those that did not exist.
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
    /// let knows = Relation { from: "Ada".into(), to: "Bob".into(), relation_type: "knows".into() };
    /// assert_eq!(memory.create_relations(&[knows.clone()])?, [knows.clone()]);
    /// assert_eq!(memory.create_relations(&[knows])?, []); // it is there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::UnknownEntity`] if an end does not exist, and errors of the palace; then nothing was written.
    pub fn create_relations(&self, relations: &[Relation]) -> Result<Vec<Relation>> {
        let ends: HashSet<&String> = relations.iter().flat_map(|r| [&r.from, &r.to]).collect();
        let mut there = HashSet::new();
        for name in ends {
            if self.entity(name)?.is_some() {
                there.insert(name);
            }
        }
        // Searched in the order of the call, so that the same call names the same entity every time.
        if let Some(name) =
            relations.iter().flat_map(|r| [&r.from, &r.to]).find(|name| !there.contains(name))
        {
            return Err(MemoryError::UnknownEntity { name: name.clone() });
        }
        self.file_relations(relations)
    }

    /// Files relations without checking that their ends exist.
    pub(super) fn file_relations(&self, relations: &[Relation]) -> Result<Vec<Relation>> {
        let mut wanted: Vec<(Key, Relation)> = Vec::new();
        let mut seen = HashSet::new();
        for relation in relations.iter().filter(|relation| seen.insert(*relation)) {
            wanted.push((relation_key(relation)?, relation.clone()));
        }
        let mut batch = self.palace.with(self.options()).batch();
        for (key, relation) in &wanted {
            batch.write(key.clone(), |draft| draft.file(key, &relation_value(relation)));
        }
        let outcomes = self.commit(batch, wanted.len())?;
        Ok(changed(wanted, &outcomes))
    }

    /// Adds observations to entities, and returns those that were added. An observation that the entity has already is
    /// not added again.
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
    /// let addition = Addition { entity_name: "Ada".into(), contents: vec!["counts".into()] };
    /// memory.add_observations(&[addition])?;
    /// let ada = &memory.open_nodes(&["Ada".into()])?.entities[0];
    /// assert_eq!(ada.observations, ["is called Ada", "counts"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::UnknownEntity`], and errors of the palace; then nothing was written.
    pub fn add_observations(&self, additions: &[Addition]) -> Result<Vec<Added>> {
        let added: Vec<RefCell<Vec<String>>> = vec![RefCell::default(); additions.len()];
        let mut wanted: BTreeMap<Key, Vec<_>> = BTreeMap::new();
        for (addition, added) in additions.iter().zip(&added) {
            let key = self.existing_key(&addition.entity_name)?;
            // Two additions to one entity are one write, and each has its own answer.
            wanted.entry(key).or_default().push((addition, added));
        }
        let gone = Cell::new(None);
        let mut batch = self.palace.with(self.options()).batch();
        let count = wanted.len();
        for (key, items) in wanted {
            // Checked again inside the commit: the entity may be deleted between the read and the commit.
            let gone = &gone;
            batch.write(key, move |draft| {
                let Some((first, _)) = items.first().filter(|_| !draft.exists()) else {
                    return append(draft, &items);
                };
                gone.set(Some(first.entity_name.clone()));
                Err(no_list())
            });
        }
        if let Err(error) = self.commit(batch, count) {
            let unknown = |name| MemoryError::UnknownEntity { name };
            return Err(gone.take().map_or(error, unknown));
        }
        let result = |(addition, added): (&Addition, RefCell<Vec<String>>)| Added {
            entity_name: addition.entity_name.clone(),
            added_observations: added.into_inner(),
        };
        Ok(additions.iter().zip(added).map(result).collect())
    }

    /// Deletes entities and all their relations.
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
    /// let knows = Relation { from: "Ada".into(), to: "Bob".into(), relation_type: "knows".into() };
    /// memory.create_relations(&[knows.clone()])?;
    /// memory.delete_entities(&["Bob".into()])?;
    /// let graph = memory.read_graph()?;
    /// assert_eq!((graph.entities.len(), graph.relations.len()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace; then nothing was written.
    pub fn delete_entities(&self, names: &[String]) -> Result<DeletedEntities> {
        let mut keys: Vec<(Key, String)> = Vec::new();
        let mut not_found = Vec::new();
        for name in distinct(names) {
            match self.entity(&name)? {
                Some(_) => keys.push((entity_key(&name)?, name)),
                None => not_found.push(name),
            }
        }
        let names: HashSet<&str> = keys.iter().map(|(_, name)| name.as_str()).collect();
        let mut batch = self.palace.with(self.options()).batch();
        let mut count = keys.len();
        for (key, _) in &keys {
            batch.write(key.clone(), delete);
        }
        if count > 0 {
            for relation in self.relations()?.iter().filter(|r| touches(r, &names)) {
                batch.write(relation_key(relation)?, delete);
                count += 1;
            }
        }
        let outcomes = self.commit_with_absent(batch, count, &not_found)?;
        let deleted: Vec<String> = changed(keys.clone(), &outcomes);
        // Another process deleted these between the read above and the commit.
        not_found.extend(keys.into_iter().map(|(_, n)| n).filter(|n| !deleted.contains(n)));
        Ok(DeletedEntities { deleted, not_found })
    }

    /// Deletes observations from entities. An observation that does not exist is no error.
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
    /// let observations = vec!["is called Ada".to_owned()];
    /// memory.delete_observations(&[Deletion { entity_name: "Ada".into(), observations }])?;
    /// assert!(memory.open_nodes(&["Ada".into()])?.entities[0].observations.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace; then nothing was written.
    pub fn delete_observations(&self, deletions: &[Deletion]) -> Result<DeletedObservations> {
        let mut wanted: BTreeMap<Key, HashSet<&str>> = BTreeMap::new();
        let mut missing = Vec::new();
        for deletion in deletions {
            match self.entity(&deletion.entity_name)? {
                Some(_) => wanted
                    .entry(entity_key(&deletion.entity_name)?)
                    .or_default()
                    .extend(deletion.observations.iter().map(String::as_str)),
                None => missing.push(deletion.entity_name.clone()),
            }
        }
        // An entity that the call names twice may have been created or deleted between the two reads.
        missing.retain(|name| entity_key(name).map_or(true, |key| !wanted.contains_key(&key)));
        let deleted = Cell::new(0);
        let count = wanted.len();
        let mut batch = self.palace.with(self.options()).batch();
        for (key, texts) in wanted {
            let deleted = &deleted;
            batch.write(key, move |draft| {
                let doomed = |text: &String| texts.contains(text.as_str());
                let found =
                    observations_of(&draft.view()?.value).iter().filter(|t| doomed(t)).count();
                if found == 0 || !draft.exists() {
                    return Ok(());
                }
                deleted.set(deleted.get() + found);
                draft.remove_items(&[OBSERVATIONS], &|item| {
                    item.as_str().is_some_and(|text| texts.contains(text))
                })
            });
        }
        self.commit_with_absent(batch, count, &missing)?;
        Ok(DeletedObservations { deleted: deleted.get(), missing })
    }

    /// Deletes relations, and returns how many of them existed.
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
    /// let knows = Relation { from: "Ada".into(), to: "Bob".into(), relation_type: "knows".into() };
    /// memory.create_relations(&[knows.clone()])?;
    /// assert_eq!(memory.delete_relations(&[knows.clone()])?, 1);
    /// assert_eq!(memory.delete_relations(&[knows])?, 0); // it is gone
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace; then nothing was written.
    pub fn delete_relations(&self, relations: &[Relation]) -> Result<usize> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        for relation in relations.iter().filter(|relation| seen.insert(*relation)) {
            keys.push(relation_key(relation)?);
        }
        let mut batch = self.palace.with(self.options()).batch();
        for key in &keys {
            batch.write(key.clone(), delete);
        }
        let outcomes = self.commit(batch, keys.len())?;
        Ok(outcomes.iter().filter(|outcome| outcome.changed).count())
    }

    fn existing_key(&self, name: &str) -> Result<Key> {
        match self.entity(name)? {
            Some(_) => entity_key(name),
            None => Err(MemoryError::UnknownEntity { name: name.to_owned() }),
        }
    }
}

/// Adds the observations that the entity does not have, and records them in the items.
fn append(
    draft: &mut Draft<'_>,
    items: &[(&Addition, &RefCell<Vec<String>>)],
) -> std::result::Result<(), MergeError> {
    let mut known: HashSet<String> = observations_of(&draft.view()?.value).into_iter().collect();
    let mut new = Vec::new();
    for (addition, added) in items {
        for text in &addition.contents {
            if known.insert(text.clone()) {
                new.push(Value::from(text.as_str()));
                added.borrow_mut().push(text.clone());
            }
        }
    }
    if new.is_empty() { Ok(()) } else { draft.append(&[OBSERVATIONS], &new) }
}

fn delete(draft: &mut Draft<'_>) -> std::result::Result<(), MergeError> {
    if draft.exists() { draft.delete() } else { Ok(()) }
}

/// Stops a commit, because the entity was deleted, and its list of observations with it.
fn no_list() -> MergeError {
    MergeError::WrongType {
        path: format!("/{OBSERVATIONS}"),
        found: ValueType::Nothing,
        wanted: ValueType::List,
    }
}

/// Returns the items whose document the commit changed. There is one outcome for each item, in the same order.
fn changed<T>(wanted: Vec<(Key, T)>, outcomes: &[Outcome]) -> Vec<T> {
    let pairs = wanted.into_iter().zip(outcomes);
    pairs.filter(|(_, outcome)| outcome.changed).map(|((_, item), _)| item).collect()
}
