//! Builds a snapshot: documents in ascending key order, commits in any order, then `finish`.

use super::codec::{self, LogColumns, ViewColumns};
use super::meta::{Stored, hex};
use super::tokenizer::each_word;
use super::{LogRow, Meta, Row, SnapshotError, connect, schema, verify};
use crate::format::FORMAT_VERSION;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;

/// The size of SQLite's page cache while building, in KiB. Beyond it, dirty pages are written out.
const CACHE_KIB: u32 = 4096;

/// The words that FTS5 collects before it writes them out, in bytes.
const WORDS_IN_MEMORY: u32 = 4 << 20;

/// A snapshot under construction.
///
/// If it is dropped without [`Builder::finish`], or after any error, it leaves an unusable file behind,
/// for the caller to remove.
pub struct Builder {
    connection: Connection,
    meta: Meta,
    /// The last key that was added.
    last: Option<String>,
    /// A buffer for the words of one document.
    words: String,
}

impl Builder {
    /// Starts a snapshot in the file `path`, which is absent or empty (so that the caller can decide its
    /// mode) and which nothing else uses. No other file is created beside it at any time.
    ///
    /// # Errors
    /// [`SnapshotError::NotEmpty`]; [`SnapshotError::Build`] if the file cannot be written.
    pub fn at(path: &Path, meta: Meta) -> Result<Self, SnapshotError> {
        // SQLite's locks protect nothing here, and some file systems refuse them.
        let uri = connect::uri(path, "nolock=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = uri.and_then(|uri| Connection::open_with_flags(uri, flags));
        Self::start(connection, meta)
    }

    /// Starts a snapshot in memory, for [`Builder::finish_bytes`].
    ///
    /// # Errors
    /// [`SnapshotError::Build`] if there is no memory.
    pub fn in_memory(meta: Meta) -> Result<Self, SnapshotError> {
        Self::start(Connection::open_in_memory(), meta)
    }

    fn start(opened: rusqlite::Result<Connection>, meta: Meta) -> Result<Self, SnapshotError> {
        let id = meta.snapshot;
        let building = |source| SnapshotError::Build { snapshot: id, source };
        let connection = opened.map_err(building)?;
        if !is_empty(&connection) {
            return Err(SnapshotError::NotEmpty { snapshot: id });
        }
        prepare(&connection).map_err(building)?;
        let meta = Meta { documents: 0, commits: 0, ..meta };
        Ok(Builder { connection, meta, last: None, words: String::new() })
    }

    /// Adds a document. A search finds it by `text`, which [`words`](super::words()) splits.
    ///
    /// # Errors
    /// [`SnapshotError::Unordered`] unless its key is greater than the one before;
    /// [`SnapshotError::TooLarge`]; [`SnapshotError::Build`].
    pub fn add(&mut self, row: &Row, text: &str) -> Result<(), SnapshotError> {
        self.check_order(row.key.as_str())?;
        // Numbers follow the order of keys: with them, readers prove that a key is absent.
        let number = i64::try_from(self.meta.documents + 1).ok();
        let number = self.fits("the number of documents", number)?;
        let absorbed = self.fits("a list of heads", codec::pack_heads(&row.absorbed))?;
        let waiting = codec::pack(row.waiting.iter().map(Vec::as_slice));
        let waiting = self.fits("a waiting change", waiting)?;
        let encoded = Encoded { number, heads: row.heads.to_bytes(), absorbed, waiting };
        self.insert_document(row, &encoded).map_err(|source| self.error(source))?;
        self.insert_words(number, text).map_err(|source| self.error(source))?;
        self.meta.documents += 1;
        Ok(())
    }

    fn check_order(&mut self, key: &str) -> Result<(), SnapshotError> {
        match &mut self.last {
            Some(previous) if previous.as_str() >= key => Err(SnapshotError::Unordered {
                snapshot: self.meta.snapshot,
                key: key.to_owned(),
                previous: previous.clone(),
            }),
            last => {
                *last = Some(key.to_owned());
                Ok(())
            }
        }
    }

    fn insert_document(&self, row: &Row, encoded: &Encoded) -> rusqlite::Result<()> {
        let Encoded { number, heads, absorbed, waiting } = encoded;
        let key = row.key.as_str().as_bytes();
        let key_check = codec::key_check(*number, key);
        let incomplete = !waiting.is_empty();
        let view = row.view.as_bytes();
        let columns = ViewColumns { number: *number, key, heads, absorbed, incomplete, view };
        let document_check = codec::document_check(*number, key, &row.document, waiting);
        self.connection
            .prepare_cached("INSERT INTO keys(number, key, proof) VALUES(?1, ?2, ?3)")?
            .execute(params![number, row.key.as_str(), key_check])?;
        self.connection
            .prepare_cached(
                "INSERT INTO views(number, heads, absorbed, incomplete, proof, view) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![number, heads, absorbed, incomplete, columns.check(), row.view])?;
        self.connection
            .prepare_cached(
                "INSERT INTO documents(number, proof, document, waiting) VALUES(?1, ?2, ?3, ?4)",
            )?
            .execute(params![number, document_check, row.document, waiting])?;
        Ok(())
    }

    fn insert_words(&mut self, number: i64, text: &str) -> rusqlite::Result<()> {
        self.words.clear();
        let words = &mut self.words;
        each_word(text, |word| {
            words.push_str(word);
            words.push(' ');
        });
        self.connection
            .prepare_cached("INSERT INTO words(rowid, text) VALUES(?1, ?2)")?
            .execute(params![number, self.words])?;
        Ok(())
    }

    /// Adds a commit to the log. If it has that commit already (same instance and sequence), nothing
    /// changes.
    ///
    /// # Errors
    /// [`SnapshotError::TooLarge`] for a sequence number above 2⁶³ − 1; [`SnapshotError::Build`].
    pub fn add_log(&mut self, row: &LogRow) -> Result<(), SnapshotError> {
        let sequence = i64::try_from(row.sequence).ok();
        let sequence = self.fits("a sequence number", sequence)?;
        let changes = self.fits("a list of changes", codec::pack_changes(&row.changes))?;
        let inserted =
            self.insert_log(row, sequence, &changes).map_err(|source| self.error(source))?;
        self.meta.commits += u64::from(inserted);
        Ok(())
    }

    fn insert_log(&self, row: &LogRow, sequence: i64, changes: &[u8]) -> rusqlite::Result<bool> {
        let LogRow { instance, time_ms, .. } = *row;
        let by = row.by.as_bytes();
        let columns = LogColumns { instance, sequence: row.sequence, time_ms, by, changes };
        let inserted = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO log(instance, sequence, time_ms, by, changes, proof) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![instance.0, sequence, time_ms, row.by, changes, columns.check()])?;
        Ok(inserted == 1)
    }

    /// Completes the file and closes it. The caller has to sync it.
    ///
    /// # Errors
    /// [`SnapshotError::Build`] if something could not be written.
    pub fn finish(self) -> Result<Meta, SnapshotError> {
        let (connection, meta) = self.complete()?;
        let snapshot = meta.snapshot;
        connection.close().map_err(|(_, source)| SnapshotError::Build { snapshot, source })?;
        Ok(meta)
    }

    /// Completes the snapshot and returns the bytes of its file.
    ///
    /// # Errors
    /// [`SnapshotError::Build`] if there is no memory.
    pub fn finish_bytes(self) -> Result<(Meta, Vec<u8>), SnapshotError> {
        let (mut connection, meta) = self.complete()?;
        let snapshot = meta.snapshot;
        let bytes = connection.serialize("main");
        let bytes = bytes.map_err(|source| SnapshotError::Build { snapshot, source })?.to_vec();
        Ok((meta, bytes))
    }

    fn complete(self) -> Result<(Connection, Meta), SnapshotError> {
        match complete(&self.connection, &self.meta) {
            Ok(()) => Ok((self.connection, self.meta)),
            Err(source) => Err(self.error(source)),
        }
    }

    fn error(&self, source: rusqlite::Error) -> SnapshotError {
        SnapshotError::Build { snapshot: self.meta.snapshot, source }
    }

    fn fits<T>(&self, what: &'static str, encoded: Option<T>) -> Result<T, SnapshotError> {
        encoded.ok_or(SnapshotError::TooLarge { snapshot: self.meta.snapshot, what })
    }
}

/// The encoded columns of a row.
struct Encoded {
    number: i64,
    heads: Vec<u8>,
    absorbed: Vec<u8>,
    waiting: Vec<u8>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// Returns true if the database has no page yet. A file that is no database is not empty either.
fn is_empty(connection: &Connection) -> bool {
    connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .is_ok_and(|pages: u32| pages == 0)
}

/// Sets up an empty database. It has no journal, because half a snapshot is of no use, and no sync,
/// because the caller syncs.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA page_size={}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
         PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{CACHE_KIB};
         PRAGMA application_id={}; PRAGMA user_version={FORMAT_VERSION}; BEGIN",
        schema::PAGE_SIZE,
        schema::APPLICATION_ID,
    ))?;
    schema::create(connection)?;
    connection.execute_batch(&format!(
        "INSERT INTO words(words, rank) VALUES('hashsize', {WORDS_IN_MEMORY}), ('automerge', 0)"
    ))
}

fn complete(connection: &Connection, meta: &Meta) -> rusqlite::Result<()> {
    // FTS5 writes its last words when the transaction ends, so the check over them comes after that.
    connection.execute_batch("COMMIT; BEGIN")?;
    let index = hex(&verify::index_check(connection)?);
    Stored { meta: meta.clone(), index }.write(connection)?;
    // Open statements would keep the connection from closing.
    connection.flush_prepared_statement_cache();
    connection.execute_batch("COMMIT")
}
