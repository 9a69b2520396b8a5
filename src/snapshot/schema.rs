//! The tables of a snapshot: the SQL that makes them, and the proof that a file has exactly these.
//!
//! Documents are numbered 1, 2, 3 … in the byte order of their keys. `keys` is small and dense, so that a
//! hit of the word index becomes a key cheaply, and the absence of a key can be proved from its two
//! neighbours. `views` holds what reading and scanning need. `documents` holds what only writing and
//! compaction need, apart from the rest.

use rusqlite::Connection;

/// The application id of the SQLite file, for `file` and similar tools: "CRDP".
pub(super) const APPLICATION_ID: u32 = 0x4352_4450;

/// The page size, in bytes. Measured against 8192: point reads a third faster, the file 4 % larger.
pub(super) const PAGE_SIZE: u32 = 4096;

pub(super) const META: &str =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";
pub(super) const KEYS: &str =
    "CREATE TABLE keys(number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, proof BLOB NOT NULL)";
pub(super) const VIEWS: &str = "CREATE TABLE views(number INTEGER PRIMARY KEY, heads BLOB NOT NULL, \
     absorbed BLOB NOT NULL, incomplete INTEGER NOT NULL, proof BLOB NOT NULL, view TEXT NOT NULL)";
pub(super) const DOCUMENTS: &str = "CREATE TABLE documents(number INTEGER PRIMARY KEY, \
     proof BLOB NOT NULL, document BLOB NOT NULL, waiting BLOB NOT NULL)";
pub(super) const LOG: &str = "CREATE TABLE log(instance BLOB NOT NULL, sequence INTEGER NOT NULL, \
     time_ms INTEGER NOT NULL, by TEXT NOT NULL, changes BLOB NOT NULL, proof BLOB NOT NULL, \
     PRIMARY KEY(instance, sequence)) WITHOUT ROWID";
/// `ascii` splits at the spaces between our words and nowhere else; `tokenizer.rs` says why.
pub(super) const WORDS: &str = "CREATE VIRTUAL TABLE words USING fts5(text, content='', \
     detail='none', columnsize=0, tokenize='ascii')";

/// The content of `sqlite_schema`, in the order of creation: type, name, table, SQL. FTS5 makes the last
/// three for itself.
const EXPECTED: [(&str, &str, &str, Option<&str>); 10] = [
    ("table", "meta", "meta", Some(META)),
    ("table", "keys", "keys", Some(KEYS)),
    ("index", "sqlite_autoindex_keys_1", "keys", None),
    ("table", "views", "views", Some(VIEWS)),
    ("table", "documents", "documents", Some(DOCUMENTS)),
    ("table", "log", "log", Some(LOG)),
    ("table", "words", "words", Some(WORDS)),
    (
        "table",
        "words_data",
        "words_data",
        Some("CREATE TABLE 'words_data'(id INTEGER PRIMARY KEY, block BLOB)"),
    ),
    (
        "table",
        "words_idx",
        "words_idx",
        Some("CREATE TABLE 'words_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID"),
    ),
    (
        "table",
        "words_config",
        "words_config",
        Some("CREATE TABLE 'words_config'(k PRIMARY KEY, v) WITHOUT ROWID"),
    ),
];

/// Creates the tables in an empty database.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    for table in [META, KEYS, VIEWS, DOCUMENTS, LOG, WORDS] {
        connection.execute_batch(table)?;
    }
    Ok(())
}

/// Returns the first difference between the file's schema and a snapshot's; `None` if there is none.
///
/// A view, a trigger or a changed definition could make an innocent query do something else.
pub(super) fn difference(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")?;
    let mut rows = statement.query([])?;
    let mut expected = EXPECTED.iter();
    while let Some(row) = rows.next()? {
        let (kind, name, table) = (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?);
        let (name_text, sql) = (name.as_str()?, row.get_ref(3)?.as_str_or_null()?);
        // In the order of creation, so that a table too many or too few is noticed as well.
        let same = expected.next().is_some_and(|wanted| {
            (kind.as_str(), name.as_str(), table.as_str(), sql)
                == (Ok(wanted.0), Ok(wanted.1), Ok(wanted.2), wanted.3)
        });
        if !same {
            return Ok(Some(format!("{name_text:?} is not part of a snapshot's schema")));
        }
    }
    Ok(expected.next().map(|missing| format!("the table {:?} is missing", missing.1)))
}
