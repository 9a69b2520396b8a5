//! Compaction: segments and small snapshots become one larger snapshot.
//!
//! Invariant: compaction is the only step that takes anything away, so it takes away nothing before
//! the new snapshot was read back from its file, every change of every input was found in it, and its
//! content and name are on disk. An input that could not be read whole is never taken away.

use super::apart;
use super::policy::{self, Candidate};
use super::search::text_of;
use super::state::{doc_of_rows, rows};
use super::{Error, Palace, Result};
use crate::format::filename::{self, SEALED, SNAP};
use crate::format::hash::{ChangeHash, Heads};
use crate::format::id::{InstanceId, PalaceId, SegmentId, SnapshotId};
use crate::format::key::Key;
use crate::fs::At;
use crate::merge::{self, Doc};
use crate::segment::reader::{Commit, Reader};
use crate::snapshot::{Builder, LogRow, Meta, Row, Snapshot};
use crate::store::follow::{Backlog, open_snapshot};
use crate::store::root::Root;
use crate::store::seal::{Left, seal_dead};
use crate::store::{StoreError, lock, retire};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A superseded snapshot stays this long after its successor appeared, in milliseconds: a listing of
/// `snap/` that is under way may have missed the successor, and must find it.
pub const SUPERSEDED_MS: i64 = 60_000;
/// How many heads of absorbed rows a row remembers. Forgetting one costs a reader a merge, nothing else.
const ABSORBED_MAX: usize = 32;
/// How many rows, or commits, are read from a snapshot at a time.
const CHUNK: usize = 256;

/// How far a compaction goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// What is due, in a step that is short: what instances do in the background.
    #[default]
    Due,
    /// Everything that can be, into one snapshot.
    All,
}

/// How to compact.
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
#[derive(Clone, Debug, serde::Serialize)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why it was not taken.
    pub reason: String,
}

/// What a compaction did, or would do.
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
    /// Inputs that stay where they are.
    pub skipped: Vec<Skipped>,
    /// Segments that are in use, or might be.
    pub left_open: Vec<LeftOpen>,
}

/// A segment in `open/` that was not sealed.
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
    /// use crdt_palace::palace::fold::CompactOptions;
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
        compact(&self.shared.root, &self.shared.program, options)
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
        let started = super::background("palace-compact", move || {
            while let Some(shared) = weak.upgrade() {
                shared.root.fs().yield_to_others();
                if !compact_once(&shared.root, &shared.program) || Arc::strong_count(&shared) == 1 {
                    shared.compacting.store(false, SeqCst);
                    return;
                }
            }
        });
        if !started {
            self.shared.compacting.store(false, SeqCst);
            // Or the next commit would think that this was tried.
            *self.tried() = Backlog::default();
        }
    }

    /// False also if nothing has changed since it was last tried: some inputs must stay where they are,
    /// and most segments in `open/` belong to the living.
    fn is_due(&self, backlog: Backlog) -> bool {
        policy::due(backlog) && std::mem::replace(&mut *self.tried(), backlog) != backlog
    }

    fn tried(&self) -> MutexGuard<'_, Backlog> {
        self.shared.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One automatic step. Whether another may be due.
fn compact_once(root: &Root, program: &str) -> bool {
    match compact(root, program, CompactOptions::default()) {
        Ok(report) => report.published.is_some(),
        // Somebody else is at it, which is as good.
        Err(Error::Store(StoreError::Busy { .. })) => false,
        Err(error) => {
            tracing::warn!(%error, "compaction failed; nothing was lost, and it will be tried again");
            false
        }
    }
}

