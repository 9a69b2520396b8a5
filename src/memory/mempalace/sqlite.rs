//! Opens SQLite databases of other programs, to read them.

use crate::memory::error::{MemoryError, Result};
use crate::snapshot::uri;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Number, Value};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// The time to wait for a program that is writing the database.
const BUSY: Duration = Duration::from_secs(10);

/// A database file.
#[derive(Clone, Copy, Debug)]
pub struct Database<'a> {
    /// Its path.
    pub path: &'a Path,
    /// The way to read it.
    pub access: Access,
}

/// A way to read a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Beside programs that may write it, and without writing anything.
    Shared,
    /// No program has it open, and SQLite must not create the files that belong to a write-ahead log.
    Immutable,
    /// The file is a copy, in which SQLite may complete or undo a transaction.
    Own,
}

impl Database<'_> {
    pub(super) fn open(&self) -> Result<Connection> {
        self.connect().map_err(|error| self.failed(&error))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let read = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let (how, access) = match self.access {
            // `readonly_shm` keeps SQLite from writing to the index of a write-ahead log.
            Access::Shared => ("mode=ro&readonly_shm=1", read),
            Access::Immutable => ("immutable=1", read),
            Access::Own => ("mode=rw", OpenFlags::SQLITE_OPEN_READ_WRITE),
        };
        let flags = access | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri(self.path, how)?, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        Ok(connection)
    }

    /// Tells whether the database can be read in this way.
    pub(crate) fn is_readable(&self) -> bool {
        let read = |connection: Connection| {
            connection
                .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
        };
        self.connect().and_then(read).is_ok()
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> MemoryError {
        self.wrong(error.to_string())
    }

    pub(super) fn wrong(&self, why: String) -> MemoryError {
        MemoryError::Foreign { path: self.path.display().to_string(), why }
    }
}

/// Returns the columns of a table; none if there is no such table.
pub(super) fn columns(connection: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

/// Names the first table or column that is missing.
pub(super) fn missing(
    connection: &Connection,
    schema: &[(&str, &[&str])],
) -> rusqlite::Result<Option<String>> {
    for (table, needed) in schema {
        let found = columns(connection, table)?;
        if let Some(column) = needed.iter().find(|column| !found.contains(**column)) {
            let what = if found.is_empty() { "table" } else { "column" };
            let name =
                if found.is_empty() { (*table).to_owned() } else { format!("{table}.{column}") };
            return Ok(Some(format!("it has no {what} {name}")));
        }
    }
    Ok(None)
}

/// Returns a value as JSON; `None` for NULL.
pub(super) fn json(value: ValueRef<'_>) -> std::result::Result<Option<Value>, String> {
    Ok(Some(match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(n) => Value::from(n),
        ValueRef::Real(n) => {
            Number::from_f64(n).map_or_else(|| Value::from(n.to_string()), Value::Number)
        }
        ValueRef::Text(bytes) => {
            let text =
                std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned())?;
            Value::from(text)
        }
        ValueRef::Blob(_) => return Err("bytes where text should be".to_owned()),
    }))
}

/// Returns a value as text; `None` for NULL.
pub(super) fn text(value: ValueRef<'_>) -> std::result::Result<Option<String>, String> {
    Ok(match json(value)? {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    })
}
