//! Copies of a palace on the simulated disk, and putting them back under living processes.

use crate::files::{PALACE, bytes, names};
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::SimDisk;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const DIRECTORIES: [&str; 3] = ["open", "sealed", "snap"];

/// The data files of a palace at one moment.
#[derive(Clone, Debug)]
pub struct Copied(BTreeMap<PathBuf, Vec<u8>>);

fn present(disk: &SimDisk) -> Vec<PathBuf> {
    let inside = |directory: &str| {
        let directory = Path::new(PALACE).join(directory);
        let all = names(disk, directory.to_str().unwrap());
        all.into_iter().map(|name| directory.join(name)).collect::<Vec<_>>()
    };
    DIRECTORIES.into_iter().flat_map(inside).collect()
}

impl Copied {
    /// A copy of the present files; `None` if there is no palace.
    pub fn of(disk: &SimDisk) -> Option<Self> {
        let palace = Path::new(PALACE);
        let made = DIRECTORIES.iter().all(|name| disk.process().stat(&palace.join(name)).is_ok());
        disk.process().stat(&palace.join("palace.json")).ok().filter(|_| made)?;
        Some(Copied(
            present(disk).into_iter().map(|path| (path.clone(), bytes(disk, &path))).collect(),
        ))
    }

    /// Puts the files back. `in_place`: as `cp` does, which deletes nothing; otherwise as `rsync --delete`, which puts a
    /// new file in the place of one that differs.
    pub fn put_back(&self, disk: &SimDisk, in_place: bool) {
        let fs = disk.process();
        for path in present(disk) {
            match self.0.get(&path) {
                Some(old) if bytes(disk, &path) == *old => {}
                Some(old) if in_place => disk.overwrite(&path, old).unwrap(),
                None if in_place => {}
                _ => fs.remove(&path).unwrap(),
            }
        }
        for (path, old) in &self.0 {
            if fs.stat(path).is_err() {
                fs.create(path).unwrap().write_at(old, 0).unwrap();
            }
            fs.open(path).unwrap().sync().unwrap();
        }
        for directory in DIRECTORIES {
            fs.sync_dir(&Path::new(PALACE).join(directory)).unwrap();
        }
    }
}
