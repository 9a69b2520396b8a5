//! What a palace consists of right now, for people.

use crate::format::filename::{self, OPEN, SEALED, SNAP, TRASH};
use crate::format::header::Header;
use crate::format::id::{InstanceId, PalaceId, SegmentId, SnapshotId};
use crate::fs::{At, fs_type, is_irregular};
use crate::merge::explain;
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
use crate::palace::view::tail::entries;
use crate::segment::reader::{Commit, Reader};
use crate::store::lock::{Holder, compaction_holder};
use crate::store::root::Root;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The state of a segment whose lock somebody holds.
const LIVE: &str = "live";

/// See [`Palace::status`].
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// let status = palace.status()?;
/// assert_eq!(status.path, palace.path());
/// assert!(status.palace.is_some() && status.read_only.is_none() && status.compaction.is_none());
/// assert_eq!((status.segments.len(), status.snapshots.len(), status.trash), (1, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// The directory.
    pub path: PathBuf,
    /// Its id; `None` if nothing was written yet.
    pub palace: Option<PalaceId>,
    /// The file system's name, as far as it is known.
    pub file_system: String,
    /// Whether locks on that file system can be trusted; conditional writes need that.
    pub locks_trusted: bool,
    /// Why this process may not write, if so.
    pub read_only: Option<&'static str>,
    /// This process's instance, if it has written.
    pub this_instance: Option<InstanceId>,
    /// The segments in `open/` and `sealed/`.
    pub segments: Vec<SegmentStatus>,
    /// The snapshots in `snap/` that can be read.
    pub snapshots: Vec<SnapshotStatus>,
    /// And those that cannot: [`Palace::unreadable`].
    pub unreadable: Vec<PathBuf>,
    /// Who is compacting.
    pub compaction: Option<Holder>,
    /// The processes that write, as the locks of their segments tell: nobody is here because of a process id.
    pub instances: Vec<LiveInstance>,
    /// What is locked, and by whom.
    pub locks: Vec<HeldLock>,
    /// Files in `trash/`.
    pub trash: usize,
}

/// A segment and who writes it.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// let segment = &palace.status()?.segments[0];
/// assert_eq!((segment.pid, segment.state), (Some(std::process::id()), "live"));
/// assert!(segment.who().starts_with(&format!("pid {} ", std::process::id())));
/// let file = palace.path().join("open").join(format!("{}.seg", segment.segment));
/// assert!((1..=std::fs::metadata(file)?.len()).contains(&segment.bytes)); // and room behind them
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
pub struct SegmentStatus {
    /// Which.
    pub segment: SegmentId,
    /// Whose; `None` if its header cannot be read.
    pub instance: Option<InstanceId>,
    /// "live", "closed" (its owner is gone) or "sealed".
    pub state: &'static str,
    /// The process that wrote it, on whatever machine.
    pub pid: Option<u32>,
    /// The program that wrote it.
    pub program: Option<String>,
    /// Who wrote last through that program, as history names it: an MCP client's name and version.
    pub client: Option<String>,
    /// When it was created: milliseconds since 1970, UTC.
    pub created_ms: Option<i64>,
    /// Bytes of its records. The file may be longer: room for records to come.
    pub bytes: u64,
    /// Regions that were on disk once and are not good now: [`Palace::verify`] says where and why.
    pub damaged: usize,
}

/// A process that has written and is still there: it holds the lock of a segment in `open/`.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// assert!(palace.status()?.instances.is_empty()); // who has only looked is not seen
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// let here = &palace.status()?.instances[0];
/// assert_eq!((here.pid, Some(here.instance)), (std::process::id(), palace.status()?.this_instance));
/// palace.seal()?;
/// assert!(palace.status()?.instances.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
pub struct LiveInstance {
    /// Which.
    pub instance: InstanceId,
    /// Its process, in the numbering of its own container.
    pub pid: u32,
    /// The program.
    pub program: String,
    /// Who wrote last through it, as history names it: an MCP client's name and version. `None` if it did
    /// not say.
    pub client: Option<String>,
    /// Since when it has this segment: milliseconds since 1970, UTC; as JSON a time of RFC 3339.
    #[serde(rename = "since", serialize_with = "as_text")]
    pub since_ms: i64,
    /// The segment that it appends to.
    pub segment: SegmentId,
    /// Bytes of that segment's records.
    pub bytes: u64,
}

/// A lock that somebody holds.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// let status = palace.status()?;
/// let lock = &status.locks[0];
/// assert_eq!(lock.resource, format!("segment {}", status.instances[0].segment));
/// assert!(lock.holder.starts_with(&format!("pid {} ", std::process::id())));
/// assert!(serde_json::to_value(lock)?["ttl"].is_null());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
pub struct HeldLock {
    /// "compaction", or "segment" and its id.
    pub resource: String,
    /// Process id and program, and who writes through that; or "unknown".
    pub holder: String,
    /// When it was taken: milliseconds since 1970, UTC, or 0 if that is not known; as JSON a time of RFC 3339, or null.
    #[serde(rename = "acquired_at", serialize_with = "as_text")]
    pub acquired_ms: i64,
    /// Null as JSON: no lock runs out, all are let go when their process ends, however it ends.
    pub ttl: (),
}