/// One compaction.
pub fn compact(root: &Root, program: &str, options: CompactOptions) -> Result<CompactReport> {
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
    let report = compact_locked(root, palace, options);
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

fn compact_locked(root: &Root, palace: PalaceId, options: CompactOptions) -> Result<CompactReport> {
    let sealed = seal_dead(root, options.adopt)?;
    let (inputs, mut report) = Inputs::find(root, palace, options)?;
    report.sealed = sealed.sealed.len();
    let left_open = |(segment, reason)| LeftOpen { segment, reason };
    report.left_open = sealed.left.into_iter().map(left_open).collect();
    report.cleared = inputs.clear_superseded(root)? + retire::purge(root)?;
    if inputs.is_worth_it() {
        inputs.count(&mut report);
        let folded = fold(root, palace, &inputs, &BTreeSet::new())?;
        publish(root, &inputs, &folded)?;
        let path = root.file(SNAP, &filename::snapshot(folded.meta.snapshot));
        report.bytes_after = root.fs().stat(&path).at("look at", &path)?.len;
        report.published = Some(folded.meta.snapshot);
        report.documents = folded.meta.documents;
        report.commits = folded.meta.commits;
    }
    Ok(report)
}

/// A sealed segment that was read whole.
#[derive(Debug)]
pub struct Segment {
    /// Its file.
    pub reader: Reader,
    /// Who wrote it.
    pub instance: InstanceId,
    /// Everything in it.
    pub commits: Vec<Commit>,
}

/// What a new snapshot is made from.
#[derive(Debug, Default)]
pub struct Inputs {
    /// These are folded.
    pub segments: Vec<Segment>,
    /// These are merged.
    pub snapshots: Vec<Arc<Snapshot>>,
    /// These are looked at, so that the row of every folded document is complete by itself. They
    /// contain the ones that are merged.
    pub live: Vec<Arc<Snapshot>>,
    /// Those that a newer one has replaced.
    superseded: Vec<Arc<Snapshot>>,
}

impl Inputs {
    /// Segments first, snapshots second: the direction in which data moves.
    fn find(
        root: &Root,
        palace: PalaceId,
        CompactOptions { extent, adopt, .. }: CompactOptions,
    ) -> Result<(Self, CompactReport)> {
        let mut report = CompactReport::default();
        let mut inputs = Inputs::default();
        let mut bytes = 0;
        for id in oldest_first(root)? {
            if extent == Extent::Due && bytes >= policy::STEP_SEGMENT_BYTES {
                break;
            }
            if let Some(segment) = read_segment(root, palace, id, adopt, &mut report.skipped)? {
                bytes += segment.reader.length();
                inputs.segments.push(segment);
            }
        }
        let all = inputs.read_snapshots(root, palace, &mut report.skipped)?;
        let superseded: HashSet<SnapshotId> =
            all.iter().flat_map(|snapshot| snapshot.meta().supersedes.clone()).collect();
        let (superseded, mut live): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|snapshot| superseded.contains(&snapshot.id()));
        live.sort_by_key(|snapshot| (snapshot.meta().created_ms, snapshot.id()));
        let chosen = choose(&live, bytes, extent);
        inputs.snapshots = live.iter().filter(|s| chosen.contains(&s.id())).cloned().collect();
        (inputs.live, inputs.superseded) = (live, superseded);
        Ok((inputs, report))
    }

    fn read_snapshots(
        &self,
        root: &Root,
        palace: PalaceId,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<Arc<Snapshot>>> {
        let mut all = Vec::new();
        for name in root.list(SNAP)? {
            let Some(id) = filename::parse_snapshot(&name) else { continue };
            let path = root.file(SNAP, &name);
            match open_snapshot(root, &path, id) {
                Ok(snapshot) if snapshot.meta().palace == palace => all.push(Arc::new(snapshot)),
                Ok(snapshot) => {
                    let reason = format!("it belongs to palace {}", snapshot.meta().palace);
                    skipped.push(Skipped { path, reason });
                }
                // Retired between the listing and now: its successor holds it, and this listing may
                // have missed that. There will be another compaction.
                Err(_) if is_gone(root, &path)? => {
                    let resource = "snap/ is changing".to_owned();
                    return Err(StoreError::Busy { path, holder: resource }.into());
                }
                // What cannot be read just now may be good, and is no input of a later snapshot either.
                Err(StoreError::Snapshot(error)) if error.is_of_the_file() => {
                    let reason = error.to_string();
                    retire::quarantine(root, &path, &name, &reason)?;
                    skipped.push(Skipped { path, reason });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(all)
    }

    /// A lone snapshot is not worth being written again.
    fn is_worth_it(&self) -> bool {
        !self.segments.is_empty() || self.snapshots.len() > 1
    }

    fn count(&self, report: &mut CompactReport) {
        if self.is_worth_it() {
            report.segments = self.segments.len();
            report.snapshots = self.snapshots.len();
            let commits = self.segments.iter().flat_map(|segment| &segment.commits);
            report.changes = commits.map(|c| super::tail::entries(&c.body).count() as u64).sum();
            report.bytes_before = self.segments.iter().map(|s| s.reader.length()).sum::<u64>()
                + self.snapshots.iter().map(|s| s.length()).sum::<u64>();
        }
    }

    /// Takes away snapshots whose successor has been there for long enough, and is there for good.
    fn clear_superseded(&self, root: &Root) -> Result<usize> {
        let now_ms = root.fs().now_ms();
        let old_enough = |id: SnapshotId| {
            let successor = |s: &&Arc<Snapshot>| s.meta().supersedes.contains(&id);
            let successors = self.live.iter().chain(&self.superseded).filter(successor);
            successors
                .map(|s| s.meta().created_ms)
                .min()
                .is_some_and(|t| now_ms - t >= SUPERSEDED_MS)
        };
        let old: Vec<_> = self.superseded.iter().filter(|s| old_enough(s.id())).collect();
        if !old.is_empty() {
            retire::sync_snap(root)?;
        }
        for snapshot in &old {
            retire::retire(root, SNAP, &filename::snapshot(snapshot.id()))?;
        }
        Ok(old.len())
    }

    fn appended(&self) -> u64 {
        self.segments.iter().map(|segment| segment.reader.length()).sum::<u64>()
            + self.snapshots.iter().map(|snapshot| snapshot.meta().appended).sum::<u64>()
    }
}

/// The segments in `sealed/` by the time of their last write: a change that is folded before those that
/// it builds on has to wait in its row, and costs each reader an effort.
fn oldest_first(root: &Root) -> Result<Vec<SegmentId>> {
    let mut found = Vec::new();
    for name in root.list(SEALED)? {
        let Some(id) = filename::parse_segment(&name) else { continue };
        // One that is gone already is left out when it is opened.
        let stat = root.fs().stat(&root.file(SEALED, &name));
        found.push((stat.map_or(0, |stat| stat.modified_ms), id));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

fn is_gone(root: &Root, path: &std::path::Path) -> Result<bool> {
    match root.fs().stat(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Ok(Err(error).at("look at", path)?),
        Ok(_) => Ok(false),
    }
}

fn choose(live: &[Arc<Snapshot>], folded: u64, extent: Extent) -> Vec<SnapshotId> {
    let candidate = |s: &Arc<Snapshot>| Candidate { snapshot: s.id(), appended: s.meta().appended };
    match extent {
        Extent::All => live.iter().map(|snapshot| snapshot.id()).collect(),
        Extent::Due => policy::choose(live.iter().map(candidate).collect(), folded),
    }
}

/// `None` if the segment must stay where it is.
fn read_segment(
    root: &Root,
    palace: PalaceId,
    id: SegmentId,
    adopt: bool,
    skipped: &mut Vec<Skipped>,
) -> Result<Option<Segment>> {
    let name = filename::segment(id);
    let path = root.file(SEALED, &name);
    let file = match root.fs().open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error).at("open", &path)?,
    };
    let mut reader = Reader::new(id, &path, file);
    let commits = reader.settle()?;
    if let Some(region) = reader.damage().next() {
        let reason = format!("bytes {:?}: {}", region.bytes, region.reason);
        retire::quarantine(root, &path, &name, &reason)?;
        skipped.push(Skipped { path, reason });
        return Ok(None);
    }
    let Some(header) = reader.header().cloned() else {
        skipped
            .push(Skipped { path, reason: "it is empty: perhaps it is still being copied".into() });
        return Ok(None);
    };
    let reason = if header.palace != palace {
        format!("it belongs to palace {}", header.palace)
    } else if !adopt && !reader.whole() && header.machine != root.fs().host().machine {
        "another machine wrote it and its end is missing: if it is not being copied, say --adopt"
            .to_owned()
    } else {
        return Ok(Some(Segment { reader, instance: header.instance, commits }));
    };
    skipped.push(Skipped { path, reason });
    Ok(None)
}

/// A finished snapshot in `tmp/`, on disk and verified.
#[derive(Debug)]
pub struct Folded {
    /// What it says about itself.
    pub meta: Meta,
}

/// What a row must turn out to hold.
struct Expected {
    key: Key,
    heads: Vec<Heads>,
    changes: Vec<ChangeHash>,
    /// Bytes that are no change: they have no name, and can only be kept as they are.
    nameless: Vec<Bytes>,
}

impl Expected {
    fn new<'a>(key: Key, rows: &[Row], new: impl Iterator<Item = &'a Bytes>) -> Self {
        let heads = rows.iter().map(|row| row.heads.clone()).collect();
        let (mut changes, mut nameless) = (Vec::new(), Vec::new());
        let kept =
            rows.iter().flat_map(|row| &row.waiting).map(|change| Bytes::from(change.clone()));
        for change in new.cloned().chain(kept) {
            match merge::hash_of(&change) {
                Ok(hash) => changes.push(hash),
                Err(_) => nameless.push(change),
            }
        }
        Expected { key, heads, changes, nameless }
    }
}

/// Builds one snapshot in `tmp/` from the inputs, leaves out the documents in `forget`, and verifies
/// it.
pub fn fold(
    root: &Root,
    palace: PalaceId,
    inputs: &Inputs,
    forget: &BTreeSet<Key>,
) -> Result<Folded> {
    for segment in &inputs.segments {
        // What is retired because a snapshot holds it must not have been in the page cache only:
        // others may have been promised that it is on disk.
        segment.reader.durability().sync()?;
    }
    let mut supersedes: Vec<_> = inputs.snapshots.iter().map(|snapshot| snapshot.id()).collect();
    let inherited = inputs.snapshots.iter().flat_map(|snapshot| &snapshot.meta().supersedes);
    let still_there = |id: &&SnapshotId| inputs.superseded.iter().any(|s| s.id() == **id);
    supersedes.extend(inherited.filter(still_there));
    let meta = Meta {
        snapshot: SnapshotId(root.random()?),
        palace,
        created_ms: root.fs().now_ms(),
        covers: inputs.segments.iter().map(|segment| segment.reader.id()).collect(),
        supersedes,
        beside: apart::beside(&inputs.snapshots, &inputs.live),
        appended: inputs.appended(),
        documents: 0,
        commits: 0,
    };
    let path = root.tmp(&filename::snapshot(meta.snapshot));
    let folded = build_verified(root, meta, &path, inputs, forget);
    // A full disk must not fill up further with every attempt.
    if folded.is_err()
        && let Err(error) = root.fs().remove(&path)
    {
        tracing::debug!(%error, path = %path.display(), "left behind");
    }
    folded
}

fn build_verified(
    root: &Root,
    meta: Meta,
    path: &std::path::Path,
    inputs: &Inputs,
    forget: &BTreeSet<Key>,
) -> Result<Folded> {
    let (meta, expected) = build(root, meta, path, inputs, forget)?;
    let snapshot = open_snapshot(root, path, meta.snapshot)?;
    verify(&snapshot, &expected)?;
    Ok(Folded { meta })
}

fn build(
    root: &Root,
    meta: Meta,
    path: &std::path::Path,
    inputs: &Inputs,
    forget: &BTreeSet<Key>,
) -> Result<(Meta, Vec<Expected>)> {
    let (name, local) = (filename::snapshot(meta.snapshot), root.fs().local_path(path));
    let mut builder = match &local {
        Some(local) => {
            // Made here, so that nobody else may read it; SQLite fills it.
            root.fs().create(path).at("create", path)?;
            Builder::at(local, meta)?
        }
        None => Builder::in_memory(meta)?,
    };
    let expected = add_documents(&mut builder, inputs, forget)?;
    add_log(&mut builder, inputs, forget)?;
    let meta = match local {
        Some(_) => {
            let meta = builder.finish()?;
            retire::sync_tmp(root, &name)?;
            meta
        }
        None => {
            let (meta, bytes) = builder.finish_bytes()?;
            root.write_whole(path, &bytes)?;
            meta
        }
    };
    Ok((meta, expected))
}

/// The rows of a snapshot in the order of their keys, a few at a time.
struct Rows<'a> {
    snapshot: &'a Snapshot,
    ahead: VecDeque<Row>,
    after: Option<String>,
    done: bool,
}

impl<'a> Rows<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        Rows { snapshot, ahead: VecDeque::new(), after: None, done: false }
    }

    fn peek(&mut self) -> Result<Option<&Key>> {
        if self.ahead.is_empty() && !self.done {
            self.ahead = self.snapshot.rows_after(self.after.as_deref(), CHUNK)?.into();
            self.done = self.ahead.is_empty();
            self.after = self.ahead.back().map(|row| row.key.as_str().to_owned());
        }
        Ok(self.ahead.front().map(|row| &row.key))
    }

    fn next_if(&mut self, key: &Key) -> Result<Option<Row>> {
        Ok(if self.peek()? == Some(key) { self.ahead.pop_front() } else { None })
    }
}

