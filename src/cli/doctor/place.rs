//! Finds out what is at the path of the palace: a palace, nothing yet, or something else.
//!
//! Invariant: only a palace, or an empty directory that may become one, is checked further. Nothing is advised about a
//! directory of another program but to pass another path.

use super::check::Check;
use super::directory::may_write_in;
use crate::cli::print::count;
use crate::format::filename::{self, MANIFEST, OPEN, SEALED, SNAP, TMP};
use crate::format::id::PalaceId;
use crate::fs::Fs as _;
use crate::fs::os::OsFs;
use crate::fs::shell::quoted;
use crate::palace::manifest_of_files;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CHECK: &str = "directory";
const ANOTHER: &str = "pass another --palace DIR: a new or an empty directory";

/// The `statfs` types of file systems that keep no files: proc, sysfs, cgroup, cgroup2, securityfs, debugfs, tracefs,
/// and the list of pseudo-terminals.
const OF_THE_KERNEL: [u64; 8] =
    [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x7363_6673, 0x6462_6720, 0x7472_6163, 0x1cd1];

/// The thing at the path of the palace.
#[derive(Debug)]
pub(super) enum Place {
    /// A directory with a `palace.json`.
    Palace,
    /// A directory without one, and with segments or snapshots.
    LostManifest,
    /// A directory with nothing in it, except what a first write leaves that did not come to its end.
    Empty,
    /// A directory with other files.
    Foreign(Vec<String>),
    /// Nothing.
    Missing,
    /// A symbolic link to nothing.
    Dangling,
    /// A file.
    File,
    /// Something beyond a file.
    BehindAFile,
    /// Something that the operating system does not show.
    Hidden(io::Error),
}

impl Place {
    pub fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => Place::File,
            Ok(_) if path.join(MANIFEST).exists() => Place::Palace,
            Ok(_) if has_data(path) => Place::LostManifest,
            Ok(_) => match names(path) {
                Ok(names) if names.iter().all(|name| name == TMP) => of_tmp(&path.join(TMP)),
                Ok(names) => Place::Foreign(names),
                Err(error) => Place::Hidden(error),
            },
            Err(error) => match error.kind() {
                ErrorKind::NotFound if path.is_symlink() => Place::Dangling,
                ErrorKind::NotFound => Place::Missing,
                ErrorKind::NotADirectory => Place::BehindAFile,
                _ => Place::Hidden(error),
            },
        }
    }

    /// Tells whether the directory is a palace, or was one, or may become one by a write.
    pub fn may_be_a_palace(&self) -> bool {
        matches!(self, Place::Palace | Place::LostManifest | Place::Empty)
    }

    /// Tells whether a palace can be opened here, or be made.
    pub fn can_be_opened(&self) -> bool {
        matches!(self, Place::Palace | Place::Empty | Place::Missing)
    }

    pub fn check(&self, path: &Path, existing: &Path) -> Check {
        match self {
            Place::Palace => Check::ok(CHECK, "it exists"),
            Place::LostManifest => Check::problem(
                CHECK,
                format!("its {MANIFEST} is missing, and its other files are there"),
                mend_manifest(path),
            ),
            Place::Empty => empty(path),
            Place::Foreign(names) => foreign(path, names),
            Place::Missing => to_be_made(existing),
            Place::Dangling => Check::problem(
                CHECK,
                "it is a symbolic link to nothing",
                "make the directory that it points to, or pass another --palace DIR",
            ),
            Place::File => {
                Check::problem(CHECK, "it is not a directory", "pass another --palace DIR")
            }
            Place::BehindAFile => {
                Check::problem(CHECK, "a part of its path is a file", "pass another --palace DIR")
            }
            Place::Hidden(error) => Check::refused(CHECK, error, path),
        }
    }
}

/// Returns the command that makes `palace.json` again from what the other files say of the palace.
pub(super) fn mend_manifest(path: &Path) -> String {
    match manifest_of_files(&OsFs, path) {
        Some(text) => format!(
            "end the programs that use it, and make it again: (umask 077; printf '%s\\n' '{text}' > {})",
            quoted(&path.join(MANIFEST))
        ),
        None => format!(
            "put back its {MANIFEST} from a copy of this palace, and of no other: its other files do not all name the \
             same palace, or cannot be read"
        ),
    }
}

