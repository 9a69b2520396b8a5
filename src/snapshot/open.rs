//! Opens a snapshot and trusts nothing in it.

use super::connections::Connections;
use super::error::reading;
use super::meta::Stored;
use super::{Snapshot, SnapshotError, schema};
use crate::format::FORMAT_VERSION;
use crate::format::id::SnapshotId;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The size of SQLite's private page cache, in KiB. It is small, because fifty processes each have one;
/// the kernel's page cache is shared.
const CACHE_KIB: u32 = 256;

/// The length of the header of a SQLite file.
const HEADER: usize = 100;

/// The source of a snapshot's bytes.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// A file that never changes. It may be renamed and removed while it is open.
    Path(&'a Path),
    /// The bytes of such a file.
    Bytes(Vec<u8>),
}

impl Snapshot {
    /// Opens the snapshot `id` and checks everything that can be checked without reading its rows.
    ///
    /// # Errors
    /// [`SnapshotError`]: the file is cut or damaged, is something else, is newer than this program,
    /// holds another snapshot, or cannot be read.
    pub fn open(source: Source<'_>, id: SnapshotId) -> Result<Self, SnapshotError> {
        let io_error = |source| SnapshotError::Open { snapshot: id, source };
        let file = match &source {
            Source::Path(path) => {
                Some((path.to_path_buf(), FileStamp::of(path).map_err(io_error)?))
            }
            Source::Bytes(_) => None,
        };
        let (header, length) = match &source {
            Source::Path(path) => {
                check_regular(id, path)?;
                header_of_file(path).map_err(io_error)?
            }
            Source::Bytes(bytes) => (bytes.first_chunk::<HEADER>().copied(), bytes.len() as u64),
        };
        check_header(id, header.as_ref(), length)?;
        let connection = connect(source).map_err(|error| reading(id, error))?;
        restrict(&connection).map_err(|error| reading(id, error))?;
        if let Some(what) = schema::difference(&connection).map_err(|error| reading(id, error))? {
            return Err(SnapshotError::NotASnapshot { snapshot: id, what });
        }
        let stored = Stored::read(&connection).map_err(|error| reading(id, error))?;
        let Stored { meta, index } = stored.map_err(|what| damaged(id, what))?;
        // A renamed copy must not stand in for another snapshot.
        if meta.snapshot != id {
            return Err(SnapshotError::WrongId { expected: id, found: meta.snapshot });
        }
        Ok(Snapshot { id, meta, length, index, connections: Connections::new(connection, file) })
    }
}

/// Identity of a file, as long as the file exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    device: u64,
    inode: u64,
    length: u64,
}

impl FileStamp {
    fn of(path: &Path) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(path)?;
        Ok(FileStamp { device: found.dev(), inode: found.ino(), length: found.len() })
    }
}

/// Opens another connection to the file of a snapshot that was checked when it was opened first. Returns `None` if the
/// name is gone or names another file now, or if the system refuses: a reader can wait for another connection instead.
pub(super) fn open_another(path: &Path, stamp: &FileStamp) -> Option<Connection> {
    let is_same = || FileStamp::of(path).is_ok_and(|found| found == *stamp);
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

fn damaged(snapshot: SnapshotId, what: String) -> SnapshotError {
    SnapshotError::Damaged { snapshot, key: None, what, source: None }
}

fn check_regular(id: SnapshotId, path: &Path) -> Result<(), SnapshotError> {
    // Checked by name first: opening a pipe would wait for its other end, and SQLite would follow a link.
    let found = std::fs::symlink_metadata(path);
    let found = found.map_err(|source| SnapshotError::Open { snapshot: id, source })?;
    if found.is_file() {
        return Ok(());
    }
    let what = if found.is_symlink() { "a symbolic link" } else { "not a regular file" };
    Err(SnapshotError::NotASnapshot { snapshot: id, what: what.to_owned() })
}

fn header_of_file(path: &Path) -> io::Result<(Option<[u8; HEADER]>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; HEADER];
    match file.read_exact(&mut header) {
        Ok(()) => Ok((Some(header), length)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((None, length)),
        Err(error) => Err(error),
    }
}

fn number<const N: usize>(header: &[u8; HEADER], at: usize) -> u32 {
    header.iter().skip(at).take(N).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Checks the header before SQLite does. SQLite would believe the length of the file rather than the
/// number of pages, or the other way round, depending on fields that may be damaged as well.
fn check_header(
    id: SnapshotId,
    header: Option<&[u8; HEADER]>,
    length: u64,
) -> Result<(), SnapshotError> {
    let Some(header) = header else {
        return Err(damaged(id, format!("it was cut to {length} bytes")));
    };
    if !header.starts_with(b"SQLite format 3\0")
        || number::<4>(header, 68) != schema::APPLICATION_ID
    {
        let what = "its first bytes are not those of a snapshot".to_owned();
        return Err(SnapshotError::NotASnapshot { snapshot: id, what });
    }
    let version = number::<4>(header, 60);
    if version > u32::from(FORMAT_VERSION) {
        return Err(SnapshotError::Newer { snapshot: id, version });
    }
    let (size, pages) = (number::<2>(header, 16), number::<4>(header, 28));
    if u64::from(size) * u64::from(pages) != length {
        let what = format!("it has {length} bytes instead of {pages} pages of {size}");
        return Err(damaged(id, what));
    }
    // No write-ahead log, no reserved bytes, no automatic vacuum, UTF-8.
    let odd = version == 0
        || number::<3>(header, 18) != 0x01_01_00
        || number::<4>(header, 24) != number::<4>(header, 92)
        || number::<4>(header, 52) != 0
        || number::<4>(header, 56) != 1;
    if odd { Err(damaged(id, "its header was changed".to_owned())) } else { Ok(()) }
}

fn connect(source: Source<'_>) -> rusqlite::Result<Connection> {
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
fn restrict(connection: &Connection) -> rusqlite::Result<()> {
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
