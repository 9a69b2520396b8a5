//! Options of a compaction, and its report.

use crate::format::id::{SegmentId, SnapshotId};
use crate::store::seal::Left;
use std::path::PathBuf;

/// Extent of a compaction.
///
/// ```
/// use crdt_palace::palace::compact::{CompactOptions, Extent};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// for n in 0..3 {
///     palace.put(&format!("k/{n}"), &json!({"n": n}))?;
///     palace.compact(CompactOptions::default())?;
/// }
/// let report = palace.compact(CompactOptions::new().extent(Extent::All))?;
/// assert_eq!((report.snapshots, report.documents), (3, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extent {
    /// The files that are due, in a short step, as a process does in the background.
    #[default]
    Due,
    /// All files that can be compacted, into one snapshot.
    All,
}

/// Options of a compaction. The default compacts what is due.
///
/// ```
/// use crdt_palace::palace::compact::{CompactOptions, Extent};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// let report = palace.compact(CompactOptions::new().dry_run())?;
/// assert_eq!((report.segments, report.published), (1, None));
/// assert_eq!(palace.compact(CompactOptions::new().extent(Extent::Due).dry_run())?.segments, 1);
/// let report = palace.compact(CompactOptions::new().all().adopt())?;
/// assert_eq!((report.segments, report.documents), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CompactOptions {
    pub(crate) extent: Extent,
    pub(crate) adopt: bool,
    pub(crate) dry_run: bool,
}

impl CompactOptions {
    /// Makes the default options.
    #[must_use]
    pub const fn new() -> Self {
        CompactOptions { extent: Extent::Due, adopt: false, dry_run: false }
    }

    /// Sets the extent.
    #[must_use]
    pub const fn extent(mut self, extent: Extent) -> Self {
        self.extent = extent;
        self
    }

    /// Compacts all files that can be compacted, into one snapshot.
    #[must_use]
    pub const fn all(self) -> Self {
        self.extent(Extent::All)
    }

    /// Also seals segments whose process may still live, because it is on another machine or its lock cannot be trusted,
    /// and compacts those of another machine without an end.
    #[must_use]
    pub const fn adopt(mut self) -> Self {
        self.adopt = true;
        self
    }

    /// Only reports what would be done. It seals nothing either, so segments of dead processes that are still in
    /// `open/` are not counted.
    #[must_use]
    pub const fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }
}

/// An input that stays where it is, and the reason.
///
/// ```
/// use crdt_palace::palace::compact::CompactOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// palace.seal()?;
/// for file in std::fs::read_dir(palace.path().join("sealed"))? {
///     let file = file?.path();
///     let mut bytes = std::fs::read(&file)?;
///     bytes[50] ^= 1; // a bad disk
///     std::fs::write(&file, bytes)?;
/// }
/// let report = Palace::open(palace.path())?.compact(CompactOptions::default())?;
/// assert!(report.skipped[0].path.starts_with(palace.path().join("sealed")));
/// assert!(report.skipped[0].reason.contains("checksum"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// The file.
    #[serde(serialize_with = "crate::format::path_text::one")]
    pub path: PathBuf,
    /// The reason why it was not compacted.
    pub reason: String,
}

/// Report of a compaction, or of a dry run.
///
/// ```
/// use crdt_palace::palace::compact::CompactOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// let report = palace.compact(CompactOptions::default())?;
/// assert_eq!((report.segments, report.commits, report.changes), (1, 1, 1));
/// assert_eq!(report.published, Some(palace.status()?.snapshots[0].snapshot));
/// assert!(report.skipped.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct CompactReport {
    /// Segments of dead instances that were sealed, or that would be.
    pub sealed: usize,
    /// Segments compacted.
    pub segments: usize,
    /// Snapshots merged.
    pub snapshots: usize,
    /// The new snapshot; `None` if nothing was to be done.
    pub published: Option<SnapshotId>,
    /// Documents in it, deleted ones included.
    pub documents: u64,
    /// Commits in its log.
    pub commits: u64,
    /// Changes of the segments.
    pub changes: u64,
    /// Bytes of the inputs.
    pub bytes_before: u64,
    /// Bytes of the new snapshot.
    pub bytes_after: u64,
    /// Its duration, in milliseconds.
    pub elapsed_ms: u64,
    /// The time for which it held `LOCK`, in milliseconds.
    pub lock_held_ms: u64,
    /// Files of earlier compactions that were moved to `trash/` or purged from it.
    pub cleared: usize,
    /// True if there are more segments than one automatic step may compact.
    pub more: bool,
    /// Inputs that stay where they are.
    pub skipped: Vec<Skipped>,
    /// Segments that are in use, or might be.
    pub left_open: Vec<LeftOpen>,
}

/// A segment in `open/` that was not sealed.
///
/// ```
/// use crdt_palace::palace::compact::CompactOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let other = Palace::open(palace.path())?;
/// other.put("a", &json!({"n": 1}))?;
/// let report = palace.compact(CompactOptions::default())?;
/// assert_eq!(report.left_open[0].segment, palace.status()?.segments[0].segment);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct LeftOpen {
    /// The segment.
    pub segment: SegmentId,
    /// The reason.
    pub reason: Left,
}
