//! Dependencies of commits that are not known to be on disk.

use crate::format::id::SegmentId;
use crate::format::key::Key;
use crate::segment::foreign_sync::ForeignSync;
use std::collections::{BTreeMap, BTreeSet};

/// Changes of other processes that some commits build on, and that a power cut could still take.
#[derive(Debug, Default)]
pub struct UnsyncedDependencies {
    /// The documents that the commits change.
    pub keys: BTreeSet<Key>,
    /// The segments of other processes that changes of those come from, and whether sealed.
    pub segments: BTreeMap<(SegmentId, bool), ForeignSync>,
}

impl UnsyncedDependencies {
    /// Returns true if all dependencies are on disk.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Adds those of other commits.
    pub fn extend(&mut self, other: UnsyncedDependencies) {
        self.keys.extend(other.keys);
        self.segments.extend(other.segments);
    }
}
