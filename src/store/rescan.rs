//! Rescan: what is new in the directory since the last look.
//!
//! Invariant: the directories are listed in the direction in which data moves, `open/`, `sealed/`,
//! `snap/`, opening files on the way, so that whatever was acknowledged before a rescan began is found
//! by it in at least one of them. Nothing here writes or locks. A listing is spared only if the kernel says
//! that no name changed (`listings`).

use super::StoreError;
use super::directory_watch::DirectoryWatch;
use super::own_segments::OwnSegments;
use super::root::Root;
use super::seal::is_from_this_machine;
use super::unreadable_snapshots::UnreadableSnapshots;
use crate::format::filename::{self, OPEN, SEALED, SNAP};
use crate::format::id::{InstanceId, PalaceId, SegmentId, SnapshotId};
use crate::fs::{At, is_irregular, read_from};
use crate::segment::reader::{Commit, ForeignSync, Reader};
use crate::snapshot::{Snapshot, SnapshotError, Source};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A commit that a rescan found.
#[derive(Clone, Debug)]
pub struct FoundCommit {
    /// The segment that it stands in.
    pub segment: SegmentId,
    /// Who wrote it; `None` if the segment's header is damaged.
    pub instance: Option<InstanceId>,
    /// The commit.
    pub commit: Commit,
}

/// What a rescan found.
#[derive(Debug, Default)]
pub struct RescanDelta {
    /// Commits not seen before.
    pub commits: Vec<FoundCommit>,
    /// Segments whose commits are all in snapshots now: they were retired.
    pub folded: HashSet<SegmentId>,
    /// Whether the set of snapshots changed.
    pub snapshots: bool,
}

impl RescanDelta {
    fn add(&mut self, reader: &Reader, commits: Vec<Commit>) {
        let instance = reader.header().map(|header| header.instance);
        let found = |commit| FoundCommit { segment: reader.id(), instance, commit };
        self.commits.extend(commits.into_iter().map(found));
    }
}

/// A segment and where it stands.
#[derive(Debug)]
pub struct TrackedSegment {
    /// Its reading end.
    pub reader: Reader,
    /// True once it stands in `sealed/`.
    pub sealed: bool,
}

impl TrackedSegment {
    fn read_into(&mut self, delta: &mut RescanDelta, root: &Root) -> Result<(), StoreError> {
        // Noted before anything else can fail: a reader gives each commit once.
        let commits = self.reader.read_new()?;
        delta.add(&self.reader, commits);
        let reader = &mut self.reader;
        if self.sealed
            && !reader.is_finished()
            && (reader.is_complete() || is_from_this_machine(reader.header(), root.fs().host()))
        {
            let commits = reader.read_final()?;
            delta.add(reader, commits);
        }
        Ok(())
    }
}

/// How much there is to fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Segments in `open/` (their owners may be dead) and `sealed/`.
    pub segments: usize,
    /// Bytes in `sealed/`.
    pub sealed_bytes: u64,
    /// When the newest snapshot was made, in milliseconds since 1970, by its maker's clock.
    pub newest_ms: Option<i64>,
}

/// What is known of the directory.
#[derive(Debug)]
pub struct Catalog {
    root: Arc<Root>,
    /// By id, and whether it stands in `sealed/`. A palace that was copied while it was in use may have
    /// a segment in both directories, and the copy in `open/` may be the shorter one.
    segments: HashMap<(SegmentId, bool), TrackedSegment>,
    own: Arc<OwnSegments>,
    vanished: HashSet<SegmentId>,
    snapshots: BTreeMap<SnapshotId, Arc<Snapshot>>,
    unreadable: UnreadableSnapshots,
    /// What has the name of a segment and is no file, as it was found so far.
    irregular: BTreeSet<PathBuf>,
    watch: DirectoryWatch,
    /// What was found and not given yet: readers give each commit once, also if the rest of a rescan fails.
    delta: RescanDelta,
}

impl Catalog {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(root: Arc<Root>, own: Arc<OwnSegments>) -> Self {
        Catalog {
            root,
            segments: HashMap::new(),
            own,
            vanished: HashSet::new(),
            snapshots: BTreeMap::new(),
            unreadable: UnreadableSnapshots::default(),
            irregular: BTreeSet::new(),
            watch: DirectoryWatch::default(),
            delta: RescanDelta::default(),
        }
    }

    /// Looks at the directory.
    ///
    /// # Errors
    /// What the system says. What was found before the failure is given by the next call that succeeds.
    pub fn rescan(&mut self) -> Result<RescanDelta, StoreError> {
        if self.watch.unchanged(&self.root, &self.own) && self.unreadable.is_empty() {
            self.read_known_segments()?;
        } else {
            self.list_directories()?;
        }
        self.watch.confirm();
        Ok(std::mem::take(&mut self.delta))
    }

