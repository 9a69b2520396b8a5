//! Inputs of a new snapshot.
//!
//! Invariant: a file that was not read whole, is damaged, or belongs to another palace is no input. The directories are
//! listed in the direction in which data moves, so that a file that has left one is found in the next.

use super::policy::{self, Candidate};
use super::report::{CompactOptions, CompactReport, Extent, Skipped};
use crate::format::filename::{self, OPEN, SEALED, SNAP};
use crate::format::id::{InstanceId, PalaceId, SegmentId, SnapshotId};
use crate::fs::{At, Stat, is_irregular, stop};
use crate::palace::error::{Error, Result, chain};
use crate::palace::view::rows::check_row;
use crate::palace::view::tail::entries;
use crate::segment::reader::{Commit, Reader};
use crate::snapshot::{Meta, Snapshot};
use crate::store::open_snapshot::open_snapshot;
use crate::store::root::Root;
use crate::store::seal::is_from_this_machine;
use crate::store::{StoreError, publish, quarantine, retire};
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// A superseded snapshot stays this long after its successor appeared, in milliseconds: a listing of
/// `snap/` that is under way may have missed the successor, and must find it.
pub const SUPERSEDED_MS: i64 = 60_000;

/// A sealed segment that was read whole.
#[derive(Debug)]
pub struct Segment {
    /// Its file.
    pub reader: Reader,
    /// The instance that wrote it.
    pub instance: InstanceId,
    /// Its commits.
    pub commits: Vec<Commit>,
}

/// A file of `sealed/`.
#[derive(Debug)]
pub struct SealedFile {
    /// Its name, which differs from its id if it was renamed.
    pub name: String,
    /// Its identity and the time of its last modification, before it was read.
    pub seen: (Stat, i64),
}

/// Inputs of a new snapshot.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Segments to compact.
    pub segments: Vec<Segment>,
    /// Their files.
    pub sealed: Vec<SealedFile>,
    /// Snapshots to merge.
    pub snapshots: Vec<Arc<Snapshot>>,
    /// All live snapshots, those to merge too. They are read so that the row of every document with new changes is
    /// complete by itself.
    pub live: Vec<Arc<Snapshot>>,
    /// Snapshots that a newer one has replaced.
    pub superseded: Vec<Arc<Snapshot>>,
}

