//! The files of MemPalace, and how to read each of them without leaving a trace.
//!
//! Invariant: nothing is written to a directory of MemPalace, not even the files that SQLite keeps beside a
//! database with a write-ahead log.

use crate::cli::error::{Failure, ImportError};
use crate::cli::location;
use crate::cli::private_directory::PrivateDirectory;
use crate::fs::os::open_foreign;
use crate::memory::mempalace::{self, Access, Database};
use serde_json::Value;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const DRAWERS: &str = "chroma.sqlite3";
const FACTS: &str = "knowledge_graph.sqlite3";
/// The name of the palace's directory inside MemPalace's own directory.
const PALACE: &str = "palace";

/// The configuration of MemPalace, beside its knowledge graph.
const CONFIG: &str = "config.json";
/// The longest configuration that is read, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The files of a palace of MemPalace.
#[derive(Debug)]
pub(super) struct MemPalaceFiles {
    pub drawers: PathBuf,
    /// The name of the collection with the drawers.
    pub collection: String,
    pub facts: Option<PathBuf>,
    /// The directory with the lists that belong to the palace.
    pub root: PathBuf,
}

impl MemPalaceFiles {
    /// Finds the palace that `dir` is, or that it contains, or that its configuration names.
    pub fn find(dir: &Path) -> Result<Self, ImportError> {
        let config = Config::read(dir)?;
        let (inner, path) = (dir.join(PALACE), || dir.to_owned());
        let places = config.palace.as_ref().map_or(vec![dir, &inner], |named| vec![named]);
        for place in places {
            is_file_of_mempalace(&place.join(DRAWERS))?;
        }
        let has_drawers = |palace: &&Path| palace.join(DRAWERS).is_file();
        // The configuration decides: a palace that lies here as well may be an old one.
        let palace = match config.palace.as_deref() {
            Some(named) if !has_drawers(&named) => {
                return Err(ImportError::Elsewhere {
                    config: dir.join(CONFIG),
                    path: named.to_owned(),
                });
            }
            Some(named) => Some(named),
            None => [dir, &inner].into_iter().find(has_drawers),
        };
        let Some(palace) = palace else {
            return Err(match dir.join("palace.json").is_file() {
                true => ImportError::Ours { path: path() },
                false => ImportError::Nothing { path: path() },
            });
        };
        // The file may be a link. SQLite looks for the log and the journal beside its target.
        let drawers = real(&palace.join(DRAWERS));
        // Lists beside a palace belong to it only if it is the one inside MemPalace's own directory.
        let palace = real(palace);
        let own = palace.parent().filter(|_| palace.file_name().is_some_and(|name| name == PALACE));
        let beside = own.unwrap_or(&palace).to_owned();
        // Without a configuration in `dir`, one may lie above the palace.
        let root = if config.is_there { real(dir) } else { beside };
        let collection = match config.collection {
            None => Config::read(&root)?.collection,
            named => named,
        };
        Ok(MemPalaceFiles {
            drawers,
            collection: collection.unwrap_or_else(|| mempalace::DRAWERS.to_owned()),
            facts: facts([&palace, &root])?,
            root,
        })
    }
}

/// Returns the knowledge graph in the first of these directories that has one.
fn facts(directories: [&Path; 2]) -> Result<Option<PathBuf>, ImportError> {
    for directory in directories {
        let file = directory.join(FACTS);
        if is_file_of_mempalace(&file)? {
            return Ok(Some(real(&file)));
        }
    }
    Ok(None)
}

/// Tells whether there is such a file.
///
/// # Errors
/// [`ImportError::NotRead`] if something of that name is there and is no file, or cannot be asked. To go on without it
/// would leave out what it holds.
fn is_file_of_mempalace(path: &Path) -> Result<bool, ImportError> {
    match irregular(path) {
        Some(why) => Err(ImportError::NotRead { path: path.to_owned(), why }),
        None => Ok(path.is_file()),
    }
}

/// Returns why something of this name that is there cannot be read as a file; `None` if nothing is there, or a file.
fn irregular(path: &Path) -> Option<String> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match (fs::symlink_metadata(path), fs::metadata(path)) {
        (Err(error), _) if [NotFound, NotADirectory].contains(&error.kind()) => None,
        (Err(error), _) => Some(error.to_string()),
        (Ok(_), Ok(found)) if found.is_file() => None,
        (Ok(_), Err(error)) if error.kind() == NotFound => {
            Some("a link to a file that is not there".to_owned())
        }
        (Ok(_), Err(error)) => Some(error.to_string()),
        // Opening it names what it is, and waits for nothing.
        (Ok(_), Ok(_)) => open_foreign(path).err().map(|error| error.to_string()),
    }
}

/// The part of MemPalace's configuration that says where it keeps drawers.
#[derive(Debug, Default)]
struct Config {
    is_there: bool,
    palace: Option<PathBuf>,
    collection: Option<String>,
}

