//! Where the palace is, or is to be: the directory, whose it is, who may look, and the disk under it.

use super::{Check, Verdict};
use crate::cli::print::bytes;
use crate::format::filename::{DIRECTORIES, MANIFEST};
use crate::fs::os::OsFs;
use crate::fs::{Fs, class};
use rustix::fs::{Access, AtFlags, CWD};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Below this a palace cannot live: compaction writes what it folds before it takes away what was.
const SPACE_MIN: u64 = 64 << 20;
/// Fewer files than that soon are none.
const FILES_MIN: u64 = 100;
/// Below this it is time to look.
const SPACE_LOW: u64 = 512 << 20;

/// The directory itself, or the nearest above it that exists: what will be made, will be made there.
pub(super) fn nearest(path: &Path) -> PathBuf {
    let above = path.ancestors().find(|above| above.is_dir());
    above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

pub(super) fn directory(path: &Path, place: &Path) -> Check {
    const CHECK: &str = "directory";
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => match path.join(MANIFEST).exists() {
            true => Check::ok(CHECK, "it is there"),
            false if DIRECTORIES.iter().any(|name| has_files(&path.join(name))) => Check::problem(
                CHECK,
                format!("its {MANIFEST} is missing, and what it holds is all there"),
                format!("put back its {MANIFEST}, from a copy of this palace and no other"),
            ),
            false => Check::ok(CHECK, "it is there, and no palace yet: the first write makes one"),
        },
        Ok(_) => Check::problem(CHECK, "it is not a directory", "say another --palace DIR"),
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => Check::problem(
            CHECK,
            "it is a symbolic link to nothing",
            "make the directory that it points to, or say another --palace DIR",
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => to_be_made(place),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Check::problem(CHECK, "a file is on the way to it", "say another --palace DIR")
        }
        Err(error) => Check::unknown(CHECK, &error),
    }
}

fn has_files(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

fn to_be_made(place: &Path) -> Check {
    match may_write_in(place) {
        Ok(()) => Check::ok("directory", "it is not there yet: the first write makes it"),
        Err(error) => Check::problem(
            "directory",
            format!("it is not there, and cannot be made in {}: {error}", place.display()),
            "say another --palace DIR, or have it made for this user",
        ),
    }
}

/// Whose it is and who else may look. The modes of what belongs to somebody else are that user's business.
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
            format!("uid {}, and this is uid {me}: it can be read only", found.uid()),
            "run as its owner, or say another --palace DIR",
        ),
        Err(error) => Check::unknown("owner", &error),
    }
}

/// Modes of the palace's files and directories that are not as they were made.
#[derive(Default)]
struct Modes {
    looked: usize,
    /// Its owner cannot use these.
    closed: Vec<PathBuf>,
    /// These belong to another user than the palace.
    foreign: Vec<PathBuf>,
    /// Others may write these.
    writable: Vec<PathBuf>,
    /// Others may read these.
    readable: Vec<PathBuf>,
}

impl Modes {
    fn look(&mut self, path: &Path) -> io::Result<()> {
        let found = match fs::symlink_metadata(path) {
            // Files come and go while others write.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        if found.is_symlink() {
            return Ok(());
        }
        self.looked += 1;
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

    fn look_into(&mut self, directory: &Path) -> io::Result<()> {
        match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            entries => entries?.try_for_each(|entry| self.look(&entry?.path())),
        }
    }

    /// Everything of a palace. If nobody else comes past its directory, what is below is nobody else's
    /// business, whatever its modes.
    fn of(path: &Path) -> io::Result<Self> {
        let mut modes = Modes::default();
        modes.look(&fs::canonicalize(path)?)?;
        let private = modes.writable.is_empty() && modes.readable.is_empty();
        modes.look(&path.join(MANIFEST))?;
        for name in DIRECTORIES {
            modes.look(&path.join(name))?;
            modes.look_into(&path.join(name))?;
        }
        if private {
            (modes.writable, modes.readable) = Default::default();
        }
        Ok(modes)
    }
}

