//! Taking away for good what compactions and crashes left behind.
//!
//! Invariant: a superseded file is there for a day after it was retired, or else two snapshots hold all that it held:
//! one that is live, and one that this was made from. It goes earlier only to make room: what is superseded is to have
//! no more bytes than were ever appended.

use super::StoreError;
use super::follow::open_snapshot;
use super::root::Root;
use crate::format::filename::{self, SNAP, TMP, TRASH};
use crate::format::id::{SegmentId, SnapshotId};
use crate::fs::{At, is_irregular, stop};
use crate::snapshot::Meta;
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;

/// How long a superseded file may stay in `trash/`, in milliseconds: a day.
pub const TRASH_MS: i64 = 24 * 60 * 60 * 1000;
/// So many bytes may be in `trash/` however small the palace is.
pub const TRASH_BYTES: u64 = 1 << 20;
/// How old a file in `tmp/` must be before it counts as left behind, in milliseconds: an hour.
pub const TMP_MS: i64 = 60 * 60 * 1000;

/// Removes what is outdated in `trash/`, and what crashed processes left in `tmp/` an hour ago. Gives the number of
/// files removed. `standing` is what the snapshots in `snap/` say of themselves.
///
/// # Errors
/// What the system says.
pub fn purge(root: &Root, standing: &[&Meta]) -> Result<usize, StoreError> {
    let now_ms = root.fs().now_ms();
    let mut removed = 0;
    for name in outdated(root, standing, now_ms)? {
        removed += usize::from(remove(root, &root.file(TRASH, &name))?);
        stop::at!("purge.trash");
    }
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
    /// What it is called there.
    name: String,
    /// What it was called before.
    before: String,
    since_ms: i64,
    bytes: u64,
}

/// All that compactions retired, newest first.
fn retired(root: &Root) -> Result<Vec<Retired>, StoreError> {
    let mut names = root.list(TRASH)?;
    // They begin with the time.
    names.sort_unstable_by(|a, b| b.cmp(a));
    let mut retired = Vec::new();
    for name in names {
        let Some((since_ms, before)) = filename::parse_trash(&name) else { continue };
        let (before, bytes) = (before.to_owned(), length(root, &root.file(TRASH, &name))?);
        retired.push(Retired { name, before, since_ms, bytes });
    }
    Ok(retired)
}

/// What is to go from `trash/`. A palace that is written all day is folded all day: if everything stayed for its day,
/// what it superseded would have many times its own size.
fn outdated(root: &Root, standing: &[&Meta], now_ms: i64) -> Result<Vec<String>, StoreError> {
    let (old, young): (Vec<_>, Vec<_>) =
        retired(root)?.into_iter().partition(|file| now_ms - file.since_ms > TRASH_MS);
    let mut outdated: Vec<_> = old.into_iter().map(|file| file.name).collect();
    let (superseded, live) = by_rank(standing);
    let mut room = room(root, &superseded, &live)?;
    if young.iter().map(|file| file.bytes).sum::<u64>() <= room {
        return Ok(outdated);
    }
    let twice = HeldTwice::by(&live, superseded.into_iter().cloned().chain(metas(root, &young)));
    let (spare, needed): (Vec<_>, Vec<_>) =
        young.into_iter().partition(|file| twice.contains(&file.before));
    room = needed.iter().fold(room, |room, file| room.saturating_sub(file.bytes));
    // One that goes takes all older ones along: it may be one of the two that hold them.
    let goes = spare.into_iter().skip_while(|file| {
        let left = room.checked_sub(file.bytes);
        room = left.unwrap_or(room);
        left.is_some()
    });
    outdated.extend(goes.map(|file| file.name));
    Ok(outdated)
}

/// The snapshots that others of them supersede, and those that are live.
fn by_rank<'a>(standing: &[&'a Meta]) -> (Vec<&'a Meta>, Vec<&'a Meta>) {
    let superseded: HashSet<_> = standing.iter().flat_map(|meta| &meta.supersedes).collect();
    standing.iter().partition(|meta| superseded.contains(&meta.snapshot))
}

/// How many bytes may be in `trash/`: as many as were ever appended, without those of the superseded snapshots that
/// wait in `snap/` to be retired, but no less than [`TRASH_BYTES`].
fn room(root: &Root, superseded: &[&Meta], live: &[&Meta]) -> Result<u64, StoreError> {
    let mut room = live.iter().fold(0, |sum: u64, meta| sum.saturating_add(meta.appended));
    for meta in superseded {
        let path = root.file(SNAP, &filename::snapshot(meta.snapshot));
        room = room.saturating_sub(length(root, &path)?);
    }
    Ok(room.max(TRASH_BYTES))
}

