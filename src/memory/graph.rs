//! The nine operations.

use super::{
    AddedObservations, ENTITY, Entity, Graph, Memory, MemoryError, RELATION, Relation, Result,
    entity_key, relation_key,
};
use crate::format::key::Key;
use crate::palace::read::PAGE_MAX;
use crate::palace::{Batch, Document};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;

/// The field of an entity that lists what is known of it.
const OBSERVATIONS: &str = "observations";

impl Memory {
    /// Creates entities, and gives those that did not exist before. An existing one stays as it is.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing was written then.
    pub fn create_entities(&self, entities: &[Entity]) -> Result<Vec<Entity>> {
        let wanted = by_key(entities, |entity| entity_key(&entity.name))?;
        let created = Mutex::new(BTreeSet::new());
        let mut batch = self.palace.batch();
        for (key, entity) in &wanted {
            let value = entity_value(entity);
            let (key_of_it, created) = (key.clone(), &created);
            batch.write(key.clone(), move |draft| {
                if draft.exists() {
                    return Ok(());
                }
                lock(created).insert(key_of_it);
                draft.put(&value)
            });
        }
        self.commit(batch, wanted.len())?;
        let created = created.into_inner().unwrap_or_default();
        let new = wanted.into_iter().filter(|(key, _)| created.contains(key));
        Ok(new
            .map(|(_, entity)| Entity {
                observations: distinct(&entity.observations),
                ..entity.clone()
            })
            .collect())
    }

    /// Creates relations, and gives those that did not exist before.
    ///
    /// # Errors
    /// [`MemoryError::UnknownEntity`] if an end does not exist; nothing was written then.
    pub fn create_relations(&self, relations: &[Relation]) -> Result<Vec<Relation>> {
        let ends: BTreeSet<&str> =
            relations.iter().flat_map(|r| [r.from.as_str(), r.to.as_str()]).collect();
        for name in ends {
            self.must_exist(name)?;
        }
        let wanted = by_key(relations, relation_key)?;
        let created = Mutex::new(BTreeSet::new());
        let mut batch = self.palace.batch();
        for (key, relation) in &wanted {
            let (key_of_it, value, created) = (key.clone(), relation_value(relation), &created);
            batch.write(key.clone(), move |draft| {
                if !draft.exists() {
                    lock(created).insert(key_of_it.clone());
                }
                draft.file(&key_of_it, &value)
            });
        }
        self.commit(batch, wanted.len())?;
        let created = created.into_inner().unwrap_or_default();
        let new = wanted.into_iter().filter(|(key, _)| created.contains(key));
        Ok(new.map(|(_, relation)| relation.clone()).collect())
    }

    /// Adds observations to entities, and gives those that are new.
    ///
    /// # Errors
    /// [`MemoryError::UnknownEntity`]; nothing was written then.
    pub fn add_observations(
        &self,
        additions: &[(String, Vec<String>)],
    ) -> Result<Vec<AddedObservations>> {
        let mut wanted: BTreeMap<Key, (&str, Vec<String>)> = BTreeMap::new();
        for (name, contents) in additions {
            self.must_exist(name)?;
            let entry = wanted.entry(entity_key(name)?).or_insert_with(|| (name, Vec::new()));
            entry.1.extend(contents.iter().cloned());
        }
        let added = Mutex::new(BTreeMap::new());
        let mut batch = self.palace.batch();
        for (key, (_, contents)) in &wanted {
            let (key_of_it, added) = (key.clone(), &added);
            batch.write(key.clone(), move |draft| {
                let known: HashSet<String> =
                    observations(&draft.view().value).into_iter().collect();
                let new: Vec<String> =
                    distinct(contents).into_iter().filter(|text| !known.contains(text)).collect();
                let values: Vec<Value> = new.iter().cloned().map(Value::String).collect();
                lock(added).insert(key_of_it, new);
                draft.append(&[OBSERVATIONS], &values)
            });
        }
        self.commit(batch, wanted.len())?;
        let mut added = added.into_inner().unwrap_or_default();
        let result = |(key, (name, _)): (Key, (&str, _))| AddedObservations {
            entity_name: name.to_owned(),
            added_observations: added.remove(&key).unwrap_or_default(),
        };
        Ok(wanted.into_iter().map(result).collect())
    }

