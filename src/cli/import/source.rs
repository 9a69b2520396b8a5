//! Which files of MemPalace there are, and how each can be read without a trace.
//!
//! Invariant: nothing is written to a directory of MemPalace, not even the files that SQLite keeps beside a
//! database with a write-ahead log.

use super::super::exit::Failure;
use crate::memory::mempalace::{Access, Database};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const DRAWERS: &str = "chroma.sqlite3";
const FACTS: &str = "knowledge_graph.sqlite3";
/// The directory that MemPalace's own directory has its palace in.
const PALACE: &str = "palace";

/// Why something cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is a palace of ours.
    #[error(
        "{path} is a palace of crdt-palace already; to merge palaces, say: crdt-compact --into NEW {path} OTHER"
    )]
    Ours {
        /// The directory.
        path: String,
    },
    /// There is no palace of MemPalace.
    #[error(
        "there is nothing to import in {path}: looked for chroma.sqlite3 and palace/chroma.sqlite3, where MemPalace \
         keeps its drawers (of its backends, only chroma can be read)"
    )]
    Nothing {
        /// The directory.
        path: String,
    },
    /// A database changed while it was read without its locks.
    #[error(
        "MemPalace was started and wrote to {path} while it was read: run the import again, it only adds what is missing"
    )]
    Changed {
        /// The file.
        path: String,
    },
}

/// A palace of MemPalace.
#[derive(Debug)]
pub(super) struct Found {
    pub drawers: PathBuf,
    pub facts: Option<PathBuf>,
    /// The directory with what goes with it.
    pub root: PathBuf,
}

impl Found {
    /// The palace that is in this directory, or is it.
    pub fn at(dir: &Path) -> Result<Self, ImportError> {
        let path = || dir.display().to_string();
        let inner = dir.join(PALACE);
        let palace = [dir, &inner].into_iter().find(|palace| palace.join(DRAWERS).is_file());
        let Some(palace) = palace else {
            return Err(match dir.join("palace.json").is_file() {
                true => ImportError::Ours { path: path() },
                false => ImportError::Nothing { path: path() },
            });
        };
        // The file itself may be a link, and its neighbours are then elsewhere.
        let drawers = real(&palace.join(DRAWERS));
        // What is beside a palace belongs to it only if that is the one in MemPalace's own directory.
        let palace = real(palace);
        let own = palace.parent().filter(|_| palace.file_name().is_some_and(|name| name == PALACE));
        let root = own.unwrap_or(&palace).to_owned();
        let facts = [palace.join(FACTS), root.join(FACTS)].into_iter().find(|file| file.is_file());
        Ok(Found { drawers, facts: facts.map(|file| real(&file)), root })
    }
}

/// Without links, as far as that can be found out: what it names is opened later, and that tells.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// How many things are in a list of MemPalace; 0 if there is none that can be read.
pub(super) fn beside(root: &Path, name: &str) -> usize {
    let read = File::open(root.join(name)).map(io::BufReader::new);
    let value: Value =
        read.map_or(Value::Null, |file| serde_json::from_reader(file).unwrap_or_default());
    let lists = value.as_object().into_iter().flat_map(|object| object.values());
    let list = value.as_array().or_else(|| lists.filter_map(Value::as_array).next());
    list.map_or(0, Vec::len)
}

/// A database that can be read.
#[derive(Debug)]
pub(super) struct Prepared {
    path: PathBuf,
    how: How,
}

#[derive(Debug)]
enum How {
    /// With SQLite's own locks, beside whoever writes.
    Shared,
    /// Nobody had it open: as it was then.
    Alone(Version),
    /// From a copy, because reading it would have to complete what a program that died has begun.
    Copy(Scratch),
}

/// What changes if somebody writes to a database.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    length: Option<u64>,
    modified: Option<SystemTime>,
    log: Option<u64>,
}

impl Prepared {
    /// Finds out how to read a database.
    ///
    /// In rollback mode, which Chroma uses, a reader writes nothing, unless a journal was left behind by a crash.
    /// With a write-ahead log, which the knowledge graph has, a reader creates the log and its index, or writes to
    /// the index, unless it is told not to.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::Input { path: path.display().to_string(), source };
        let length = |ending| length(&with(path, ending));
        let (log, index) = (length("-wal"), length("-shm"));
        let shared = Database { path, access: Access::Shared };
        let how = match (log, index) {
            (Some(_), Some(_)) => How::Shared,
            (Some(1..), None) => How::Copy(Scratch::of(path, "-wal").map_err(failed)?),
            // A journal that nobody is writing would have to be rolled back first.
            _ if length("-journal").is_some_and(|length| length > 0) && !shared.is_readable() => {
                How::Copy(Scratch::of(path, "-journal").map_err(failed)?)
            }
            _ if has_log(path).map_err(failed)? => How::Alone(version(path)),
            _ => How::Shared,
        };
        Ok(Prepared { path: path.to_owned(), how })
    }

    pub fn database(&self) -> Database<'_> {
        match &self.how {
            How::Shared => Database { path: &self.path, access: Access::Shared },
            How::Alone(_) => Database { path: &self.path, access: Access::Immutable },
            How::Copy(scratch) => Database { path: &scratch.database, access: Access::Own },
        }
    }

    /// # Errors
    /// [`ImportError::Changed`] if somebody wrote to a database that was read without locks.
    pub fn check_unchanged(&self) -> Result<(), ImportError> {
        match &self.how {
            How::Alone(then) if *then != version(&self.path) => {
                Err(ImportError::Changed { path: self.path.display().to_string() })
            }
            _ => Ok(()),
        }
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// `None` if there is no such file, or nobody can say: whoever then opens it is told why.
fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).map(|file| file.len()).ok()
}

/// To be compared with a later one. What cannot be asked is left out of both.
fn version(path: &Path) -> Version {
    let modified = fs::metadata(path).and_then(|file| file.modified()).ok();
    Version { length: length(path), modified, log: length(&with(path, "-wal")) }
}

/// Whether the header says that there may be a write-ahead log.
fn has_log(path: &Path) -> io::Result<bool> {
    let mut header = Vec::new();
    File::open(path)?.take(20).read_to_end(&mut header)?;
    Ok(header.get(18) == Some(&2))
}

/// A copy of a database and its log or journal, in a directory that nobody else may enter, until it is dropped.
#[derive(Debug)]
struct Scratch {
    directory: PathBuf,
    database: PathBuf,
}

impl Scratch {
    fn of(path: &Path, ending: &str) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("crdt-palace-import-{}-{}", std::process::id(), now.as_nanos());
        let directory = std::env::temp_dir().join(name);
        create_private(&directory)?;
        let database = directory.join(path.file_name().unwrap_or_default());
        let scratch = Scratch { directory, database };
        fs::copy(path, &scratch.database)?;
        fs::copy(with(path, ending), with(&scratch.database, ending))?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, directory = %self.directory.display(), "a copy was left behind");
        }
    }
}

#[cfg(unix)]
fn create_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> io::Result<()> {
    fs::create_dir(directory)
}
