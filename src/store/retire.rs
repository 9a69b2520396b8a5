//! Retires files: moves them to `trash/`, from where `purge` removes them.
//!
//! Invariant: a file leaves `sealed/` or `snap/` only when a snapshot whose content and name are on disk
//! holds all of it, whichever process made that one (`publish`).

use super::StoreError;
use super::root::Root;
use crate::format::filename::{self, TRASH};
use crate::fs::{At, Stat};
use std::io::ErrorKind;
use std::path::Path;

/// Moves a file to `trash/`. It is no error if the file is gone: another compactor was faster.
///
/// # Errors
/// [`StoreError::Replaced`]: a copy of the palace that was put in its place has files of the same names,
/// and may lack the snapshot that holds them. Or an error of the operating system.
pub fn retire(root: &Root, directory: &str, name: &str) -> Result<(), StoreError> {
    root.still_there()?;
    move_to_trash(root, directory, name)
}

/// Retires a file if it is still the one that was seen before it was read. Another file, or a longer one,
/// that was put in its place stays; so does that of a copy of the palace.
///
/// # Errors
/// An error of the operating system.
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

pub(super) fn is_unchanged(
    root: &Root,
    path: &Path,
    seen: (Stat, i64),
) -> Result<bool, StoreError> {
    match root.fs().modified(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => Ok(found.at("access", path)? == seen),
    }
}

fn move_to_trash(root: &Root, directory: &str, name: &str) -> Result<(), StoreError> {
    let from = root.file(directory, name);
    // The time stands in the name, so that `purge` need not rely on times of files.
    let to = root.file(TRASH, &filename::trash(name, root.fs().now_ms()));
    match root.fs().rename(&from, &to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => Ok(done.at("retire", &from)?),
    }
}
