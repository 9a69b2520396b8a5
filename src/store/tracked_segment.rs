//! A segment of another process, as this one follows it, and what a rescan found.

use super::StoreError;
use super::root::Root;
use super::seal::is_from_this_machine;
use crate::format::id::{InstanceId, SegmentId};
use crate::segment::reader::{Commit, Reader};
use std::collections::HashSet;

/// A commit that a rescan found in a segment.
#[derive(Clone, Debug)]
pub struct FoundCommit {
    /// The segment that holds it.
    pub segment: SegmentId,
    /// The instance that wrote it; `None` if the segment's header is damaged.
    pub instance: Option<InstanceId>,
    /// The commit.
    pub commit: Commit,
}

/// The result of a rescan: the difference from the one before.
#[derive(Debug, Default)]
pub struct RescanDelta {
    /// Commits that were not seen before.
    pub commits: Vec<FoundCommit>,
    /// Segments that were retired, because snapshots hold all of their commits now.
    pub folded: HashSet<SegmentId>,
    /// True if the set of snapshots changed.
    pub snapshots: bool,
    /// True if a file lacks what was read from it, or is gone and no snapshot holds it. What is known of
    /// the directory has to be read again from the beginning.
    pub went_back: bool,
}

impl RescanDelta {
    pub(super) fn add(&mut self, reader: &Reader, commits: Vec<Commit>) {
        let instance = reader.header().map(|header| header.instance);
        let found = |commit| FoundCommit { segment: reader.id(), instance, commit };
        self.commits.extend(commits.into_iter().map(found));
    }
}

/// A segment of another process that this process reads.
#[derive(Debug)]
pub struct TrackedSegment {
    /// Its reading end.
    pub reader: Reader,
    /// True once it stands in `sealed/`.
    pub sealed: bool,
    /// The inode that the last listing gave for it.
    pub(super) ino: u64,
}

impl TrackedSegment {
    pub(super) fn read_into(
        &mut self,
        delta: &mut RescanDelta,
        root: &Root,
    ) -> Result<(), StoreError> {
        // Kept before anything else can fail: a reader returns each commit once.
        let commits = self.reader.read_new()?;
        delta.add(&self.reader, commits);
        let reader = &mut self.reader;
        if reader.went_back() {
            delta.went_back = true;
            return Ok(());
        }
        // Nothing is appended to a sealed segment. But one of another machine without its footer may be a
        // copy under way, so that one is read again each time.
        if self.sealed
            && !reader.is_finished()
            && (reader.is_complete() || is_from_this_machine(reader.header(), root.fs().host()))
        {
            let commits = reader.read_final()?;
            delta.add(reader, commits);
        }
        Ok(())
    }
}