    /// Deletes entities and the relations that touch them, in one commit. Unknown names are ignored.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing was written then.
    pub fn delete_entities(&self, names: &[String]) -> Result<()> {
        let mut keys = BTreeSet::new();
        for name in names {
            keys.insert(entity_key(name)?);
        }
        let gone: HashSet<&str> = names.iter().map(String::as_str).collect();
        for (key, relation) in self.all_relations()? {
            if gone.contains(relation.from.as_str()) || gone.contains(relation.to.as_str()) {
                keys.insert(key);
            }
        }
        self.delete_all(keys)
    }

    /// Deletes observations. Unknown ones, and unknown entities, are ignored.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing was written then.
    pub fn delete_observations(&self, deletions: &[(String, Vec<String>)]) -> Result<()> {
        let mut wanted: BTreeMap<Key, HashSet<&str>> = BTreeMap::new();
        for (name, texts) in deletions {
            let texts = texts.iter().map(String::as_str);
            wanted.entry(entity_key(name)?).or_default().extend(texts);
        }
        let mut batch = self.palace.batch();
        for (key, texts) in &wanted {
            batch.write(key.clone(), move |draft| {
                if !draft.exists() {
                    return Ok(());
                }
                let unwanted =
                    |item: &Value| item.as_str().is_some_and(|text| texts.contains(text));
                draft.remove_items(&[OBSERVATIONS], &unwanted)
            });
        }
        self.commit(batch, wanted.len())
    }

    /// Deletes relations. Unknown ones are ignored.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing was written then.
    pub fn delete_relations(&self, relations: &[Relation]) -> Result<()> {
        self.delete_all(relations.iter().map(relation_key).collect::<Result<_>>()?)
    }

    fn delete_all(&self, keys: BTreeSet<Key>) -> Result<()> {
        let count = keys.len();
        let mut batch = self.palace.batch();
        for key in keys {
            batch.write(key, |draft| draft.delete());
        }
        self.commit(batch, count)
    }