fn add_documents(
    builder: &mut Builder,
    inputs: &Inputs,
    forget: &BTreeSet<Key>,
) -> Result<Vec<Expected>> {
    let mut changes = changes_by_key(&inputs.segments);
    let mut sources: Vec<_> = inputs.snapshots.iter().map(|snapshot| Rows::new(snapshot)).collect();
    let merged: HashSet<_> = inputs.snapshots.iter().map(|snapshot| snapshot.id()).collect();
    let others: Vec<_> =
        inputs.live.iter().filter(|snapshot| !merged.contains(&snapshot.id())).cloned().collect();
    let mut expected = Vec::new();
    loop {
        let mut next = changes.first_key_value().map(|(key, _)| key.clone());
        for source in &mut sources {
            if let Some(key) = source.peek()?
                && next.as_ref().is_none_or(|next| key < next)
            {
                next = Some(key.clone());
            }
        }
        let Some(key) = next else { return Ok(expected) };
        let mut found = Vec::new();
        for source in &mut sources {
            found.extend(source.next_if(&key)?);
        }
        let new = changes.remove(&key).unwrap_or_default();
        if forget.contains(&key) {
            continue;
        }
        if !new.is_empty() {
            // Oldest first is only a matter of speed: the merge is the same in any order.
            found.splice(0..0, rows(&others, &key)?);
        }
        let (row, text, wanted) = make_row(key, found, &new)?;
        builder.add(&row, &text)?;
        expected.push(wanted);
    }
}