impl Inputs {
    /// Finds the inputs: segments first, snapshots second, which is the direction in which data moves. Segments in `open/`
    /// that are named in `dead` count as sealed.
    pub fn find(
        root: &Root,
        palace: PalaceId,
        CompactOptions { extent, adopt, .. }: CompactOptions,
        dead: &[(SegmentId, String)],
    ) -> Result<(Self, CompactReport)> {
        let mut report = CompactReport::default();
        let mut inputs = Inputs::default();
        let mut bytes = 0;
        for (path, file, id) in oldest_first(root, dead)? {
            if extent == Extent::Due && bytes >= policy::STEP_SEGMENT_BYTES {
                report.more = true;
                break;
            }
            let name = &file.name;
            if let Some(segment) =
                read_segment(root, palace, (path, name, id), adopt, &mut report.skipped)?
            {
                bytes += segment.reader.length();
                inputs.segments.push(segment);
                inputs.sealed.push(file);
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
                // Retired between the listing and now. Its successor holds its content, but this listing may have
                // missed that one, so another compaction has to do it.
                Err(_) if is_gone(root, &path)? => {
                    let resource = "snap/ is changing".to_owned();
                    return Err(StoreError::Busy { path, holder: resource }.into());
                }
                // What cannot be read just now may be good, and is no input of a later snapshot either.
                Err(StoreError::Snapshot(error)) if error.is_of_the_file() => {
                    skipped.push(set_aside(root, path, &name, error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(all)
    }

    /// Drops the snapshots that caused a failure. They stay where they are, and are read like before.
    ///
    /// # Errors
    /// The failure itself, if no snapshot caused it.
    pub fn leave_out_culprits(
        &mut self,
        root: &Root,
        error: Error,
        skipped: &mut Vec<Skipped>,
    ) -> Result<()> {
        let culprits: HashSet<_> =
            self.live.iter().map(|s| s.id()).filter(|id| self.is_culprit(*id, &error)).collect();
        if culprits.is_empty() {
            return Err(error);
        }
        self.leave_out(root, &culprits, &chain(&error), skipped);
        Ok(())
    }

    fn leave_out(
        &mut self,
        root: &Root,
        culprits: &HashSet<SnapshotId>,
        reason: &str,
        skipped: &mut Vec<Skipped>,
    ) {
        for id in culprits {
            let name = filename::snapshot(*id);
            skipped.push(set_aside(root, root.file(SNAP, &name), &name, reason.to_owned()));
        }
        self.live.retain(|snapshot| !culprits.contains(&snapshot.id()));
        self.snapshots.retain(|snapshot| !culprits.contains(&snapshot.id()));
    }

    fn is_culprit(&self, id: SnapshotId, error: &Error) -> bool {
        let key = match error {
            Error::Snapshot(error) | Error::Store(StoreError::Snapshot(error)) => {
                return error.is_of_the_file() && error.snapshot() == id;
            }
            Error::Document { key, .. } | Error::View { key, .. } => key,
            _ => return false,
        };
        let snapshot = self.live.iter().find(|snapshot| snapshot.id() == id);
        // A row that cannot be read just now proves nothing: if there is no other culprit, the error is returned.
        let row = snapshot.and_then(|snapshot| snapshot.get(key.as_str()).ok()).flatten();
        row.is_some_and(|row| check_row(&row).is_err())
    }

    /// Returns true if there is something to compact: a lone snapshot is not written again.
    pub fn is_worth_it(&self) -> bool {
        !self.segments.is_empty() || self.snapshots.len() > 1
    }

    pub fn count(&self, report: &mut CompactReport) {
        if self.is_worth_it() {
            report.segments = self.segments.len();
            report.snapshots = self.snapshots.len();
            let commits = self.segments.iter().flat_map(|segment| &segment.commits);
            report.changes = commits.map(|c| entries(&c.body).count() as u64).sum();
            report.bytes_before = self.segments.iter().map(|s| s.reader.length()).sum::<u64>()
                + self.snapshots.iter().map(|s| s.length()).sum::<u64>();
        }
    }

    /// Retires snapshots that were superseded for long enough, and whose content a live one holds on disk.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn clear_superseded(&mut self, root: &Root, skipped: &mut Vec<Skipped>) -> Result<usize> {
        let now_ms = root.fs().now_ms();
        let mut old: Vec<_> = self.superseded.iter().map(|s| s.id()).collect();
        old.retain(|id| self.is_old_enough(*id, now_ms));
        // By the live snapshot that holds it.
        let mut held = HashMap::new();
        for live in self.live.clone() {
            let sources = self.sources(&live);
            let needed = old.iter().any(|id| sources.contains(id) && !held.contains_key(id));
            if needed && self.is_secured(root, live.id(), skipped)? {
                held.extend(sources.into_iter().map(|source| (source, live.id())));
            }
        }
        let old: Vec<_> = old.iter().filter_map(|id| Some((*id, *held.get(id)?))).collect();
        if !old.is_empty() {
            publish::sync_snap(root)?;
            stop::at!("retire.names");
        }
        let mut retired = 0;
        for (id, holder) in old {
            // A person who restores a copy removes what was made since.
            if publish::is_there(root, holder)? {
                retire::retire(root, SNAP, &filename::snapshot(id))?;
                retired += 1;
            }
            stop::at!("retire.snapshot");
        }
        Ok(retired)
    }

    fn is_old_enough(&self, id: SnapshotId, now_ms: i64) -> bool {
        let successor = |s: &&Arc<Snapshot>| s.meta().supersedes.contains(&id);
        let successors = self.live.iter().chain(&self.superseded).filter(successor);
        successors
            .map(|s| s.meta().created_ms)
            .min()
            .is_some_and(|t| now_ms.saturating_sub(t) >= SUPERSEDED_MS)
    }

    /// Returns the superseded snapshots that a live one was made from, directly or through others. It holds the content
    /// of them all, because each was read whole when it was merged.
    fn sources(&self, live: &Snapshot) -> HashSet<SnapshotId> {
        let (mut found, mut next) = (HashSet::new(), live.meta().supersedes.clone());
        while let Some(id) = next.pop() {
            // Each once: in damaged or forged files, two may claim to replace each other.
            if let Some(between) = self.superseded.iter().find(|s| s.id() == id)
                && found.insert(id)
            {
                next.extend(&between.meta().supersedes);
            }
        }
        found
    }

    /// Returns true if this live snapshot is whole and on disk, so that files may be retired because of it. Drops it if
    /// it is damaged.
    fn is_secured(
        &mut self,
        root: &Root,
        id: SnapshotId,
        skipped: &mut Vec<Skipped>,
    ) -> Result<bool> {
        match publish::verify_and_sync(root, id) {
            Err(StoreError::Snapshot(error)) if error.is_of_the_file() => {
                self.leave_out(root, &HashSet::from([id]), &error.to_string(), skipped);
                Ok(false)
            }
            secured => Ok(secured?),
        }
    }

    /// Returns the metadata of the snapshots in `snap/`, with the one that was published just now.
    pub fn standing<'a>(&'a self, published: Option<&'a Meta>) -> Vec<&'a Meta> {
        let found = self.live.iter().chain(&self.superseded).map(|snapshot| snapshot.meta());
        found.chain(published).collect()
    }

    /// Adds up the appended bytes. The sum saturates: a damaged snapshot may claim any number.
    pub fn appended(&self) -> u64 {
        let segments = self.segments.iter().map(|segment| segment.reader.length());
        let snapshots = self.snapshots.iter().map(|snapshot| snapshot.meta().appended);
        segments.chain(snapshots).fold(0, u64::saturating_add)
    }
}

/// Returns the segments in `sealed/`, and those in `open/` that are named in `dead`, by the time of their last write. A change
/// that is compacted before its dependencies stays pending in its row, which costs each reader some work.
fn oldest_first(
    root: &Root,
    dead: &[(SegmentId, String)],
) -> Result<Vec<(PathBuf, SealedFile, SegmentId)>> {
    let mut found = Vec::new();
    let sealed = root.list(SEALED)?.into_iter();
    let sealed = sealed.filter_map(|name| Some((SEALED, filename::segment_in(&name)?, name)));
    let dead = dead.iter().map(|(id, name)| (OPEN, *id, name.clone()));
    for (directory, id, name) in dead.chain(sealed) {
        let path = root.file(directory, &name);
        match root.fs().modified(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            seen => {
                let seen = seen.at("access", &path)?;
                found.push((path, SealedFile { seen, name }, id));
            }
        }
    }
    let modified_ms = |file: &SealedFile| file.seen.1;
    found.sort_unstable_by(|(_, a, _), (_, b, _)| {
        (modified_ms(a), &a.name).cmp(&(modified_ms(b), &b.name))
    });
    Ok(found)
}

/// Copies a damaged input to `quarantine/`, for a person to look at; it stays where it is. If the disk is too full for
/// the copy, the other inputs are compacted all the same.
fn set_aside(root: &Root, path: PathBuf, name: &str, reason: String) -> Skipped {
    match quarantine::quarantine(root, &path, name, &reason) {
        Ok(()) => Skipped { path, reason },
        Err(error) => {
            let why = chain(&error);
            Skipped { path, reason: format!("{reason}; it has no copy in quarantine/: {why}") }
        }
    }
}

fn is_gone(root: &Root, path: &std::path::Path) -> Result<bool> {
    match root.fs().stat(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Ok(Err(error).at("access", path)?),
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

/// Reads a segment; `None` if it must stay where it is.
fn read_segment(
    root: &Root,
    palace: PalaceId,
    (path, name, id): (PathBuf, &str, SegmentId),
    adopt: bool,
    skipped: &mut Vec<Skipped>,
) -> Result<Option<Segment>> {
    let file = match root.fs().open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if is_irregular(&error) => {
            skipped.push(Skipped { path, reason: error.to_string() });
            return Ok(None);
        }
        Err(error) => Err(error).at("open", &path)?,
    };
    let mut reader = Reader::new(id, &path, file);
    let commits = reader.read_final()?;
    if let Some(region) = reader.damage().next() {
        let reason = format!("bytes {:?}: {}", region.bytes, region.reason);
        skipped.push(set_aside(root, path, name, reason));
        return Ok(None);
    }
    let Some(header) = reader.header().cloned() else {
        skipped
            .push(Skipped { path, reason: "it is empty: perhaps it is still being copied".into() });
        return Ok(None);
    };
    let reason = if header.palace != palace {
        format!("it belongs to palace {}", header.palace)
    } else if !adopt
        && !reader.is_complete()
        && !is_from_this_machine(Some(&header), root.fs().host())
    {
        "another machine wrote it and its end is missing: if it is not being copied, say --adopt"
            .to_owned()
    } else {
        return Ok(Some(Segment { reader, instance: header.instance, commits }));
    };
    skipped.push(Skipped { path, reason });
    Ok(None)
}
