//! Checks of the palace's directory: its owner, its permissions, and the disk that it is on.

use super::check::{Check, Verdict};
use crate::cli::print::{bytes, count};
use crate::format::filename::{CAS, DIRECTORIES, LOCK, MANIFEST};
use crate::fs::fs_type::{FileSystem, lock_trusted};
use crate::fs::os::OsFs;
use crate::fs::shell::quoted;
use crate::fs::{File, Fs, is_irregular};
use rustix::fs::{Access, AtFlags, CWD};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Free space under which a palace cannot work: a compaction writes the new file before it deletes the old ones.
const SPACE_MIN: u64 = 64 << 20;
/// Free files under which new ones soon cannot be made.
const FILES_MIN: u64 = 100;
/// Free space under which the user should know.
const SPACE_LOW: u64 = 512 << 20;

/// Returns the directory itself, or the nearest one above it that exists. New files will be made there.
pub(super) fn nearest_existing(path: &Path) -> PathBuf {
    let above = path.ancestors().find(|above| above.is_dir());
    above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Checks the owner, and the permissions if this user is the owner: only the owner can change them.
pub(super) fn access(path: &Path) -> Vec<Check> {
    let owner = owner(path);
    match owner.verdict {
        Verdict::Ok => vec![owner, permissions(path)],
        _ => vec![owner],
    }
}

fn owner(path: &Path) -> Check {
    let me = rustix::process::geteuid().as_raw();
    match fs::metadata(path) {
        Ok(found) if found.uid() == me => Check::ok("owner", format!("this user (uid {me})")),
        Ok(found) => Check::problem(
            "owner",
            format!("uid {}, and this process has uid {me}: it can only read", found.uid()),
            "run as its owner, or pass another --palace DIR",
        ),
        Err(error) => Check::refused("owner", &error, path),
    }
}

/// Files and directories of a palace with other permissions than they were made with.
#[derive(Default)]
struct Permissions {
    /// The number of files and directories that were checked.
    checked: usize,
    /// Paths that their owner cannot use.
    closed: Vec<PathBuf>,
    /// Paths that belong to another user than the palace.
    foreign: Vec<PathBuf>,
    /// Paths that other users may write.
    writable: Vec<PathBuf>,
    /// Paths that other users may read.
    readable: Vec<PathBuf>,
}

impl Permissions {
    fn check(&mut self, path: &Path) -> io::Result<()> {
        let found = match fs::symlink_metadata(path) {
            // Files appear and vanish while other processes write.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        // The mode of a link means nothing. Its target is checked, if it is in the palace.
        if found.is_symlink() {
            return Ok(());
        }
        self.checked += 1;
        // The owner must read and write all, and search directories.
        let (mode, own) = (found.mode(), if found.is_dir() { 0o700 } else { 0o600 });
        let me = rustix::process::geteuid().as_raw();
        for (wrong, list) in [
            (mode & own != own, &mut self.closed),
            (found.uid() != me, &mut self.foreign),
            (mode & 0o022 != 0, &mut self.writable),
            (mode & 0o055 != 0, &mut self.readable),
        ] {
            if wrong {
                list.push(path.to_owned());
            }
        }
        Ok(())
    }

    fn check_inside(&mut self, directory: &Path) -> io::Result<()> {
        match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            entries => entries?.try_for_each(|entry| self.check(&entry?.path())),
        }
    }

    /// Checks everything in a palace. If other users cannot enter its directory, the modes of the files in it do not
    /// matter.
    fn of(path: &Path) -> io::Result<Self> {
        let mut found = Permissions::default();
        found.check(&fs::canonicalize(path)?)?;
        let private = found.writable.is_empty() && found.readable.is_empty();
        found.check(&path.join(MANIFEST))?;
        for name in DIRECTORIES {
            found.check(&path.join(name))?;
            found.check_inside(&path.join(name))?;
        }
        // No other user passes the directory, so the modes inside it open nothing.
        if private {
            (found.writable, found.readable) = Default::default();
        }
        Ok(found)
    }
}

fn permissions(path: &Path) -> Check {
    const CHECK: &str = "permissions";
    let found = match Permissions::of(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let words = format!("its files cannot be listed: {error}");
            return Check::problem(CHECK, words, chmod("u+rwX", path));
        }
        Err(error) => return Check::refused(CHECK, &error, path),
    };
    if let (true, Some((name, error))) = (found.closed.is_empty(), first_unwritable(path)) {
        let words = format!("no file can be made in {}: {error}", name.display());
        let advice = "mount it for writing, or pass another --palace DIR";
        return Check::problem(CHECK, words, advice);
    }
    let listed = |first: &Path, list: &[PathBuf]| {
        format!("{} of {}, the first is {}", list.len(), found.checked, first.display())
    };
    match (&found.closed[..], &found.foreign[..], &found.writable[..], &found.readable[..]) {
        (closed @ [first, ..], ..) => Check::problem(
            CHECK,
            format!("closed to their owner: {}", listed(first, closed)),
            chmod("u+rwX", path),
        ),
        (_, foreign @ [first, ..], ..) => Check::problem(
            CHECK,
            format!("owned by another user than the palace: {}", listed(first, foreign)),
            format!("as root: chown -R --reference {0} {0}", quoted(path)),
        ),
        (_, _, writable @ [first, ..], _) => Check::problem(
            CHECK,
            format!("other users may write: {}", listed(first, writable)),
            chmod("go-rwx", path),
        ),
        (_, _, _, readable @ [first, ..]) => Check::note(
            CHECK,
            format!("other users may read: {}", listed(first, readable)),
            format!("unless you want that: {}", chmod("go-rwx", path)),
        ),
        _ => Check::ok(CHECK, "only this user can read and write it"),
    }
}

