//! The real file system with a clock that goes ahead by a fixed time, as on a machine whose clock was set:
//! a compactor with such a clock retires at once what others may not touch for a minute, or for a day.

use crdt_palace::fs::name_events::NameEvents;
use crdt_palace::fs::os::OsFs;
use crdt_palace::fs::{Directory, File, Fs, Host, Listed, Stat};
use std::io::Result;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct ClockAhead {
    pub ms: i64,
}

impl Fs for ClockAhead {
    fn now_ms(&self) -> i64 {
        OsFs.now_ms() + self.ms
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        OsFs.create_dir(path)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        OsFs.create(path)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn File>> {
        OsFs.open(path)
    }

    fn open_lock(&self, path: &Path) -> Result<Box<dyn File>> {
        OsFs.open_lock(path)
    }

    fn write_note(&self, path: &Path, note: &[u8]) -> Result<()> {
        OsFs.write_note(path, note)
    }

    fn entries(&self, path: &Path) -> Result<Vec<Listed>> {
        OsFs.entries(path)
    }

    fn open_dir(&self, path: &Path) -> Result<Box<dyn Directory>> {
        OsFs.open_dir(path)
    }

    fn name_events(&self, directories: &[PathBuf]) -> Result<Option<NameEvents>> {
        OsFs.name_events(directories)
    }

    fn stat(&self, path: &Path) -> Result<Stat> {
        OsFs.stat(path)
    }

    fn modified(&self, path: &Path) -> Result<(Stat, i64)> {
        OsFs.modified(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        OsFs.rename(from, to)
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> Result<()> {
        OsFs.rename_noreplace(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        OsFs.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        OsFs.sync_dir(path)
    }

    fn local_path(&self, path: &Path) -> Option<PathBuf> {
        OsFs.local_path(path)
    }

    fn fs_type(&self, path: &Path) -> Result<u64> {
        OsFs.fs_type(path)
    }

    fn owned(&self, path: &Path) -> Result<bool> {
        OsFs.owned(path)
    }

    fn yield_to_others(&self) {
        OsFs.yield_to_others();
    }

    fn random(&self) -> Result<[u8; 16]> {
        OsFs.random()
    }

    fn host(&self) -> Host {
        OsFs.host()
    }
}