fn changes_by_key(segments: &[Segment]) -> BTreeMap<Key, Vec<Bytes>> {
    let mut changes: BTreeMap<Key, Vec<Bytes>> = BTreeMap::new();
    let commits = segments.iter().flat_map(|segment| &segment.commits);
    for entry in commits.flat_map(|commit| super::tail::entries(&commit.body)) {
        changes.entry(entry.key).or_default().push(entry.change);
    }
    changes
}

fn make_row(key: Key, mut found: Vec<Row>, new: &[Bytes]) -> Result<(Row, String, Expected)> {
    let expected = Expected::new(key.clone(), &found, new.iter());
    if new.is_empty()
        && found.len() == 1
        && let Some(row) = found.pop()
    {
        let text = text_of(&super::state::parse_view(&row.view, &key)?.value);
        return Ok((row, text, expected));
    }
    let mut doc = doc_of_rows(&found, &key)?;
    let refused = apply_or_keep(&mut doc, &found, new);
    let mut absorbed: Vec<Heads> = expected.heads.iter().rev().cloned().collect();
    absorbed.extend(found.iter().rev().flat_map(|row| row.absorbed.iter().cloned()));
    let now = doc.heads();
    let mut seen = HashSet::new();
    absorbed.retain(|heads| *heads != now && seen.insert(heads.clone()));
    absorbed.truncate(ABSORBED_MAX);
    let (row, text) = row_of(&key, &doc, absorbed, refused)?;
    Ok((row, text, expected))
}

