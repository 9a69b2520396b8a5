//! What a commit builds on is put on disk before the commit counts as being there.
//!
//! Invariant: when a commit is promised to survive a power cut, so is every change that it needs. The
//! changes of other processes are synced where they stand. Where that fails, or their writer has let go of
//! them, they are written again here: the disk may have lost them, and nobody else may write them.

use super::{Error, Result, Shared};
use crate::format::id::SegmentId;
use crate::format::key::Key;
use crate::format::record::encode_commit;
use crate::fs::stop;
use crate::segment::reader::ForeignSync;
use crate::store::StoreError;
use crate::store::group_commit::Ticket;
use crate::store::seal::seal_failed;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

/// What some commits build on and is not known to be on disk.
#[derive(Debug, Default)]
pub(super) struct Foundation {
    /// The documents that the commits change.
    pub keys: BTreeSet<Key>,
    /// The segments of other processes that changes of those come from, and whether sealed.
    pub segments: BTreeMap<(SegmentId, bool), ForeignSync>,
}

impl Foundation {
    fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    fn extend(&mut self, other: Foundation) {
        self.keys.extend(other.keys);
        self.segments.extend(other.segments);
    }
}

impl Shared {
    /// Puts a foundation on disk. If that takes a commit of its own, gives its place in the log: it has
    /// to be waited for as well.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`]: what builds on it is in the log already.
    pub(super) fn put_on_disk(&self, foundation: &Foundation) -> Result<Option<Ticket>> {
        let mut failed = false;
        for foreign in foundation.segments.values() {
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
        let carried = failed.then(|| self.carry(&foundation.keys)).transpose();
        carried.map_err(|error| self.outcome_unknown(error))
    }

    /// Writes commits again that changed these documents and are not known to be on disk. Gives the place of the last
    /// that has to be waited for.
    fn carry(&self, keys: &BTreeSet<Key>) -> Result<Ticket> {
        let mut state = self.state();
        let instance = state.instance(&self.log)?;
        let found = state.foreign_commits(keys, |segment| Ok(state.synced_upto(segment)))?;
        for entries in state.unwritten(&found) {
            let body = Bytes::from(encode_commit(&entries));
            state.enqueue(&self.log, instance, body).ok_or_else(|| self.given_up())?;
        }
        // Another thread may have queued what this one needs: nothing was left to write again then.
        let last = self.log.last().filter(|last| last.instance == instance);
        last.ok_or_else(|| self.given_up())
    }

    fn given_up(&self) -> Error {
        self.log.failed("the write before this one failed").into()
    }

    /// Of a commit that is in the log, when what it builds on could not be put on disk.
    pub(super) fn outcome_unknown(&self, error: Error) -> Error {
        let source = match error {
            // That was not written, not the commit.
            Error::Store(StoreError::NotWritten { source }) => source,
            error @ Error::Store(StoreError::OutcomeUnknown { .. }) => return error,
            Error::Store(error) => Arc::new(error),
            _ => Arc::new(self.log.failed("what it builds on cannot be read")),
        };
        Error::Store(StoreError::OutcomeUnknown { source })
    }

    /// Remembers what a buffered commit builds on, for the next [`Shared::sync`].
    pub(super) fn sync_later(&self, foundation: Foundation) {
        if !foundation.is_empty() {
            self.built_on.lock().unwrap_or_else(PoisonError::into_inner).extend(foundation);
        }
    }

    /// Whether buffered commits, or what they build on, are not on disk yet.
    pub(super) fn has_unsynced(&self) -> bool {
        let built_on = self.built_on.lock().unwrap_or_else(PoisonError::into_inner);
        !built_on.is_empty() || self.log.has_unsynced()
    }

    /// Puts every commit written so far on disk, with what it builds on.
    pub(super) fn sync(&self) -> Result<()> {
        // Whoever comes second must not find an empty list and think that nothing is left to do.
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let taken =
            std::mem::take(&mut *self.built_on.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = self.put_on_disk(&taken) {
            // Still to be done.
            self.sync_later(taken);
            return Err(error);
        }
        Ok(self.log.sync()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Palace, WriteOptions};
    use super::*;
    use crate::fs::sim::{Call, Failure, SimDisk};
    use crate::store::group_commit::Durability;

    fn open(disk: &SimDisk) -> Palace {
        Options::default().fs(Arc::new(disk.process())).auto_compact(false).open("/p").unwrap()
    }

    /// What builds on it is in the log by then, and may be in a file.
    #[test]
    fn what_cannot_be_carried_along_leaves_the_outcome_unknown() {
        let disk = SimDisk::new(1);
        let (theirs, ours) = (open(&disk), open(&disk));
        let value = serde_json::Map::from_iter([("n".to_owned(), 1.into())]);
        let buffered = WriteOptions { durability: Durability::Buffered, ..WriteOptions::default() };
        ours.put("own", &value).unwrap();
        theirs.put_with("k", &value, &buffered).unwrap();
        ours.put_with("own", &Default::default(), &buffered).unwrap();
        let state = ours.fresh().unwrap();
        let keys = BTreeSet::from([Key::new("k").unwrap()]);
        let segments = state.catalog.unsynced(state.foreign_places(&keys));
        drop(state);
        // Another thread gives the instance up, and the look for what it left fails.
        ours.shared.log.abandon(StoreError::Replaced { path: "/p".into() });
        disk.fail_nth(Call::Sync, 1, Failure::Io);
        disk.fail_nth(Call::List, 1, Failure::NoHandle);
        let told = ours.shared.put_on_disk(&Foundation { keys, segments }).unwrap_err();
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
        let buffered = WriteOptions { durability: Durability::Buffered, ..WriteOptions::default() };
        theirs.put_with("k", &value, &buffered).unwrap();
        let mut state = ours.fresh().unwrap();
        let instance = state.instance(&ours.shared.log).unwrap();
        let keys = BTreeSet::from([Key::new("k").unwrap()]);
        let segments = state.catalog.unsynced(state.foreign_places(&keys));
        drop(state);
        let foundation = Foundation { keys, segments };
        disk.fail_nth(Call::Sync, 1, Failure::Io);
        let carried = Ticket { instance, sequence: 1 };
        for thread in ["first", "second"] {
            assert_eq!(ours.shared.put_on_disk(&foundation).unwrap(), Some(carried), "{thread}");
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
