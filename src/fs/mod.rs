//! All system calls of the store: files, directories, locks, the clock and randomness.
//!
//! Owns: the trait [`Fs`] with its two implementations, the real one ([`os::OsFs`]) and a simulated disk
//! that forgets what was not synced ([`sim::SimFs`]); the list of file systems whose flock can be trusted,
//! and the trial of what others show. Invariant: nothing else in the crate calls `std::fs`. (SQLite reads and builds its own files;
//! they are published, synced and retired through here.) A call does one thing; policy lives above. Must
//! not know: what the files hold.

pub mod fs_type;
mod lock_owner;
pub mod name_events;
pub mod os;
pub(crate) mod shell;
pub mod sim;
pub mod spare_descriptors;
mod stat;
pub(crate) mod stop;
pub mod visibility;

pub use lock_owner::LockOwner;
pub use stat::{Identity, Listed, Stat};

use name_events::NameEvents;
use std::io;
use std::path::{Path, PathBuf};

/// A failed system call: the action, the path and the cause.
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
#[non_exhaustive]
pub struct FsError {
    /// The action: "open", "sync" …
    pub action: &'static str,
    /// The path.
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
    /// The error it was called on, with action and path.
    fn at(self, action: &'static str, path: &Path) -> Result<T, FsError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FsError> {
        self.map_err(|source| FsError { action, path: path.to_owned(), source })
    }
}

/// The machine that a process runs on. Fields are zero where unknown.
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
    /// From the kernel; changes with each boot.
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
    /// Reads into `buffer` from `offset`; a short count means the end of the file. Signals do not
    /// interrupt it.
    ///
    /// # Errors
    /// An error of the operating system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes with a single `pwrite`, over existing bytes or beyond the end. The count may be short; then
    /// the file must not be used any more.
    ///
    /// # Errors
    /// An error of the operating system. It is then unknown which bytes were written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Syncs the data of the file (`fdatasync`): on return every byte in it is on disk, whichever process
    /// wrote it.
    ///
    /// # Errors
    /// An error of the operating system. After it, the file must not be synced or written to again.
    fn sync(&self) -> io::Result<()>;
    /// Returns the identity and the length of the file.
    ///
    /// # Errors
    /// An error of the operating system.
    fn stat(&self) -> io::Result<Stat>;
    /// Takes the exclusive flock of this open file, unless another open file holds it. The lock is
    /// released when this value is dropped or its process ends, also by SIGKILL.
    ///
    /// # Errors
    /// An error of the operating system. A lock that is held elsewhere is `Ok(false)`.
    fn try_lock(&self) -> io::Result<bool>;
    /// Returns true if another open file holds that lock. Processes that ask at the same time do not
    /// disturb each other; a process that tries to take the lock in that moment does not get it. Not to
    /// be called on the file that holds the lock.
    ///
    /// # Errors
    /// An error of the operating system.
    fn is_locked(&self) -> io::Result<bool>;
    /// Returns the process that holds that lock, for people; `None` if no process does, or if the system
    /// does not tell.
    ///
    /// # Errors
    /// An error of the operating system.
    fn lock_owner(&self) -> io::Result<Option<LockOwner>>;
}

