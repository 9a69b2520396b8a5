//! The real file system with another clock, as on a machine whose clock was set. A compactor whose clock goes ahead retires
//! at once what others may not touch for a minute, or for a day.

use crdt_palace::fs::name_events::NameEvents;
use crdt_palace::fs::os::OsFs;
use crdt_palace::fs::{Directory, File, Fs, Host, Listed, Stat};
use std::fmt::Debug;
use std::io::Result;
use std::path::{Path, PathBuf};

/// A clock, and what is random.
pub trait Clock: Debug + Send + Sync {
    fn now_ms(&self) -> i64;

    fn random(&self) -> Result<[u8; 16]> {
        OsFs.random()
    }
}

/// A clock that goes ahead by a fixed time.
#[derive(Debug)]
pub struct Ahead {
    pub ms: i64,
}

impl Clock for Ahead {
    fn now_ms(&self) -> i64 {
        OsFs.now_ms() + self.ms
    }
}

/// The real file system with another clock.
#[derive(Debug)]
pub struct Clocked<C>(pub C);

impl<C: Clock> Fs for Clocked<C> {
    fn now_ms(&self) -> i64 {
        self.0.now_ms()
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

    fn is_mounted_read_only(&self, path: &Path) -> Result<bool> {
        OsFs.is_mounted_read_only(path)
    }

    fn yield_to_others(&self) {
        OsFs.yield_to_others();
    }

    fn random(&self) -> Result<[u8; 16]> {
        self.0.random()
    }

    fn host(&self) -> Host {
        OsFs.host()
    }
}
