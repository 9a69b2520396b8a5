//! Rescan: finds what is new in the palace's directories, and keeps the catalog of what is known of them.
//!
//! Invariant: the directories are listed in the direction in which data moves: `open/`, `sealed/`,
//! `snap/`. Files are opened on the way. So whatever was acknowledged before a rescan began is found by
//! it in at least one of them. Nothing here writes or locks. A listing is skipped only if the kernel
//! reports that no name changed (`directory_watch`).

use super::StoreError;
use super::directory_watch::DirectoryWatch;
use super::open_snapshot::open_snapshot;
use super::own_segments::OwnSegments;
use super::root::Root;
pub use super::tracked_segment::{FoundCommit, RescanDelta, TrackedSegment};
use super::unreadable_snapshots::UnreadableSnapshots;
use crate::format::filename::{self, OPEN, SEALED, SNAP};
use crate::format::id::{InstanceId, PalaceId, SegmentId, SnapshotId};
use crate::fs::{At, File, Listed, Stat, is_irregular};
use crate::segment::mark::Footprint;
use crate::segment::reader::{ForeignSync, Reader};
use crate::snapshot::{Snapshot, SnapshotError};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The amount that compaction has still to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Segments in `open/` (their owners may be dead) and `sealed/`.
    pub segments: usize,
    /// The bytes in `sealed/`.
    pub sealed_bytes: u64,
    /// The time at which the newest snapshot was made, in milliseconds since 1970, by its maker's clock.
    pub newest_ms: Option<i64>,
}

/// The segments and snapshots of a palace as this process knows them.
#[derive(Debug)]
pub struct Catalog {
    pub(super) root: Arc<Root>,
    /// By id, and whether it stands in `sealed/`. If a palace was copied while it was in use, a segment
    /// may be in both directories, and the copy in `open/` may be the shorter one.
    pub(super) segments: HashMap<(SegmentId, bool), TrackedSegment>,
    pub(super) own: Arc<OwnSegments>,
    /// Segments in neither directory, each with the last commit that was known in it.
    pub(super) vanished: HashMap<SegmentId, Option<LastCommit>>,
    pub(super) snapshots: BTreeMap<SnapshotId, Arc<Snapshot>>,
    /// The files of the snapshots and their times of modification, before they were opened.
    opened: HashMap<SnapshotId, (Stat, i64)>,
    /// Snapshots that are gone, until it is known that other files hold their commits.
    pub(super) gone: Vec<Arc<Snapshot>>,
    pub(super) unreadable: UnreadableSnapshots,
    /// True if the inodes in listings can be relied on; `None` before the first listing.
    local: Option<bool>,
    /// Paths with the name of a segment that are no regular files, as found so far.
    irregular: BTreeSet<PathBuf>,
    watch: DirectoryWatch,
    /// Found and not returned yet: readers return each commit once, also if the rest of a rescan fails.
    pub(super) delta: RescanDelta,
}

/// The instance and the sequence number of the last commit in a file.
pub(super) type LastCommit = (InstanceId, u64);

/// The places of segments in one listing, `open/` and `sealed/`, with their inodes.
pub(super) type Listing = HashMap<(SegmentId, bool), u64>;

impl Catalog {
    /// Makes an empty catalog. Reads nothing yet.
    #[must_use]
    pub fn new(root: Arc<Root>, own: Arc<OwnSegments>) -> Self {
        Catalog {
            root,
            segments: HashMap::new(),
            own,
            vanished: HashMap::new(),
            snapshots: BTreeMap::new(),
            opened: HashMap::new(),
            gone: Vec::new(),
            unreadable: UnreadableSnapshots::default(),
            local: None,
            irregular: BTreeSet::new(),
            watch: DirectoryWatch::default(),
            delta: RescanDelta::default(),
        }
    }

    /// Reads what is new in the directory, and returns it.
    ///
    /// # Errors
    /// An error of the operating system. What was found before the failure is returned by the next call
    /// that succeeds.
    pub fn rescan(&mut self) -> Result<RescanDelta, StoreError> {
        // A damaged snapshot may be worth another try, which only the listing makes.
        if self.watch.unchanged(&self.root, &self.own) && !self.has_damaged_snapshot() {
            self.read_known_segments()?;
        } else {
            self.list_directories()?;
        }
        self.watch.confirm();
        Ok(std::mem::take(&mut self.delta))
    }