/// Checks that `LOCK` and `CAS` can be locked, if they were made yet.
pub(super) fn lock_files(path: &Path) -> Check {
    const CHECK: &str = "lock files";
    for (name, calls) in [(LOCK, "every compaction"), (CAS, "every conditional write")] {
        let file = path.join(name);
        match OsFs.open(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if is_irregular(&error) => {
                let aside = path.join(format!("{name}.moved"));
                return Check::problem(
                    CHECK,
                    format!("{name} is {error}: {calls} fails"),
                    format!("mv {} {}", quoted(&file), quoted(&aside)),
                );
            }
            Err(error) => {
                let advice = format!("chmod u+rw {}", quoted(&file));
                return Check::problem(CHECK, format!("{name} cannot be opened: {error}"), advice);
            }
            Ok(open) => {
                if let Some(stopped) = stopped_owner(name, calls, &*open, &file) {
                    return stopped;
                }
            }
        }
    }
    Check::ok(CHECK, "LOCK and CAS can be locked")
}

/// Reports a stopped process that holds a lock. One that runs will release it.
fn stopped_owner(name: &str, calls: &str, open: &dyn File, path: &Path) -> Option<Check> {
    let owner = match open.lock_owner() {
        Ok(owner) => owner?,
        Err(error) => return Some(Check::refused("lock files", &error, path)),
    };
    let command = owner.remedy()?;
    let (pid, program) = (owner.pid, &owner.program);
    Some(Check::problem(
        "lock files",
        format!("{name} is held by pid {pid} {program}, which is stopped: {calls} fails"),
        format!("let it go on: {command}"),
    ))
}

/// Checks that this user can make files in a directory. The mode alone does not tell: the disk may be read-only.
pub(super) fn may_write_in(directory: &Path) -> io::Result<()> {
    let may = Access::WRITE_OK | Access::EXEC_OK;
    Ok(rustix::fs::accessat(CWD, directory, may, AtFlags::EACCESS)?)
}

/// Returns the first directory of the palace in which this user can make no file, whatever its mode is.
fn first_unwritable(path: &Path) -> Option<(PathBuf, io::Error)> {
    // A disk that is mounted read-only does not show in any mode, so each directory is asked for write access.
    let directories = DIRECTORIES.iter().map(|name| path.join(name)).filter(|path| path.is_dir());
    let asked = |directory: PathBuf| {
        let error = may_write_in(&directory).err()?;
        Some((directory, error))
    };
    std::iter::once(path.to_owned()).chain(directories).find_map(asked)
}

/// Returns the shell command that changes the permissions of the whole palace.
fn chmod(change: &str, path: &Path) -> String {
    format!("chmod -R {change} {}", quoted(path))
}

pub(super) fn file_system(existing: &Path) -> Check {
    const CHECK: &str = "file system";
    let fs_type = match OsFs.fs_type(existing) {
        Ok(fs_type) => fs_type,
        Err(error) => return Check::refused(CHECK, &error, existing),
    };
    let name = FileSystem::of(fs_type);
    match name {
        FileSystem::Tmpfs | FileSystem::Ramfs => Check::note(
            CHECK,
            format!("{name}: in memory, and lost at the next boot"),
            "pass a --palace DIR on a disk, if the palace must last",
        ),
        _ if lock_trusted(fs_type) => {
            Check::ok(CHECK, format!("{name}: local, with locks that can be trusted"))
        }
        FileSystem::Overlay => Check::note(
            CHECK,
            "overlay: the layer of a container, deleted with it; conditional writes are refused",
            "mount a volume on a local disk at this path",
        ),
        _ => Check::note(
            CHECK,
            format!(
                "{name} (type {fs_type:#x}): locks of a network or unknown file system cannot be trusted; writes are \
                 safe all the same, and conditional writes are refused"
            ),
            "put the palace on a local disk, if you need conditional writes",
        ),
    }
}

pub(super) fn space(existing: &Path) -> Check {
    let found = match rustix::fs::statvfs(existing) {
        Ok(found) => found,
        Err(error) => return Check::refused("space", &error.into(), existing),
    };
    // Some file systems have no limit of files, and report 0.
    if found.f_files > 0 && found.f_favail < FILES_MIN {
        let words = format!("{} can be made", count(found.f_favail, "more file"));
        return Check::problem(
            "space",
            words,
            "delete files: every process that writes makes new ones",
        );
    }
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let words = format!("{} free", bytes(free));
    match free {
        ..SPACE_MIN => {
            Check::problem("space", words, "free some space: writes fail on a full disk")
        }
        SPACE_MIN..SPACE_LOW => Check::note("space", words, "free some space soon"),
        _ => Check::ok("space", words),
    }
}