    fn list_directories(&mut self) -> Result<(), StoreError> {
        self.root.refresh()?;
        let own = self.own.all_named();
        let open = self.root.list(OPEN)?;
        let mut present = HashSet::with_capacity(open.len());
        for name in &open {
            present.extend(self.visit_segment(OPEN, name)?);
        }
        for name in &self.root.list(SEALED)? {
            present.extend(self.visit_segment(SEALED, name)?);
        }
        self.list_snapshots()?;
        self.forget_retired(&own, &present);
        Ok(())
    }

    /// The names are the same: what is new stands in segments that are known.
    fn read_known_segments(&mut self) -> Result<(), StoreError> {
        for tracked in self.segments.values_mut() {
            tracked.read_into(&mut self.delta, &self.root)?;
        }
        Ok(())
    }

    /// Gives the id of the segment that has this name, if it is one.
    fn visit_segment(
        &mut self,
        directory: &str,
        name: &str,
    ) -> Result<Option<SegmentId>, StoreError> {
        let Some(id) = filename::segment_in(name) else { return Ok(None) };
        if self.own.contains(id) {
            return Ok(Some(id));
        }
        let sealed = directory == SEALED;
        if !self.is_current(id, sealed)? {
            self.track(directory, name, id)?;
        }
        if let Some(tracked) = self.segments.get_mut(&(id, sealed)) {
            tracked.read_into(&mut self.delta, &self.root)?;
        }
        Ok(Some(id))
    }

    /// Programs that keep copies alike put another file in the place of a segment that a machine somewhere
    /// else still appends to: that one is read from its beginning.
    fn is_current(&self, id: SegmentId, sealed: bool) -> Result<bool, StoreError> {
        let Some(TrackedSegment { reader, .. }) = self.segments.get(&(id, sealed)) else {
            return Ok(false);
        };
        Ok(reader.is_complete()
            || is_from_this_machine(reader.header(), self.root.fs().host())
            || reader.has_name(self.root.fs())?)
    }

    /// Opens a segment, unless it moved on in the meantime: then it will be found where it moved to. One
    /// that was sealed is tracked on where it stands now, if it is the same file.
    fn track(&mut self, directory: &str, name: &str, id: SegmentId) -> Result<(), StoreError> {
        let sealed = directory == SEALED;
        let path = self.root.file(directory, name);
        let moved = match self.segments.get(&(id, false)) {
            Some(TrackedSegment { reader, .. }) if sealed => reader.is_at(self.root.fs(), &path)?,
            _ => false,
        };
        let reader = match moved.then(|| self.segments.remove(&(id, false))).flatten() {
            Some(TrackedSegment { reader, .. }) => reader.moved_to(&path),
            None => match self.root.fs().open(&path) {
                Ok(file) => Reader::new(id, &path, file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) if is_irregular(&error) => {
                    self.note_irregular(path, &error);
                    return Ok(());
                }
                Err(error) => Err(error).at("open", &path)?,
            },
        };
        self.segments.insert((id, sealed), TrackedSegment { reader, sealed });
        Ok(())
    }

    /// No writer ever gave this name to such a thing, so nothing that was acknowledged can be in it.
    fn note_irregular(&mut self, path: PathBuf, error: &std::io::Error) {
        if self.irregular.insert(path.clone()) {
            tracing::warn!(path = %path.display(), %error, "a segment's name on what is none");
        }
    }

