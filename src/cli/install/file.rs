//! A configuration file that belongs to another program: read whole, and replaced at once.
//!
//! Invariant: whoever reads the file at any moment reads it as it was or as it is to be; how it was
//! stays beside it; mode and owner stay what they were; and a file that changed since it was read is
//! not replaced. Must not know: what is in it.

use super::InstallError;
use crate::fs::{At, FsError};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The mode of a file that was not there. It may come to hold what only its owner should read.
const MODE: u32 = 0o600;

/// A file as it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it really is: symbolic links are followed, so that they stay links.
    path: PathBuf,
    /// What is in it; `None` if there is no file.
    pub(super) content: Option<Vec<u8>>,
}

impl Found {
    pub(super) fn read(path: &Path) -> Result<Self, InstallError> {
        let path = match fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if path.is_symlink() {
                    return Err(InstallError::Dangling { path: path.to_owned() });
                }
                path.to_owned()
            }
            found => found.at("access", path)?,
        };
        let content = content(&path)?;
        Ok(Found { path, content })
    }

    /// Puts `text` in its place. Gives the path of the copy of what was there.
    pub(super) fn replace(&self, text: &str) -> Result<Option<PathBuf>, InstallError> {
        let path = &self.path;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).at("create", parent)?;
        }
        let tmp = self.beside(&format!(".crdt-palace-{}.tmp", std::process::id()));
        let done = self.write_and_rename(&tmp, text);
        if done.is_err() && tmp.exists() {
            fs::remove_file(&tmp).at("remove", &tmp)?;
        }
        done
    }

    fn write_and_rename(&self, tmp: &Path, text: &str) -> Result<Option<PathBuf>, InstallError> {
        self.write(tmp, text.as_bytes()).at("write", tmp)?;
        let backup = self.content.as_deref().map(|old| self.back_up(old)).transpose()?;
        if let Err(error) = self.swap(tmp) {
            // Nothing was replaced, so there is nothing that it would be the backup of.
            backup.iter().try_for_each(|path| fs::remove_file(path).at("remove", path))?;
            return Err(error);
        }
        if let Some(parent) = self.path.parent() {
            File::open(parent).and_then(|directory| directory.sync_all()).at("sync", parent)?;
        }
        Ok(backup)
    }

    /// The client may have written the file since it was read, and that must not be undone: so this is looked at last
    /// of all.
    fn swap(&self, tmp: &Path) -> Result<(), InstallError> {
        if content(&self.path)? != self.content {
            return Err(InstallError::Changed { path: self.path.clone() });
        }
        Ok(fs::rename(tmp, &self.path).at("replace", &self.path)?)
    }

    /// Under the first name that is free: an earlier backup may be the one that somebody needs.
    fn back_up(&self, old: &[u8]) -> Result<PathBuf, InstallError> {
        let mut number = 1;
        loop {
            let path = self.beside(&format!(".before-crdt-palace-{number}"));
            match self.write(&path, old) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    // A part of a backup looks like one.
                    if path.exists() {
                        fs::remove_file(&path).at("remove", &path)?;
                    }
                    return Ok(Err(error).at("write", &path)?);
                }
            }
        }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    /// Writes a new file with the mode and the owner of this one.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        // Nobody else may look at it before it has the mode of the other.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
        file.write_all(content)?;
        if self.content.is_some() {
            let (old, new) = (fs::metadata(&self.path)?, file.metadata()?);
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        }
        file.sync_all()
    }
}

fn content(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read.at("read", path)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        for (before, meanwhile) in [(None, "new"), (Some("old"), "newer")] {
            if let Some(before) = before {
                fs::write(&path, before).unwrap();
            }
            let found = Found::read(&path).unwrap();
            fs::write(&path, meanwhile).unwrap();
            let error = found.replace("mine").unwrap_err();
            assert!(matches!(error, InstallError::Changed { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), meanwhile);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
