//! Tells by how much a palace went back: which commits a process knew that are in no file any more.
//!
//! Invariant: the commits of an instance are numbered without a gap, so its last number tells how far it came.

use super::view::View;
use crate::format::id::InstanceId;
use crate::merge::author_of;
use crate::palace::error::Result;
use crate::palace::view::tail::{Origin, TailCommit, entries};
use crate::store::group_commit::Log;
use std::collections::BTreeMap;

/// A palace that went back to an older state under this process: a copy was restored over it, or files of it were
/// deleted or cut off.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", &json!({"n": 1}))?;
/// let reader = Palace::open(palace.path())?;
/// assert!(reader.get("a")?.is_some() && reader.went_back().is_none());
/// for file in std::fs::read_dir(palace.path().join("open"))? {
///     std::fs::remove_file(file?.path())?; // as `rsync --delete` does
/// }
/// assert_eq!(reader.get("a")?, None);
/// let back = reader.went_back().ok_or("a commit is gone")?;
/// assert_eq!((back.commits, back.newest_ms), (1, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WentBack {
    /// The time when this process noticed it, in milliseconds since 1970, UTC.
    pub noticed_ms: i64,
    /// Number of commits that this process knew and that are in no file any more.
    pub commits: u64,
    /// The time of the newest commit that is left, by its writer's clock; `None` if none is.
    pub newest_ms: Option<i64>,
}

/// What a process has noticed, and has still to compare.
#[derive(Debug, Default)]
pub struct Noticed {
    /// The commits that were known before, until they are compared with what is left.
    pub known: Option<KnownCommits>,
    /// The last time that commits were gone.
    pub last: Option<WentBack>,
}

/// The last commit of each instance.
#[derive(Clone, Debug, Default)]
pub struct KnownCommits(BTreeMap<InstanceId, u64>);

impl KnownCommits {
    /// Returns those of a view. Commits of this process count once they are written.
    ///
    /// # Errors
    /// If a snapshot cannot be read.
    pub fn of(view: &View, log: &Log) -> Result<Self> {
        let mut known = KnownCommits::default();
        for snapshot in view.snapshots() {
            let logged = snapshot.log_instances()?.iter();
            logged.for_each(|logged| known.note(logged.instance, logged.sequences.last()));
        }
        let counts = |commit: &&TailCommit| match commit.origin {
            Origin::Segment(..) => true,
            Origin::Own(ticket) => ticket.sequence <= log.written(ticket.instance),
        };
        for commit in view.tail.commits().filter(counts) {
            commit.instance.into_iter().for_each(|id| known.note(id, commit.sequence));
        }
        Ok(known)
    }

    fn note(&mut self, instance: InstanceId, sequence: u64) {
        let last = self.0.entry(instance).or_default();
        *last = sequence.max(*last);
    }

    /// Adds those of another view.
    pub fn extend(&mut self, other: KnownCommits) {
        other.0.into_iter().for_each(|(instance, last)| self.note(instance, last));
    }

    /// Returns the number of these commits that come after those of `now`.
    pub fn beyond(&self, now: &KnownCommits) -> u64 {
        let left = |instance: &InstanceId| now.0.get(instance).copied().unwrap_or(0);
        self.0.iter().map(|(instance, last)| last.saturating_sub(left(instance))).sum()
    }
}

/// Returns the time of the newest commit in a view; `None` if there is none.
///
/// # Errors
/// If a snapshot cannot be read.
pub fn newest_ms(view: &View) -> Result<Option<i64>> {
    let changes = view.tail.commits().flat_map(|commit| entries(&commit.body));
    let times = changes.filter_map(|entry| author_of(&entry.change).ok());
    let mut newest = times.map(|stamp| stamp.time_ms).max();
    for snapshot in view.snapshots() {
        let logged = snapshot.log_instances()?.iter();
        newest = newest.max(logged.map(|logged| logged.last_time_ms).max());
    }
    Ok(newest)
}
