//! Reads drawers from a Chroma database: rows with metadata, and a long text in several rows.
//!
//! Invariant: rows are grouped into drawers, and joined in order, as MemPalace does it.

use super::report::NotImported;
use super::sqlite::{Database, columns, json, missing, text};
use crate::format::plural;
use crate::memory::error::{MemoryError, Result};
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The collection that MemPalace keeps drawers in, unless its configuration names another one.
pub const DRAWERS: &str = "mempalace_drawers";
/// The collection that MemPalace searches first.
pub(super) const CLOSETS: &str = "mempalace_closets";
/// The collection of pictures and sounds.
pub(super) const ASSETS: &str = "mempalace_assets";
/// The metadata key that holds the text of a row.
const DOCUMENT: &str = "chroma:document";

/// The tables and columns that are read of a Chroma database.
const SCHEMA: [(&str, &[&str]); 4] = [
    ("collections", &["id", "name"]),
    ("segments", &["id", "scope", "collection"]),
    ("embeddings", &["id", "segment_id", "embedding_id"]),
    ("embedding_metadata", &["id", "key", "string_value", "int_value", "float_value"]),
];

const LIST: &str = "
    SELECT e.id, e.embedding_id, parent.string_value, entry.string_value, chunk.int_value, room.string_value
    FROM embeddings e
    LEFT JOIN embedding_metadata parent ON parent.id = e.id AND parent.key = 'parent_drawer_id'
    LEFT JOIN embedding_metadata entry ON entry.id = e.id AND entry.key = 'parent_entry_id'
    LEFT JOIN embedding_metadata chunk ON chunk.id = e.id AND chunk.key = 'chunk_index'
    LEFT JOIN embedding_metadata room ON room.id = e.id AND room.key = 'room'
    WHERE e.segment_id IN
        (SELECT s.id FROM segments s JOIN collections c ON s.collection = c.id
         WHERE c.name = ?1 AND s.scope = 'METADATA')
    ORDER BY e.id";

const COUNT: &str = "
    SELECT count(*) FROM embeddings WHERE segment_id IN
        (SELECT s.id FROM segments s JOIN collections c ON s.collection = c.id
         WHERE c.name = ?1 AND s.scope = 'METADATA')";

/// Counts writes that Chroma has accepted and not yet moved into its tables.
const QUEUED: &str = "
    SELECT count(*) FROM embeddings_queue q, collections c, segments s, max_seq_id m
    WHERE c.name = ?1 AND s.collection = c.id AND s.scope = 'METADATA' AND m.segment_id = s.id
        AND typeof(m.seq_id) = 'integer' AND q.seq_id > m.seq_id
        AND substr(q.topic, -length(c.id) - 1) = '/' || c.id";

/// An open Chroma database.
pub(super) struct Chroma<'a> {
    connection: Connection,
    database: &'a Database<'a>,
    /// The collection with the drawers.
    collection: &'a str,
    /// The statements that read the metadata of a row.
    metadata: Vec<String>,
}

/// A drawer, and its rows in their order.
pub(super) struct Listed {
    pub id: String,
    rows: Vec<i64>,
    is_joined: bool,
}

/// The text of a drawer, and its metadata.
pub(super) struct Text {
    pub content: String,
    pub known: Map<String, Value>,
}

/// A row of a drawer with several rows: its number, its id and its row id. The rows are sorted by these, in this order.
type Chunk = (i64, String, i64);

/// A row of the list of drawers.
struct ListedRow {
    row: i64,
    id: String,
    parent: Option<String>,
    chunk: i64,
    is_sentinel: bool,
}

impl<'a> Chroma<'a> {
    /// Opens a database.
    ///
    /// # Errors
    /// [`MemoryError::Foreign`] if it is no database of MemPalace.
    pub fn open(database: &'a Database<'a>, collection: &'a str) -> Result<Self> {
        let connection = database.open()?;
        let failed = |error| database.failed(&error);
        if let Some(missing) = missing(&connection, &SCHEMA).map_err(failed)? {
            let why = format!("{missing}, so no supported version of Chroma has written it");
            return Err(database.wrong(why));
        }
        let names = collections(&connection).map_err(failed)?;
        if !names.iter().any(|name| name == collection) {
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let why = format!(
                "it has no collection {collection}, so MemPalace has not written it, or its config.json names another \
                 one as collection_name; its collections: {names}"
            );
            return Err(database.wrong(why));
        }
        let metadata = metadata_statements(&connection).map_err(failed)?;
        Ok(Chroma { connection, database, collection, metadata })
    }

    fn failed(&self, error: &rusqlite::Error) -> MemoryError {
        self.database.failed(error)
    }

