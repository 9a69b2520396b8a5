//! Compaction: segments and small snapshots become one larger snapshot.
//!
//! Invariant: compaction is the only step that takes anything away, so it takes away nothing before
//! the new snapshot was verified (`fold`) and its content and name are on disk. An input that could not be
//! read whole (`inputs`) is never taken away.

use super::fold::{Folded, fold};
use super::inputs::{Inputs, SealedFile};
use super::pace::Pace;
use super::{Palace, Result};
use crate::format::filename::{self, SEALED};
use crate::format::id::{PalaceId, SegmentId, SnapshotId};
use crate::fs::stop;
use crate::store::purge::{purge_tmp, purge_trash};
use crate::store::root::Root;
use crate::store::seal::{Left, seal_dead};
use crate::store::{StoreError, lock, publish, retire};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

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

impl Palace {
    /// Compacts now, whether or not it is due. Safe while others read, write and compact.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// use crdt_palace::palace::compact::CompactOptions;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
    /// let report = palace.compact(CompactOptions::default())?;
    /// assert_eq!((report.segments, report.documents), (1, 1));
    /// assert_eq!(palace.get("a")?.ok_or("it was written")?.value["n"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Busy`] if somebody else is at it; [`Error::Unverified`] if the new snapshot
    /// turned out not to hold everything, and then nothing was changed.
    pub fn compact(&self, options: CompactOptions) -> Result<CompactReport> {
        self.writable()?;
        self.shared.notice_replacement(&mut self.state())?;
        self.seal()?;
        compact(&self.shared.root, &self.shared.program, options, Pace::brisk())
    }
}

/// One compaction.
pub(super) fn compact(
    root: &Root,
    program: &str,
    options: CompactOptions,
    pace: Pace,
) -> Result<CompactReport> {
    let start = Instant::now();
    root.refresh()?;
    let Some(palace) = root.palace() else { return Ok(CompactReport::default()) };
    if options.dry_run {
        let (inputs, mut report) = Inputs::find(root, palace, options)?;
        inputs.count(&mut report);
        return Ok(report);
    }
    root.ensure_created()?;
    let Some(guard) = lock::try_compaction(root, program)? else {
        let holder = lock::compaction_holder(root)?;
        let holder = holder.map_or_else(|| "just gone".to_owned(), |holder| holder.holder);
        return Err(StoreError::Busy { path: root.path().join(filename::LOCK), holder }.into());
    };
    let locked = Instant::now();
    stop::at!("compact.locked");
    let report = compact_locked(root, palace, options, pace);
    stop::at!("compact.done");
    drop(guard);
    report.map(|report| CompactReport {
        elapsed_ms: milliseconds(start.elapsed()),
        lock_held_ms: milliseconds(locked.elapsed()),
        ..report
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn compact_locked(
    root: &Root,
    palace: PalaceId,
    options: CompactOptions,
    pace: Pace,
) -> Result<CompactReport> {
    let sealed = seal_dead(root, options.adopt)?;
    let (mut inputs, mut report) = Inputs::find(root, palace, options)?;
    stop::at!("compact.listed");
    report.sealed = sealed.sealed.len();
    let left_open = |(segment, reason)| LeftOpen { segment, reason };
    report.left_open = sealed.left.into_iter().map(left_open).collect();
    report.cleared = inputs.clear_superseded(root, &mut report.skipped)? + purge_tmp(root)?;
    report.cleared += purge_trash(root, &inputs.standing(None))?;
    while inputs.is_worth_it() {
        let folded = match fold(root, palace, &inputs, &BTreeSet::new(), pace) {
            Ok(folded) => folded,
            // One bad file must not stop compaction for good.
            Err(error) => {
                inputs.leave_out_culprits(root, error, &mut report.skipped)?;
                continue;
            }
        };
        inputs.count(&mut report);
        publish(root, &inputs, &folded)?;
        report.cleared += purge_trash(root, &inputs.standing(Some(&folded.meta)))?;
        report.bytes_after = folded.bytes;
        report.published = Some(folded.meta.snapshot);
        report.documents = folded.meta.documents;
        report.commits = folded.meta.commits;
        break;
    }
    Ok(report)
}

/// Gives the snapshot its name, durably, and only then retires the segments. The snapshots that it
/// supersedes are retired by a later compaction: see [`SUPERSEDED_MS`].
fn publish(root: &Root, inputs: &Inputs, folded: &Folded) -> Result<()> {
    publish::publish(root, folded.meta.snapshot)?;
    for SealedFile { name, seen } in &inputs.sealed {
        // What somebody copied over it since it was read is folded by the next compaction.
        retire::retire_unchanged(root, SEALED, name, *seen)?;
        stop::at!("retire.segment");
    }
    stop::at!("retire.done");
    Ok(())
}
