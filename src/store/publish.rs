//! Publishing a snapshot, and making sure of one that is published.
//!
//! Invariant: nothing may be retired for a snapshot before its content and its name are on disk, whoever made it.

use super::StoreError;
use super::rescan::open_snapshot;
use super::retire::is_unchanged;
use super::root::Root;
use crate::format::filename::{self, SNAP};
use crate::format::id::SnapshotId;
use crate::fs::{At, stop};
use std::io::ErrorKind;

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
pub fn verify_and_sync(root: &Root, snapshot: SnapshotId) -> Result<bool, StoreError> {
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
