//! Publishing a snapshot, and only then taking away what it supersedes.
//!
//! Invariant: a file leaves `sealed/` or `snap/` only when everything in it stands in a snapshot whose
//! content and name are on disk. It goes to `trash/` and stays there for a day, or a snapshot for less if there are
//! many.

use super::StoreError;
use super::root::Root;
use crate::format::filename::{self, QUARANTINE, SNAP, TMP, TRASH};
use crate::format::id::SnapshotId;
use crate::fs::{At, exists, is_irregular, read_from, stop};
use std::io::ErrorKind;
use std::path::Path;

/// How long a superseded file stays in `trash/`, in milliseconds: a day.
pub const TRASH_MS: i64 = 24 * 60 * 60 * 1000;
/// How old a file in `tmp/` must be before it counts as left behind, in milliseconds: an hour.
pub const TMP_MS: i64 = 60 * 60 * 1000;

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

/// Moves a file to `trash/`. That it is gone already is fine: another compactor was faster.
///
/// # Errors
/// What the system says.
pub fn retire(root: &Root, directory: &str, name: &str) -> Result<(), StoreError> {
    let from = root.file(directory, name);
    let to = root.file(TRASH, &filename::trash(name, root.fs().now_ms()));
    match root.fs().rename(&from, &to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => Ok(done.at("retire", &from)?),
    }
}

/// Removes what was in `trash/` for a day, of the snapshots there the oldest, as long as they have more bytes than
/// those in `snap/`, and what crashed processes left in `tmp/` an hour ago. Gives the number of files removed.
///
/// # Errors
/// What the system says.
pub fn purge(root: &Root) -> Result<usize, StoreError> {
    let now_ms = root.fs().now_ms();
    let mut removed = 0;
    for name in outdated(root, now_ms)? {
        removed += usize::from(remove(root, &root.file(TRASH, &name))?);
        stop::at!("purge.trash");
    }
    for name in root.list(TMP)? {
        if left_behind(root, &root.tmp(&name), now_ms)? {
            removed += usize::from(remove(root, &root.tmp(&name))?);
            stop::at!("purge.tmp");
        }
    }
    Ok(removed)
}

/// What is to go from `trash/`. A palace that is written all day is folded all day: without a bound, its superseded
/// snapshots would have many times its own size. Segments are what was written, once.
fn outdated(root: &Root, now_ms: i64) -> Result<Vec<String>, StoreError> {
    let mut room = 0;
    for name in root.list(SNAP)? {
        room += length(root, &root.file(SNAP, &name))?;
    }
    let mut names = root.list(TRASH)?;
    // Newest first: their names begin with the time.
    names.sort_unstable_by(|a, b| b.cmp(a));
    let mut outdated = Vec::new();
    for name in names {
        let Some((since_ms, before)) = filename::parse_trash(&name) else { continue };
        let mut goes = now_ms - since_ms > TRASH_MS;
        if !goes && filename::parse_snapshot(before).is_some() {
            let left = room.checked_sub(length(root, &root.file(TRASH, &name))?);
            (goes, room) = (left.is_none(), left.unwrap_or(0));
        }
        outdated.extend(goes.then_some(name));
    }
    Ok(outdated)
}

/// In bytes; 0 if there is no such file any more.
fn length(root: &Root, path: &Path) -> Result<u64, StoreError> {
    match root.fs().stat(path) {
        Err(error) if error.kind() == ErrorKind::NotFound || is_irregular(&error) => Ok(0),
        found => Ok(found.at("look at", path)?.len),
    }
}

fn remove(root: &Root, path: &Path) -> Result<bool, StoreError> {
    match root.fs().remove(path) {
        Ok(()) => Ok(true),
        // No compaction made a directory there.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
            Ok(false)
        }
        Err(error) => Ok(Err(error).at("remove", path)?),
    }
}

/// Whether a crashed process left this file of `tmp/` behind. A segment being created is locked; a snapshot
/// being built is written to all the time.
///
/// # Errors
/// What the system says.
pub fn left_behind(root: &Root, path: &Path, now_ms: i64) -> Result<bool, StoreError> {
    let file = match root.fs().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound || is_irregular(&error) => {
            return Ok(false);
        }
        Err(error) => Err(error).at("open", path)?,
    };
    match root.fs().modified(path) {
        Ok((_, modified_ms)) if now_ms - modified_ms <= TMP_MS => Ok(false),
        Ok(_) => Ok(!file.is_locked().at("ask for the lock of", path)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("look at", path)?,
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
    root.write_whole(&tmp, content)?;
    match root.fs().rename_noreplace(&tmp, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Ok(root.fs().remove(&tmp).at("remove", &tmp)?)
        }
        done => Ok(done.at("name", path)?),
    }
}