/// Applies changes, all at once because each time costs a copy of the document. Gives those that
/// Automerge refuses, now or when they were folded before: they are kept with the changes that wait,
/// because nothing is ever dropped. A person may want to look.
fn apply_or_keep(doc: &mut Doc, found: &[Row], new: &[Bytes]) -> Vec<Vec<u8>> {
    let before = found.iter().flat_map(|row| row.waiting.iter().map(Vec::as_slice));
    let given: Vec<&[u8]> = new.iter().map(|change| &change[..]).chain(before).collect();
    if doc.apply(given.iter().copied()).rejected.is_empty() {
        return Vec::new();
    }
    let waiting: HashSet<ChangeHash> = doc.waiting().map(|(hash, _)| *hash).collect();
    let refused = |change: &&[u8]| match merge::hash_of(change) {
        Ok(hash) => !doc.contains(&hash) && !waiting.contains(&hash),
        Err(_) => true,
    };
    let refused: BTreeSet<&[u8]> = given.into_iter().filter(refused).collect();
    refused.into_iter().map(<[u8]>::to_vec).collect()
}

fn row_of(
    key: &Key,
    doc: &Doc,
    absorbed: Vec<Heads>,
    refused: Vec<Vec<u8>>,
) -> Result<(Row, String)> {
    let view = doc.view();
    let text = text_of(&view.value);
    let view =
        serde_json::to_string(&view).map_err(|source| Error::View { key: key.clone(), source })?;
    let mut waiting: Vec<_> = doc.waiting().map(|(_, change)| change.to_vec()).collect();
    waiting.extend(refused);
    let (document, heads) = (doc.save(), doc.heads());
    Ok((Row { key: key.clone(), document, heads, view, waiting, absorbed }, text))
}

