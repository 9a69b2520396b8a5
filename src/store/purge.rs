//! Removing for good what compactions retired and crashed processes left behind.
//!
//! Invariant: a superseded file stays in `trash/` for a day, or else a live snapshot holds all that it held.
//! Files go earlier only to free space, the oldest first: superseded files together may have at most one and
//! a half times the bytes that were ever appended.

use super::StoreError;
use super::open_snapshot::open_snapshot;
use super::root::Root;
use crate::format::filename::{self, SNAP, TMP, TRASH};
use crate::format::id::{SegmentId, SnapshotId};
use crate::fs::{At, is_irregular, stop};
use crate::snapshot::Meta;
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;

/// The time after which a superseded file is removed from `trash/`, in milliseconds: a day.
pub const TRASH_MS: i64 = 24 * 60 * 60 * 1000;
/// The bytes that `trash/` may hold however small the palace is.
pub const TRASH_BYTES: u64 = 1 << 20;
/// The age from which on a file in `tmp/` counts as left behind, in milliseconds: an hour.
pub const TMP_MS: i64 = 60 * 60 * 1000;

/// Removes outdated files from `trash/` and returns their number. `standing` describes the snapshots in
/// `snap/`, live and superseded.
///
/// # Errors
/// An error of the operating system.
pub fn purge_trash(root: &Root, standing: &[&Meta]) -> Result<usize, StoreError> {
    let mut removed = 0;
    for name in outdated(root, standing, root.fs().now_ms())? {
        removed += usize::from(remove(root, &root.file(TRASH, &name))?);
        stop::at!("purge.trash");
    }
    Ok(removed)
}

/// Removes files that crashed processes left in `tmp/` at least an hour ago, and returns their number.
///
/// # Errors
/// An error of the operating system.
pub fn purge_tmp(root: &Root) -> Result<usize, StoreError> {
    let now_ms = root.fs().now_ms();
    let mut removed = 0;
    for name in root.list(TMP)? {
        if left_behind(root, &root.tmp(&name), now_ms)? {
            removed += usize::from(remove(root, &root.tmp(&name))?);
            stop::at!("purge.tmp");
        }
    }
    Ok(removed)
}

/// A file in `trash/`.
struct Retired {
    /// Its name in `trash/`.
    name: String,
    /// Its name before it was retired.
    before: String,
    since_ms: i64,
    bytes: u64,
}

/// Lists the files that compactions retired, the oldest first.
fn retired(root: &Root) -> Result<Vec<Retired>, StoreError> {
    let mut names = root.list(TRASH)?;
    // Names begin with the time of retirement, in a fixed number of digits.
    names.sort_unstable();
    let mut retired = Vec::new();
    for name in names {
        let Some((since_ms, before)) = filename::parse_trash(&name) else { continue };
        let (before, bytes) = (before.to_owned(), length(root, &root.file(TRASH, &name))?);
        retired.push(Retired { name, before, since_ms, bytes });
    }
    Ok(retired)
}

/// Returns the names in `trash/` that are to be removed, the oldest first.
fn outdated(root: &Root, standing: &[&Meta], now_ms: i64) -> Result<Vec<String>, StoreError> {
    let (old, young): (Vec<_>, Vec<_>) =
        retired(root)?.into_iter().partition(|file| now_ms - file.since_ms > TRASH_MS);
    let mut outdated: Vec<_> = old.into_iter().map(|file| file.name).collect();
    let (superseded, live) = split_superseded(standing);
    let limit = trash_limit(root, &superseded, &live)?;
    let mut bytes = young.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes));
    // Reading snapshots in `trash/` costs more than listing it: only if something has to go.
    if bytes <= limit {
        return Ok(outdated);
    }
    let held = Held::by(&live, superseded.into_iter().cloned().chain(metas(root, &young)));
    // The oldest first: the snapshots between them and a live one prove that it holds them. If this process
    // dies in between, that proof is still there for the next.
    for file in young {
        if bytes > limit && held.contains(&file.before) {
            bytes = bytes.saturating_sub(file.bytes);
            outdated.push(file.name);
        }
    }
    Ok(outdated)
}

/// Splits snapshots into those that others of them supersede, and live ones.
fn split_superseded<'a>(standing: &[&'a Meta]) -> (Vec<&'a Meta>, Vec<&'a Meta>) {
    let superseded: HashSet<_> = standing.iter().flat_map(|meta| &meta.supersedes).collect();
    standing.iter().partition(|meta| superseded.contains(&meta.snapshot))
}

/// Returns the bytes that `trash/` may hold: one and a half times what was ever appended, less the superseded
/// snapshots that still wait in `snap/` to be retired; at least [`TRASH_BYTES`].
fn trash_limit(root: &Root, superseded: &[&Meta], live: &[&Meta]) -> Result<u64, StoreError> {
    let appended = live.iter().fold(0, |sum: u64, meta| sum.saturating_add(meta.appended));
    let mut limit = appended.saturating_add(appended / 2);
    for meta in superseded {
        let path = root.file(SNAP, &filename::snapshot(meta.snapshot));
        limit = limit.saturating_sub(length(root, &path)?);
    }
    Ok(limit.max(TRASH_BYTES))
}

