//! Imports and exports `memory.jsonl`, the file of the reference memory server: one entity or relation a line.
//!
//! Invariant: every good line of a file is imported, whatever the other lines hold. Importing a file again changes
//! nothing.

use super::entity::{Entity, Relation};
use super::handle::Memory;
use super::keys::{
    OBSERVATIONS, distinct, entity_key, entity_value, is_of_graph, observations_of, relation_key,
    relation_value,
};
use crate::format::controls::escape_json;
use crate::format::key::{Key, ONCE};
use crate::memory::bounded_line::{ReadLine, read_line};
use crate::memory::documents::{COMMIT_BYTES, COMMIT_DOCUMENTS, each_key};
use crate::memory::error::{MemoryError, Result};
use crate::memory::imported_line::{in_words, mend};
use crate::merge::MergeError;
use crate::palace::{Draft, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Write};

/// The reason why a longer line is not imported.
const TOO_LONG: &str =
    "the line has more than 16 MiB: spread the observations over several lines with the same name";

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<E, R> {
    Entity(E),
    Relation(R),
}

/// The fields of a line that the reference server reads.
const FIELDS: [&str; 7] =
    ["type", "name", "entityType", "observations", "from", "to", "relationType"];

impl Line<Entity, Relation> {
    /// Parses a line. Other fields are left out, as the reference server does: its older versions wrote whatever a
    /// client had sent.
    fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes)?;
        // The types refuse unknown fields, which is right for tools and wrong here.
        fields.retain(|field, _| FIELDS.contains(&field.as_str()));
        serde_json::from_value(Value::Object(fields))
    }
}

/// A line that was not imported.
///
/// ```
/// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
/// let report = memory.import(&b"{}\nnot JSON\n"[..], &mut |_, _| {})?;
/// assert_eq!(report.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [1, 2]);
/// assert!(report.bad[0].why.contains("missing field `type`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BadLine {
    /// The number of the line, from 1.
    pub line: u64,
    /// The reason, in words.
    pub why: String,
}

/// Result of an import.
///
/// ```
/// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
/// let file = r#"{"type":"entity","name":"Ada","entityType":"person","observations":["counts"]}
/// {"type":"relation","from":"Ada","to":"Nobody","relationType":"knows"}"#;
/// let report = memory.import(file.as_bytes(), &mut |_, _| {})?;
/// assert_eq!((report.entities, report.relations, report.bad[0].line), (1, 0, 2));
/// let again = memory.import(file.as_bytes(), &mut |_, _| {})?;
/// assert_eq!((again.entities, again.unchanged), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Number of entities that were created, or got observations.
    pub entities: usize,
    /// Number of relations that were created.
    pub relations: usize,
    /// Number of entities and relations that the palace had already, without a difference.
    pub unchanged: usize,
    /// The lines that were not imported, in the order of their numbers.
    pub bad: Vec<BadLine>,
    /// The numbers of the lines that had halves of characters, such as `"\ud83d"`. U+FFFD was taken for each.
    pub repaired: Vec<u64>,
}

/// A document, and the numbers of the lines that it is made of.
type Lines<T> = (Key, (T, Vec<u64>));

/// The good lines of a file.
#[derive(Default)]
struct Parsed {
    /// The entities by their keys, each with the numbers of its lines.
    entities: BTreeMap<Key, (Entity, Vec<u64>)>,
    relations: Vec<(Relation, u64)>,
    bad: Vec<BadLine>,
    repaired: Vec<u64>,
}

impl Parsed {
    fn read(mut input: impl BufRead) -> Result<Self> {
        let mut parsed = Parsed::default();
        let mut bytes = Vec::new();
        for line in 1.. {
            match read_line(&mut input, &mut bytes).map_err(MemoryError::Read)? {
                ReadLine::Whole => {}
                ReadLine::TooLong => {
                    parsed.bad.push(BadLine { line, why: TOO_LONG.to_owned() });
                    continue;
                }
                ReadLine::End => break,
            }
            if mend(&mut bytes) > 0 {
                parsed.repaired.push(line);
            }
            if !bytes.is_empty()
                && let Err(why) = parsed.add(&bytes, line)
            {
                parsed.bad.push(BadLine { line, why });
            }
        }
        Ok(parsed)
    }

