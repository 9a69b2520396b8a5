//! Snapshots that could not be opened, and when one is worth another try.
//!
//! Invariant: what has changed is tried at once, whatever was found before.

use crate::format::id::SnapshotId;
use crate::fs::Stat;
use crate::snapshot::SnapshotError;
use std::collections::BTreeMap;

/// What has not changed is tried again after this time, in milliseconds: the clock of a file need not tell of each
/// change.
const RETRY_MS: i64 = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unreadable(BTreeMap<SnapshotId, Tried>);

#[derive(Debug)]
struct Tried {
    error: SnapshotError,
    /// Which file it was, and when that was last modified. Asked before it was opened: what changes while it is
    /// being opened is tried again.
    file: (Stat, i64),
    tried_ms: i64,
}

impl Unreadable {
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

    /// Whether this very file was tried a moment ago.
    pub(super) fn was_tried(&self, id: SnapshotId, file: (Stat, i64), now_ms: i64) -> bool {
        let moment_ago = |tried: &Tried| tried.file == file && now_ms - tried.tried_ms < RETRY_MS;
        self.0.get(&id).is_some_and(moment_ago)
    }
}