    fn has_damaged_snapshot(&self) -> bool {
        let damaged = |snapshot: &Arc<Snapshot>| snapshot.is_known_damaged();
        !self.unreadable.is_empty() || self.snapshots.values().any(damaged)
    }

    fn list_directories(&mut self) -> Result<(), StoreError> {
        self.root.refresh()?;
        // Before the listing: a segment that this process creates in between must not count as retired.
        let own = self.own.all_named();
        let mut listing = Listing::new();
        // `sealed/` after `open/`, `snap/` last: files only move this way, so none is missed.
        for directory in [OPEN, SEALED] {
            for listed in &self.root.entries(directory)? {
                if let Some(id) = self.visit_segment(directory, listed)? {
                    listing.insert((id, directory == SEALED), listed.ino);
                }
            }
        }
        self.list_snapshots()?;
        self.check_snapshots()?;
        let lost = self.check_own(&own, &listing)?;
        self.forget_retired(&listing, lost)
    }

    /// Reads the known segments only: no name changed, so anything new is in them.
    fn read_known_segments(&mut self) -> Result<(), StoreError> {
        for tracked in self.segments.values_mut() {
            tracked.read_into(&mut self.delta, &self.root)?;
        }
        Ok(())
    }

    /// Opens a segment if it is new, reads what is new in it, and returns its id; `None` if this is not
    /// the name of one.
    fn visit_segment(
        &mut self,
        directory: &str,
        listed: &Listed,
    ) -> Result<Option<SegmentId>, StoreError> {
        let name = &listed.name;
        let Some(id) = filename::segment_in(name) else { return Ok(None) };
        // This process knows the commits that it wrote.
        if self.own.contains(id) {
            return Ok(Some(id));
        }
        let sealed = directory == SEALED;
        // What a file held that lost its name to another is not read any more.
        if !self.is_current(id, sealed, listed.ino)? && !self.track(directory, name, id)? {
            return Ok(None);
        }
        if let Some(tracked) = self.segments.get_mut(&(id, sealed)) {
            tracked.ino = listed.ino;
            tracked.read_into(&mut self.delta, &self.root)?;
            // Nothing is read from it any more, so this looks whether all of it is still there.
            let reader = &tracked.reader;
            self.delta.went_back |= reader.is_finished() && !reader.is_intact()?;
        }
        Ok(Some(id))
    }

    /// Returns true if the file that is open is still the one with this name. A sync program may replace
    /// a segment that another machine appends to by a newer copy. A person may put back an older one.
    fn is_current(&mut self, id: SegmentId, sealed: bool, ino: u64) -> Result<bool, StoreError> {
        let local = self.is_local()?;
        let Some(TrackedSegment { reader, ino: seen, .. }) = self.segments.get(&(id, sealed))
        else {
            return Ok(false);
        };
        Ok((local && *seen == ino) || reader.has_name(self.root.fs())?)
    }

    /// Returns true if a file has the same inode in each listing, as on a local disk, and another file
    /// another one. The inode of a file that is open is not given to another.
    pub(super) fn is_local(&mut self) -> Result<bool, StoreError> {
        if let Some(local) = self.local {
            return Ok(local);
        }
        let local = self.root.lock_trusted()?;
        self.local = Some(local);
        Ok(local)
    }