fn add_log(builder: &mut Builder, inputs: &Inputs, forget: &BTreeSet<Key>) -> Result<()> {
    let mut add = |mut row: LogRow| {
        row.changes.retain(|(key, _)| !forget.contains(key));
        if row.changes.is_empty() { Ok(()) } else { builder.add_log(&row) }
    };
    for segment in &inputs.segments {
        for commit in &segment.commits {
            add(log_row(segment.instance, commit.sequence, &commit.body))?;
        }
    }
    for snapshot in &inputs.snapshots {
        let (mut after, mut count) = (None, 0);
        loop {
            let rows = snapshot.log_page(after, CHUNK)?;
            let Some(last) = rows.last() else { break };
            after = Some((last.instance, last.sequence));
            count += rows.len() as u64;
            for row in rows {
                add(row)?;
            }
        }
        // Damage can hide commits of a log; nothing else would notice.
        if count != snapshot.meta().commits {
            let what = format!("commits of snapshot {}", snapshot.id());
            return Err(Error::Unverified { what });
        }
    }
    Ok(())
}

/// What the log keeps of a commit.
pub fn log_row(instance: InstanceId, sequence: u64, body: &Bytes) -> LogRow {
    let mut row = LogRow { instance, sequence, time_ms: 0, by: String::new(), changes: Vec::new() };
    for entry in super::tail::entries(body) {
        // What does not decode is no change; `crdt-log verify` names it.
        let Ok(written) = merge::stamp_of(&entry.change) else { continue };
        if written.time_ms > row.time_ms {
            (row.time_ms, row.by) = (written.time_ms, written.by);
        }
        row.changes.push((entry.key, written.change));
    }
    row
}