impl Config {
    /// Reads the configuration in a directory.
    ///
    /// # Errors
    /// If it cannot be read, or is no JSON. It may name another place, so the drawers that lie here may be old ones.
    fn read(dir: &Path) -> Result<Self, ImportError> {
        let path = dir.join(CONFIG);
        let bad = |why: String| ImportError::Config { path: path.clone(), why };
        irregular(&path).map_or(Ok(()), |why| Err(bad(why)))?;
        if !path.is_file() {
            return Ok(Config::default());
        }
        let file = open_foreign(&path).map_err(|error| bad(error.to_string()))?;
        let file = io::BufReader::new(file.take(CONFIG_BYTES_MAX));
        let value: Value = serde_json::from_reader(file).map_err(|error| bad(error.to_string()))?;
        let text = |name: &str| {
            value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let palace = text("palace_path").map(PathBuf::from);
        // Only this user's home directory is known.
        let palace = palace.map(|path| dir.join(location::source(&path).unwrap_or(path)));
        Ok(Config { is_there: true, palace, collection: text("collection_name") })
    }
}

/// Resolves links. If that fails, it returns the path as it is: opening the file later reports the error.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Counts the entries of a list of MemPalace; 0 if no such list can be read.
pub(super) fn count_in_list(root: &Path, name: &str) -> usize {
    // Lists are not imported, only mentioned. MemPalace takes one that it cannot read for an empty one, too.
    let Ok(file) = open_foreign(&root.join(name)) else { return 0 };
    let value: Value = serde_json::from_reader(io::BufReader::new(file)).unwrap_or_default();
    let lists = value.as_object().into_iter().flat_map(|object| object.values());
    let list = value.as_array().or_else(|| lists.filter_map(Value::as_array).next());
    list.map_or(0, Vec::len)
}

/// A database, and how to read it.
#[derive(Debug)]
pub(super) struct ReadableDatabase {
    path: PathBuf,
    mode: ReadMode,
}

#[derive(Debug)]
enum ReadMode {
    /// Read with SQLite's own locks, beside a program that may write.
    Shared,
    /// Read without locks. No program had it open, and this is the version that was there.
    Alone(FileVersion),
    /// Read from a copy, because reading it would first have to complete what a killed program had begun.
    Copy(Scratch),
}

/// The attributes of a database file that change if a program writes to it.
#[derive(Debug, PartialEq, Eq)]
struct FileVersion {
    length: Option<u64>,
    modified: Option<SystemTime>,
    log: Option<u64>,
}

impl ReadableDatabase {
    /// Finds out how to read a database.
    ///
    /// In rollback mode, which Chroma uses, a reader writes nothing, unless a crash left a journal behind. With a
    /// write-ahead log, which the knowledge graph has, a reader creates the log and its index, or writes to the index,
    /// unless it is told not to.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::Input { path: path.display().to_string(), source };
        // SQLite opens these beside the database, and would wait for a pipe.
        for ending in ["-wal", "-shm", "-journal"] {
            is_file_of_mempalace(&with(path, ending))?;
        }
        let length = |ending| length(&with(path, ending));
        let (log, index) = (length("-wal"), length("-shm"));
        let shared = Database { path, access: Access::Shared };
        let mode = match (log, index) {
            // Log and index are there, so a reader makes no new file.
            (Some(_), Some(_)) => ReadMode::Shared,
            // A log without its index was left by a crash. A reader would have to build the index beside it.
            (Some(1..), None) => ReadMode::Copy(Scratch::of(path, "-wal").map_err(failed)?),
            // No program is writing the journal, so a reader would have to roll it back first.
            _ if length("-journal").is_some_and(|length| length > 0) && !shared.is_readable() => {
                ReadMode::Copy(Scratch::of(path, "-journal").map_err(failed)?)
            }
            _ if has_log(path).map_err(failed)? => ReadMode::Alone(version(path)),
            _ => ReadMode::Shared,
        };
        Ok(ReadableDatabase { path: path.to_owned(), mode })
    }

    pub fn database(&self) -> Database<'_> {
        match &self.mode {
            ReadMode::Shared => Database { path: &self.path, access: Access::Shared },
            ReadMode::Alone(_) => Database { path: &self.path, access: Access::Immutable },
            ReadMode::Copy(scratch) => Database { path: &scratch.database, access: Access::Own },
        }
    }

    /// Checks that no program wrote to a database that was read without locks.
    ///
    /// # Errors
    /// [`ImportError::Changed`] if one did.
    pub fn check_unchanged(&self) -> Result<(), ImportError> {
        match &self.mode {
            ReadMode::Alone(then) if *then != version(&self.path) => {
                Err(ImportError::Changed { path: self.path.clone() })
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

/// Returns the length of a file; `None` if there is no such file, or it cannot be asked. In that case opening it
/// reports the error.
fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).map(|file| file.len()).ok()
}

/// Returns the version of a file, to be compared with a later one. An attribute that cannot be asked is left out of
/// both.
fn version(path: &Path) -> FileVersion {
    let modified = fs::metadata(path).and_then(|file| file.modified()).ok();
    FileVersion { length: length(path), modified, log: length(&with(path, "-wal")) }
}

/// Reads in the header of a database whether it may have a write-ahead log.
fn has_log(path: &Path) -> io::Result<bool> {
    let mut header = Vec::new();
    open_foreign(path)?.take(20).read_to_end(&mut header)?;
    Ok(header.get(18) == Some(&2))
}

/// A copy of a database and its log or journal. It is deleted when it is dropped.
#[derive(Debug)]
struct Scratch {
    /// Keeps the directory until then.
    _directory: PrivateDirectory,
    database: PathBuf,
}

impl Scratch {
    fn of(path: &Path, ending: &str) -> io::Result<Self> {
        let directory = PrivateDirectory::new("import")?;
        let database = directory.path().join(path.file_name().unwrap_or_default());
        fs::copy(path, &database)?;
        fs::copy(with(path, ending), with(&database, ending))?;
        Ok(Scratch { _directory: directory, database })
    }
}
