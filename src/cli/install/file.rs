//! A configuration file that belongs to another program: read whole, and replaced in one step.
//!
//! Invariants: a program that reads the file at any moment finds the old text or the new one. A backup of the old text
//! stays beside it. Mode and owner stay as they were. A file that changed since it was read is not replaced. Must not
//! know: what is in it.

use crate::cli::install_error::InstallError;
use crate::fs::os::open_foreign;
use crate::fs::{At, FsError};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The mode of a new file. The client may later write secrets into it, which only its owner should read.
const MODE: u32 = 0o600;

/// A configuration file as it was read.
#[derive(Debug)]
pub(super) struct ConfigFile {
    /// Its path with all symbolic links resolved, so that the links stay links.
    path: PathBuf,
    /// Its content; `None` if there is no file.
    pub(super) content: Option<Vec<u8>>,
}

impl ConfigFile {
    /// Reads the file, if there is one.
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
        // A pipe would wait for a writer, and a device must not be replaced by a file.
        if path.exists() && !path.is_file() {
            return Err(InstallError::NotAFile { path });
        }
        let content = content(&path)?;
        Ok(ConfigFile { path, content })
    }

    /// Replaces the content by `text`. Returns the path of the backup, if there was anything to back up.
    pub(super) fn replace(&self, text: &str) -> Result<Option<PathBuf>, InstallError> {
        let path = &self.path;
        // A rename would replace it all the same.
        if self.content.is_some() && fs::metadata(path).at("access", path)?.mode() & 0o222 == 0 {
            return Err(InstallError::ReadOnly { path: path.clone() });
        }
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
            // Nothing was replaced, so a backup would only mislead.
            backup.iter().try_for_each(|path| fs::remove_file(path).at("remove", path))?;
            return Err(error);
        }
        if let Some(parent) = self.path.parent() {
            File::open(parent).and_then(|directory| directory.sync_all()).at("sync", parent)?;
        }
        Ok(backup)
    }

    /// Moves the new file over the old one, unless that has changed since it was read. The client may have written it,
    /// and that must not be undone. So this is checked last, just before the rename.
    fn swap(&self, tmp: &Path) -> Result<(), InstallError> {
        if content(&self.path)? != self.content {
            return Err(InstallError::Changed { path: self.path.clone() });
        }
        Ok(fs::rename(tmp, &self.path).at("replace", &self.path)?)
    }

    /// Writes a backup under the first name that is free. An earlier backup may be the one that the user needs.
    fn back_up(&self, old: &[u8]) -> Result<PathBuf, InstallError> {
        let mut number = 1;
        loop {
            let path = self.beside(&format!(".before-crdt-palace-{number}"));
            match self.write(&path, old) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    // A backup that was cut off looks like a whole one.
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
        // No other user may read it before it has the mode of the old file.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
        file.write_all(content)?;
        if self.content.is_some() {
            let (old, new) = (fs::metadata(&self.path)?, file.metadata()?);
            let has_owner = old.uid() == new.uid() || chown(&file, Some(old.uid()), None)?;
            let has_group = old.gid() == new.gid() || chown(&file, None, Some(old.gid()))?;
            if !has_owner {
                return Err(ErrorKind::PermissionDenied.into());
            }
            // Another group than the old one must not get its rights.
            let rights = if has_group { 0o7777 } else { 0o7707 };
            file.set_permissions(Permissions::from_mode(old.mode() & rights))?;
        }
        file.sync_all()
    }
}

/// Gives a file another owner or group. Returns false if the user may not: only root gives files away, and others give
/// them to their own groups.
fn chown(file: &File, uid: Option<u32>, gid: Option<u32>) -> io::Result<bool> {
    match fchown(file, uid, gid) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
        done => done.map(|()| true),
    }
}

fn content(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    let mut file = match open_foreign(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.at("read", path)?,
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).at("read", path)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_changed_since_it_was_read_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        for (before, meanwhile) in [(None, "new"), (Some("old"), "newer")] {
            if let Some(before) = before {
                fs::write(&path, before).unwrap();
            }
            let file = ConfigFile::read(&path).unwrap();
            fs::write(&path, meanwhile).unwrap();
            let error = file.replace("mine").unwrap_err();
            assert!(matches!(error, InstallError::Changed { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), meanwhile);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