/// An open directory. It stays the same directory when it is renamed.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// # let base = dir.path().canonicalize()?;
/// let (old, new) = (base.join("old"), base.join("new"));
/// OsFs.create_dir(&old)?;
/// let directory = OsFs.open_dir(&old)?;
/// std::fs::rename(&old, &new)?;
/// assert_eq!(directory.place()?, Some(new.clone()));
/// std::fs::remove_dir(&new)?;
/// assert_eq!(directory.place()?, None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Directory: Send + Sync + std::fmt::Debug {
    /// Returns the present path of the directory; `None` if it was deleted, or if the system does not
    /// tell.
    ///
    /// # Errors
    /// An error of the operating system.
    fn place(&self) -> io::Result<Option<PathBuf>>;
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
    /// Creates one directory, mode 0700. Its parent must exist.
    ///
    /// # Errors
    /// `AlreadyExists` if there is one.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a new file, mode 0600, for writing and reading.
    ///
    /// # Errors
    /// `AlreadyExists` if there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens an existing regular file for reading. Follows no symbolic link and waits for no FIFO.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` for anything that is not a regular file.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens or creates (mode 0600) a file to lock or to write a note to. It is opened for reading and
    /// writing, and never truncated.
    ///
    /// # Errors
    /// An error of the operating system.
    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Replaces the note in a lock file that names its holder. The note is for people and is not synced.
    ///
    /// # Errors
    /// An error of the operating system.
    fn write_note(&self, path: &Path, note: &[u8]) -> io::Result<()>;
    /// Returns the names in a directory with their inodes, without `.` and `..`, in no order. Names that
    /// are not UTF-8 are left out: the store makes none.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn entries(&self, path: &Path) -> io::Result<Vec<Listed>>;
    /// Returns the names in a directory, as [`Fs::entries`] does.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Ok(self.entries(path)?.into_iter().map(|listed| listed.name).collect())
    }
    /// Opens a directory, to learn later where it is.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Directory>>;
    /// Begins to report changes of the names in these directories; `None` if this file system cannot
    /// report them.
    ///
    /// # Errors
    /// An error of the operating system. The caller then lists the directories instead.
    fn name_events(&self, directories: &[PathBuf]) -> io::Result<Option<NameEvents>>;
    /// Returns the identity of the file with this name. Follows no symbolic link.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Returns the identity of the file with this name, and its time of modification, in milliseconds
    /// since 1970, UTC. Not for a file that is being written: since Linux 6.13, the next write after this
    /// call records a new time, and the next sync has to write that time to disk as well.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn modified(&self, path: &Path) -> io::Result<(Stat, i64)>;
    /// Returns the identity of the file with this name, and its times. Like [`Fs::modified`], it is not for
    /// a file that is being written.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn identity(&self, path: &Path) -> io::Result<Identity> {
        let (stat, modified_ms) = self.modified(path)?;
        Ok(Identity { stat, modified_ms, born_ns: None })
    }
    /// Renames a file to a name that no file has (names are random, and the caller has checked). Atomic:
    /// at no time does the file have both names, or neither.
    ///
    /// # Errors
    /// `NotFound` if the file is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames a file, unless the new name is taken. Where the file system knows no such rename, the file
    /// gets a second name and loses the first. FUSE then takes it for another file: what is written
    /// through a file that is open is not shown by the new name. So it is not for a file that is written
    /// to afterwards.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, `NotFound` if the file is gone.
    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` if it is gone.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Syncs a directory: on return every name that was added to it or removed from it is on disk.
    ///
    /// # Errors
    /// An error of the operating system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Returns a path that SQLite can open by itself; `None` if only this trait can reach the file.
    fn local_path(&self, path: &Path) -> Option<PathBuf>;
    /// Returns the `statfs` type of the file system that holds `path`.
    ///
    /// # Errors
    /// An error of the operating system.
    fn fs_type(&self, path: &Path) -> io::Result<u64>;
    /// Returns true if this process may write in this directory: its effective user owns it.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn owned(&self, path: &Path) -> io::Result<bool>;
    /// Returns true if the file system of this directory is mounted so that the system writes nothing to it.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn is_mounted_read_only(&self, path: &Path) -> io::Result<bool>;
    /// Lowers the priority of the calling thread from now on, for work that no caller waits for. If the
    /// system refuses, the thread keeps its normal priority.
    fn yield_to_others(&self);
    /// Returns the time, in milliseconds since 1970, UTC.
    fn now_ms(&self) -> i64;
    /// Returns 128 random bits.
    ///
    /// # Errors
    /// An error of the operating system.
    fn random(&self) -> io::Result<[u8; 16]>;
    /// Returns the machine and its boot.
    fn host(&self) -> Host;
}

/// Returns true if a file, or anything else, has this name.
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
/// An error of the operating system: then it is unknown whether there is one.
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
/// An error of the operating system.
pub fn read_from(file: &dyn File, offset: u64) -> io::Result<Vec<u8>> {
    read_between(file, offset, file.stat()?.len)
}

/// Returns true if opening failed because the name is not that of a regular file: a symbolic link, a
/// directory, a pipe, a device. No crdt-palace process creates those.
pub(crate) fn is_irregular(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

/// Removes the file if making it failed, so that a full disk does not fill up further with every attempt.
/// Returns the failure; a file that cannot be removed either stays behind.
pub(crate) fn or_remove<T, E>(made: Result<T, E>, fs: &dyn Fs, path: &Path) -> Result<T, E> {
    if made.is_err()
        && let Err(error) = fs.remove(path)
    {
        tracing::debug!(%error, path = %path.display(), "an unfinished file was left behind");
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
/// An error of the operating system.
pub fn read_between(file: &dyn File, offset: u64, end: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(end.saturating_sub(offset)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            // The file ends here, or was cut since.
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