    fn add(&mut self, bytes: &[u8], line: u64) -> std::result::Result<(), String> {
        match Line::parse(bytes).map_err(|error| in_words(bytes, &error))? {
            Line::Relation(relation) => self.relations.push((relation, line)),
            Line::Entity(entity) => {
                let key = entity_key(&entity.name).map_err(|error| error.to_string())?;
                // Lines of one name become one entity. The type of the first line counts.
                let first = || (Entity { observations: Vec::new(), ..entity.clone() }, Vec::new());
                let (known, lines) = self.entities.entry(key).or_insert_with(first);
                known.observations.extend(entity.observations);
                lines.push(line);
            }
        }
        Ok(())
    }
}

impl Memory {
    /// Imports a `memory.jsonl`, of lines of at most 16 MiB. An entity that exists already gets the observations that it does not have. Relations
    /// may stand before their entities. `progress` is called with the number of documents that are done, and of all.
    ///
    /// ```
    /// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// let file = r#"{"type":"entity","name":"Ada","entityType":"person","observations":["counts"]}"#;
    /// let mut told = Vec::new();
    /// memory.import(file.as_bytes(), &mut |done, total| told.push((done, total)))?;
    /// assert_eq!(memory.read_graph()?.entities[0].observations, ["counts"]);
    /// assert_eq!(told.last(), Some(&(1, 1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Read`], and errors of the palace. Then a part may have been imported, and importing the file
    /// again adds the rest.
    pub fn import(
        &self,
        input: impl BufRead,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<ImportReport> {
        let mut report = ImportReport::default();
        self.import_reporting(input, &mut report, progress).map(|()| report)
    }

    /// Imports like [`Memory::import`]. If that fails, `report` says how far it came.
    pub(crate) fn import_reporting(
        &self,
        input: impl BufRead,
        report: &mut ImportReport,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<()> {
        let Parsed { entities, relations, bad, repaired } = Parsed::read(input)?;
        (report.bad, report.repaired) = (bad, repaired);
        let imported = self.import_parsed(entities, relations, report, progress);
        report.bad.sort_by_key(|bad| bad.line);
        imported
    }

    fn import_parsed(
        &self,
        entities: BTreeMap<Key, (Entity, Vec<u64>)>,
        relations: Vec<(Relation, u64)>,
        report: &mut ImportReport,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<()> {
        let total = entities.len() + relations.len();
        let mut done = 0;
        for group in groups(entities, |(_, (entity, _))| text_bytes(entity)) {
            done += group.len();
            let write =
                |draft: &mut Draft<'_>, _: &Key, entity: &Entity| create_or_extend(draft, entity);
            let (changed, same) = self.import_group(group, write, &mut report.bad)?;
            report.entities += changed;
            report.unchanged += same;
            progress(done, total);
        }
        // Only after the entities: a relation may stand before the lines of its ends.
        let relations = self.with_known_ends(relations, report)?;
        for group in groups(relations, |(_, (relation, _))| relation_bytes(relation)) {
            done += group.len();
            let write = |draft: &mut Draft<'_>, key: &Key, relation: &Relation| {
                draft.file(key, &relation_value(relation))
            };
            let (changed, same) = self.import_group(group, write, &mut report.bad)?;
            report.relations += changed;
            report.unchanged += same;
            progress(done, total);
        }
        // Relations without an end were never counted as done.
        progress(total, total);
        Ok(())
    }

    /// Imports documents in one commit. A document that cannot be stored is added to `bad`, and the others are
    /// committed. Returns how many documents changed, and how many did not.
    fn import_group<T>(
        &self,
        mut group: Vec<Lines<T>>,
        write: impl Fn(&mut Draft<'_>, &Key, &T) -> std::result::Result<(), MergeError>,
        bad: &mut Vec<BadLine>,
    ) -> Result<(usize, usize)> {
        loop {
            let mut batch = self.palace.with(self.options()).batch();
            for (key, (one, _)) in &group {
                batch.write(key.clone(), |draft| write(draft, key, one));
            }
            let (key, source) = match self.commit(batch, group.len()) {
                Ok(outcomes) => {
                    let changed = outcomes.iter().filter(|outcome| outcome.changed).count();
                    return Ok((changed, outcomes.len() - changed));
                }
                Err(MemoryError::Palace(Error::Document { key, source })) => (key, source),
                Err(error) => return Err(error),
            };
            // One bad document fails the whole batch. It is taken out, and the rest is tried again.
            let refused: Vec<Lines<T>> = group.extract_if(.., |(other, _)| *other == key).collect();
            if refused.is_empty() {
                return Err(Error::Document { key, source }.into());
            }
            let lines = refused.into_iter().flat_map(|(_, (_, lines))| lines);
            bad.extend(lines.map(|line| BadLine { line, why: source.to_string() }));
        }
    }

    /// Returns the relations by key, without those that have an end that does not exist.
    fn with_known_ends(
        &self,
        relations: Vec<(Relation, u64)>,
        report: &mut ImportReport,
    ) -> Result<BTreeMap<Key, (Relation, Vec<u64>)>> {
        let names: HashSet<String> = match relations.is_empty() {
            true => HashSet::new(),
            false => self.entities()?.into_iter().map(|entity| entity.name).collect(),
        };
        let mut good = BTreeMap::new();
        for (relation, line) in relations {
            let ends = [&relation.from, &relation.to];
            let unknown = ends.into_iter().find(|name| !names.contains(*name)).cloned();
            match unknown {
                Some(name) => {
                    let why = format!("there is no entity named {name:?}, here or in the palace");
                    report.bad.push(BadLine { line, why });
                }
                None => {
                    let key = relation_key(&relation)?;
                    good.entry(key).or_insert_with(|| (relation, Vec::new())).1.push(line);
                }
            }
        }
        Ok(good)
    }

    /// Writes the graph as a `memory.jsonl`: entities by name, then relations. The same graph gives the same bytes.
    /// Control characters are escaped, as `\u009b`. Returns the number of lines.
    ///
    /// ```
    /// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// let file = "{\"type\":\"entity\",\"name\":\"Ada\",\"entityType\":\"person\",\"observations\":[]}\n";
    /// memory.import(file.as_bytes(), &mut |_, _| {})?;
    /// let mut out = Vec::new();
    /// assert_eq!(memory.export(&mut out)?, 1);
    /// assert_eq!(String::from_utf8(out)?, file);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Write`], and errors of the palace.
    pub fn export(&self, out: &mut dyn Write) -> Result<usize> {
        let graph = self.read_graph()?;
        let entities = graph.entities.iter().map(Line::<&Entity, &Relation>::Entity);
        let lines = entities.chain(graph.relations.iter().map(Line::Relation));
        let mut written = 0;
        for line in lines {
            let text = serde_json::to_string(&line).map_err(|e| MemoryError::Write(e.into()))?;
            writeln!(out, "{}", escape_json(&text)).map_err(MemoryError::Write)?;
            written += 1;
        }
        out.flush().map_err(MemoryError::Write)?;
        Ok(written)
    }

    /// Counts the documents of the palace that are not part of the graph, and so not of an export.
    ///
    /// ```
    /// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
    /// let ada = Entity { name: "Ada".into(), entity_type: "person".into(), observations: vec![] };
    /// memory.create_entities(&[ada])?;
    /// let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("notes/plan", &json!({"n": 1}))?;
    /// assert_eq!(memory.count_outside_graph()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn count_outside_graph(&self) -> Result<usize> {
        let mut count = 0;
        each_key(&self.palace, "", |key| {
            let is_record = key.as_str().starts_with(ONCE);
            count += usize::from(!is_of_graph(key) && !is_record);
            Ok(())
        })?;
        Ok(count)
    }
}

/// Creates the entity, or adds the observations that it does not have.
fn create_or_extend(draft: &mut Draft<'_>, entity: &Entity) -> std::result::Result<(), MergeError> {
    let observations = distinct(&entity.observations);
    if !draft.exists() {
        return draft.put(&entity_value(&Entity { observations, ..entity.clone() }));
    }
    let known: HashSet<String> = observations_of(&draft.view()?.value).into_iter().collect();
    let new = observations.into_iter().filter(|text| !known.contains(text));
    let new: Vec<Value> = new.map(Value::from).collect();
    if new.is_empty() { Ok(()) } else { draft.append(&[OBSERVATIONS], &new) }
}

fn relation_bytes(relation: &Relation) -> usize {
    relation.from.len() + relation.to.len() + relation.relation_type.len()
}

fn text_bytes(entity: &Entity) -> usize {
    entity.name.len() + entity.observations.iter().map(|text| text.len() + 16).sum::<usize>()
}

/// Splits items into groups that each fit into a commit.
fn groups<T>(items: impl IntoIterator<Item = T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        bytes += size(&item);
        match groups.last_mut() {
            Some(group) if group.len() < COMMIT_DOCUMENTS && bytes <= COMMIT_BYTES => {
                group.push(item);
            }
            // A single item may be larger than the limit: it gets a group of its own.
            _ => {
                bytes = size(&item);
                groups.push(vec![item]);
            }
        }
    }
    groups
}
