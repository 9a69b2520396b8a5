//! Options of a compaction, and what it reports.

use crate::format::id::{SegmentId, SnapshotId};
use crate::store::seal::Left;
use std::path::PathBuf;

/// How far a compaction goes.
///
/// ```
/// use crdt_palace::palace::compact::{CompactOptions, Extent};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// for n in 0..3 {
///     palace.put(&format!("k/{n}"), json!({"n": n}).as_object().ok_or("an object")?)?;
///     palace.compact(CompactOptions::default())?;
/// }
/// let all = CompactOptions { extent: Extent::All, ..CompactOptions::default() };
/// let report = palace.compact(all)?;
/// assert_eq!((report.snapshots, report.documents), (3, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// What is due, in a step that is short: what instances do in the background.
    #[default]
    Due,
    /// Everything that can be, into one snapshot.
    All,
}

/// How to compact.
///
/// ```
/// use crdt_palace::palace::compact::CompactOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// let report = palace.compact(CompactOptions { dry_run: true, ..CompactOptions::default() })?;
/// assert_eq!((report.segments, report.published), (1, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CompactOptions {
    /// How far to go.
    pub extent: Extent,
    /// Also seal segments whose owner cannot be known to be gone (see [`seal_dead`]), and fold those of
    /// another machine whose end is missing.
    pub adopt: bool,
    /// Only report what would be done. Nothing is sealed either, so segments of dead instances that
    /// are still in `open/` are not counted.
    pub dry_run: bool,
}

/// An input that stays where it is, and why.
///
/// ```
/// use crdt_palace::palace::compact::CompactOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
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
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why it was not taken.
    pub reason: String,
}

/// What a compaction did, or would do.
///
/// ```
/// use crdt_palace::palace::compact::CompactOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// let report = palace.compact(CompactOptions::default())?;
/// assert_eq!((report.segments, report.commits, report.changes), (1, 1, 1));
/// assert_eq!(report.published, Some(palace.status()?.snapshots[0].snapshot));
/// assert!(report.skipped.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct CompactReport {
    /// Segments of dead instances that were sealed.
    pub sealed: usize,
    /// Segments folded.
    pub segments: usize,
    /// Snapshots merged.
    pub snapshots: usize,
    /// The new snapshot, if there was anything to do.
    pub published: Option<SnapshotId>,
    /// Documents in it, deleted ones included.
    pub documents: u64,
    /// Commits in its log.
    pub commits: u64,
    /// Changes that were folded from segments.
    pub changes: u64,
    /// Bytes of the inputs.
    pub bytes_before: u64,
    /// Bytes of the new snapshot.
    pub bytes_after: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// How long `LOCK` was held, in milliseconds.
    pub lock_held_ms: u64,
    /// Files of earlier compactions that were moved to `trash/` or purged from it.
    pub cleared: usize,
    /// Whether there are more segments than one automatic step may fold.
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
/// other.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// let report = palace.compact(CompactOptions::default())?;
/// assert_eq!(report.left_open[0].segment, palace.status()?.segments[0].segment);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
pub struct LeftOpen {
    /// Which.
    pub segment: SegmentId,
    /// Why.
    pub reason: Left,
}