fn permissions(path: &Path) -> Check {
    const CHECK: &str = "permissions";
    let modes = match Modes::of(path) {
        Ok(modes) => modes,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Check::problem(CHECK, error, repair("u+rwX", path));
        }
        Err(error) => return Check::unknown(CHECK, &error),
    };
    if let (true, Some((name, error))) = (modes.closed.is_empty(), refused(path)) {
        let words = format!("nothing can be written to {}: {error}", name.display());
        let advice = "mount it for writing, or say another --palace DIR";
        return Check::problem(CHECK, words, advice);
    }
    let some = |list: &[PathBuf]| {
        let first = list.first().map(|path| path.display().to_string());
        format!("{} of {} ({} first)", list.len(), modes.looked, first.unwrap_or_default())
    };
    match &modes {
        Modes { closed, .. } if !closed.is_empty() => Check::problem(
            CHECK,
            format!("closed to their owner: {}", some(closed)),
            repair("u+rwX", path),
        ),
        Modes { foreign, .. } if !foreign.is_empty() => Check::problem(
            CHECK,
            format!("of another user than the palace: {}", some(foreign)),
            format!("as root: chown -R --reference '{0}' '{0}'", path.display()),
        ),
        Modes { writable, .. } if !writable.is_empty() => Check::problem(
            CHECK,
            format!("open to writing by other users: {}", some(writable)),
            repair("go-rwx", path),
        ),
        Modes { readable, .. } if !readable.is_empty() => Check::note(
            CHECK,
            format!("open to reading by other users: {}", some(readable)),
            format!("if that is not meant: {}", repair("go-rwx", path)),
        ),
        _ => Check::ok(CHECK, "this user alone reads and writes it"),
    }
}

/// Whether this user can make files in a directory: its mode alone does not say.
fn may_write_in(directory: &Path) -> io::Result<()> {
    let may = Access::WRITE_OK | Access::EXEC_OK;
    Ok(rustix::fs::accessat(CWD, directory, may, AtFlags::EACCESS)?)
}

/// The first directory of the palace in which this user can make no file, whatever its mode says.
fn refused(path: &Path) -> Option<(PathBuf, io::Error)> {
    let directories = DIRECTORIES.iter().map(|name| path.join(name)).filter(|path| path.is_dir());
    let asked = |directory: PathBuf| {
        let error = may_write_in(&directory).err()?;
        Some((directory, error))
    };
    std::iter::once(path.to_owned()).chain(directories).find_map(asked)
}

fn repair(change: &str, path: &Path) -> String {
    format!("chmod -R {change} '{}'", path.display())
}

pub(super) fn file_system(place: &Path) -> Check {
    const CHECK: &str = "file system";
    let fs_type = match OsFs.fs_type(place) {
        Ok(fs_type) => fs_type,
        Err(error) => return Check::unknown(CHECK, &error),
    };
    let name = class::name(fs_type);
    match name {
        "tmpfs" | "ramfs" => Check::note(
            CHECK,
            format!("{name}: in memory, and gone with the next boot"),
            "say a --palace DIR on a disk, if it is to last",
        ),
        _ if class::lock_trusted(fs_type) => {
            Check::ok(CHECK, format!("{name}: local, and locks can be trusted"))
        }
        "overlay" => Check::note(
            CHECK,
            "overlay: a container's own layer, which goes with it; conditional writes are refused",
            "mount a volume of a local disk there",
        ),
        _ => Check::note(
            CHECK,
            format!(
                "{name} (type {fs_type:#x}): locks may lie on a network or unknown file system; writes \
                 are safe all the same, and conditional writes are refused"
            ),
            "put the palace on a local disk, if you need them",
        ),
    }
}

pub(super) fn space(place: &Path) -> Check {
    let found = match rustix::fs::statvfs(place) {
        Ok(found) => found,
        Err(error) => return Check::unknown("space", &error),
    };
    // Some file systems have no number of files that they can hold.
    if found.f_files > 0 && found.f_favail < FILES_MIN {
        let words = format!("room for {} more files", found.f_favail);
        return Check::problem("space", words, "remove files: writes make new ones");
    }
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let words = format!("{} free", bytes(free));
    match free {
        ..SPACE_MIN => Check::problem("space", words, "make room: writes fail on a full disk"),
        SPACE_MIN..SPACE_LOW => Check::note("space", words, "make room soon"),
        _ => Check::ok("space", words),
    }
}
