//! Compaction: segments and small snapshots become one larger snapshot.
//!
//! Invariant: compaction is the only step that takes anything away, so it takes away nothing before
//! the new snapshot was verified (`fold`) and its content and name are on disk. An input that could not be
//! read whole (`inputs`) is never taken away.

use super::fold::{Folded, fold};
use super::inputs::Inputs;
use super::pace::Pace;
use super::{Error, Palace, Result, Shared, policy};
use crate::format::filename::{self, SEALED, SNAP};
use crate::format::id::{PalaceId, SegmentId, SnapshotId};
use crate::fs::{At, stop};
use crate::store::follow::Backlog;
use crate::store::root::Root;
use crate::store::seal::{Left, seal_dead};
use crate::store::{StoreError, lock, retire};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const BUSY: Duration = Duration::from_millis(policy::BUSY_MS.unsigned_abs());

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

    /// Starts a compaction in the background if one is due and none is running in this process.
    pub(super) fn compact_if_due(&self, backlog: Backlog) {
        use std::sync::atomic::Ordering::SeqCst;
        if !self.shared.auto_compact || !self.is_due(backlog) {
            return;
        }
        if self.shared.compacting.swap(true, SeqCst) {
            return;
        }
        let weak = Arc::downgrade(&self.shared);
        let urgent = policy::overdue(backlog);
        let started = super::background("palace-compact", move || {
            while let Some(shared) = weak.upgrade() {
                let step = compact_once(&shared.root, &shared.program, urgent);
                // A thread cannot take its priority back: the next commit starts another.
                let late = !urgent && shared.is_overdue();
                if step == Step::Nothing || late || Arc::strong_count(&shared) == 1 {
                    shared.compacting.store(false, SeqCst);
                    return;
                }
                drop(shared);
                if step == Step::All {
                    // What comes in the meantime makes a larger step, unless it is so much that somebody
                    // finds it due. What is left when the writers fall silent is folded as well.
                    std::thread::sleep(BUSY);
                }
            }
        });
        if !started {
            self.shared.compacting.store(false, SeqCst);
            // Or the next commit would think that this was tried.
            *self.shared.tried() = Backlog::default();
        }
    }

    /// False also if nothing has changed since it was last tried: some inputs must stay where they are,
    /// and most segments in `open/` belong to the living.
    fn is_due(&self, backlog: Backlog) -> bool {
        let now_ms = self.shared.root.fs().now_ms();
        policy::due(backlog, now_ms)
            && std::mem::replace(&mut *self.shared.tried(), backlog) != backlog
    }
}

impl Shared {
    /// The backlog that was last found due.
    fn tried(&self) -> MutexGuard<'_, Backlog> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the backlog has become overdue; then it counts as not tried.
    fn is_overdue(&self) -> bool {
        let mut tried = self.tried();
        let overdue = policy::overdue(*tried);
        if overdue {
            *tried = Backlog::default();
        }
        overdue
    }
}

/// What an automatic step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing, or it failed.
    Nothing,
    /// As much as a step may; there is more.
    Bounded,
    /// All there was.
    All,
}

/// One automatic step.
fn compact_once(root: &Root, program: &str, urgent: bool) -> Step {
    let pace = if urgent { Pace::brisk() } else { Pace::gentle() };
    if !urgent {
        root.fs().yield_to_others();
    }
    let step = || compact(root, program, CompactOptions::default(), pace);
    // A panic is a bug, but this process must not think for ever that it is compacting.
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(CompactReport { published: None, .. })) => Step::Nothing,
        Ok(Ok(report)) if report.more => Step::Bounded,
        Ok(Ok(_)) => Step::All,
        // Somebody else is at it, which is as good.
        Ok(Err(Error::Store(StoreError::Busy { .. }))) => Step::Nothing,
        Ok(Err(error)) => {
            tracing::warn!(%error, "compaction failed; nothing was lost, and it will be tried again");
            Step::Nothing
        }
        Err(_) => {
            tracing::error!("compaction panicked; nothing was lost, and it will be tried again");
            Step::Nothing
        }
    }
}

/// One compaction.
fn compact(
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
    report.cleared = inputs.clear_superseded(root)? + retire::purge(root)?;
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
        let path = root.file(SNAP, &filename::snapshot(folded.meta.snapshot));
        report.bytes_after = root.fs().stat(&path).at("look at", &path)?.len;
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
    retire::publish(root, folded.meta.snapshot)?;
    for name in inputs.segments.iter().filter_map(|segment| segment.name()) {
        retire::retire(root, SEALED, name)?;
        stop::at!("retire.segment");
    }
    stop::at!("retire.done");
    Ok(())
}
