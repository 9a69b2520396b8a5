//! Palaces on the simulated disk: opening, writing, reading and compacting them, and their files.

use crate::support::object;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::{Error, Options, Palace, WriteOptions};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The palace of a test that has only one. Its parent directories do not exist at first.
pub const PALACE: &str = "/home/palace";

pub const ALL: CompactOptions = CompactOptions::new().all();
pub const DUE: CompactOptions = ALL.extent(Extent::Due);

/// Options of a process that compacts only when it is told to.
pub fn options(fs: impl Fs + 'static) -> Options {
    Options::default().fs(Arc::new(fs)).auto_compact(false)
}

/// A process that opens [`PALACE`], and compacts only when it is told to.
pub fn open(fs: impl Fs + 'static) -> Result<Palace, Error> {
    options(fs).open(PALACE)
}

/// A process that opens [`PALACE`], and compacts in the background.
pub fn automatic(fs: impl Fs + 'static) -> Palace {
    Options::default().fs(Arc::new(fs)).open(PALACE).unwrap()
}

/// A process that opens the palace of this path, and compacts only when it is told to.
pub fn at(disk: &SimDisk, path: &str) -> Palace {
    options(disk.process()).open(path).unwrap()
}

/// Writes these fields of a document.
pub fn set(palace: &Palace, key: &str, value: Value) {
    set_with(palace, key, value, &WriteOptions::default()).unwrap();
}

pub fn set_with(
    palace: &Palace,
    key: &str,
    value: Value,
    options: &WriteOptions,
) -> Result<(), Error> {
    palace.with(options.clone()).patch(key, &object(value)).map(drop)
}

pub fn set_number(palace: &Palace, key: &str, n: u64) {
    set(palace, key, json!({"n": n}));
}

/// What a document holds, and whether changes of it are missing.
pub fn shown(palace: &Palace, key: &str) -> Option<(Value, bool)> {
    palace.get(key).unwrap().map(|found| (Value::Object(found.value), found.incomplete))
}

/// The names in a directory, sorted.
pub fn names(disk: &SimDisk, directory: &str) -> Vec<String> {
    let mut names = disk.process().list(Path::new(directory)).unwrap();
    names.sort();
    names
}

/// The only file in a directory.
pub fn only(disk: &SimDisk, directory: &str) -> PathBuf {
    let [name] = &names(disk, directory)[..] else { panic!("not one file in {directory}") };
    Path::new(directory).join(name)
}

pub fn bytes(disk: &SimDisk, path: &Path) -> Vec<u8> {
    read_from(&*disk.process().open(path).unwrap(), 0).unwrap()
}
