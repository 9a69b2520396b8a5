//! What a palace consists of right now, for people.

use super::{Palace, Result};
use crate::format::filename::{self, OPEN, SEALED, SNAP, TRASH};
use crate::format::header::Header;
use crate::format::id::{InstanceId, PalaceId, SegmentId, SnapshotId};
use crate::fs::{At, class};
use crate::segment::reader::Reader;
use crate::store::lock::{Holder, compaction_holder};
use crate::store::root::Root;
use std::io::ErrorKind;
use std::path::PathBuf;

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
    /// The snapshots in `snap/`.
    pub snapshots: Vec<SnapshotStatus>,
    /// Who is compacting.
    pub compaction: Option<Holder>,
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
    /// When it was created: milliseconds since 1970, UTC.
    pub created_ms: Option<i64>,
    /// Bytes of its records. The file may be longer: room for records to come.
    pub bytes: u64,
    /// Regions that were on disk once and are not good now: [`Palace::verify`] says where and why.
    pub damaged: usize,
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
                if let Some(id) = filename::parse_segment(&name) {
                    segments.extend(segment(root, directory, id)?);
                }
            }
        }
        segments.sort_by_key(|segment| (segment.created_ms, segment.segment));
        let fs_type = if root.palace().is_some() { Some(root.fs_type()?) } else { None };
        Ok(Status {
            path: root.path().to_owned(),
            palace: root.palace(),
            file_system: fs_type.map_or("none yet", class::name).to_owned(),
            locks_trusted: fs_type.is_some_and(class::lock_trusted),
            read_only: root.read_only(),
            this_instance: self.shared.log.instance_if_any(),
            segments,
            snapshots: self.snapshot_status()?,
            compaction: compaction_holder(root)?,
            trash: root.list(TRASH)?.len(),
        })
    }

    fn snapshot_status(&self) -> Result<Vec<SnapshotStatus>> {
        let state = self.fresh()?;
        let live: Vec<_> = state.snapshots().iter().map(|snapshot| snapshot.id()).collect();
        let mut found = Vec::new();
        for snapshot in state.follower.all_snapshots() {
            let meta = snapshot.meta();
            let path = self.root().file(SNAP, &filename::snapshot(meta.snapshot));
            let bytes = match self.root().fs().stat(&path) {
                Ok(stat) => stat.len,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => Err(error).at("look at", &path)?,
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

fn segment(root: &Root, directory: &str, id: SegmentId) -> Result<Option<SegmentStatus>> {
    let path = root.file(directory, &filename::segment(id));
    let file = match root.fs().open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error).at("open", &path)?,
    };
    let state = match directory {
        SEALED => "sealed",
        _ if file.try_lock().at("lock", &path)? => "closed",
        _ => "live",
    };
    let mut reader = Reader::new(id, &path, file);
    reader.read_new()?;
    let header = reader.header();
    Ok(Some(SegmentStatus {
        segment: id,
        instance: header.map(|header| header.instance),
        state,
        pid: header.map(|header| header.pid),
        program: header.map(|Header { program, .. }| program.clone()),
        created_ms: header.map(|header| header.created_ms),
        bytes: reader.length(),
        damaged: reader.damage().count(),
    }))
}
