//! Connections to one snapshot, so that its readers need not wait for each other.
//!
//! Invariant: all connections read the same file. Another one opens the file by its name, and only if that is still the
//! file that was checked when the snapshot was opened. If it is not, or no file handle can be had, readers take turns on
//! the connections that there are.

use super::connect::{FileStamp, open_another};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// The most connections beside the first. Each has a file handle and up to 256 KiB of pages.
const OTHERS_MAX: usize = 7;

/// See the module.
#[derive(Debug)]
pub(super) struct Connections {
    /// `None` if the snapshot is in memory.
    file: Option<(PathBuf, FileStamp)>,
    first: Mutex<Connection>,
    others: [OnceLock<Mutex<Connection>>; OTHERS_MAX],
}

impl Connections {
    /// Begins with the connection that checked the snapshot.
    pub(super) fn new(first: Connection, file: Option<(PathBuf, FileStamp)>) -> Self {
        Connections { file, first: Mutex::new(first), others: Default::default() }
    }

    /// Returns a connection that no other reader uses, or waits for one.
    pub(super) fn lend(&self) -> MutexGuard<'_, Connection> {
        if let Some(free) = free(&self.first) {
            return free;
        }
        for slot in &self.others {
            let Some(connection) = self.connection_in(slot) else { break };
            if let Some(free) = free(connection) {
                return free;
            }
        }
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection in this slot, and opens it if there is none.
    fn connection_in<'a>(
        &self,
        slot: &'a OnceLock<Mutex<Connection>>,
    ) -> Option<&'a Mutex<Connection>> {
        if slot.get().is_none() {
            let (path, stamp) = self.file.as_ref()?;
            let another = open_another(path, stamp)?;
            // If another reader was faster, its connection serves as well.
            return Some(slot.get_or_init(|| Mutex::new(another)));
        }
        slot.get()
    }
}

/// Locks a connection if that needs no waiting. A panic of a reader does no harm: reading changes nothing.
fn free(connection: &Mutex<Connection>) -> Option<MutexGuard<'_, Connection>> {
    match connection.try_lock() {
        Ok(free) => Some(free),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ID, meta};
    use super::super::{Builder, Snapshot, Source};
    use super::*;
    use std::path::Path;

    fn snapshot(directory: &Path) -> (PathBuf, Snapshot) {
        let path = directory.join("one.snap");
        Builder::at(&path, meta()).unwrap().finish().unwrap();
        let snapshot = Snapshot::open(Source::Path(&path), ID).unwrap();
        (path, snapshot)
    }

    #[test]
    fn readers_of_one_snapshot_do_not_wait_for_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let (_, snapshot) = snapshot(dir.path());
        let lent: Vec<_> = (0..=OTHERS_MAX).map(|_| snapshot.connections.lend()).collect();
        assert_eq!(lent.len(), 1 + OTHERS_MAX);
        // All are in use; each is free again once its reader is done.
        assert!(free(&snapshot.connections.first).is_none());
        drop(lent);
        assert!(free(&snapshot.connections.first).is_some());
    }

    #[test]
    fn retired_snapshot_is_read_by_turns() {
        let dir = tempfile::tempdir().unwrap();
        let (path, snapshot) = snapshot(dir.path());
        // Its name is gone, and another file has the name: neither is opened.
        std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        for other in [false, true] {
            if other {
                std::fs::copy(dir.path().join("elsewhere"), &path).unwrap();
            }
            let first = snapshot.connections.lend();
            assert!(snapshot.connections.connection_in(&snapshot.connections.others[0]).is_none());
            let waits = std::thread::scope(|scope| {
                let reader = scope.spawn(|| snapshot.get("k").unwrap());
                drop(first);
                reader.join().unwrap()
            });
            assert_eq!(waits, None);
        }
    }
}
