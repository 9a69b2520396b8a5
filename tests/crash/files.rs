//! What stands in a directory of the simulated disk, and the two ways to compact what is in it.

use crdt_palace::fs::sim::SimDisk;
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::{Options, Palace};
use std::path::Path;
use std::sync::Arc;

pub const ALL: CompactOptions =
    CompactOptions { extent: Extent::All, adopt: false, dry_run: false };
pub const DUE: CompactOptions = CompactOptions { extent: Extent::Due, ..ALL };

/// A process that opens the palace of this path, and compacts only when it is told to.
pub fn at(disk: &SimDisk, path: &str) -> Palace {
    Options::default().fs(Arc::new(disk.process())).auto_compact(false).open(path).unwrap()
}

/// In their order.
pub fn names(disk: &SimDisk, directory: &str) -> Vec<String> {
    let mut names = disk.process().list(Path::new(directory)).unwrap();
    names.sort();
    names
}

pub fn bytes(disk: &SimDisk, path: &Path) -> Vec<u8> {
    read_from(&*disk.process().open(path).unwrap(), 0).unwrap()
}