/// Returns what a directory is that has nothing but `tmp/`: that of another program if it has a file there that no writer
/// of a palace makes.
fn of_tmp(tmp: &Path) -> Place {
    let names = names(tmp).unwrap_or_default();
    let foreign: Vec<String> = names
        .iter()
        .filter(|name| !is_made_by_a_writer(name))
        .map(|name| format!("{TMP}/{name}"))
        .collect();
    if foreign.is_empty() { Place::Empty } else { Place::Foreign(foreign) }
}

/// Tells whether a file in `tmp/` has a name as a writer of a palace or a check makes them: with 32 digits of an id.
fn is_made_by_a_writer(name: &str) -> bool {
    let name = name.strip_prefix("doctor-").unwrap_or(name);
    let id = name.split('.').next().unwrap_or_default();
    id.parse::<PalaceId>().is_ok()
}

fn names(path: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(path)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Tells whether a directory has segments or snapshots where a palace has them.
fn has_data(path: &Path) -> bool {
    let is_data = |name: &String| {
        filename::segment_in(name).is_some() || filename::parse_snapshot(name).is_some()
    };
    let in_one = |name: &&str| names(&path.join(name)).is_ok_and(|names| names.iter().any(is_data));
    [OPEN, SEALED, SNAP].iter().any(in_one)
}

/// Describes a directory that has no palace, and may get one.
fn empty(path: &Path) -> Check {
    let left = names(&path.join(TMP)).is_ok_and(|names| !names.is_empty());
    match left {
        true => Check::note(
            CHECK,
            "there is no palace yet: a first write was begun, and did not come to its end",
            "nothing if there is space on the disk: the next write makes the palace",
        ),
        false => Check::note(
            CHECK,
            "it exists and is empty: there is no palace yet",
            "nothing if that is the right directory: the first write makes the palace",
        ),
    }
}

fn to_be_made(existing: &Path) -> Check {
    match may_write_in(existing) {
        Ok(()) => Check::note(
            CHECK,
            "it does not exist: there is no palace yet",
            "nothing if that is the right directory: the first write makes the palace",
        ),
        Err(error) => Check::problem(
            CHECK,
            format!("it does not exist, and cannot be made in {}: {error}", existing.display()),
            "pass another --palace DIR, or let an administrator make the directory for this user",
        ),
    }
}

/// Describes a directory of another program.
fn foreign(path: &Path, names: &[String]) -> Check {
    if OsFs.fs_type(path).is_ok_and(|fs_type| OF_THE_KERNEL.contains(&fs_type)) {
        let words = "the kernel shows its own state there, and keeps no files";
        return Check::problem(CHECK, words, ANOTHER);
    }
    let owner = fs::metadata(path).map_or_else(|_| "?".to_owned(), |found| found.uid().to_string());
    let first = names.iter().min().map(String::as_str).unwrap_or_default();
    let found = format!(
        "it is no palace: it has no {MANIFEST}, but {}, such as {first:?}, and belongs to uid {owner}",
        count(names.len(), "other name"),
    );
    Check::problem(CHECK, found, advice(path, names))
}

/// Looks for what the user may have meant.
fn advice(path: &Path, names: &[String]) -> String {
    let is_palace = |path: &Path| path.join(MANIFEST).is_file();
    let inside = names.iter().map(|name| path.join(name)).find(|inside| is_palace(inside));
    let palace = inside.or_else(|| {
        let above = path.parent().filter(|above| is_palace(above))?;
        Some(above.to_owned())
    });
    if let Some(palace) = palace {
        return format!(
            "to check the palace that is there: crdt-palace doctor {}",
            quoted(&palace)
        );
    }
    let of_mempalace = [PathBuf::from("chroma.sqlite3"), PathBuf::from("palace/chroma.sqlite3")];
    match of_mempalace.iter().any(|file| path.join(file).is_file()) {
        true => {
            format!("to import what MemPalace keeps there: crdt-palace import {}", quoted(path))
        }
        false => ANOTHER.to_owned(),
    }
}
