//! Opens a snapshot and trusts nothing in it.

use super::connect::{FileStamp, Source, connect, restrict};
use super::connections::Connections;
use super::error::reading;
use super::met_damage::MetDamage;
use super::meta::Stored;
use super::{Snapshot, SnapshotError, schema};
use crate::format::FORMAT_VERSION;
use crate::format::id::SnapshotId;
use crate::format::plural::count;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::OnceLock;

/// The length of the header of a SQLite file.
const HEADER: usize = 100;

impl Snapshot {
    /// Opens the snapshot `id` and checks everything that can be checked without reading its rows.
    ///
    /// # Errors
    /// [`SnapshotError`]: the file is cut or damaged, is something else, is newer than this program,
    /// holds another snapshot, or cannot be read.
    pub fn open(source: Source<'_>, id: SnapshotId) -> Result<Self, SnapshotError> {
        let io_error = |source| SnapshotError::Open { snapshot: id, source };
        let (file, (header, length)) = match &source {
            Source::Path(path) => {
                let stamp = stamp_of_regular(id, path)?;
                (Some((path.to_path_buf(), stamp)), header_of_file(path).map_err(io_error)?)
            }
            Source::Bytes(bytes) => {
                (None, (bytes.first_chunk::<HEADER>().copied(), bytes.len() as u64))
            }
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
        let connections = Connections::new(connection, file);
        let (in_conflict, instances) = (OnceLock::new(), OnceLock::new());
        let met = MetDamage::default();
        Ok(Snapshot { id, meta, length, index, connections, met, in_conflict, instances })
    }
}

fn damaged(snapshot: SnapshotId, what: String) -> SnapshotError {
    SnapshotError::Damaged { snapshot, key: None, what, source: None }
}

fn stamp_of_regular(id: SnapshotId, path: &Path) -> Result<FileStamp, SnapshotError> {
    // Checked by name first: opening a pipe would wait for its other end, and SQLite would follow a link.
    let found = std::fs::symlink_metadata(path);
    let found = found.map_err(|source| SnapshotError::Open { snapshot: id, source })?;
    if found.is_file() {
        return Ok(FileStamp::of(&found));
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
        return Err(damaged(id, format!("it was cut to {}", count(length, "byte"))));
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
        let what = format!(
            "it has {} instead of {} of {size}",
            count(length, "byte"),
            count(pages, "page")
        );
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
