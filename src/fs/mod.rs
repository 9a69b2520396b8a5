//! Every system call of the store: files, directories, locks, the clock and randomness.
//!
//! Owns: the trait [`Fs`] with its two implementations, the real one ([`os::OsFs`]) and a simulated
//! disk that forgets what was not synced ([`sim::SimFs`]), and the question where flock can be trusted.
//! Invariant: nothing else in the crate calls `std::fs` (SQLite reads and builds its own files; they
//! are published, synced and retired through here). A call does one thing; policy lives above.
//! Must not know: what the files hold.

pub mod class;
pub mod names;
pub mod os;
#[cfg(feature = "mcp")]
pub(crate) mod shell;
pub mod sim;
pub(crate) mod stop;

use names::NameEvents;
use std::io;
use std::path::{Path, PathBuf};

/// An I/O failure: what was tried, on which path, and why it failed.
///
/// ```
/// use crdt_palace::fs::sim::{Call, Failure, SimDisk};
/// use crdt_palace::palace::{Error, Options, StoreError};
/// use std::sync::Arc;
///
/// let disk = SimDisk::new(1);
/// disk.fail_nth(Call::List, 1, Failure::Io);
/// let error = Options::default().fs(Arc::new(disk.process())).open("/palace").unwrap_err();
/// let Error::Store(StoreError::Fs(error)) = error else { panic!("{error}") };
/// assert_eq!((error.action, error.path.to_str()), ("list", Some("/palace")));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FsError {
    /// What was tried: "open", "sync" …
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// The operating system's answer.
    #[source]
    pub source: io::Error,
}

/// Attaches action and path to an [`io::Result`].
pub(crate) trait At<T> {
    /// Turns an `io::Error` into an [`FsError`].
    ///
    /// # Errors
    /// Whatever it was called on.
    fn at(self, action: &'static str, path: &Path) -> Result<T, FsError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FsError> {
        self.map_err(|source| FsError { action, path: path.to_owned(), source })
    }
}

/// Which file it is, whatever its name, and how long it is.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// std::fs::write(&old, "12345")?;
/// let before = OsFs.stat(&old)?;
/// std::fs::rename(&old, &new)?;
/// assert!(OsFs.stat(&new)?.same_file(&before));
/// assert_eq!(before.len, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The device.
    pub dev: u64,
    /// The inode on that device.
    pub ino: u64,
    /// Its length in bytes.
    pub len: u64,
}

impl Stat {
    /// Whether both describe the same file, at whatever length.
    #[must_use]
    pub fn same_file(&self, other: &Stat) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

/// The machine that a process runs on. Zero where unknown.
///
/// ```
/// use crdt_palace::fs::{Fs, sim::SimDisk};
///
/// let disk = SimDisk::new(1);
/// let before = disk.process().host();
/// disk.power_cut(1);
/// let after = disk.process().host();
/// assert_eq!(before.machine, after.machine);
/// assert_ne!(before.boot, after.boot);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// From `/etc/machine-id`.
    pub machine: [u8; 16],
    /// From the kernel: changes with each boot.
    pub boot: [u8; 16],
}

/// An open file. All methods take `&self`: the offset of a read or a write is explicit.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// let file = OsFs.create(&path)?;
/// assert_eq!(file.write_at(b"seven b", 0)?, 7);
/// file.sync()?;
/// let mut bytes = [0; 9];
/// assert_eq!((file.read_at(&mut bytes, 6)?, bytes[0]), (1, b'b'));
/// assert_eq!(file.stat()?.len, 7);
///
/// assert!(file.try_lock()?);
/// assert!(!OsFs.open_lock(&path)?.try_lock()? && OsFs.open(&path)?.is_locked()?);
/// drop(file);
/// assert!(!OsFs.open(&path)?.is_locked()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait File: Send + Sync + std::fmt::Debug {
    /// Reads into `buffer` from `offset`; a short count means the end of the file. A signal does not
    /// interrupt it.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes with a single `pwrite`, over what is there or beyond the end; the count may be short, and
    /// then the file must not be used on.
    ///
    /// # Errors
    /// The operating system's. What was written then is unknown.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// `fdatasync`: on return everything in the file is on disk, whoever wrote it.
    ///
    /// # Errors
    /// The operating system's. The file must not be synced or written to again then.
    fn sync(&self) -> io::Result<()>;
    /// Which file it is and how long.
    ///
    /// # Errors
    /// The operating system's.
    fn stat(&self) -> io::Result<Stat>;
    /// Takes the exclusive flock of this open file unless somebody else holds it. It is released when
    /// this value is dropped, also by SIGKILL.
    ///
    /// # Errors
    /// The operating system's; "held by somebody else" is `Ok(false)`.
    fn try_lock(&self) -> io::Result<bool>;
    /// Whether another open file holds that lock. To ask is to disturb nobody else who asks; who tries to
    /// take the lock in that moment does not get it. Not for a file that holds it itself.
    ///
    /// # Errors
    /// The operating system's.
    fn is_locked(&self) -> io::Result<bool>;
}

