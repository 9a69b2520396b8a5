//! Dependencies of a commit are put on disk before the commit counts as durable.
//!
//! Invariant: when a commit is promised to survive a power cut, so is every change that it needs. The changes of other
//! processes are synced where they stand. Where that fails, or their writer has abandoned them, they are written again
//! here: the disk may have lost them, and no other process may write them.

use super::rescue::{foreign_commits, synced_upto, unwritten};
use crate::format::key::Key;
use crate::format::record::encode_commit;
use crate::fs::stop;
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Shared;
use crate::palace::handle::unsynced::UnsyncedDependencies;
use crate::store::StoreError;
use crate::store::group_commit::Ticket;
use crate::store::seal::seal_failed;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Shared {
    /// Puts dependencies on disk. If that takes a commit of its own, returns its place in the log: it has to be waited for
    /// as well.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`]: what builds on it is in the log already.
    pub fn put_on_disk(&self, dependencies: &UnsyncedDependencies) -> Result<Option<Ticket>> {
        let mut failed = false;
        for foreign in dependencies.segments.values() {
            let relied_upon = foreign.sync_while_owned(self.root.fs()).unwrap_or_else(|error| {
                tracing::warn!(%error, "another process's segment cannot be synced");
                if foreign.has_failed()
                    && let Err(error) = seal_failed(&self.root, foreign.path())
                {
                    // Then only this process knows; what it needs is written again all the same.
                    tracing::warn!(%error, "a segment that cannot be synced stays in its place");
                }
                false
            });
            stop::at!("commit.secured");
            failed |= !relied_upon;
        }
        let rescued = failed.then(|| self.rescue(&dependencies.keys)).transpose();
        rescued.map_err(|error| self.outcome_unknown(error))
    }

    /// Writes commits again that changed these documents and are not known to be on disk. Returns the place of the last
    /// that has to be waited for.
    fn rescue(&self, keys: &BTreeSet<Key>) -> Result<Ticket> {
        let _writer = self.writer.lock()?;
        let mut directory = self.directory();
        let instance = self.instance(&mut directory)?;
        let synced = |segment| Ok(synced_upto(&directory.catalog, segment));
        let found = foreign_commits(&directory.tail, keys, synced)?;
        for entries in unwritten(&directory.tail, &found) {
            let body = Bytes::from(encode_commit(&entries));
            directory.enqueue(&self.log, instance, body).ok_or_else(|| self.abandoned())?;
        }
        // Another thread may have queued what this one needs: nothing was left to write again then.
        let last = self.log.last().filter(|last| last.instance == instance);
        last.ok_or_else(|| self.abandoned())
    }

    fn abandoned(&self) -> Error {
        self.log.failed("the write before this one failed").into()
    }

    /// Turns the error of a dependency that could not be put on disk into that of the commit, which is in the log.
    pub fn outcome_unknown(&self, error: Error) -> Error {
        let source = match error {
            // That was not written, not the commit.
            Error::Store(StoreError::NotWritten { source }) => source,
            error @ Error::Store(StoreError::OutcomeUnknown { .. }) => return error,
            Error::Store(error) => Arc::new(error),
            _ => Arc::new(self.log.failed("what it builds on cannot be read")),
        };
        Error::Store(StoreError::OutcomeUnknown { source })
    }

    /// Remembers the dependencies of a buffered commit, for the next [`Shared::sync`].
    pub fn sync_later(&self, dependencies: UnsyncedDependencies) {
        if !dependencies.is_empty() {
            self.unsynced.lock().extend(dependencies);
        }
    }

    /// Returns true while buffered commits, or their dependencies, are not on disk.
    pub fn has_unsynced(&self) -> bool {
        !self.unsynced.lock().is_empty() || self.log.has_unsynced()
    }

    /// Puts every commit written so far on disk, with what it builds on.
    pub fn sync(&self) -> Result<()> {
        // A second thread must not find an empty list and conclude that nothing is left to do.
        let _turn = self.syncing.lock();
        let taken = std::mem::take(&mut *self.unsynced.lock());
        if let Err(error) = self.put_on_disk(&taken) {
            // Still to be done.
            self.sync_later(taken);
            return Err(error);
        }
        let losses = self.directory().own().losses();
        self.log.sync()?;
        // Buffered commits that were written again may build on what went back with their segment.
        if self.directory().own().losses() != losses {
            let begun = self.rescans_begun();
            let _writer = self.writer.lock()?;
            self.directory().ask_for_listing();
            drop(self.rescanned_since(begun)?);
            self.write_missing(begun)?;
            self.log.sync()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rescue::foreign_places;
    use super::*;
    use crate::fs::sim::{Call, Failure, SimDisk};
    use crate::palace::{Options, Palace, WriteOptions};

    /// The dependencies of a commit that changes `k`.
    fn of_key(palace: &Palace) -> UnsyncedDependencies {
        let directory = palace.shared.directory();
        let keys = BTreeSet::from([Key::new("k").unwrap()]);
        let segments = directory.catalog.unsynced(foreign_places(&directory.tail, &keys));
        UnsyncedDependencies { keys, segments }
    }

    fn open(disk: &SimDisk) -> Palace {
        Options::default().fs(Arc::new(disk.process())).auto_compact(false).open("/p").unwrap()
    }

    /// The commit that builds on it is in the log by then, and may be in a file.
    #[test]
    fn what_cannot_be_carried_along_leaves_the_outcome_unknown() {
        let disk = SimDisk::new(1);
        let (theirs, ours) = (open(&disk), open(&disk));
        let value = serde_json::Map::from_iter([("n".to_owned(), 1.into())]);
        let buffered = WriteOptions::new().buffered();
        ours.put("own", &value).unwrap();
        theirs.with(buffered.clone()).put("k", &value).unwrap();
        ours.with(buffered.clone()).put("own", &serde_json::Map::new()).unwrap();
        ours.fresh().unwrap();
        let dependencies = of_key(&ours);
        // Another thread gives the instance up, and the look for what it left fails.
        ours.shared.log.abandon(StoreError::Replaced { path: "/p".into() });
        disk.fail_nth(Call::Sync, 1, Failure::Io);
        disk.fail_nth(Call::List, 1, Failure::NoHandle);
        let told = ours.shared.put_on_disk(&dependencies).unwrap_err();
        let unknown = matches!(told, Error::Store(StoreError::OutcomeUnknown { .. }));
        assert!(unknown, "{told:?}");
    }

    /// Two threads that build on one segment that cannot be synced: the first writes it again, and the second has to
    /// wait for that too.
    #[test]
    fn whoever_needs_what_another_thread_carries_waits_for_it() {
        let disk = SimDisk::new(1);
        let (theirs, ours) = (open(&disk), open(&disk));
        let value = serde_json::Map::from_iter([("n".to_owned(), 1.into())]);
        let buffered = WriteOptions::new().buffered();
        theirs.with(buffered.clone()).put("k", &value).unwrap();
        let (instance, _) = ours.shared.view_to_write(0).unwrap();
        let dependencies = of_key(&ours);
        disk.fail_nth(Call::Sync, 1, Failure::Io);
        let carried = Ticket { instance, sequence: 1 };
        for thread in ["first", "second"] {
            assert_eq!(ours.shared.put_on_disk(&dependencies).unwrap(), Some(carried), "{thread}");
        }
    }

    #[test]
    fn what_a_commit_in_the_log_builds_on_failing_leaves_its_outcome_unknown() {
        let palace = open(&SimDisk::new(1));
        let cause = || StoreError::Replaced { path: "/p".into() };
        let source = Arc::new(cause());
        let errors = [
            cause(),
            StoreError::NotWritten { source: source.clone() },
            StoreError::OutcomeUnknown { source },
        ];
        for error in errors {
            let told = palace.shared.outcome_unknown(Error::Store(error));
            let Error::Store(StoreError::OutcomeUnknown { source }) = told else {
                panic!("{told}")
            };
            assert_eq!(source.to_string(), cause().to_string());
        }
    }
}