    /// Everything.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn read_graph(&self) -> Result<Graph> {
        let entities = self.all_entities()?;
        let names = entities.iter().map(|entity| entity.name.clone()).collect();
        let relations = self.visible_relations(&names, |_| true)?;
        Ok(Graph { entities, relations })
    }

    /// The entities whose name, type or observations contain `query`, without regard to case, and the
    /// relations that touch at least one of them.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn search_nodes(&self, query: &str) -> Result<Graph> {
        let query = query.to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&query);
        let matches = |entity: &Entity| {
            holds(&entity.name)
                || holds(&entity.entity_type)
                || entity.observations.iter().any(|text| holds(text))
        };
        self.part(matches)
    }

    /// The entities with these names, and the relations that touch at least one of them.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn open_nodes(&self, names: &[String]) -> Result<Graph> {
        let mut entities = Vec::new();
        for name in names.iter().collect::<BTreeSet<_>>() {
            let document = self.palace.get(entity_key(name)?.as_str())?;
            entities.extend(document.as_ref().and_then(entity_of));
        }
        let chosen: HashSet<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
        let mut relations = Vec::new();
        for (_, relation) in self.all_relations()? {
            let (from, to) = (relation.from.as_str(), relation.to.as_str());
            if (chosen.contains(from) || chosen.contains(to))
                && (chosen.contains(from) || self.exists(from)?)
                && (chosen.contains(to) || self.exists(to)?)
            {
                relations.push(relation);
            }
        }
        relations.sort();
        Ok(Graph { entities, relations })
    }

    fn part(&self, matches: impl Fn(&Entity) -> bool) -> Result<Graph> {
        let all = self.all_entities()?;
        let names = all.iter().map(|entity| entity.name.clone()).collect();
        let entities: Vec<Entity> = all.into_iter().filter(matches).collect();
        let chosen: HashSet<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
        let touches =
            |r: &Relation| chosen.contains(r.from.as_str()) || chosen.contains(r.to.as_str());
        let relations = self.visible_relations(&names, touches)?;
        Ok(Graph { entities, relations })
    }

    pub(super) fn exists(&self, name: &str) -> Result<bool> {
        Ok(self.palace.get(entity_key(name)?.as_str())?.is_some())
    }

    fn must_exist(&self, name: &str) -> Result<()> {
        match self.exists(name)? {
            true => Ok(()),
            false => Err(MemoryError::UnknownEntity { name: name.to_owned() }),
        }
    }

    fn all_entities(&self) -> Result<Vec<Entity>> {
        Ok(self.documents(ENTITY)?.iter().filter_map(entity_of).collect())
    }

    fn all_relations(&self) -> Result<Vec<(Key, Relation)>> {
        let documents = self.documents(RELATION)?.into_iter();
        Ok(documents.filter_map(|d| Some((d.key.clone(), relation_of(&d)?))).collect())
    }

    /// A relation whose end was deleted is hidden, not gone: it may have been made at the same time as
    /// the deletion, and shows again should the entity come back.
    fn visible_relations(
        &self,
        names: &HashSet<String>,
        wanted: impl Fn(&Relation) -> bool,
    ) -> Result<Vec<Relation>> {
        let all = self.all_relations()?.into_iter().map(|(_, relation)| relation);
        let there = |r: &Relation| names.contains(&r.from) && names.contains(&r.to);
        let mut relations: Vec<_> = all.filter(|r| there(r) && wanted(r)).collect();
        relations.sort();
        Ok(relations)
    }

    fn documents(&self, prefix: &str) -> Result<Vec<Document>> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.palace.scan(prefix, cursor.as_deref(), PAGE_MAX)?;
            all.extend(page.documents);
            match page.cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    pub(super) fn commit(&self, batch: Batch<'_>, writes: usize) -> Result<()> {
        if writes > 0 {
            batch.commit(&self.options())?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One for each key; of several with one key, the first.
fn by_key<T>(items: &[T], key: impl Fn(&T) -> Result<Key>) -> Result<Vec<(Key, &T)>> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for item in items {
        let key = key(item)?;
        if seen.insert(key.clone()) {
            found.push((key, item));
        }
    }
    Ok(found)
}

/// Without what stood before: two processes may have added the same text at the same time.
fn distinct(texts: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.iter().filter(|text| seen.insert(text.as_str())).cloned().collect()
}

pub(super) fn entity_value(entity: &Entity) -> Map<String, Value> {
    let Entity { name, entity_type, .. } = entity;
    let value = json!({"name": name, "entityType": entity_type, OBSERVATIONS: distinct(&entity.observations)});
    object(value)
}

fn relation_value(relation: &Relation) -> Map<String, Value> {
    let Relation { from, to, relation_type } = relation;
    object(json!({"from": from, "to": to, "relationType": relation_type}))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn text(value: &Map<String, Value>, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

pub(super) fn observations(value: &Map<String, Value>) -> Vec<String> {
    let items = value.get(OBSERVATIONS).and_then(Value::as_array);
    let texts = items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    distinct(&texts.collect::<Vec<_>>())
}

/// The key is the name: whatever somebody writes into the document cannot change it.
fn entity_of(document: &Document) -> Option<Entity> {
    let name = document.key.as_str().strip_prefix(ENTITY)?.to_owned();
    let entity_type = text(&document.value, "entityType").unwrap_or_default();
    Some(Entity { name, entity_type, observations: observations(&document.value) })
}

fn relation_of(document: &Document) -> Option<Relation> {
    let field = |name| text(&document.value, name);
    Some(Relation { from: field("from")?, to: field("to")?, relation_type: field("relationType")? })
}
