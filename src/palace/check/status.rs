//! The present state of a palace, for people.

pub use super::held_lock::HeldLock;
#[cfg(feature = "cli")]
#[cfg(any(feature = "cli", feature = "mcp"))]
pub(crate) use super::json_text::time_text;
use super::json_text::{as_text, file_system_text};
use super::verify::lost_snapshot;
use crate::format::filename::{self, OPEN, SEALED, SNAP, TRASH};
use crate::format::header::Header;
use crate::format::id::{InstanceId, PalaceId, SegmentId, SnapshotId};
use crate::fs::fs_type::{FileSystem, lock_trusted};
use crate::fs::{At, is_irregular};
use crate::merge::explain;
use crate::palace::check::program_version::is_older;
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
use crate::palace::view::finding::Finding;
use crate::palace::view::tail::entries;
use crate::palace::view::went_back::WentBack;
use crate::segment::reader::{Commit, Reader};
use crate::store::lock::{Holder, compaction_holder, conditional_holder};
use crate::store::read_only::ReadOnlyReason;
use crate::store::root::Root;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The present state of a palace. Made by [`Palace::status`].
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", &json!({"n": 1}))?;
/// let status = palace.status()?;
/// assert_eq!(status.path, palace.path());
/// assert!(status.palace.is_some() && status.read_only.is_none() && status.compaction.is_none());
/// assert_eq!((status.segments.len(), status.snapshots.len(), status.trash), (1, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The directory.
    #[serde(serialize_with = "crate::format::path_text::one")]
    pub path: PathBuf,
    /// Its id; `None` if nothing was written yet.
    pub palace: Option<PalaceId>,
    /// The kind of its file system; `None` if nothing was written yet.
    #[serde(serialize_with = "file_system_text")]
    pub file_system: Option<FileSystem>,
    /// True if locks on that file system can be trusted, which conditional writes need.
    pub locks_trusted: bool,
    /// The reason why this process cannot write; `None` if it can.
    pub read_only: Option<ReadOnlyReason>,
    /// This process's instance, if it has written.
    pub this_instance: Option<InstanceId>,
    /// The segments in `open/` and `sealed/`.
    pub segments: Vec<SegmentStatus>,
    /// The snapshots in `snap/` that can be read.
    pub snapshots: Vec<SnapshotStatus>,
    /// The snapshots in `snap/` that cannot be read: [`Palace::unreadable`].
    #[serde(serialize_with = "crate::format::path_text::list")]
    pub unreadable: Vec<PathBuf>,
    /// The files that are damaged, cut off or missing, and the damage that reads of this process met:
    /// [`Palace::problems`]. [`Palace::verify`] reads more.
    pub problems: Vec<Finding>,
    /// The last time that the palace went back to an older state under this process; `None` if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub went_back: Option<WentBack>,
    /// The process that compacts.
    pub compaction: Option<Holder>,
    /// The processes that write: those that hold the lock of a segment. Process ids are not asked.
    pub instances: Vec<LiveInstance>,
    /// The locks that are held, and their holders.
    pub locks: Vec<HeldLock>,
    /// Files in `trash/`.
    pub trash: usize,
}

/// A segment and its writer.
///
/// ```
/// use crdt_palace::palace::status::SegmentState;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", &json!({"n": 1}))?;
/// let segment = &palace.status()?.segments[0];
/// assert_eq!((segment.pid, segment.state), (Some(std::process::id()), SegmentState::Live));
/// assert!(segment.who().starts_with(&format!("pid {} ", std::process::id())));
/// let file = palace.path().join("open").join(format!("{}.seg", segment.segment));
/// assert!((1..=std::fs::metadata(file)?.len()).contains(&segment.bytes)); // and padding behind them
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct SegmentStatus {
    /// The segment.
    pub segment: SegmentId,
    /// The instance that wrote it; `None` if its header cannot be read.
    pub instance: Option<InstanceId>,
    /// Its state: live, closed or sealed.
    pub state: SegmentState,
    /// The process that wrote it, on this machine or another one.
    pub pid: Option<u32>,
    /// The program that wrote it.
    pub program: Option<String>,
    /// The last writer through that program, as history names it: an MCP client's name and version.
    pub client: Option<String>,
    /// The time of its creation: milliseconds since 1970, UTC.
    pub created_ms: Option<i64>,
    /// Bytes of its records. The file may be longer: it is padded.
    pub bytes: u64,
    /// Number of damaged regions. [`Palace::verify`] reports each.
    pub damaged: usize,
}

/// The state of a segment.
///
/// ```
/// use crdt_palace::palace::status::SegmentState;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// palace.seal()?;
/// assert_eq!(palace.status()?.segments[0].state, SegmentState::Sealed);
/// assert_eq!(SegmentState::Sealed.to_string(), "sealed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SegmentState {
    /// Its process lives, and appends to the file.
    Live,
    /// Its process is gone, and it is not sealed yet.
    Closed,
    /// The file is in `sealed/`, and no process appends to it.
    Sealed,
}

impl std::fmt::Display for SegmentState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            SegmentState::Live => "live",
            SegmentState::Closed => "closed",
            SegmentState::Sealed => "sealed",
        })
    }
}

