//! Publishing a snapshot, and only then taking out of the way what it supersedes.
//!
//! Invariant: a file leaves `sealed/` or `snap/` only when everything in it stands in a snapshot whose
//! content and name are on disk, whoever made that one. It goes to `trash/` (`purge` takes it away for good).

use super::StoreError;
use super::follow::open_snapshot;
use super::root::Root;
use crate::format::filename::{self, QUARANTINE, SNAP, TRASH};
use crate::format::id::SnapshotId;
use crate::fs::{At, Stat, exists, is_irregular, or_remove, read_from, stop};
use std::io::ErrorKind;
use std::path::Path;

/// The longest file that is copied to `quarantine/`, in bytes: a damaged one may claim any length, and the
/// disk is not to be filled with its zeros.
pub const QUARANTINE_BYTES_MAX: u64 = 64 << 20;

/// Puts the content of a file in `tmp/` on disk.
///
/// # Errors
/// What the system says.
pub fn sync_tmp(root: &Root, name: &str) -> Result<(), StoreError> {
    let path = root.tmp(name);
    let file = root.fs().open(&path).at("open", &path)?;
    Ok(file.sync().at("sync", &path)?)
}

/// Gives a synced snapshot its name, durably.
///
/// # Errors
/// What the system says: then nothing may be retired.
pub fn publish(root: &Root, snapshot: SnapshotId) -> Result<(), StoreError> {
    let name = filename::snapshot(snapshot);
    let to = root.file(SNAP, &name);
    root.still_there()?;
    root.fs().rename_noreplace(&root.tmp(&name), &to).at("publish", &to)?;
    stop::at!("publish.named");
    sync_snap(root)?;
    stop::at!("publish.durable");
    Ok(())
}

/// Puts the names in `snap/` on disk.
///
/// # Errors
/// What the system says.
pub fn sync_snap(root: &Root) -> Result<(), StoreError> {
    let directory = root.path().join(SNAP);
    Ok(root.fs().sync_dir(&directory).at("sync", &directory)?)
}

/// Puts a snapshot of `snap/` on disk, after reading all of it. Who made it did so before it got its name there; but
/// somebody else may have brought it from a copy, and not be done yet. Anew each time: the same file may come a second
/// time. False if it changes meanwhile, or is gone.
///
/// # Errors
/// [`StoreError::Snapshot`] with what is wrong with it, or what the system says: then nothing may be retired for it.
pub fn secure(root: &Root, snapshot: SnapshotId) -> Result<bool, StoreError> {
    let path = root.file(SNAP, &filename::snapshot(snapshot));
    let (seen, file) = match root.fs().modified(&path).and_then(|s| Ok((s, root.fs().open(&path)?)))
    {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        found => found.at("open", &path)?,
    };
    if let Some(problem) = open_snapshot(root, &path, snapshot)?.verify()?.into_iter().next() {
        return Err(problem.into());
    }
    // After it was read: what was good is what has to be on disk.
    file.sync().at("sync", &path)?;
    is_unchanged(root, &path, seen)
}

/// Moves a file to `trash/`. That it is gone already is fine: another compactor was faster.
///
/// # Errors
/// [`StoreError::Replaced`]: a copy of the palace that was put in its place has files of the same names, and may lack
/// what holds them. Or what the system says.
pub fn retire(root: &Root, directory: &str, name: &str) -> Result<(), StoreError> {
    root.still_there()?;
    move_to_trash(root, directory, name)
}

/// As [`retire`], if it is still the file that was seen before it was read. Another, or a longer one, that somebody put
/// in its place stays: so does that of a copy of the palace.
///
/// # Errors
/// What the system says.
pub fn retire_unchanged(
    root: &Root,
    directory: &str,
    name: &str,
    seen: (Stat, i64),
) -> Result<(), StoreError> {
    match is_unchanged(root, &root.file(directory, name), seen)? {
        true => move_to_trash(root, directory, name),
        false => Ok(()),
    }
}

fn is_unchanged(root: &Root, path: &Path, seen: (Stat, i64)) -> Result<bool, StoreError> {
    match root.fs().modified(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => Ok(found.at("look at", path)? == seen),
    }
}

fn move_to_trash(root: &Root, directory: &str, name: &str) -> Result<(), StoreError> {
    let from = root.file(directory, name);
    let to = root.file(TRASH, &filename::trash(name, root.fs().now_ms()));
    match root.fs().rename(&from, &to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => Ok(done.at("retire", &from)?),
    }
}

/// Copies a damaged file to `quarantine/`, with a report beside it. The file itself stays where it is.
/// A file that was copied before is not copied again; of one that is very long, or none, there is only the
/// report.
///
/// # Errors
/// What the system says.
pub fn quarantine(root: &Root, path: &Path, name: &str, report: &str) -> Result<(), StoreError> {
    let (copy, text) = (root.file(QUARANTINE, name), root.file(QUARANTINE, &format!("{name}.txt")));
    if exists(root.fs(), &text).at("look for", &text)? {
        return Ok(());
    }
    match root.fs().open(path) {
        Err(error) if is_irregular(&error) => {}
        opened => {
            let file = opened.at("open", path)?;
            if file.stat().at("look at", path)?.len <= QUARANTINE_BYTES_MAX {
                let content = read_from(&*file, 0).at("read", path)?;
                place(root, &copy, &content)?;
            }
        }
    }
    place(root, &text, report.as_bytes())
}

fn place(root: &Root, path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let tmp = root.tmp(&format!("{}.copy", SnapshotId(root.random()?)));
    let placed = root.write_whole(&tmp, content).and_then(|()| {
        match root.fs().rename_noreplace(&tmp, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(root.fs().remove(&tmp).at("remove", &tmp)?)
            }
            done => Ok(done.at("name", path)?),
        }
    });
    or_remove(placed, root.fs(), &tmp)
}
