//! Reads facts from MemPalace's knowledge graph.

use super::report::NotImported;
use super::sqlite::{Database, columns, json, missing, text};
use crate::memory::error::Result;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

const SCHEMA: [(&str, &[&str]); 2] = [
    ("entities", &["id", "name"]),
    ("triples", &["id", "subject", "predicate", "object", "valid_from", "valid_to"]),
];

/// Further columns of a fact, which some versions have.
const MORE: [&str; 6] = [
    "confidence",
    "source_closet",
    "source_file",
    "source_drawer_id",
    "adapter_name",
    "extracted_at",
];

pub(super) struct KnowledgeGraph<'a> {
    connection: Connection,
    database: &'a Database<'a>,
}

/// A fact of MemPalace.
pub(super) struct Triple {
    pub id: String,
    pub subject: String,
    pub predicate: String,
    pub object: String,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    /// The drawer that it comes from.
    pub drawer: Option<String>,
    pub known: Map<String, Value>,
}

impl<'a> KnowledgeGraph<'a> {
    /// Opens a database.
    ///
    /// # Errors
    /// [`MemoryError::Foreign`](crate::memory::MemoryError::Foreign) if it is no knowledge graph of MemPalace.
    pub fn open(database: &'a Database<'a>) -> Result<Self> {
        let connection = database.open()?;
        match missing(&connection, &SCHEMA).map_err(|error| database.failed(&error))? {
            Some(missing) => {
                let why = format!("{missing}, so no supported version of MemPalace has written it");
                Err(database.wrong(why))
            }
            None => Ok(KnowledgeGraph { connection, database }),
        }
    }

    /// Returns every fact, in the order in which they were asserted, and the rows that cannot be imported.
    pub fn triples(&self) -> Result<(Vec<Triple>, Vec<NotImported>)> {
        self.read_triples().map_err(|error| self.database.failed(&error))
    }

    fn read_triples(&self) -> rusqlite::Result<(Vec<Triple>, Vec<NotImported>)> {
        let there = columns(&self.connection, "triples")?;
        let more = MORE.map(|column| match there.contains(column) {
            true => format!("t.{column}"),
            false => "NULL".to_owned(),
        });
        let sql = format!(
            "SELECT t.id, coalesce(s.name, t.subject), t.predicate, coalesce(o.name, t.object), t.valid_from,
                t.valid_to, {}
             FROM triples t LEFT JOIN entities s ON s.id = t.subject LEFT JOIN entities o ON o.id = t.object
             ORDER BY t.rowid",
            more.join(", ")
        );
        let (mut triples, mut bad) = (Vec::new(), Vec::new());
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match triple(row) {
                Ok(triple) => triples.push(triple),
                Err(why) => bad.push(why),
            }
        }
        Ok((triples, bad))
    }

    /// Counts the entities that have more than a name.
    pub fn described(&self) -> Result<usize> {
        let count = || -> rusqlite::Result<i64> {
            let there = columns(&self.connection, "entities")?;
            if !there.contains("type") || !there.contains("properties") {
                return Ok(0);
            }
            let sql = "SELECT count(*) FROM entities
                WHERE coalesce(type, 'unknown') <> 'unknown' OR coalesce(properties, '{}') <> '{}'";
            self.connection.query_row(sql, [], |row| row.get(0))
        };
        let count = count().map_err(|error| self.database.failed(&error))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

fn triple(row: &Row<'_>) -> std::result::Result<Triple, NotImported> {
    let id = || row.get_ref(0).ok().and_then(|value| text(value).ok()?);
    let bad = |why: String| NotImported {
        id: id().unwrap_or_else(|| "a fact without an id".to_owned()),
        why,
    };
    let column = |n: usize| match row.get_ref(n) {
        Ok(value) => text(value).map_err(|why| bad(format!("it has {why}"))),
        Err(error) => Err(bad(error.to_string())),
    };
    let needed = |n: usize, what: &str| column(n)?.ok_or_else(|| bad(format!("it has no {what}")));
    let mut known = Map::new();
    for (n, name) in MORE.iter().enumerate() {
        let value = row.get_ref(n + 6).map_err(|error| bad(error.to_string()))?;
        let value = json(value).map_err(|why| bad(format!("its {name} has {why}")))?;
        known.extend(value.map(|value| ((*name).to_owned(), value)));
    }
    // MemPalace's tools read an empty text as no date.
    let moment = |n: usize| Ok(column(n)?.filter(|text| !text.is_empty()));
    Ok(Triple {
        id: needed(0, "id")?,
        subject: needed(1, "subject")?,
        predicate: needed(2, "predicate")?,
        object: needed(3, "object")?,
        valid_from: moment(4)?,
        valid_to: moment(5)?,
        drawer: known.get("source_drawer_id").and_then(Value::as_str).map(str::to_owned),
        known,
    })
}