/// A process that writes: it has written, and holds the lock of a segment in `open/`.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// assert!(palace.status()?.instances.is_empty()); // readers are not listed
/// palace.put("a", &json!({"n": 1}))?;
/// let here = &palace.status()?.instances[0];
/// assert_eq!((here.pid, Some(here.instance)), (std::process::id(), palace.status()?.this_instance));
/// assert!(!here.older); // it is this version
/// palace.seal()?;
/// assert!(palace.status()?.instances.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct LiveInstance {
    /// Its instance.
    pub instance: InstanceId,
    /// Its process, in the numbering of its own container.
    pub pid: u32,
    /// The program.
    pub program: String,
    /// The last writer through it, as history names it: an MCP client's name and version. `None` if it has no name.
    pub client: Option<String>,
    /// The time when it created this segment: milliseconds since 1970, UTC; as JSON a time of RFC 3339.
    #[serde(rename = "since", serialize_with = "as_text")]
    pub since_ms: i64,
    /// The segment that it appends to.
    pub segment: SegmentId,
    /// Bytes of that segment's records.
    pub bytes: u64,
    /// True if it is a program of this project, of a version that does not merge texts. It shows one of several texts
    /// that were written at once. Nothing is known of programs that embed the library.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub older: bool,
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
/// palace.put("a", &json!({"n": 1}))?;
/// palace.compact(CompactOptions::default())?;
/// let snapshot = &palace.status()?.snapshots[0];
/// assert_eq!((snapshot.documents, snapshot.commits, snapshot.superseded), (1, 1, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct SnapshotStatus {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The time when it was built: milliseconds since 1970, UTC.
    pub created_ms: i64,
    /// Documents in it.
    pub documents: u64,
    /// Commits in its log.
    pub commits: u64,
    /// The length of its file in bytes.
    pub bytes: u64,
    /// True if a newer snapshot holds all of it.
    pub superseded: bool,
}

impl Palace {
    /// Returns the segments and snapshots, the processes that write, and the process that compacts.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// let status = palace.status()?;
    /// assert_eq!(status.segments.len(), 1);
    /// assert_eq!(status.segments[0].state.to_string(), "live");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn status(&self) -> Result<Status> {
        let root = self.root();
        root.refresh()?;
        // A palace that was moved or replaced is noticed here, before anything is asked of its directory.
        let snapshots = self.snapshot_status()?;
        let mut segments = Vec::new();
        for directory in [OPEN, SEALED] {
            for name in root.list(directory)? {
                if let Some(id) = filename::segment_in(&name) {
                    segments.extend(segment(root, directory, &name, id)?);
                }
            }
        }
        segments.sort_by_key(|segment| (segment.created_ms, segment.segment));
        let (compaction, conditional) = (compaction_holder(root)?, conditional_holder(root)?);
        let live = || segments.iter().filter(|segment| segment.state == SegmentState::Live);
        let fs_type = if root.palace().is_some() { Some(root.fs_type()?) } else { None };
        Ok(Status {
            path: root.path().to_owned(),
            palace: root.palace(),
            file_system: fs_type.map(FileSystem::of),
            locks_trusted: fs_type.is_some_and(lock_trusted),
            read_only: root.read_only(),
            this_instance: self.shared.log.instance_if_any(),
            instances: live().filter_map(SegmentStatus::owner).collect(),
            locks: [&compaction, &conditional]
                .into_iter()
                .flatten()
                .map(HeldLock::of)
                .chain(live().map(SegmentStatus::lock))
                .collect(),
            segments,
            snapshots,
            unreadable: self.unreadable(),
            problems: self.problems_now()?,
            went_back: self.went_back(),
            compaction,
            trash: root.list(TRASH)?.len(),
        })
    }

    /// Returns the problems of the last rescan, and a renamed snapshot. Asked after `snapshot_status`, which rescans.
    fn problems_now(&self) -> Result<Vec<Finding>> {
        let mut problems = self.problems();
        let directory = self.shared.directory();
        problems.extend(lost_snapshot(self.root(), &directory.catalog)?);
        Ok(problems)
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
    /// Returns its writer as text: process, program, client.
    #[must_use]
    pub fn who(&self) -> String {
        let pid = self.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        let program = self.program.as_deref().unwrap_or("unknown");
        let client = self.client.as_deref().map(|client| format!(" for {client}"));
        format!("pid {pid} {program}{}", client.unwrap_or_default())
    }

    fn owner(&self) -> Option<LiveInstance> {
        let program = self.program.clone()?;
        Some(LiveInstance {
            instance: self.instance?,
            pid: self.pid?,
            older: is_older(&program),
            program,
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
        SEALED => SegmentState::Sealed,
        _ if file.is_locked().at("check the lock of", &path)? => SegmentState::Live,
        _ => SegmentState::Closed,
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

/// Returns the writer of this commit; `None` if it has no name.
fn writer_of(commit: &Commit) -> Option<String> {
    let changes = entries(&commit.body).filter_map(|entry| explain(&entry.change).ok());
    changes.map(|change| change.by).find(|by| !by.is_empty())
}
