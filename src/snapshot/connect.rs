//! SQLite's side of a snapshot: a file that never changes, opened for nothing but reading.

use super::schema;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The size of SQLite's private page cache, in KiB. It is small, because fifty processes each have one;
/// the kernel's page cache is shared.
const CACHE_KIB: u32 = 256;

/// The source of a snapshot's bytes.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// A file that never changes. It may be renamed and removed while it is open.
    Path(&'a Path),
    /// The bytes of such a file.
    Bytes(Vec<u8>),
}

/// Identity of a file, as long as the file exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    device: u64,
    inode: u64,
    length: u64,
}

impl FileStamp {
    /// Takes the identity from what the system says of a file.
    pub(super) fn of(found: &Metadata) -> Self {
        FileStamp { device: found.dev(), inode: found.ino(), length: found.len() }
    }
}

/// Opens another connection to the file of a snapshot that was checked when it was opened first. Returns `None` if the
/// name is gone or names another file now, or if the system refuses: a reader can wait for another connection instead.
pub(super) fn open_another(path: &Path, stamp: &FileStamp) -> Option<Connection> {
    let is_same =
        || std::fs::symlink_metadata(path).is_ok_and(|found| FileStamp::of(&found) == *stamp);
    // Asked before and after: the file may be replaced while it is opened.
    let opened = is_same().then(|| {
        let connection = connect(Source::Path(path))?;
        restrict(&connection)?;
        // SQLite reads the file at the first question.
        schema::difference(&connection)?;
        Ok::<_, rusqlite::Error>(connection)
    });
    match opened? {
        Ok(connection) => is_same().then_some(connection),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "no further connection to a snapshot");
            None
        }
    }
}

/// Opens a file, or its bytes, to be read only.
pub(super) fn connect(source: Source<'_>) -> rusqlite::Result<Connection> {
    match source {
        Source::Path(path) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
                | OpenFlags::SQLITE_OPEN_URI
                | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(uri(path, "immutable=1")?, flags)
        }
        Source::Bytes(bytes) => {
            let mut connection = Connection::open_in_memory()?;
            connection.deserialize_read_exact("main", bytes.as_slice(), bytes.len(), true)?;
            Ok(connection)
        }
    }
}

/// Removes from the connection everything that reading does not need.
pub(super) fn restrict(connection: &Connection) -> rusqlite::Result<()> {
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        // Otherwise SQLite plans some statements anew for every value: measured, 10 µs a row of a scan.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        connection.set_db_config(setting, value)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 4096)?;
    connection.execute_batch(&format!(
        "PRAGMA cache_size=-{CACHE_KIB}; PRAGMA query_only=ON; PRAGMA cell_size_check=ON"
    ))
}

/// Returns a `file:` URI for any path: every byte with a meaning in URIs is encoded.
pub(crate) fn uri(path: &Path, parameters: &str) -> rusqlite::Result<String> {
    let mut uri = String::from(if path.is_absolute() { "file://" } else { "file:" });
    for byte in path_bytes(path)? {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(byte));
            }
            _ => write!(uri, "%{byte:02x}").map_err(|_| unusable(path))?,
        }
    }
    uri.push('?');
    uri.push_str(parameters);
    Ok(uri)
}

fn unusable(path: &Path) -> rusqlite::Error {
    rusqlite::Error::InvalidPath(path.to_owned())
}

fn path_bytes(path: &Path) -> rusqlite::Result<Vec<u8>> {
    let bytes = path.as_os_str().as_bytes();
    // An encoded zero would end the name early, and an empty name means a temporary database.
    if bytes.is_empty() || bytes.contains(&0) { Err(unusable(path)) } else { Ok(bytes.to_vec()) }
}
