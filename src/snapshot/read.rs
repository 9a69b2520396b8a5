//! Reads documents: by key, in key order, by their words.

use super::codec::{self, Check, ViewColumns, key_of};
use super::error::reading;
use super::{Row, Snapshot, SnapshotError, Terms, ViewRow};
use crate::format::hash::Heads;
use crate::format::key::Key;
use rusqlite::{Connection, Row as Columns};
use std::sync::MutexGuard;

/// The size at which [`Snapshot::rows_after`] ends a chunk, in bytes.
const CHUNK_BYTES: usize = 4 << 20;

const FIND: &str = "SELECT number, key FROM keys WHERE key <= ?1 ORDER BY key DESC LIMIT 1";
const ENTRY: &str = "SELECT number, key, proof FROM keys WHERE number = ?1";
const VIEW: &str = "SELECT heads, absorbed, incomplete, proof, view FROM views WHERE number = ?1";
const DOCUMENT: &str = "SELECT proof, document, waiting FROM documents WHERE number = ?1";
const KEYS: &str = "SELECT number, key, proof FROM keys ORDER BY number";
const SCAN: &str = "SELECT k.key, v.heads, v.absorbed, v.incomplete, v.proof, v.view \
     FROM keys k CROSS JOIN views v ON v.number = k.number WHERE k.number = ?1";
const MATCH: &str = "SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rowid";

/// The place of a key in the order of keys.
enum KeyPosition {
    At(i64),
    /// After the document of this number, 0 if before all. It is proved that the snapshot lacks the key.
    After(i64),
}

impl Snapshot {
    /// Returns the document `key`, or `None` if the snapshot does not hold it.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] if the stored bytes are not those that were written;
    /// [`SnapshotError::Read`] if it cannot be read now.
    pub fn get(&self, key: &str) -> Result<Option<Row>, SnapshotError> {
        let connection = self.connection();
        match self.find(&connection, key)? {
            KeyPosition::After(_) => Ok(None),
            KeyPosition::At(number) => self.row(&connection, number, key).map(Some),
        }
    }

