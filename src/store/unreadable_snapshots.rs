//! Snapshots that could not be opened, and the times to try them again.
//!
//! Invariant: a file that has changed is tried at once.

use crate::format::id::SnapshotId;
use crate::fs::Stat;
use crate::snapshot::SnapshotError;
use std::collections::BTreeMap;

/// The time after which an unchanged file is tried again, in milliseconds. The clock of a file may be too
/// coarse to tell of each change.
const RETRY_MS: i64 = 1_000;

/// The snapshots that could not be opened, each with its error.
#[derive(Debug, Default)]
pub(super) struct UnreadableSnapshots(BTreeMap<SnapshotId, Tried>);

#[derive(Debug)]
struct Tried {
    error: SnapshotError,
    /// The identity and time of modification of the file. Asked before it was opened, so that a file
    /// which changes while it is being opened is tried again.
    file: (Stat, i64),
    tried_ms: i64,
}

impl UnreadableSnapshots {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SnapshotId, &SnapshotError)> {
        self.0.iter().map(|(id, tried)| (*id, &tried.error))
    }

    pub(super) fn retain(&mut self, wanted: impl Fn(&SnapshotId) -> bool) {
        self.0.retain(|id, _| wanted(id));
    }

    pub(super) fn remove(&mut self, id: SnapshotId) {
        self.0.remove(&id);
    }

    pub(super) fn note(
        &mut self,
        id: SnapshotId,
        error: SnapshotError,
        file: (Stat, i64),
        tried_ms: i64,
    ) {
        self.0.insert(id, Tried { error, file, tried_ms });
    }

    /// Returns the time at which this very file was tried last.
    fn tried_ms(&self, id: SnapshotId, file: (Stat, i64)) -> Option<i64> {
        self.0.get(&id).filter(|tried| tried.file == file).map(|tried| tried.tried_ms)
    }

    /// Returns true if this very file was tried before. It is tried again and again, and reported once.
    pub(super) fn is_known(&self, id: SnapshotId, file: (Stat, i64)) -> bool {
        self.tried_ms(id, file).is_some()
    }

    /// Returns true if this very file was tried a moment ago.
    pub(super) fn was_tried(&self, id: SnapshotId, file: (Stat, i64), now_ms: i64) -> bool {
        let since = self.tried_ms(id, file).map(|tried_ms| now_ms.saturating_sub(tried_ms));
        since.is_some_and(|since| (0..RETRY_MS).contains(&since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: (Stat, i64) = (Stat { dev: 1, ino: 2, len: 3 }, 4);

    fn noted(ids: &[u8]) -> UnreadableSnapshots {
        let mut unreadable = UnreadableSnapshots::default();
        for id in ids.iter().map(|id| SnapshotId([*id; 16])) {
            let error = SnapshotError::TooLarge { snapshot: id, what: "it" };
            unreadable.note(id, error, FILE, 10_000);
        }
        unreadable
    }

    fn ids(unreadable: &UnreadableSnapshots) -> Vec<u8> {
        unreadable.iter().map(|(id, _)| id.0[0]).collect()
    }

    #[test]
    fn readable_or_removed_snapshot_is_forgotten() {
        let mut unreadable = noted(&[1, 2, 3]);
        unreadable.retain(|id| id.0[0] != 2);
        assert_eq!(ids(&unreadable), [1, 3]);
        unreadable.remove(SnapshotId([1; 16]));
        assert_eq!((ids(&unreadable), unreadable.is_empty()), (vec![3], false));
        unreadable.remove(SnapshotId([3; 16]));
        assert!(unreadable.is_empty());
    }

    /// A clock that was set back must not stop the tries for as long.
    #[test]
    fn unchanged_unreadable_file_is_tried_once_a_second() {
        let unreadable = noted(&[1]);
        let tried = |id, file, now_ms| unreadable.was_tried(SnapshotId([id; 16]), file, now_ms);
        assert!(tried(1, FILE, 10_000) && tried(1, FILE, 10_999));
        assert!(!tried(1, FILE, 11_000) && !tried(1, FILE, 9_999));
        assert!(!tried(1, (FILE.0, 5), 10_000) && !tried(2, FILE, 10_000));
        let known = |id, file| unreadable.is_known(SnapshotId([id; 16]), file);
        assert!(known(1, FILE) && !known(1, (FILE.0, 5)) && !known(2, FILE));
    }
}
