//! The real system calls.
//!
//! Invariant: nothing here follows a symbolic link to a data file, waits for a FIFO, or trusts the
//! umask. Files are opened close-on-exec, so a lock dies with its process and not with its children.

use super::lock_owner::lock_owner;
use super::name_events::NameEvents;
use super::{Directory, File, Fs, Host, Identity, Listed, LockOwner, Stat};
use crate::format::id::from_hex;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, RenameFlags, StatxFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use std::fs;
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The real file system.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("note");
/// std::fs::write(&path, "here")?;
/// assert_eq!(OsFs.stat(&path)?.len, 4);
/// assert_eq!(OsFs.local_path(&path), Some(path));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFs;

#[derive(Debug)]
struct OsFile(fs::File);

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIR_MODE: Mode = Mode::RWXU;

/// An open directory: a descriptor that can do nothing but name it.
#[derive(Debug)]
struct OsDirectory(OwnedFd);

impl Directory for OsDirectory {
    fn place(&self) -> io::Result<Option<PathBuf>> {
        let deleted = rustix::fs::fstat(&self.0)?.st_nlink == 0;
        if deleted {
            return Ok(None);
        }
        match fs::read_link(format!("/proc/self/fd/{}", self.0.as_raw_fd())) {
            Ok(path) => Ok(Some(path)),
            // A container may have no /proc.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Asks for identity and length only, and not for times: see [`Fs::modified`].
fn stat_at(fd: impl AsFd, path: impl Arg + Copy, flags: AtFlags) -> io::Result<Stat> {
    Ok(statx_at(fd, path, flags, StatxFlags::empty())?.stat)
}

/// Asks for identity, length and the times in `times`. A time that is not asked for means nothing.
fn statx_at(
    fd: impl AsFd,
    path: impl Arg + Copy,
    flags: AtFlags,
    times: StatxFlags,
) -> io::Result<Identity> {
    let flags = flags | AtFlags::SYMLINK_NOFOLLOW;
    let mask = StatxFlags::INO | StatxFlags::SIZE | times;
    // A network or FUSE file system may otherwise answer what it knew a second ago: that a name is still there
    // which another mount has moved on.
    match rustix::fs::statx(&fd, path, flags | AtFlags::STATX_FORCE_SYNC, mask) {
        Ok(found) => {
            let (modified, born) = (found.stx_mtime, found.stx_btime);
            let born_ns = born.tv_sec.saturating_mul(1_000_000_000) + i64::from(born.tv_nsec);
            let stat = Stat {
                dev: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
                ino: found.stx_ino,
                len: found.stx_size,
            };
            let told =
                times.contains(StatxFlags::BTIME) && found.stx_mask & StatxFlags::BTIME.bits() != 0;
            let modified_ms = modified.tv_sec * 1_000 + i64::from(modified.tv_nsec / 1_000_000);
            Ok(Identity { stat, modified_ms, born_ns: told.then_some(born_ns) })
        }
        // A sandbox may not allow statx.
        Err(Errno::NOSYS) => {
            let found = rustix::fs::statat(&fd, path, flags)?;
            let len = u64::try_from(found.st_size).unwrap_or(0);
            let stat = Stat { dev: found.st_dev, ino: found.st_ino, len };
            let milliseconds = i64::try_from(found.st_mtime_nsec / 1_000_000).unwrap_or(0);
            let modified_ms = found.st_mtime * 1_000 + milliseconds;
            Ok(Identity { stat, modified_ms, born_ns: None })
        }
        Err(error) => Err(error.into()),
    }
}

fn open_at(path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::io::retry_on_intr(|| rustix::fs::openat(CWD, path, flags, mode))?)
}

/// Opens a regular file and returns it with the number of its names. Anything else is `InvalidInput`.
fn open_regular(path: &Path, flags: OFlags) -> io::Result<(OwnedFd, u64)> {
    let irregular = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
    // Without NONBLOCK, opening a FIFO would wait for its other end.
    let fd = match open_at(path, flags | OFlags::NONBLOCK, FILE_MODE) {
        // ENXIO: a pipe without a reader, or a socket. EISDIR: a directory that was opened for writing.
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => return Err(irregular("a symbolic link, not a regular file")),
            Some(Errno::NXIO | Errno::ISDIR) => return Err(irregular("not a regular file")),
            _ => return Err(error),
        },
        Ok(fd) => fd,
    };
    let links = links_of_regular(&fd)?;
    Ok((fd, links))
}

/// Returns the number of names of an open file. If it is no regular file, the error says what it is.
fn links_of_regular(fd: &OwnedFd) -> io::Result<u64> {
    let stat = rustix::fs::fstat(fd)?;
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(stat.st_nlink),
        FileType::Directory => "a directory, not a regular file",
        FileType::Fifo => "a pipe, not a regular file",
        FileType::BlockDevice | FileType::CharacterDevice => "a device, not a regular file",
        _ => "not a regular file",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// Opens a file of another program or of the user for reading. A link is followed, because the user may have made it.
///
/// Fails with `InvalidInput` for anything but a regular file, and waits for no pipe.
#[cfg(feature = "mcp")]
pub(crate) fn open_foreign(path: &Path) -> io::Result<fs::File> {
    // Without NONBLOCK, opening a FIFO would wait for its other end.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::io::retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))
        .map_err(|error| match error {
            Errno::NXIO => {
                io::Error::new(io::ErrorKind::InvalidInput, "a socket, not a regular file")
            }
            error => error.into(),
        })?;
    links_of_regular(&fd)?;
    Ok(fd.into())
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

impl File for OsFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(&self.0, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn stat(&self) -> io::Result<Stat> {
        stat_at(&self.0, c"", AtFlags::EMPTY_PATH)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn is_locked(&self) -> io::Result<bool> {
        // A shared lock, so that two processes which ask at once do not see each other.
        match self.0.try_lock_shared() {
            Ok(()) => self.0.unlock().map(|()| false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn lock_owner(&self) -> io::Result<Option<LockOwner>> {
        lock_owner(&self.stat()?)
    }
}

impl Fs for OsFs {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        rustix::fs::mkdir(path, DIR_MODE)?;
        // The umask may have taken bits away.
        Ok(rustix::fs::chmod(path, DIR_MODE)?)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        let fd = open_at(path, flags, FILE_MODE)?;
        rustix::fs::fchmod(&fd, FILE_MODE)?;
        Ok(Box::new(OsFile(fd.into())))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let (fd, _) = open_regular(path, OFlags::RDONLY)?;
        Ok(Box::new(OsFile(fd.into())))
    }

    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let (fd, _) = open_regular(path, OFlags::CREATE | OFlags::RDWR)?;
        Ok(Box::new(OsFile(fd.into())))
    }

    fn write_note(&self, path: &Path, note: &[u8]) -> io::Result<()> {
        let (fd, links) = open_regular(path, OFlags::WRONLY)?;
        // Truncating would change the file under its other name as well, and that may be any file of the
        // user.
        if links != 1 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it has a second name, a hard link",
            ));
        }
        rustix::fs::ftruncate(&fd, 0)?;
        fs::File::from(fd).write_all(note)
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<Listed>> {
        // One getdents64 is one consistent view of the directory. Several are not: a file that is renamed
        // between two of them may appear in neither. So if one buffer does not hold all, list again with
        // a larger one. Every rescan lists three directories, so the first buffer is on the stack.
        let mut usual = [MaybeUninit::uninit(); 32 << 10];
        let (mut names, mut whole) = list_with(path, &mut usual)?;
        let mut bytes = usual.len();
        while !whole && bytes < 8 << 20 {
            bytes *= 4;
            (names, whole) = list_with(path, &mut vec![MaybeUninit::uninit(); bytes])?;
        }
        Ok(names)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::io::retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
        Ok(Box::new(OsDirectory(fd)))
    }

    fn name_events(&self, directories: &[PathBuf]) -> io::Result<Option<NameEvents>> {
        NameEvents::of(directories).map(Some)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        stat_at(CWD, path, AtFlags::empty())
    }

    fn modified(&self, path: &Path) -> io::Result<(Stat, i64)> {
        let found = statx_at(CWD, path, AtFlags::empty(), StatxFlags::MTIME)?;
        Ok((found.stat, found.modified_ms))
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        statx_at(CWD, path, AtFlags::empty(), StatxFlags::MTIME | StatxFlags::BTIME)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some network and FUSE file systems know no rename flags. A hard link refuses a taken name
            // too.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            done => Ok(done?),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::fsync(open_dir(path)?)?)
    }

    fn local_path(&self, path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }

    fn fs_type(&self, path: &Path) -> io::Result<u64> {
        Ok(rustix::fs::statfs(path)?.f_type.cast_unsigned())
    }

    fn owned(&self, path: &Path) -> io::Result<bool> {
        Ok(rustix::fs::stat(path)?.st_uid == rustix::process::geteuid().as_raw())
    }

    fn is_mounted_read_only(&self, path: &Path) -> io::Result<bool> {
        Ok(rustix::fs::statvfs(path)?.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
    }

    fn yield_to_others(&self) {
        let thread = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(thread), 10) {
            tracing::debug!(%error, "the thread keeps its normal priority");
        }
    }

    fn now_ms(&self) -> i64 {
        // A clock before 1970 is no reason to refuse a write: times are for people.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes[..], flags)? {
            16 => Ok(bytes),
            short => Err(io::Error::other(format!("the kernel gave {short} random bytes of 16"))),
        }
    }

    fn host(&self) -> Host {
        Host {
            machine: id_file("/etc/machine-id"),
            boot: id_file("/proc/sys/kernel/random/boot_id"),
        }
    }
}

/// Reads an identifier from a file of the system, with or without dashes; zero, which means "unknown", if
/// there is none.
fn id_file(path: &str) -> [u8; 16] {
    let text = fs::read_to_string(path).unwrap_or_default();
    from_hex(&text.trim().replace('-', "")).unwrap_or_default()
}

/// Lists a directory into this buffer. Returns false with the names if it took more than one call.
fn list_with(path: &Path, buffer: &mut [MaybeUninit<u8>]) -> io::Result<(Vec<Listed>, bool)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut entries = RawDir::new(open_at(path, flags, Mode::empty())?, buffer);
    let (mut names, mut calls) = (Vec::with_capacity(64), 0);
    loop {
        calls += usize::from(entries.is_buffer_empty());
        let Some(entry) = entries.next() else { break };
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(Listed { name: name.to_owned(), ino: entry.ino() });
        }
    }
    // The last call is the one that returns no more entries.
    Ok((names, calls <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn files_are_written_and_read_back() {
        let dir = scratch();
        let path = dir.path().join("f");
        let file = OsFs.create(&path).unwrap();
        assert_eq!(file.write_at(b"abc\0\0", 0).unwrap(), 5);
        assert_eq!(file.write_at(b"def", 3).unwrap(), 3);
        file.sync().unwrap();
        let reader = OsFs.open(&path).unwrap();
        assert_eq!(super::super::read_from(&*reader, 2).unwrap(), b"cdef");
        assert!(reader.stat().unwrap().same_file(&OsFs.stat(&path).unwrap()));
        assert_eq!(OsFs.create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = scratch();
        let (real, link, fifo) = (dir.path().join("r"), dir.path().join("l"), dir.path().join("p"));
        OsFs.create(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        assert!(OsFs.open(&real).is_ok());
        assert!(OsFs.open(&link).is_err());
        assert!(OsFs.open(&fifo).is_err());
        assert!(OsFs.open(dir.path()).is_err());
        assert!(OsFs.open_lock(&fifo).is_err());
    }

    #[test]
    #[cfg(feature = "mcp")]
    fn foreign_files_are_regular_and_may_be_links() {
        let dir = scratch();
        let (real, link, fifo) = (dir.path().join("r"), dir.path().join("l"), dir.path().join("p"));
        fs::write(&real, "text").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, FILE_MODE, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
        assert_eq!(io::read_to_string(open_foreign(&link).unwrap()).unwrap(), "text");
        let error = |name: &str| open_foreign(&dir.path().join(name)).unwrap_err().to_string();
        assert_eq!(error("p"), "a pipe, not a regular file");
        assert_eq!(error("s"), "a socket, not a regular file");
        assert_eq!(error(""), "a directory, not a regular file");
        assert_eq!(error("/dev/null"), "a device, not a regular file");
        assert!(error("none").contains("No such file"));
    }

    #[test]
    fn a_rename_never_replaces() {
        let dir = scratch();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        OsFs.create(&a).unwrap().write_at(b"a", 0).unwrap();
        OsFs.create(&b).unwrap().write_at(b"b", 0).unwrap();
        let refused = OsFs.rename_noreplace(&a, &b).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&b).unwrap(), b"b");
        OsFs.remove(&b).unwrap();
        OsFs.rename_noreplace(&a, &b).unwrap();
        assert_eq!(fs::read(&b).unwrap(), b"a");
    }

    #[test]
    fn flock_belongs_to_one_open_file_and_ends_with_it() {
        let dir = scratch();
        let path = dir.path().join("LOCK");
        let (one, two) = (OsFs.open_lock(&path).unwrap(), OsFs.open_lock(&path).unwrap());
        assert!(one.try_lock().unwrap());
        assert!(!two.try_lock().unwrap());
        assert!(OsFs.open(&path).unwrap().is_locked().unwrap());
        drop(one);
        // Two processes that ask at once do not take each other for the holder.
        let asking = fs::File::open(&path).unwrap();
        asking.lock_shared().unwrap();
        assert!(!OsFs.open(&path).unwrap().is_locked().unwrap());
        assert!(!two.try_lock().unwrap());
        drop(asking);
        assert!(two.try_lock().unwrap());
    }

    #[test]
    fn large_listing_is_complete() {
        let dir = scratch();
        for n in 0..2_000 {
            OsFs.create(&dir.path().join(format!("{n:040}"))).unwrap();
        }
        let (some, whole) =
            list_with(dir.path(), &mut vec![MaybeUninit::uninit(); 4 << 10]).unwrap();
        assert_eq!((some.len(), whole), (2_000, false));
        let (all, whole) =
            list_with(dir.path(), &mut vec![MaybeUninit::uninit(); 1 << 20]).unwrap();
        assert_eq!((all.len(), whole), (2_000, true));
        assert_eq!(OsFs.list(dir.path()).unwrap().len(), 2_000);
    }
}