/// Reads the new snapshot back and looks for everything that went into it.
fn verify(snapshot: &Snapshot, expected: &[Expected]) -> Result<()> {
    let mut rows = Rows::new(snapshot);
    for Expected { key, heads, changes, nameless } in expected {
        let lacks = |what: String| Error::Unverified { what: format!("{what} of {key}") };
        let row = rows.next_if(key)?.ok_or_else(|| lacks("the row".to_owned()))?;
        if let Some(lost) = nameless.iter().find(|bytes| !row.waiting.iter().any(|w| w == *bytes)) {
            return Err(lacks(format!("{} bytes that are no change", lost.len())));
        }
        let kept = row.waiting.iter().filter_map(|change| merge::hash_of(change).ok());
        let kept: HashSet<ChangeHash> = kept.collect();
        // A row that was copied is not loaded.
        if changes.iter().all(|hash| kept.contains(hash)) && heads.iter().all(|h| *h == row.heads) {
            continue;
        }
        let doc = doc_of_rows(&[row], key)?;
        if let Some(heads) = heads.iter().find(|heads| !doc.contains_all(heads)) {
            return Err(lacks(format!("version {}", heads.etag())));
        }
        let held = |hash: &&ChangeHash| doc.contains(hash) || kept.contains(*hash);
        if let Some(hash) = changes.iter().find(|hash| !held(hash)) {
            return Err(lacks(format!("change {hash}")));
        }
    }
    match rows.peek()? {
        None => Ok(()),
        Some(key) => Err(Error::Unverified { what: format!("nothing, but has {key} as well") }),
    }
}

/// Gives the snapshot its name, durably, and only then retires the segments. The snapshots that it
/// supersedes are retired by a later compaction: see [`SUPERSEDED_MS`].
fn publish(root: &Root, inputs: &Inputs, folded: &Folded) -> Result<()> {
    retire::publish(root, folded.meta.snapshot)?;
    for segment in &inputs.segments {
        retire::retire(root, SEALED, &filename::segment(segment.reader.id()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::Stamp;
    use crate::snapshot::Source;

    fn change(actor: u8) -> Vec<u8> {
        let stamp = Stamp { actor: [actor; 16], time_ms: 1, by: "" };
        let value = serde_json::Map::from_iter([("n".to_owned(), actor.into())]);
        Doc::default().put(&stamp, None, &value).unwrap().unwrap().bytes
    }

    fn row(document: &[u8], waiting: &[&[u8]]) -> Row {
        let mut doc = Doc::default();
        assert!(doc.apply([document]).rejected.is_empty());
        let waiting = waiting.iter().map(|bytes| bytes.to_vec()).collect();
        row_of(&Key::new("k").unwrap(), &doc, Vec::new(), waiting).unwrap().0
    }

    /// A snapshot that holds this row.
    fn snapshot(row: &Row) -> Snapshot {
        let meta = Meta {
            snapshot: SnapshotId([1; 16]),
            palace: PalaceId([2; 16]),
            created_ms: 0,
            covers: Vec::new(),
            supersedes: Vec::new(),
            beside: Vec::new(),
            appended: 0,
            documents: 0,
            commits: 0,
        };
        let mut builder = Builder::in_memory(meta).unwrap();
        builder.add(row, "").unwrap();
        let (meta, bytes) = builder.finish_bytes().unwrap();
        Snapshot::open(Source::Bytes(bytes), meta.snapshot).unwrap()
    }

    #[test]
    fn a_snapshot_that_lacks_anything_of_its_inputs_is_not_verified() {
        let (one, two) = (change(1), change(2));
        let input = row(&one, &[b"no change"]);
        let new = [Bytes::from(two.clone()), Bytes::from_static(b"noise")];
        let expected = [Expected::new(input.key.clone(), &[input], new.iter())];
        let check = |document: &[u8], waiting: &[&[u8]]| {
            verify(&snapshot(&row(document, waiting)), &expected).map_err(|error| error.to_string())
        };
        check(&one, &[&two, b"noise", b"no change"]).unwrap();
        for (document, waiting, lost) in [
            (&one, vec![&b"noise"[..], b"no change"], "change"),
            (&two, vec![&b"noise"[..], b"no change"], "version"),
            (&one, vec![&two, &b"noise"[..]], "9 bytes that are no change"),
            (&one, vec![&two, &b"no change"[..]], "5 bytes that are no change"),
        ] {
            let error = check(document, &waiting).unwrap_err();
            assert!(error.contains(&format!("lacks {lost}")), "{error}");
        }
    }
}