/// A time for people and other programs, as RFC 3339 has it; `None` for 0, which is no time.
pub(crate) fn time_text(ms: i64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(ms).ok().filter(|_| ms != 0)?;
    Some(format!("{time:.3}"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn as_text<S: serde::Serializer>(ms: &i64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&time_text(*ms), serializer)
}

/// A snapshot.
///
/// ```
/// use crdt_palace::palace::compact::CompactOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// palace.compact(CompactOptions::default())?;
/// let snapshot = &palace.status()?.snapshots[0];
/// assert_eq!((snapshot.documents, snapshot.commits, snapshot.superseded), (1, 1, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
pub struct SnapshotStatus {
    /// Which.
    pub snapshot: SnapshotId,
    /// When it was made: milliseconds since 1970, UTC.
    pub created_ms: i64,
    /// Documents in it.
    pub documents: u64,
    /// Commits in its log.
    pub commits: u64,
    /// The length of its file in bytes.
    pub bytes: u64,
    /// Whether a newer one holds all of it.
    pub superseded: bool,
}

impl Palace {
    /// Who has written and who is live, what files there are, and who is compacting.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", json!({"n": 1}).as_object().ok_or("an object")?)?;
    /// let status = palace.status()?;
    /// assert_eq!(status.segments.len(), 1);
    /// assert_eq!(status.segments[0].state, "live");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What the system says.
    pub fn status(&self) -> Result<Status> {
        let root = self.root();
        root.refresh()?;
        let mut segments = Vec::new();
        for directory in [OPEN, SEALED] {
            for name in root.list(directory)? {
                if let Some(id) = filename::segment_in(&name) {
                    segments.extend(segment(root, directory, &name, id)?);
                }
            }
        }
        segments.sort_by_key(|segment| (segment.created_ms, segment.segment));
        let compaction = compaction_holder(root)?;
        let live = || segments.iter().filter(|segment| segment.state == LIVE);
        let fs_type = if root.palace().is_some() { Some(root.fs_type()?) } else { None };
        Ok(Status {
            path: root.path().to_owned(),
            palace: root.palace(),
            file_system: fs_type.map_or("none yet", fs_type::name).to_owned(),
            locks_trusted: fs_type.is_some_and(fs_type::lock_trusted),
            read_only: root.read_only(),
            this_instance: self.shared.log.instance_if_any(),
            instances: live().filter_map(SegmentStatus::owner).collect(),
            locks: compaction.iter().map(held).chain(live().map(SegmentStatus::lock)).collect(),
            segments,
            snapshots: self.snapshot_status()?,
            unreadable: self.unreadable(),
            compaction,
            trash: root.list(TRASH)?.len(),
        })
    }

    fn snapshot_status(&self) -> Result<Vec<SnapshotStatus>> {
        let live: Vec<_> = self.fresh()?.snapshots().iter().map(|s| s.id()).collect();
        let all: Vec<_> = self.shared.directory().catalog.all_snapshots().cloned().collect();
        let mut found = Vec::new();
        for snapshot in all {
            let meta = snapshot.meta();
            let path = self.root().file(SNAP, &filename::snapshot(meta.snapshot));
            let bytes = match self.root().fs().stat(&path) {
                Ok(stat) => stat.len,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => Err(error).at("access", &path)?,
            };
            found.push(SnapshotStatus {
                snapshot: meta.snapshot,
                created_ms: meta.created_ms,
                documents: meta.documents,
                commits: meta.commits,
                bytes,
                superseded: !live.contains(&meta.snapshot),
            });
        }
        found.sort_by_key(|snapshot| (snapshot.created_ms, snapshot.snapshot));
        Ok(found)
    }
}

impl SegmentStatus {
    /// Who writes it, in words: process, program, client.
    #[must_use]
    pub fn who(&self) -> String {
        let pid = self.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        let program = self.program.as_deref().unwrap_or("unknown");
        let client = self.client.as_deref().map(|client| format!(" for {client}"));
        format!("pid {pid} {program}{}", client.unwrap_or_default())
    }

    fn owner(&self) -> Option<LiveInstance> {
        Some(LiveInstance {
            instance: self.instance?,
            pid: self.pid?,
            program: self.program.clone()?,
            client: self.client.clone(),
            since_ms: self.created_ms?,
            segment: self.segment,
            bytes: self.bytes,
        })
    }

    fn lock(&self) -> HeldLock {
        HeldLock {
            resource: format!("segment {}", self.segment),
            holder: self.who(),
            acquired_ms: self.created_ms.unwrap_or(0),
            ttl: (),
        }
    }
}

fn held(holder: &Holder) -> HeldLock {
    let Holder { resource, holder, acquired_ms } = holder.clone();
    HeldLock { resource, holder, acquired_ms, ttl: () }
}

fn segment(
    root: &Root,
    directory: &str,
    name: &str,
    id: SegmentId,
) -> Result<Option<SegmentStatus>> {
    let path = root.file(directory, name);
    let file = match root.fs().open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound || is_irregular(&error) => {
            return Ok(None);
        }
        Err(error) => Err(error).at("open", &path)?,
    };
    let state = match directory {
        SEALED => "sealed",
        _ if file.is_locked().at("check the lock of", &path)? => LIVE,
        _ => "closed",
    };
    let mut reader = Reader::new(id, &path, file);
    let commits = reader.read_new()?;
    let header = reader.header();
    Ok(Some(SegmentStatus {
        segment: id,
        instance: header.map(|header| header.instance),
        state,
        pid: header.map(|header| header.pid),
        program: header.map(|Header { program, .. }| program.clone()),
        client: commits.last().and_then(writer_of),
        created_ms: header.map(|header| header.created_ms),
        bytes: reader.length(),
        damaged: reader.damage().count(),
    }))
}

/// Who made this commit; `None` if nobody said.
fn writer_of(commit: &Commit) -> Option<String> {
    let changes = entries(&commit.body).filter_map(|entry| explain(&entry.change).ok());
    changes.map(|change| change.by).find(|by| !by.is_empty())
}