/// Reads the metadata of the snapshots among these files of `trash/`. One that cannot be read proves nothing,
/// so its inputs stay for their day.
fn metas(root: &Root, retired: &[Retired]) -> Vec<Meta> {
    let open = |file: &Retired| {
        let path = root.file(TRASH, &file.name);
        match open_snapshot(root, &path, filename::parse_snapshot(&file.before)?) {
            Ok(snapshot) => Some(snapshot.meta().clone()),
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "its inputs stay in trash/ for a day");
                None
            }
        }
    };
    retired.iter().filter_map(open).collect()
}

/// The files that live snapshots are known to hold: their inputs, the inputs of those, and so on.
#[derive(Default)]
struct Held {
    snapshots: HashSet<SnapshotId>,
    segments: HashSet<SegmentId>,
}

impl Held {
    /// Follows the inputs of live snapshots through the `former` ones: those that were live and can still be read.
    fn by(live: &[&Meta], former: impl Iterator<Item = Meta>) -> Self {
        let mut former: HashMap<_, _> = former.map(|meta| (meta.snapshot, meta)).collect();
        let mut held = Held::default();
        live.iter().for_each(|meta| held.add_inputs(meta));
        let mut next: Vec<_> = held.snapshots.iter().copied().collect();
        while let Some(id) = next.pop() {
            // Taken out, so that two forged snapshots that say they replace each other end the loop.
            if let Some(meta) = former.remove(&id) {
                held.add_inputs(&meta);
                next.extend(meta.supersedes);
            }
        }
        held
    }

    fn add_inputs(&mut self, of: &Meta) {
        self.snapshots.extend(&of.supersedes);
        self.segments.extend(&of.covers);
    }

    fn contains(&self, name: &str) -> bool {
        filename::parse_snapshot(name).is_some_and(|id| self.snapshots.contains(&id))
            || filename::segment_in(name).is_some_and(|id| self.segments.contains(&id))
    }
}

/// Returns the length of a file in bytes, 0 if it is gone or is no regular file.
fn length(root: &Root, path: &Path) -> Result<u64, StoreError> {
    match root.fs().stat(path) {
        Err(error) if error.kind() == ErrorKind::NotFound || is_irregular(&error) => Ok(0),
        found => Ok(found.at("access", path)?.len),
    }
}

fn remove(root: &Root, path: &Path) -> Result<bool, StoreError> {
    root.still_there()?;
    match root.fs().remove(path) {
        Ok(()) => Ok(true),
        // Compactions put no directories there, so that one is not removed.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
            Ok(false)
        }
        Err(error) => Ok(Err(error).at("remove", path)?),
    }
}

/// Returns true if a crashed process left this file of `tmp/` behind: nothing has written to it for an hour, and
/// its flock is free. A segment that is being created is locked; a snapshot that is being built is written to
/// all the time.
///
/// # Errors
/// An error of the operating system.
pub fn left_behind(root: &Root, path: &Path, now_ms: i64) -> Result<bool, StoreError> {
    let file = match root.fs().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound || is_irregular(&error) => {
            return Ok(false);
        }
        Err(error) => Err(error).at("open", path)?,
    };
    match root.fs().modified(path) {
        Ok((_, modified_ms)) if now_ms - modified_ms <= TMP_MS => Ok(false),
        Ok(_) => Ok(!file.is_locked().at("check the lock of", path)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("access", path)?,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::PalaceId;
    use std::collections::BTreeSet;

    fn id(n: u8) -> SnapshotId {
        SnapshotId([n; 16])
    }

    /// A snapshot made from these snapshots and from the segment of the same number.
    fn meta(n: u8, supersedes: &[u8]) -> Meta {
        Meta {
            snapshot: id(n),
            palace: PalaceId([0; 16]),
            created_ms: 0,
            covers: vec![SegmentId([n; 16])],
            supersedes: supersedes.iter().map(|n| id(*n)).collect(),
            beside: Vec::new(),
            all_readings: true,
            appended: 0,
            documents: 0,
            commits: 0,
        }
    }

    fn held(live: &Meta, former: &[Meta]) -> BTreeSet<String> {
        let held = Held::by(&[live], former.iter().cloned());
        let files = |n| [filename::snapshot(id(n)), filename::segment(SegmentId([n; 16]))];
        (0..10).flat_map(files).filter(|name| held.contains(name)).collect()
    }

    fn names(snapshots: &[u8], segments: &[u8]) -> BTreeSet<String> {
        let segments = segments.iter().map(|n| filename::segment(SegmentId([*n; 16])));
        snapshots.iter().map(|n| filename::snapshot(id(*n))).chain(segments).collect()
    }

    #[test]
    fn live_snapshots_hold_their_inputs_as_far_as_readable() {
        let former = [meta(1, &[]), meta(2, &[1]), meta(3, &[2])];
        let live = meta(4, &[3]);
        assert_eq!(held(&live, &former), names(&[1, 2, 3], &[1, 2, 3, 4]));
        // One of them cannot be read.
        let without = [former[0].clone(), former[2].clone()];
        assert_eq!(held(&live, &without), names(&[2, 3], &[3, 4]));
        assert_eq!(held(&live, &former[..2]), names(&[3], &[4]));
        // Two compactions in a minute: the live one also names what was superseded already.
        let live = meta(4, &[3, 2]);
        assert_eq!(held(&live, &former), names(&[1, 2, 3], &[1, 2, 3, 4]));
    }

    #[test]
    fn snapshots_that_replace_each_other_end_the_search() {
        let held = held(&meta(3, &[1, 2, 3]), &[meta(1, &[2, 1]), meta(2, &[1])]);
        assert_eq!(held, names(&[1, 2, 3], &[1, 2, 3]));
    }
}