    /// Opens a segment. Returns false if it moved on in the meantime: then it will be found in the next directory.
    /// The same file that moved from `open/` to `sealed/` keeps its reader.
    fn track(&mut self, directory: &str, name: &str, id: SegmentId) -> Result<bool, StoreError> {
        let sealed = directory == SEALED;
        let path = self.root.file(directory, name);
        // Sealing moves the file. A new reader would return all of its commits again.
        let moved = match self.segments.get(&(id, false)) {
            Some(TrackedSegment { reader, .. }) if sealed => reader.is_at(self.root.fs(), &path)?,
            _ => false,
        };
        let reader = match moved.then(|| self.segments.remove(&(id, false))).flatten() {
            Some(TrackedSegment { reader, .. }) => reader.moved_to(&path),
            None => match self.root.fs().open(&path) {
                Ok(file) => return self.track_file(id, sealed, &path, file).map(|()| true),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) if is_irregular(&error) => {
                    self.note_irregular(path, &error);
                    return Ok(false);
                }
                Err(error) => Err(error).at("open", &path)?,
            },
        };
        self.segments.insert((id, sealed), TrackedSegment { reader, sealed, ino: 0 });
        Ok(true)
    }

    /// Tracks a file that was just opened. If another file of this name was read before, this one is read
    /// on if it has all of that, and from its beginning if it has not.
    fn track_file(
        &mut self,
        id: SegmentId,
        sealed: bool,
        path: &Path,
        file: Box<dyn File>,
    ) -> Result<(), StoreError> {
        if let Some(tracked) = self.segments.get_mut(&(id, sealed)) {
            self.delta.went_back |= !tracked.reader.continue_in(path, file)?;
            return Ok(());
        }
        let reader = Reader::new(id, path, file);
        self.segments.insert((id, sealed), TrackedSegment { reader, sealed, ino: 0 });
        Ok(())
    }

    /// Notes a path with the name of a segment that is no regular file. No writer made it, so nothing
    /// acknowledged can be in it.
    fn note_irregular(&mut self, path: PathBuf, error: &std::io::Error) {
        if self.irregular.insert(path.clone()) {
            tracing::warn!(path = %path.display(), %error, "this has the name of a segment and is no regular file: it is not read");
        }
    }

    /// Lists and opens snapshots. A name that vanishes in between was superseded by one that this listing
    /// may lack, so it lists again.
    fn list_snapshots(&mut self) -> Result<(), StoreError> {
        loop {
            let names = self.root.list(SNAP)?;
            let ids: HashSet<_> =
                names.iter().filter_map(|name| filename::parse_snapshot(name)).collect();
            let known = self.snapshots.len();
            let gone = self.snapshots.iter().filter(|(id, _)| !ids.contains(id));
            self.gone.extend(gone.map(|(_, snapshot)| snapshot.clone()));
            self.snapshots.retain(|id, _| ids.contains(id));
            self.unreadable.retain(|id| ids.contains(id));
            self.opened.retain(|id, _| ids.contains(id));
            self.delta.snapshots |= self.snapshots.len() < known;
            let mut vanished = false;
            for id in ids {
                vanished |= !self.open_if_new(id)?;
            }
            if !vanished {
                return Ok(());
            }
        }
    }

    /// Opens a snapshot unless it is known. Opens one again in which a read met damage, if its file has changed since.
    /// Returns false if the file is gone.
    fn open_if_new(&mut self, id: SnapshotId) -> Result<bool, StoreError> {
        let known = self.snapshots.get(&id);
        if known.is_some_and(|known| !known.is_known_damaged()) {
            return Ok(true);
        }
        let path = self.root.file(SNAP, &filename::snapshot(id));
        let file = match self.root.fs().modified(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => Err(error).at("access", &path)?,
        };
        if known.is_some() && self.opened.get(&id) == Some(&file) {
            return Ok(true);
        }
        let now_ms = self.root.fs().now_ms();
        // Opening a damaged snapshot in every rescan would make all reads slow.
        if self.unreadable.was_tried(id, file, now_ms) {
            return Ok(true);
        }
        let error = match open_snapshot(&self.root, &path, id) {
            Ok(snapshot) => {
                self.unreadable.remove(id);
                self.snapshots.insert(id, Arc::new(snapshot));
                self.opened.insert(id, file);
                self.delta.snapshots = true;
                return Ok(true);
            }
            Err(error) => error,
        };
        // Asked after the failure: it may have been retired while it was being opened.
        if self.root.fs().stat(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(false);
        }
        match error {
            // The other snapshots can be read. A newer format would come with a newer palace.json, so
            // here it is a flipped bit.
            StoreError::Snapshot(error) if error.is_of_the_file() => {
                if !self.unreadable.is_known(id, file) {
                    tracing::warn!(path = %path.display(), %error, "a snapshot cannot be read");
                }
                self.unreadable.note(id, error, file, now_ms);
                Ok(true)
            }
            // No file handle left, or an I/O error: to read on would say that its documents do not exist.
            error => Err(error),
        }
    }

    /// Returns the syncs that a change needs before it may be acknowledged. It builds on `places`, each a
    /// segment and the end of a commit in it. A retired segment needs none: it was synced before the
    /// snapshot that replaces it was published.
    pub fn unsynced(
        &self,
        places: impl IntoIterator<Item = (SegmentId, u64)>,
    ) -> BTreeMap<(SegmentId, bool), ForeignSync> {
        let mut found = BTreeMap::new();
        for (segment, upto) in places {
            // Copies in both directories are two files, and each has to be synced.
            for place in [(segment, false), (segment, true)] {
                let tracked = self.segments.get(&place).map(|f| f.reader.foreign_sync());
                if let Some(durability) = tracked.filter(|durability| !durability.covers(upto)) {
                    found.insert(place, durability);
                }
            }
        }
        found
    }

    /// Returns the offset up to which every commit that was read from a segment is preserved by whatever
    /// replaces it. That is all of it if the segment still stands in `open/`, because it is read again
    /// after it is sealed; and if its owner sealed it. If another process sealed it, the last write may
    /// have come after that and before our read. Its writer will notice and write it again, unless it
    /// dies first. What the owner vouches for is preserved in any case: [`Reader::owner_synced_upto`].
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn preserved_upto(&self, segment: SegmentId) -> Result<u64, StoreError> {
        let mut upto = None;
        for place in [(segment, false), (segment, true)] {
            let Some(TrackedSegment { reader, sealed, .. }) = self.segments.get(&place) else {
                continue;
            };
            let all = reader.is_complete() || (!sealed && reader.has_name(self.root.fs())?);
            let sure = if all { u64::MAX } else { reader.owner_synced_upto() };
            upto = Some(sure.min(upto.unwrap_or(u64::MAX)));
        }
        Ok(upto.unwrap_or(0))
    }

    /// Returns what tells later whether the files of this segment are still there.
    pub fn footprints(&self, segment: SegmentId) -> impl Iterator<Item = Footprint> {
        let places = [(segment, false), (segment, true)].into_iter();
        let tracked = places.filter_map(|place| self.segments.get(&place));
        tracked.filter_map(|tracked| tracked.reader.footprint())
    }

    /// Returns the tracked segments.
    pub fn segments(&self) -> impl Iterator<Item = &TrackedSegment> {
        self.segments.values()
    }

    /// Returns the live snapshots, those that newer ones have not superseded, oldest first.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        // A snapshot of another palace is not believed about ours.
        let ours = |s: &&Arc<Snapshot>| Some(s.meta().palace) == self.root.palace();
        let ours = self.snapshots.values().filter(ours);
        let superseded: HashSet<_> =
            ours.flat_map(|s| s.meta().supersedes.iter().copied()).collect();
        let live = self.snapshots.iter().filter(|(id, _)| !superseded.contains(id));
        let mut live: Vec<_> = live.map(|(_, snapshot)| snapshot.clone()).collect();
        // By id where times are equal, so that all processes agree on the order.
        live.sort_by_key(|snapshot| (snapshot.meta().created_ms, snapshot.meta().snapshot));
        live
    }

    /// Returns all readable snapshots in `snap/`, superseded ones included.
    pub fn all_snapshots(&self) -> impl Iterator<Item = &Arc<Snapshot>> {
        self.snapshots.values()
    }

    /// Returns the snapshots that cannot be read, each with its error.
    pub fn unreadable(&self) -> impl Iterator<Item = (SnapshotId, &SnapshotError)> {
        self.unreadable.iter()
    }

    /// Returns the paths with the name of a segment that are symbolic links, directories, pipes …: they
    /// are not read.
    pub fn irregular(&self) -> impl Iterator<Item = &Path> {
        self.irregular.iter().map(PathBuf::as_path)
    }

    /// Returns the tracked segments and gives up the rest.
    pub fn into_segments(self) -> impl Iterator<Item = TrackedSegment> {
        self.segments.into_values()
    }

    /// Returns what is in no snapshot yet, without the segment that this process appends to.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let sealed = self.segments.values().filter(|tracked| tracked.sealed);
        let sealed_bytes: u64 = sealed.map(|tracked| tracked.reader.length()).sum();
        let (own_segments, own_bytes) = self.own.sealed();
        Backlog {
            segments: self.segments.len() + own_segments,
            sealed_bytes: sealed_bytes + own_bytes,
            newest_ms: self.snapshots.values().map(|snapshot| snapshot.meta().created_ms).max(),
        }
    }

    /// Returns the palace that a segment says it belongs to, if that is not this one.
    #[must_use]
    pub fn foreign_palace(&self, reader: &Reader) -> Option<PalaceId> {
        let theirs = reader.header()?.palace;
        (Some(theirs) != self.root.palace()).then_some(theirs)
    }
}