    /// Counts the rows of a collection.
    pub fn count(&self, collection: &str) -> Result<usize> {
        let count = self.connection.query_row(COUNT, [collection], |row| row.get(0));
        let count: i64 = count.map_err(|error| self.failed(&error))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Lists every drawer, in the order of their first rows, and the rows that cannot be imported.
    pub fn list(&self) -> Result<(Vec<Listed>, Vec<NotImported>)> {
        self.list_rows().map_err(|error| self.failed(&error))
    }

    fn list_rows(&self) -> rusqlite::Result<(Vec<Listed>, Vec<NotImported>)> {
        let (mut drawers, mut bad) = (Vec::new(), self.queued()?);
        let mut groups: HashMap<String, (usize, Vec<Chunk>)> = HashMap::new();
        let mut statement = self.connection.prepare(LIST)?;
        let mut rows = statement.query([self.collection])?;
        while let Some(row) = rows.next()? {
            let ListedRow { row, id, parent, chunk, is_sentinel } = match listed_row(row) {
                Ok(found) => found,
                Err(row) => {
                    bad.push(row);
                    continue;
                }
            };
            match parent {
                // MemPalace keeps records of its own in the collection, which are no drawers.
                _ if is_sentinel => {}
                None => drawers.push(Listed { id, rows: vec![row], is_joined: false }),
                Some(parent) => {
                    let (_, rows) = groups.entry(parent.clone()).or_insert_with(|| {
                        drawers.push(Listed { id: parent, rows: Vec::new(), is_joined: true });
                        (drawers.len() - 1, Vec::new())
                    });
                    rows.push((chunk, id, row));
                }
            }
        }
        for (at, mut rows) in groups.into_values() {
            // Rows are inserted in any order. Their numbers give the order of the text.
            rows.sort();
            let rows = rows.into_iter().map(|(_, _, row)| row).collect();
            drawers.get_mut(at).into_iter().for_each(|drawer| drawer.rows = Vec::clone(&rows));
        }
        Ok((drawers, bad))
    }

    /// Counts the writes that are still in Chroma's queue, as records that cannot be imported.
    fn queued(&self) -> rusqlite::Result<Vec<NotImported>> {
        let known = columns(&self.connection, "embeddings_queue")?.contains("topic")
            && columns(&self.connection, "max_seq_id")?.contains("seq_id");
        let count: i64 = match known {
            true => self.connection.query_row(QUEUED, [self.collection], |row| row.get(0))?,
            false => 0,
        };
        // MemPalace lets Chroma move them when it reads.
        let why = "still in Chroma's queue: search for something with MemPalace, and import again";
        let id = match count {
            0 => return Ok(Vec::new()),
            _ => plural::count(count, "write"),
        };
        Ok(vec![NotImported { id, why: why.to_owned() }])
    }

    /// Reads a drawer. The inner error says why it cannot be imported.
    pub fn read(&self, drawer: &Listed) -> Result<std::result::Result<Text, String>> {
        let (mut content, mut known) = (String::new(), None);
        for row in &drawer.rows {
            let mut metadata = match self.metadata_of(*row).map_err(|error| self.failed(&error))? {
                Ok(metadata) => metadata,
                Err(why) => return Ok(Err(why)),
            };
            match metadata.remove(DOCUMENT) {
                Some(Value::String(text)) => content.push_str(&text),
                _ => return Ok(Err(format!("its row {row} has no text"))),
            }
            known.get_or_insert(metadata);
        }
        let mut known = known.unwrap_or_default();
        known.retain(|key, _| !key.starts_with("chroma:"));
        // These fields say how the rows were joined, which is over now.
        if drawer.is_joined {
            known.retain(|key, _| {
                !["parent_drawer_id", "parent_entry_id", "chunk_index"].contains(&key.as_str())
            });
        }
        Ok(Ok(Text { content, known }))
    }

    fn metadata_of(
        &self,
        id: i64,
    ) -> rusqlite::Result<std::result::Result<Map<String, Value>, String>> {
        let mut metadata = Map::new();
        for (n, sql) in self.metadata.iter().enumerate() {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([id])?;
            while let Some(row) = rows.next()? {
                match value_of(row) {
                    // The first statement reads single values, the second one the items of lists.
                    Ok((key, value)) if n == 0 => drop(metadata.insert(key, value)),
                    Ok((key, value)) => {
                        let list = metadata.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                        list.as_array_mut().into_iter().for_each(|list| list.push(value.clone()));
                    }
                    Err(why) => return Ok(Err(format!("its metadata has {why}"))),
                }
            }
        }
        Ok(Ok(metadata))
    }
}

fn collections(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM collections ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Returns the statements that read the metadata of a row. Newer versions of Chroma also have boolean values, and lists
/// in a table of their own.
fn metadata_statements(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statements = Vec::new();
    for (table, order) in [("embedding_metadata", "key"), ("embedding_metadata_array", "rowid")] {
        let columns = columns(connection, table)?;
        if !columns.is_empty() {
            // Databases of older versions do not have the column.
            let truth = if columns.contains("bool_value") { "bool_value" } else { "NULL" };
            statements.push(format!(
                "SELECT key, string_value, int_value, float_value, {truth} FROM {table}
                 WHERE id = ?1 ORDER BY {order}"
            ));
        }
    }
    Ok(statements)
}

fn listed_row(row: &Row<'_>) -> std::result::Result<ListedRow, NotImported> {
    let number: i64 = row.get(0).unwrap_or_default();
    let bad =
        |why: String| NotImported { id: format!("row {number}"), why: format!("it has {why}") };
    let column = |n: usize| match row.get_ref(n) {
        Ok(value) => text(value).map_err(bad),
        Err(error) => Err(bad(error.to_string())),
    };
    let id = column(1)?.ok_or_else(|| bad("no id".to_owned()))?;
    let parent = column(2)?.or(column(3)?).filter(|parent| !parent.is_empty());
    let is_sentinel = id.starts_with("_reg_") || column(5)?.as_deref() == Some("_registry");
    Ok(ListedRow { row: number, id, parent, chunk: row.get(4).unwrap_or(0), is_sentinel })
}

fn value_of(row: &Row<'_>) -> std::result::Result<(String, Value), String> {
    let column = |n: usize| match row.get_ref(n) {
        Ok(value) => json(value),
        Err(error) => Err(error.to_string()),
    };
    let key =
        column(0)?.as_ref().and_then(Value::as_str).ok_or("a key that is not text")?.to_owned();
    for n in 1..=3 {
        if let Some(value) = column(n).map_err(|why| format!("{why}, under {key:?}"))? {
            return Ok((key, value));
        }
    }
    let truth = column(4)?.and_then(|value| value.as_i64());
    Ok((key, truth.map_or(Value::Null, |truth| Value::Bool(truth != 0))))
}