    /// Returns the view of the document `key`, or `None` if the snapshot does not hold it. Cheaper than
    /// [`Snapshot::get`]: the document itself is not read.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn get_view(&self, key: &str) -> Result<Option<ViewRow>, SnapshotError> {
        let connection = self.connection();
        match self.find(&connection, key)? {
            KeyPosition::After(_) => Ok(None),
            KeyPosition::At(number) => self.view(&connection, number, key).map(Some),
        }
    }

    /// Returns true if the snapshot holds the document `key`.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn contains(&self, key: &str) -> Result<bool, SnapshotError> {
        let connection = self.connection();
        match self.find(&connection, key)? {
            KeyPosition::After(_) => Ok(false),
            KeyPosition::At(number) => self.prove(&connection, number, key).map(|()| true),
        }
    }

    /// Returns the views of the documents whose keys begin with `prefix`, in the byte order of their
    /// keys: at most `limit`, after `after`. Fewer than `limit` means that there are no more.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, SnapshotError> {
        let connection = self.connection();
        let first = self.first_of(&connection, prefix, after)?;
        let mut rows = Vec::new();
        for number in (first..=self.count()).take(limit) {
            let row = self.view_numbered(&connection, number)?;
            if !row.key.as_str().starts_with(prefix) {
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Returns some documents after `after` in key order: at most `limit`, and some megabytes. An empty
    /// list means that there are no more.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn rows_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<Row>, SnapshotError> {
        let connection = self.connection();
        let first = self.first_of(&connection, "", after)?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for number in (first..=self.count()).take(limit) {
            let row = self.numbered_row(&connection, number)?;
            bytes += row.document.len() + row.view.len();
            rows.push(row);
            // Large documents end a chunk early, so that memory stays bounded.
            if bytes >= CHUNK_BYTES {
                break;
            }
        }
        Ok(rows)
    }

    /// Returns the key that follows `after`; `None` if it was the last. The document itself is not read.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn key_after(&self, after: Option<&str>) -> Result<Option<Key>, SnapshotError> {
        let connection = self.connection();
        let number = self.first_of(&connection, "", after)?;
        if number > self.count() { Ok(None) } else { self.entry(&connection, number).map(Some) }
    }

    /// Returns the keys of all documents, in order.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn keys(&self) -> Result<Vec<Key>, SnapshotError> {
        let connection = self.connection();
        let mut statement = self.sql(connection.prepare_cached(KEYS))?;
        let mut found = self.sql(statement.query([]))?;
        let mut keys = Vec::new();
        while let Some(columns) = self.sql(found.next())? {
            keys.push(self.entry_of(columns)?);
        }
        // Only their number shows that the last rows are lost.
        match i64::try_from(keys.len()) {
            Ok(count) if count == self.count() => Ok(keys),
            _ => Err(self.damaged(None, "keys are missing")),
        }
    }

    /// Returns the keys of all documents that [`Terms::accept`] accepted when they were added, in order.
    ///
    /// # Errors
    /// As [`Snapshot::get`]. A damaged word index is not always noticed: it can hide a document, which
    /// [`Snapshot::verify`] finds.
    pub fn matching(&self, terms: &Terms) -> Result<Vec<Key>, SnapshotError> {
        self.numbers_matching(terms)?.into_iter().map(|number| self.numbered_key(number)).collect()
    }

    /// Returns the numbers of the documents that match, as [`Snapshot::matching`] does: from 1 on, in the
    /// order of the keys.
    ///
    /// # Errors
    /// As [`Snapshot::matching`].
    pub fn numbers_matching(&self, terms: &Terms) -> Result<Vec<i64>, SnapshotError> {
        // FTS5 refuses an empty expression.
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let connection = self.connection();
        let mut statement = self.sql(connection.prepare_cached(MATCH))?;
        let numbers =
            self.sql(statement.query_map([terms.to_match()], |columns| columns.get(0)))?;
        numbers.map(|number| self.sql(number)).collect()
    }

    /// Returns the key of the document with this number.
    ///
    /// # Errors
    /// As [`Snapshot::get`]; [`SnapshotError::Damaged`] also if there is none.
    pub fn numbered_key(&self, number: i64) -> Result<Key, SnapshotError> {
        self.entry(&self.connection(), number)
    }

    /// Returns the view of the document with this number.
    ///
    /// # Errors
    /// As [`Snapshot::numbered_key`].
    pub fn numbered_view(&self, number: i64) -> Result<ViewRow, SnapshotError> {
        self.view_numbered(&self.connection(), number)
    }

    /// Returns the number of the first document that begins with `prefix` and comes after `after`, or of
    /// the one that follows where it would be.
    pub(super) fn first_of(
        &self,
        connection: &Connection,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<i64, SnapshotError> {
        let (start, inclusive) = match after {
            Some(after) if after >= prefix => (after, false),
            _ => (prefix, true),
        };
        match self.find(connection, start)? {
            KeyPosition::After(number) => Ok(number + 1),
            KeyPosition::At(number) => {
                self.prove(connection, number, start)?;
                Ok(if inclusive { number } else { number + 1 })
            }
        }
    }

    fn find(&self, connection: &Connection, key: &str) -> Result<KeyPosition, SnapshotError> {
        let mut statement = self.sql(connection.prepare_cached(FIND))?;
        let mut found = self.sql(statement.query([key]))?;
        let Some(columns) = self.sql(found.next())? else {
            return self.behind(connection, 0, key);
        };
        let number = self.sql(columns.get(0))?;
        let before = self.sql(bytes(columns, 1))?;
        if before == key.as_bytes() {
            return Ok(KeyPosition::At(number));
        }
        self.behind(connection, number, key)
    }

    /// Proves that `key` is missing. Documents are numbered in key order without a gap, so it is missing
    /// if it belongs between two consecutive numbers.
    fn behind(
        &self,
        connection: &Connection,
        number: i64,
        key: &str,
    ) -> Result<KeyPosition, SnapshotError> {
        // Both neighbours are checked rows, so the proof does not rest on the index of keys.
        let below = number == 0 || self.entry(connection, number)?.as_str() < key;
        let above = number == self.count() || {
            number < self.count() && self.entry(connection, number + 1)?.as_str() > key
        };
        if below && above {
            return Ok(KeyPosition::After(number));
        }
        Err(self.damaged(Some(key), "the order of its keys is broken"))
    }

    fn prove(&self, connection: &Connection, number: i64, key: &str) -> Result<(), SnapshotError> {
        if self.entry(connection, number)?.as_str() == key {
            return Ok(());
        }
        Err(self.damaged(Some(key), "its index of keys does not fit"))
    }

    /// Reads the key of the document `number` and checks it.
    fn entry(&self, connection: &Connection, number: i64) -> Result<Key, SnapshotError> {
        let mut statement = self.sql(connection.prepare_cached(ENTRY))?;
        let mut found = self.sql(statement.query([number]))?;
        match self.sql(found.next())? {
            Some(columns) => self.entry_of(columns),
            None => Err(self.missing(number)),
        }
    }

    /// Checks a key from the columns number, key, proof.
    fn entry_of(&self, columns: &Columns<'_>) -> Result<Key, SnapshotError> {
        let number = self.sql(columns.get(0))?;
        let key = self.sql(bytes(columns, 1))?;
        let proof: Check = self.sql(columns.get(2))?;
        // The number is part of the check: a whole row in the place of another is damage.
        if codec::key_check(number, key) != proof {
            return Err(self.damaged(None, &format!("the check of key {number} does not fit")));
        }
        self.decoded(None, key_of(key))
    }

    pub(super) fn numbered_row(
        &self,
        connection: &Connection,
        number: i64,
    ) -> Result<Row, SnapshotError> {
        let view = self.view_numbered(connection, number)?;
        self.with_document(connection, number, view)
    }

    fn row(&self, connection: &Connection, number: i64, key: &str) -> Result<Row, SnapshotError> {
        let view = self.view(connection, number, key)?;
        self.with_document(connection, number, view)
    }

    fn with_document(
        &self,
        connection: &Connection,
        number: i64,
        view: ViewRow,
    ) -> Result<Row, SnapshotError> {
        let key = view.key.as_str();
        let mut statement = self.sql(connection.prepare_cached(DOCUMENT))?;
        let mut found = self.sql(statement.query([number]))?;
        let Some(columns) = self.sql(found.next())? else { return Err(self.missing(number)) };
        let proof: Check = self.sql(columns.get(0))?;
        let (document, waiting) = (self.sql(bytes(columns, 1))?, self.sql(bytes(columns, 2))?);
        if codec::document_check(number, key.as_bytes(), document, waiting) != proof {
            return Err(self.damaged(Some(key), "the check of the document does not fit"));
        }
        let waiting = self.decoded(Some(key), codec::unpack(waiting))?;
        let waiting = waiting.into_iter().map(<[u8]>::to_vec).collect();
        let document = document.to_vec();
        let ViewRow { key, heads, view, absorbed, .. } = view;
        Ok(Row { key, document, heads, view, waiting, absorbed })
    }

    fn view(
        &self,
        connection: &Connection,
        number: i64,
        key: &str,
    ) -> Result<ViewRow, SnapshotError> {
        let mut statement = self.sql(connection.prepare_cached(VIEW))?;
        let mut found = self.sql(statement.query([number]))?;
        match self.sql(found.next())? {
            Some(columns) => self.view_of(number, key.as_bytes(), columns, 0),
            None => Err(self.missing(number)),
        }
    }

    fn view_numbered(
        &self,
        connection: &Connection,
        number: i64,
    ) -> Result<ViewRow, SnapshotError> {
        let mut statement = self.sql(connection.prepare_cached(SCAN))?;
        let mut found = self.sql(statement.query([number]))?;
        match self.sql(found.next())? {
            Some(columns) => self.view_of(number, self.sql(bytes(columns, 0))?, columns, 1),
            None => Err(self.missing(number)),
        }
    }

    /// Checks a view from the columns from `first` on: heads, absorbed, incomplete, proof, view.
    fn view_of(
        &self,
        number: i64,
        key: &[u8],
        columns: &Columns<'_>,
        first: usize,
    ) -> Result<ViewRow, SnapshotError> {
        let column = |n| self.sql(bytes(columns, first + n));
        let incomplete = self.sql(columns.get(first + 2))?;
        let proof: Check = self.sql(columns.get(first + 3))?;
        let (heads, absorbed, view) = (column(0)?, column(1)?, column(4)?);
        let stored = ViewColumns { number, key, heads, absorbed, incomplete, view };
        let name = std::str::from_utf8(key).ok();
        // Checked before anything is decoded.
        if stored.check() != proof {
            return Err(self.damaged(name, "the check of its view does not fit"));
        }
        Ok(ViewRow {
            key: self.decoded(name, key_of(key))?,
            heads: self.decoded(name, Heads::from_bytes(heads))?,
            view: self.decoded(name, std::str::from_utf8(view).ok())?.to_owned(),
            absorbed: self.decoded(name, codec::unpack_heads(absorbed))?,
            incomplete,
        })
    }

    /// Returns the number of documents, which is the number of the last.
    pub(super) fn count(&self) -> i64 {
        i64::try_from(self.meta.documents).unwrap_or(i64::MAX)
    }

    /// Returns a connection that no other reader uses meanwhile.
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connections.lend()
    }

    pub(super) fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, SnapshotError> {
        result.map_err(|error| {
            let error = reading(self.id, error);
            self.met.note(&error);
            error
        })
    }

    pub(super) fn decoded<T>(
        &self,
        key: Option<&str>,
        value: Option<T>,
    ) -> Result<T, SnapshotError> {
        value.ok_or_else(|| self.damaged(key, "a column does not hold what it should"))
    }

    pub(super) fn damaged(&self, key: Option<&str>, what: &str) -> SnapshotError {
        let (key, what) = (key.map(str::to_owned), what.to_owned());
        let error = SnapshotError::Damaged { snapshot: self.id, key, what, source: None };
        self.met.note(&error);
        error
    }

    fn missing(&self, number: i64) -> SnapshotError {
        self.damaged(None, &format!("document {number} of {} is missing", self.meta.documents))
    }
}

/// Returns the bytes of a text or blob column.
pub(super) fn bytes<'a>(columns: &'a Columns<'_>, at: usize) -> rusqlite::Result<&'a [u8]> {
    Ok(columns.get_ref(at)?.as_bytes()?)
}