    /// A name that vanishes between listing and opening was superseded by one that may be missing in
    /// this listing: list again.
    fn list_snapshots(&mut self) -> Result<(), StoreError> {
        loop {
            let names = self.root.list(SNAP)?;
            let ids: HashSet<_> =
                names.iter().filter_map(|name| filename::parse_snapshot(name)).collect();
            let known = self.snapshots.len();
            self.snapshots.retain(|id, _| ids.contains(id));
            self.unreadable.retain(|id| ids.contains(id));
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

    /// False if there is no such file any more.
    fn open_if_new(&mut self, id: SnapshotId) -> Result<bool, StoreError> {
        if self.snapshots.contains_key(&id) {
            return Ok(true);
        }
        let path = self.root.file(SNAP, &filename::snapshot(id));
        let file = match self.root.fs().modified(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => Err(error).at("look at", &path)?,
        };
        let now_ms = self.root.fs().now_ms();
        if self.unreadable.was_tried(id, file, now_ms) {
            return Ok(true);
        }
        let error = match open_snapshot(&self.root, &path, id) {
            Ok(snapshot) => {
                self.unreadable.remove(id);
                self.snapshots.insert(id, Arc::new(snapshot));
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
            // The others can be read. A newer format has a newer palace.json: here it is a flipped bit.
            StoreError::Snapshot(error) if error.is_of_the_file() => {
                if !self.unreadable.is_known(id, file) {
                    tracing::warn!(path = %path.display(), %error, "a snapshot cannot be read");
                }
                self.unreadable.note(id, error, file, now_ms);
                Ok(true)
            }
            // No file handle left, an I/O error: to read on would say that there are no such documents.
            error => Err(error),
        }
    }

    /// A segment in neither directory was retired, so a snapshot in the listing that came after holds
    /// all of it; unless some snapshot cannot be read. Then what is known of it is kept, if no other snapshot says
    /// that it holds it. It may be put back.
    fn forget_retired(&mut self, own: &[SegmentId], present: &HashSet<SegmentId>) {
        let known = self.segments.keys().map(|(id, _)| id).chain(own);
        let gone: Vec<_> = known.filter(|id| !present.contains(id)).copied().collect();
        self.segments.retain(|(id, _), _| present.contains(id));
        self.vanished.retain(|id| !present.contains(id));
        self.vanished.extend(gone);
        let readable = self.unreadable.is_empty();
        let is_held =
            |id: &SegmentId| self.snapshots.values().any(|s| s.meta().covers.contains(id));
        self.delta.folded.extend(self.vanished.extract_if(|id| readable || is_held(id)));
    }

    /// What must be put on disk before a change that builds on these places may be acknowledged: each
    /// is a segment and the end of a commit in it. A segment that is gone was synced before the
    /// snapshot that replaces it was published.
    pub fn unsynced(
        &self,
        places: impl IntoIterator<Item = (SegmentId, u64)>,
    ) -> BTreeMap<(SegmentId, bool), ForeignSync> {
        let mut found = BTreeMap::new();
        for (segment, upto) in places {
            for place in [(segment, false), (segment, true)] {
                let tracked = self.segments.get(&place).map(|f| f.reader.foreign_sync());
                if let Some(durability) = tracked.filter(|durability| !durability.covers(upto)) {
                    found.insert(place, durability);
                }
            }
        }
        found
    }

    /// How much of what was read from a segment is sure to be in whatever replaces it. All of it is if the segment
    /// still stands in `open/`, because it is read again after it is sealed, and if its owner sealed it. If somebody
    /// else did, the last write may have come after that and before our look: its writer will notice and write it
    /// again, unless it dies first. What the owner wrote before that is sure: [`Reader::owner_synced_upto`].
    ///
    /// # Errors
    /// What the system says.
    pub fn preserved_upto(&self, segment: SegmentId) -> Result<u64, StoreError> {
        let mut upto = None;
        for place in [(segment, false), (segment, true)] {
            let Some(TrackedSegment { reader, sealed }) = self.segments.get(&place) else {
                continue;
            };
            let all = reader.is_complete() || (!sealed && reader.has_name(self.root.fs())?);
            let sure = if all { u64::MAX } else { reader.owner_synced_upto() };
            upto = Some(sure.min(upto.unwrap_or(u64::MAX)));
        }
        Ok(upto.unwrap_or(0))
    }

    /// The segments that are tracked.
    pub fn segments(&self) -> impl Iterator<Item = &TrackedSegment> {
        self.segments.values()
    }

    /// The snapshots that newer ones have not superseded, oldest first.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        // What another palace's snapshot says of ours is not believed.
        let ours = |s: &&Arc<Snapshot>| Some(s.meta().palace) == self.root.palace();
        let ours = self.snapshots.values().filter(ours);
        let superseded: HashSet<_> =
            ours.flat_map(|s| s.meta().supersedes.iter().copied()).collect();
        let live = self.snapshots.iter().filter(|(id, _)| !superseded.contains(id));
        let mut live: Vec<_> = live.map(|(_, snapshot)| snapshot.clone()).collect();
        live.sort_by_key(|snapshot| (snapshot.meta().created_ms, snapshot.meta().snapshot));
        live
    }

    /// All snapshots in `snap/` that can be read, superseded ones included.
    pub fn all_snapshots(&self) -> impl Iterator<Item = &Arc<Snapshot>> {
        self.snapshots.values()
    }

    /// Snapshots that cannot be read, and why.
    pub fn unreadable(&self) -> impl Iterator<Item = (SnapshotId, &SnapshotError)> {
        self.unreadable.iter()
    }

    /// What has the name of a segment and is a symbolic link, a directory, a pipe …: it is not read.
    pub fn irregular(&self) -> impl Iterator<Item = &Path> {
        self.irregular.iter().map(PathBuf::as_path)
    }

    /// Gives the segments away.
    pub fn into_segments(self) -> impl Iterator<Item = TrackedSegment> {
        self.segments.into_values()
    }

    /// What is in no snapshot yet, without the segment that this process appends to.
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

    /// Which palace a segment says it belongs to, if that is not this one.
    #[must_use]
    pub fn foreign_palace(&self, reader: &Reader) -> Option<PalaceId> {
        let theirs = reader.header()?.palace;
        (Some(theirs) != self.root.palace()).then_some(theirs)
    }
}

/// Opens a snapshot: SQLite reads the file itself where it can, and gets its bytes where not.
///
/// # Errors
/// [`StoreError::Snapshot`] if it is not good, or what the system says.
pub fn open_snapshot(root: &Root, path: &Path, id: SnapshotId) -> Result<Snapshot, StoreError> {
    if let Some(local) = root.fs().local_path(path) {
        return Ok(Snapshot::open(Source::Path(&local), id)?);
    }
    let file = root.fs().open(path).at("open", path)?;
    let bytes = read_from(&*file, 0).at("read", path)?;
    Ok(Snapshot::open(Source::Bytes(bytes), id)?)
}
