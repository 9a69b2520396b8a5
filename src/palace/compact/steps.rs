//! Compaction: segments and small snapshots become one larger snapshot.
//!
//! Invariant: only compaction retires files. It retires none before the new snapshot is verified (`build`) and its
//! content and name are on disk. An input that could not be read whole (`inputs`) is never retired.

use super::build::{Folded, fold};
use super::inputs::{Inputs, SealedFile};
use super::pace::Pace;
use super::report::{CompactOptions, CompactReport, LeftOpen};
use crate::format::filename::{self, SEALED};
use crate::format::id::{PalaceId, SegmentId};
use crate::fs::stop;
use crate::palace::error::Result;
use crate::store::purge::{purge_tmp, purge_trash};
use crate::store::root::Root;
use crate::store::seal::{Left, find_dead, seal_dead};
use crate::store::{StoreError, lock, publish, retire};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// One compaction.
pub fn compact(
    root: &Root,
    program: &str,
    options: CompactOptions,
    pace: Pace,
) -> Result<CompactReport> {
    let start = Instant::now();
    root.refresh()?;
    let Some(palace) = root.palace() else { return Ok(CompactReport::default()) };
    if options.dry_run {
        let found = find_dead(root, options.adopt)?;
        let (inputs, mut report) = Inputs::find(root, palace, options, &found.dead)?;
        inputs.count(&mut report);
        report.sealed = found.dead.len();
        report.left_open = left_open(found.left);
        return Ok(report);
    }
    root.ensure_created()?;
    let Some(guard) = lock::try_compaction(root, program)? else {
        let holder = lock::compaction_holder(root)?;
        let holder = holder
            .map_or_else(|| "a process that has just exited".to_owned(), |holder| holder.holder);
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

fn left_open(left: Vec<(SegmentId, Left)>) -> Vec<LeftOpen> {
    left.into_iter().map(|(segment, reason)| LeftOpen { segment, reason }).collect()
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
    let (mut inputs, mut report) = Inputs::find(root, palace, options, &[])?;
    stop::at!("compact.listed");
    report.sealed = sealed.sealed.len();
    report.left_open = left_open(sealed.left);
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
        // A person who restores a copy removes what was made since.
        if !publish::is_there(root, folded.meta.snapshot)? {
            tracing::warn!("the new snapshot is gone: the segments in it stay");
            break;
        }
        // A file that was copied over it since it was read is left to the next compaction.
        retire::retire_unchanged(root, SEALED, name, *seen)?;
        stop::at!("retire.segment");
    }
    stop::at!("retire.done");
    Ok(())
}
