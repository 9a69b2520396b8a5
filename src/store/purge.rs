//! Taking away for good what compactions and crashes left behind.
//!
//! Invariant: a superseded file is there for a day after it was retired, or else a live snapshot holds all that it held.
//! It goes earlier only to make room: what is superseded is to have no more than one and a half times the bytes that
//! were ever appended. What live snapshots were made from goes last.

use super::StoreError;
use super::rescan::open_snapshot;
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

/// Removes what is outdated in `trash/`, and gives the number of files removed. `standing` is what the snapshots in
/// `snap/` say of themselves.
///
/// # Errors
/// What the system says.
pub fn purge_trash(root: &Root, standing: &[&Meta]) -> Result<usize, StoreError> {
    let mut removed = 0;
    for name in outdated(root, standing, root.fs().now_ms())? {
        removed += usize::from(remove(root, &root.file(TRASH, &name))?);
        stop::at!("purge.trash");
    }
    Ok(removed)
}

/// Removes what crashed processes left in `tmp/` an hour ago, and gives the number of files removed.
///
/// # Errors
/// What the system says.
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
    if young.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes)) <= room {
        return Ok(outdated);
    }
    let held = Held::by(&live, superseded.into_iter().cloned().chain(metas(root, &young)));
    let (held_files, needed): (Vec<_>, Vec<_>) =
        young.into_iter().partition(|file| held.contains(&file.before));
    room = needed.iter().fold(room, |room, file| room.saturating_sub(file.bytes));
    let (sources, others): (Vec<_>, Vec<_>) =
        held_files.into_iter().partition(|file| held.is_source(&file.before));
    let mut fits = |file: &Retired| {
        let left = room.checked_sub(file.bytes);
        room = left.unwrap_or(room);
        left.is_some()
    };
    let goes: Vec<_> = sources.into_iter().filter(|file| !fits(file)).collect();
    // Newest first, and one that goes takes all older ones along: those are known to be held because of it.
    let all_stay = goes.is_empty();
    let others = others.into_iter().skip_while(|file| all_stay && fits(file));
    outdated.extend(goes.into_iter().chain(others).map(|file| file.name));
    // Oldest first: of what is left by a process that dies here, it must still be known that a live one holds it.
    outdated.sort_unstable();
    Ok(outdated)
}

/// The snapshots that others of them supersede, and those that are live.
fn by_rank<'a>(standing: &[&'a Meta]) -> (Vec<&'a Meta>, Vec<&'a Meta>) {
    let superseded: HashSet<_> = standing.iter().flat_map(|meta| &meta.supersedes).collect();
    standing.iter().partition(|meta| superseded.contains(&meta.snapshot))
}

/// How many bytes may be in `trash/`: half as many again as were ever appended, without those of the superseded
/// snapshots that wait in `snap/` to be retired, but no less than [`TRASH_BYTES`].
fn room(root: &Root, superseded: &[&Meta], live: &[&Meta]) -> Result<u64, StoreError> {
    let appended = live.iter().fold(0, |sum: u64, meta| sum.saturating_add(meta.appended));
    let mut room = appended.saturating_add(appended / 2);
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

/// Files, by what they hold.
#[derive(Default)]
struct Files {
    snapshots: HashSet<SnapshotId>,
    segments: HashSet<SegmentId>,
}

impl Files {
    fn add_sources(&mut self, of: &Meta) {
        self.snapshots.extend(&of.supersedes);
        self.segments.extend(&of.covers);
    }

    fn contain(&self, name: &str) -> bool {
        filename::parse_snapshot(name).is_some_and(|id| self.snapshots.contains(&id))
            || filename::segment_in(name).is_some_and(|id| self.segments.contains(&id))
    }
}

/// All that live snapshots hold, as far as those that can still be read say what went into them.
struct Held {
    /// Into the live ones themselves.
    sources: Files,
    /// Into those, and so on.
    others: Files,
}

impl Held {
    /// `former` are those that were live and can still be read.
    fn by(live: &[&Meta], former: impl Iterator<Item = Meta>) -> Self {
        let mut former: HashMap<_, _> = former.map(|meta| (meta.snapshot, meta)).collect();
        let (mut sources, mut others) = (Files::default(), Files::default());
        live.iter().for_each(|meta| sources.add_sources(meta));
        let mut next: Vec<_> = sources.snapshots.iter().copied().collect();
        while let Some(id) = next.pop() {
            // Each once: somebody may have made two that say they replace each other.
            if let Some(meta) = former.remove(&id) {
                others.add_sources(&meta);
                next.extend(meta.supersedes);
            }
        }
        Held { sources, others }
    }

    fn contains(&self, name: &str) -> bool {
        self.sources.contain(name) || self.others.contain(name)
    }

    /// Whether a live one was made from it, and none of those between.
    fn is_source(&self, name: &str) -> bool {
        !self.others.contain(name)
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
    root.still_there()?;
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

    /// Sources, and what went into those.
    fn held(live: &Meta, former: &[Meta]) -> (BTreeSet<String>, BTreeSet<String>) {
        let held = Held::by(&[live], former.iter().cloned());
        let files = |n| [filename::snapshot(id(n)), filename::segment(SegmentId([n; 16]))];
        let all = (0..10).flat_map(files).filter(|name| held.contains(name));
        all.partition(|name| held.is_source(name))
    }

    fn names(snapshots: &[u8], segments: &[u8]) -> BTreeSet<String> {
        let segments = segments.iter().map(|n| filename::segment(SegmentId([*n; 16])));
        snapshots.iter().map(|n| filename::snapshot(id(*n))).chain(segments).collect()
    }

    #[test]
    fn a_live_one_holds_what_went_into_it_as_far_as_anybody_can_tell() {
        let former = [meta(1, &[]), meta(2, &[1]), meta(3, &[2])];
        let live = meta(4, &[3]);
        let sources = names(&[3], &[4]);
        assert_eq!(held(&live, &former), (sources.clone(), names(&[1, 2], &[1, 2, 3])));
        // One of them cannot be read.
        let without = [former[0].clone(), former[2].clone()];
        assert_eq!(held(&live, &without), (sources.clone(), names(&[2], &[3])));
        assert_eq!(held(&live, &former[..2]), (sources, names(&[], &[])));
        // Two compactions in a minute: it names what was superseded already as well.
        let live = meta(4, &[3, 2]);
        assert_eq!(held(&live, &former), (names(&[3], &[4]), names(&[1, 2], &[1, 2, 3])));
    }

    #[test]
    fn it_comes_to_its_end_when_snapshots_say_that_they_replace_each_other() {
        let (_, others) = held(&meta(3, &[1, 2, 3]), &[meta(1, &[2, 1]), meta(2, &[1])]);
        assert_eq!(others, names(&[1, 2], &[1, 2]));
    }
}