/// What the snapshots among these files of `trash/` say of themselves. Of one that cannot be read nothing follows, so
/// what it was made from stays for its day.
fn metas(root: &Root, retired: &[Retired]) -> Vec<Meta> {
    let open = |file: &Retired| {
        let path = root.file(TRASH, &file.name);
        match open_snapshot(root, &path, filename::parse_snapshot(&file.before)?) {
            Ok(snapshot) => Some(snapshot.meta().clone()),
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "its sources stay for a day");
                None
            }
        }
    };
    retired.iter().filter_map(open).collect()
}

/// What went into the snapshots that live ones were made from: two hold it.
#[derive(Default)]
struct HeldTwice {
    snapshots: HashSet<SnapshotId>,
    segments: HashSet<SegmentId>,
}

impl HeldTwice {
    /// `former` are those that were live and can still be read.
    fn by(live: &[&Meta], former: impl Iterator<Item = Meta>) -> Self {
        let mut former: HashMap<_, _> = former.map(|meta| (meta.snapshot, meta)).collect();
        let mut next: Vec<_> = live.iter().flat_map(|meta| meta.supersedes.clone()).collect();
        let mut twice = HeldTwice::default();
        while let Some(id) = next.pop() {
            // Each once: somebody may have made two that say they replace each other.
            if let Some(meta) = former.remove(&id) {
                twice.segments.extend(meta.covers);
                twice.snapshots.extend(&meta.supersedes);
                next.extend(meta.supersedes);
            }
        }
        twice
    }

    /// Whether that is true of the file of this name.
    fn contains(&self, name: &str) -> bool {
        filename::parse_snapshot(name).is_some_and(|id| self.snapshots.contains(&id))
            || filename::segment_in(name).is_some_and(|id| self.segments.contains(&id))
    }
}

/// In bytes; 0 if there is no such file any more.
fn length(root: &Root, path: &Path) -> Result<u64, StoreError> {
    match root.fs().stat(path) {
        Err(error) if error.kind() == ErrorKind::NotFound || is_irregular(&error) => Ok(0),
        found => Ok(found.at("look at", path)?.len),
    }
}

fn remove(root: &Root, path: &Path) -> Result<bool, StoreError> {
    match root.fs().remove(path) {
        Ok(()) => Ok(true),
        // No compaction made a directory there.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
            Ok(false)
        }
        Err(error) => Ok(Err(error).at("remove", path)?),
    }
}

/// Whether a crashed process left this file of `tmp/` behind. A segment being created is locked; a snapshot
/// being built is written to all the time.
///
/// # Errors
/// What the system says.
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
        Ok(_) => Ok(!file.is_locked().at("ask for the lock of", path)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("look at", path)?,
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

    /// Made from these snapshots, and from the segment of the same number.
    fn meta(n: u8, supersedes: &[u8]) -> Meta {
        Meta {
            snapshot: id(n),
            palace: PalaceId([0; 16]),
            created_ms: 0,
            covers: vec![SegmentId([n; 16])],
            supersedes: supersedes.iter().map(|n| id(*n)).collect(),
            beside: Vec::new(),
            appended: 0,
            documents: 0,
            commits: 0,
        }
    }

    fn held_twice(live: &Meta, former: &[Meta]) -> Vec<String> {
        let twice = HeldTwice::by(&[live], former.iter().cloned());
        let files = |n| [filename::snapshot(id(n)), filename::segment(SegmentId([n; 16]))];
        (0..10).flat_map(files).filter(|name| twice.contains(name)).collect()
    }

    fn names(snapshots: &[u8], segments: &[u8]) -> BTreeSet<String> {
        let segments = segments.iter().map(|n| filename::segment(SegmentId([*n; 16])));
        snapshots.iter().map(|n| filename::snapshot(id(*n))).chain(segments).collect()
    }

    #[test]
    fn two_hold_what_went_into_the_sources_of_a_live_one() {
        let former = [meta(1, &[]), meta(2, &[1]), meta(3, &[2])];
        let held = |former: &[Meta]| held_twice(&meta(4, &[3]), former).into_iter().collect();
        let set: BTreeSet<_> = held(&former);
        assert_eq!(set, names(&[1, 2], &[1, 2, 3]));
        // One of them cannot be read.
        let set: BTreeSet<_> = held(&[former[0].clone(), former[2].clone()]);
        assert_eq!(set, names(&[2], &[3]));
        let set: BTreeSet<_> = held(&former[..2]);
        assert_eq!(set, names(&[], &[]));
    }

    #[test]
    fn it_comes_to_its_end_when_snapshots_say_that_they_replace_each_other() {
        let held = held_twice(&meta(3, &[1, 2, 3]), &[meta(1, &[2, 1]), meta(2, &[1])]);
        assert_eq!(held.into_iter().collect::<BTreeSet<_>>(), names(&[1, 2], &[1, 2]));
    }
}