/// The system calls. Paths are absolute or relative to the working directory, as given by the caller.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("dir");
/// OsFs.create_dir(&dir)?;
/// let (draft, name) = (dir.join("draft"), dir.join("name"));
/// let file = OsFs.create(&draft)?;
/// file.write_at(b"whole", 0)?;
/// file.sync()?;
/// OsFs.rename_noreplace(&draft, &name)?;
/// OsFs.sync_dir(&dir)?; // now it would survive a power cut under its name
///
/// assert_eq!(OsFs.list(&dir)?, ["name"]);
/// assert_eq!(OsFs.stat(&name)?.len, 5);
/// OsFs.remove(&name)?;
/// assert_eq!(OsFs.open(&name).unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Fs: Send + Sync + std::fmt::Debug {
    /// Makes one directory, mode 0700. The parent must exist.
    ///
    /// # Errors
    /// `AlreadyExists` if there is one.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a file that did not exist, mode 0600, for writing and reading.
    ///
    /// # Errors
    /// `AlreadyExists` if there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens an existing regular file for reading. Follows no symbolic link and waits for no FIFO.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` for anything that is not a regular file.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens or creates (mode 0600) a file to lock or to leave a note in: it is opened for reading and
    /// writing, and never truncated.
    ///
    /// # Errors
    /// The operating system's.
    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Replaces what a lock file says about its holder. For people only; not synced.
    ///
    /// # Errors
    /// The operating system's.
    fn write_note(&self, path: &Path, note: &[u8]) -> io::Result<()>;
    /// The names in a directory, without `.` and `..`, in no order. Names that are not UTF-8 are left
    /// out: none of ours is.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// News of the names in these directories, from now on; `None` if this file system has none to give.
    ///
    /// # Errors
    /// The operating system's: the caller lists instead.
    fn name_events(&self, directories: &[PathBuf]) -> io::Result<Option<NameEvents>>;
    /// Which file has this name. Follows no symbolic link.
    ///
    /// # Errors
    /// `NotFound` if none has.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Which file has this name, and when it was last modified, in milliseconds since 1970, UTC. Not for a
    /// file that is being written: since Linux 6.13 a write after this question notes a new time, and the
    /// next sync has to put that on disk as well.
    ///
    /// # Errors
    /// `NotFound` if none has.
    fn modified(&self, path: &Path) -> io::Result<(Stat, i64)>;
    /// Gives a file a new name that no other file has (the caller has looked; names are random). Atomic:
    /// at no time has it both names, or neither.
    ///
    /// # Errors
    /// `NotFound` if the file is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a new name, unless that name is taken. Atomic, but where the file system knows no
    /// such rename the file has both names for a moment: so not for a segment that may be appended to.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, `NotFound` if the file is gone.
    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` if it is gone.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Syncs a directory: every name given or taken away in it so far is on disk on return.
    ///
    /// # Errors
    /// The operating system's.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Where SQLite can open this file by itself; `None` if only this trait can reach it.
    fn local_path(&self, path: &Path) -> Option<PathBuf>;
    /// The `statfs` type of the file system that holds `path`.
    ///
    /// # Errors
    /// The operating system's.
    fn fs_type(&self, path: &Path) -> io::Result<u64>;
    /// Whether this process may write in this directory: its effective user owns it.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn owned(&self, path: &Path) -> io::Result<bool>;
    /// Lets other threads of the machine go first from now on: for work that nobody waits for. Where the
    /// system refuses, the calling thread merely takes its turn like everybody else.
    fn yield_to_others(&self);
    /// The clock: milliseconds since 1970, UTC.
    fn now_ms(&self) -> i64;
    /// 128 random bits.
    ///
    /// # Errors
    /// The operating system's.
    fn random(&self) -> io::Result<[u8; 16]>;
    /// The machine and its boot.
    fn host(&self) -> Host;
}

/// Whether there is a file, or anything else, of this name.
///
/// ```
/// use crdt_palace::fs::{exists, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// assert!(exists(&OsFs, dir.path())?);
/// assert!(!exists(&OsFs, &dir.path().join("nothing"))?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The operating system's: a failure to look is not an answer.
pub fn exists(fs: &dyn Fs, path: &Path) -> io::Result<bool> {
    match fs.stat(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a whole file from `offset` to its present end.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs, read_from};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, "0123456789")?;
/// assert_eq!(read_from(&*OsFs.open(&path)?, 7)?, b"789");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The operating system's.
pub fn read_from(file: &dyn File, offset: u64) -> io::Result<Vec<u8>> {
    read_between(file, offset, file.stat()?.len)
}

/// Whether opening failed because what has the name is no file: a symbolic link, a directory, a pipe, a
/// device. Somebody put it there; no program that knows palaces does.
pub(crate) fn is_irregular(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

/// Removes the file if making it failed: a full disk must not fill up further with every attempt. The failure is given
/// back; if the file cannot be removed either it stays behind.
pub(crate) fn or_remove<T, E>(made: Result<T, E>, fs: &dyn Fs, path: &Path) -> Result<T, E> {
    if made.is_err()
        && let Err(error) = fs.remove(path)
    {
        tracing::debug!(%error, path = %path.display(), "left behind");
    }
    made
}

/// Reads a file from `offset` to `end`, or to its end if that comes first.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs, read_between};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, "0123456789")?;
/// let file = OsFs.open(&path)?;
/// assert_eq!(read_between(&*file, 2, 4)?, b"23");
/// assert_eq!(read_between(&*file, 8, 99)?, b"89");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The operating system's.
pub fn read_between(file: &dyn File, offset: u64, end: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(end.saturating_sub(offset)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
