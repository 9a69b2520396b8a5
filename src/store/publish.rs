//! Publishes snapshots, and makes sure that a published one is on disk.
//!
//! Invariant: nothing may be retired for a snapshot before its content and its name are on disk,
//! whichever process made it.

use super::StoreError;
use super::open_snapshot::open_snapshot;
use super::retire::is_unchanged;
use super::root::Root;
use crate::format::filename::{self, SNAP};
use crate::format::id::SnapshotId;
use crate::fs::{At, exists, stop};
use std::io::ErrorKind;

/// Syncs the content of a file in `tmp/`.
///
/// # Errors
/// An error of the operating system.
pub fn sync_tmp(root: &Root, name: &str) -> Result<(), StoreError> {
    let path = root.tmp(name);
    let file = root.fs().open(&path).at("open", &path)?;
    Ok(file.sync().at("sync", &path)?)
}

/// Gives a synced snapshot its name in `snap/`, durably.
///
/// # Errors
/// An error of the operating system: then nothing may be retired.
pub fn publish(root: &Root, snapshot: SnapshotId) -> Result<(), StoreError> {
    let name = filename::snapshot(snapshot);
    let to = root.file(SNAP, &name);
    // The snapshot belongs to the directory in which its inputs were read.
    root.still_there()?;
    root.fs().rename_noreplace(&root.tmp(&name), &to).at("publish", &to)?;
    stop::at!("publish.named");
    sync_snap(root)?;
    stop::at!("publish.durable");
    Ok(())
}

/// Syncs the names in `snap/`.
///
/// # Errors
/// An error of the operating system.
pub fn sync_snap(root: &Root) -> Result<(), StoreError> {
    let directory = root.path().join(SNAP);
    Ok(root.fs().sync_dir(&directory).at("sync", &directory)?)
}

/// Returns true if a snapshot still has its name in `snap/`. To be asked before a file is retired because of
/// it.
///
/// # Errors
/// An error of the operating system.
pub fn is_there(root: &Root, snapshot: SnapshotId) -> Result<bool, StoreError> {
    let path = root.file(SNAP, &filename::snapshot(snapshot));
    Ok(exists(root.fs(), &path).at("access", &path)?)
}

/// Reads all of a published snapshot, and syncs it. Its maker did so before it published; but it may have
/// been brought from a copy, and not be complete or synced yet. This is done each time, because the same
/// file may be copied a second time. Returns false if the file changes meanwhile, or is gone.
///
/// # Errors
/// [`StoreError::Snapshot`] with the first problem, or an error of the operating system: then nothing may
/// be retired for it.
pub fn verify_and_sync(root: &Root, snapshot: SnapshotId) -> Result<bool, StoreError> {
    let path = root.file(SNAP, &filename::snapshot(snapshot));
    // Asked before the file is read, to notice a change meanwhile.
    let (seen, file) = match root.fs().modified(&path).and_then(|s| Ok((s, root.fs().open(&path)?)))
    {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        found => found.at("open", &path)?,
    };
    if let Some(problem) = open_snapshot(root, &path, snapshot)?.verify()?.into_iter().next() {
        return Err(problem.into());
    }
    // Synced after it was read, so that the bytes on disk are those that were verified.
    file.sync().at("sync", &path)?;
    is_unchanged(root, &path, seen)
}
