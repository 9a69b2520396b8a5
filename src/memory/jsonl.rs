//! The reference server's `memory.jsonl`, both ways: one entity or relation a line.

use super::graph::entity_value;
use super::{Entity, Memory, MemoryError, Relation, Result, entity_key};
use crate::format::key::Key;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Write};

/// How many lines go into one commit.
const LINES_PER_COMMIT: usize = 200;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Line {
    /// An entity.
    Entity(LooseEntity),
    /// A relation.
    Relation(LooseRelation),
}

/// An entity as any version of the reference server may have written it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LooseEntity {
    name: String,
    #[serde(default)]
    entity_type: String,
    #[serde(default)]
    observations: Vec<String>,
}

/// A relation as any version of the reference server may have written it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LooseRelation {
    from: String,
    to: String,
    #[serde(default)]
    relation_type: String,
}

/// A line that was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Entities created, or given observations that they did not have.
    pub entities: usize,
    /// Relations read.
    pub relations: usize,
    /// Lines that were not imported.
    pub bad: Vec<LineError>,
}

impl Memory {
    /// Adds what the lines hold to the graph. Entities that exist get the observations they lack. Bad
    /// lines are reported, and the good ones imported. Relations may stand before their entities.
    /// `progress` is told how many lines have been dealt with.
    ///
    /// # Errors
    /// [`MemoryError`]; what was committed before stays, and importing the file again changes nothing
    /// that is there already.
    pub fn import(
        &self,
        lines: impl BufRead,
        mut progress: impl FnMut(usize),
    ) -> Result<ImportReport> {
        let mut report = ImportReport::default();
        let mut entities: BTreeMap<Key, Entity> = BTreeMap::new();
        let mut relations: Vec<(usize, Relation)> = Vec::new();
        let mut count = 0;
        for (n, line) in lines.split(b'\n').enumerate() {
            let line = line.map_err(|source| MemoryError::Lines { source })?;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            count += 1;
            match parse(&line) {
                Ok(Line::Entity(entity)) => {
                    if let Err(problem) = gather(&mut entities, entity) {
                        report.bad.push(LineError { line: n + 1, problem });
                    }
                }
                Ok(Line::Relation(LooseRelation { from, to, relation_type })) => {
                    relations.push((n + 1, Relation { from, to, relation_type }));
                }
                Err(problem) => report.bad.push(LineError { line: n + 1, problem }),
            }
        }
        progress(count - entities.len() - relations.len());
        let entities: Vec<_> = entities.into_iter().collect();
        for chunk in entities.chunks(LINES_PER_COMMIT) {
            self.import_entities(chunk)?;
            report.entities += chunk.len();
            progress(chunk.len());
        }
        let known = self.known_ends(&relations)?;
        for chunk in relations.chunks(LINES_PER_COMMIT) {
            let (good, bad): (Vec<_>, Vec<_>) =
                chunk.iter().partition(|(_, r)| known.contains(&r.from) && known.contains(&r.to));
            for (line, Relation { from, to, .. }) in bad {
                let end = if known.contains(from) { to } else { from };
                let problem = format!("the relation names {end:?}, and there is no such entity");
                report.bad.push(LineError { line: *line, problem });
            }
            let good: Vec<Relation> =
                good.into_iter().map(|(_, relation)| relation.clone()).collect();
            self.create_relations(&good)?;
            report.relations += good.len();
            progress(chunk.len());
        }
        report.bad.sort_by_key(|bad| bad.line);
        Ok(report)
    }

    fn import_entities(&self, entities: &[(Key, Entity)]) -> Result<()> {
        let mut batch = self.palace.batch();
        for (key, entity) in entities {
            batch.write(key.clone(), move |draft| {
                if !draft.exists() {
                    return draft.put(&entity_value(entity));
                }
                let known = super::graph::observations(&draft.view().value);
                let known: HashSet<String> = known.into_iter().collect();
                let new = entity.observations.iter().filter(|text| !known.contains(*text));
                let new: Vec<_> = new.cloned().map(serde_json::Value::String).collect();
                draft.append(&["observations"], &new)
            });
        }
        self.commit(batch, entities.len())
    }

    /// The ends of these relations that exist.
    fn known_ends(&self, relations: &[(usize, Relation)]) -> Result<HashSet<String>> {
        let (mut looked, mut known) = (HashSet::new(), HashSet::new());
        for name in relations.iter().flat_map(|(_, relation)| [&relation.from, &relation.to]) {
            // A name that cannot be one is that of no entity.
            if looked.insert(name) && entity_key(name).is_ok() && self.exists(name)? {
                known.insert(name.clone());
            }
        }
        Ok(known)
    }

    /// Writes the graph as lines: entities in the order of their names, then relations.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn export(&self, mut out: impl Write) -> Result<()> {
        let graph = self.read_graph()?;
        let entity = |Entity { name, entity_type, observations }| {
            Line::Entity(LooseEntity { name, entity_type, observations })
        };
        let relation = |Relation { from, to, relation_type }| {
            Line::Relation(LooseRelation { from, to, relation_type })
        };
        let lines = graph.entities.into_iter().map(entity);
        for line in lines.chain(graph.relations.into_iter().map(relation)) {
            serde_json::to_writer(&mut out, &line)
                .map_err(std::io::Error::from)
                .and_then(|()| out.write_all(b"\n"))
                .map_err(|source| MemoryError::Lines { source })?;
        }
        out.flush().map_err(|source| MemoryError::Lines { source })
    }
}

fn parse(line: &[u8]) -> std::result::Result<Line, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Lines of one entity are put together.
fn gather(
    entities: &mut BTreeMap<Key, Entity>,
    line: LooseEntity,
) -> std::result::Result<(), String> {
    let LooseEntity { name, entity_type, observations } = line;
    let key = entity_key(&name).map_err(|error| error.to_string())?;
    match entities.get_mut(&key) {
        Some(entity) => entity.observations.extend(observations),
        None => {
            entities.insert(key, Entity { name, entity_type, observations });
        }
    }
    Ok(())
}
