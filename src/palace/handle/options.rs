//! Opening a palace.
//!
//! Invariant: opening changes nothing on disk.

use super::shared::{Palace, Shared};
use crate::fs::Fs;
use crate::fs::os::OsFs;
use crate::palace::compact::automatic::Automatic;
use crate::palace::error::Result;
use crate::palace::view::directory::Directory;
use crate::store::group_commit::Log;
use crate::store::own_segments::OwnSegments;
use crate::store::rescan::Catalog;
use crate::store::root::Root;
use std::path::Path;
use std::sync::Arc;

/// Options of opening a palace.
///
/// ```
/// use crdt_palace::palace::Options;
/// use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("palace");
///
/// let palace = Options::new().program("notes/3.1").auto_compact(false).open(&path)?;
/// palace.put("a", &json!({"n": 1}))?;
/// assert_eq!(palace.history("a")?[0].by, "notes/3.1");
///
/// let reader = Options::new().read_only().open(&path)?;
/// assert!(reader.put("a", &json!({})).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    read_only: bool,
    program: String,
    auto_compact: bool,
    fs: Arc<dyn Fs>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            read_only: false,
            program: concat!("crdt-palace ", env!("CARGO_PKG_VERSION")).to_owned(),
            auto_compact: true,
            fs: Arc::new(OsFs),
        }
    }
}

impl Options {
    /// Makes the default options.
    #[must_use]
    pub fn new() -> Self {
        Options::default()
    }

    /// Refuses every write. The directory must exist.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Names the program and its version for history and `status`.
    #[must_use]
    pub fn program(mut self, program: &str) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// Sets whether this process compacts in the background when that is due, which is the default. Dropping the last
    /// clone of the palace then waits for a step that is under way.
    #[must_use]
    pub fn auto_compact(mut self, auto_compact: bool) -> Self {
        self.auto_compact = auto_compact;
        self
    }

    /// Uses another implementation of the system calls: see [`crate::fs::sim`].
    ///
    /// ```
    /// # use crdt_palace::palace::Options;
    /// use crdt_palace::fs::sim::SimDisk;
    /// # use serde_json::json;
    /// # use std::sync::Arc;
    ///
    /// let disk = SimDisk::new(7);
    /// let palace = Options::new().fs(Arc::new(disk.process())).open("/palace")?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// disk.power_cut(1);
    /// assert!(palace.get("a").is_err()); // its process is gone
    /// let palace = Options::new().fs(Arc::new(disk.process())).open("/palace")?;
    /// assert_eq!(palace.get("a")?.ok_or("it was acknowledged")?.value["n"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = fs;
        self
    }

    /// Opens the palace. This reads only its `palace.json`, and writes nothing.
    ///
    /// # Errors
    /// [`NotAPalace`](crate::palace::StoreError::NotAPalace), [`Newer`](crate::palace::StoreError::Newer), with
    /// [`Options::read_only`] also [`NoPalace`](crate::palace::StoreError::NoPalace), or an error of the operating system.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Palace> {
        let root = Arc::new(Root::open(self.fs, path.as_ref(), self.read_only)?);
        let own = Arc::new(OwnSegments::default());
        let catalog = Catalog::new(root.clone(), own.clone());
        let log = Log::new(root.clone(), own.clone(), self.program.clone());
        let automatic =
            self.auto_compact.then(|| Automatic::new(root.clone(), self.program.clone()));
        let directory = Directory::new(catalog, own, Arc::default());
        let shared = Shared::new(root, log, self.program, automatic, directory);
        Ok(Palace { shared: Arc::new(shared) })
    }
}

impl Palace {
    /// Opens a palace to read and write. It need not exist: the first write creates it.
    ///
    /// # Errors
    /// See [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Palace> {
        Options::default().open(path)
    }

    /// Opens a palace that must exist, and refuses every write.
    ///
    /// ```
    /// # use crdt_palace::palace::{Palace, ReadOnlyReason};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("palace");
    /// assert!(Palace::open_read_only(&path).is_err()); // there is none
    /// Palace::open(&path)?.put("a", &json!({"n": 1}))?;
    /// let palace = Palace::open_read_only(&path)?;
    /// assert_eq!(palace.get("a")?.ok_or("it was written")?.value["n"], 1);
    /// assert_eq!(palace.read_only(), Some(ReadOnlyReason::OpenedReadOnly));
    /// assert_eq!(palace.path(), path);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`Options::open`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Palace> {
        Options::default().read_only().open(path)
    }
}
