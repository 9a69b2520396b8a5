//! A dump of every commit of a palace, as text.
//!
//! It reads the files, and not the memory of a [`super::Palace`].

use crate::format::hash::ChangeHash;
use crate::format::id::{InstanceId, SegmentId, SnapshotId};
use crate::format::key::Key;
use crate::merge::{ChangeInfo, Doc, MergeError, explain};
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use crate::palace::view::rows::{doc_of_rows, rows};
use crate::palace::view::tail::entries;
use crate::snapshot::{LogRow, Snapshot};
use crate::store::rescan::{Catalog, FoundCommit};
use serde::ser::{Error as _, Serialize, Serializer};
use std::collections::HashMap;
use std::sync::Arc;

/// Number of loaded documents that a dump keeps while it explains the commits of snapshots.
const KEPT: usize = 1_024;

/// The place of a commit.
///
/// ```
/// use crdt_palace::palace::{Error, compact::CompactOptions, dump::Place};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// let report = palace.compact(CompactOptions::default())?;
/// let snapshot = report.published.ok_or("there was something to compact")?;
/// palace.dump(|commit| {
///     assert_eq!(commit.place, Place::Snapshot { snapshot });
///     Ok::<(), Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Place {
    /// In a segment.
    Segment {
        /// The segment.
        segment: SegmentId,
        /// The position of its record, in bytes.
        offset: u64,
    },
    /// In the log of a snapshot.
    Snapshot {
        /// The snapshot.
        snapshot: SnapshotId,
    },
}

/// One change of a commit.
///
/// ```
/// use crdt_palace::palace::Error;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// let mut commits = Vec::new();
/// palace.dump(|commit| {
///     commits.push(commit);
///     Ok::<(), Error>(())
/// })?;
/// let info = commits[0].changes[0].info.as_ref().ok_or("it is whole")?;
/// assert_eq!((info.operations, info.ops.len()), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct DumpedChange {
    /// The document.
    pub key: Key,
    /// The change.
    pub hash: Option<ChangeHash>,
    /// Its description; `None` if it cannot be decoded, or is not in its document.
    #[serde(flatten, serialize_with = "without_hash")]
    pub info: Option<ChangeInfo>,
    /// The reason why there is no `info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Serializes a description without its hash: the change has it already, and a JSON object has each field once.
fn without_hash<S: Serializer>(
    info: &Option<ChangeInfo>,
    out: S,
) -> std::result::Result<S::Ok, S::Error> {
    let mut fields = serde_json::to_value(info).map_err(S::Error::custom)?;
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("hash");
    }
    fields.serialize(out)
}

/// One commit.
///
/// ```
/// use crdt_palace::palace::Error;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// let mut commits = Vec::new();
/// palace.dump(|commit| {
///     commits.push(commit);
///     Ok::<(), Error>(())
/// })?;
/// assert_eq!((commits[0].instance, commits[0].sequence), (palace.status()?.this_instance, 1));
/// assert_eq!(commits[0].changes[0].key.as_str(), "a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct DumpedCommit {
    /// The version of this schema.
    pub schema: u32,
    /// Its time: milliseconds since 1970, UTC, by the writer's clock.
    pub time_ms: i64,
    /// The instance that made it; `None` if its segment's header is damaged.
    pub instance: Option<InstanceId>,
    /// Its sequence number in that instance.
    pub sequence: u64,
    /// The name of its writer.
    pub by: String,
    /// Its place.
    #[serde(flatten)]
    pub place: Place,
    /// Its changes.
    pub changes: Vec<DumpedChange>,
}

impl Palace {
    /// Calls `each` with every commit in the files: those in snapshots first, then those in segments. The first error of
    /// `each` ends it.
    ///
    /// ```
    /// # use crdt_palace::palace::{Error, Palace};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// let mut keys = Vec::new();
    /// palace.dump(|commit| {
    ///     keys.extend(commit.changes.into_iter().map(|change| change.key.to_string()));
    ///     Ok::<(), Error>(())
    /// })?;
    /// assert_eq!(keys, ["a"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An error of the operating system, or of `each`.
    pub fn dump<E: From<Error>>(
        &self,
        mut each: impl FnMut(DumpedCommit) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut catalog = Catalog::new(self.root().clone(), Arc::default());
        let news = catalog.rescan().map_err(Error::from)?;
        self.shared.note_problems(&catalog);
        let snapshots = catalog.snapshots();
        for snapshot in &snapshots {
            dump_snapshot(snapshot, &snapshots, &mut each)?;
        }
        news.commits.iter().map(from_segment).try_for_each(each)
    }
}

fn from_segment(found: &FoundCommit) -> DumpedCommit {
    let changes: Vec<_> = entries(&found.commit.body)
        .map(|entry| match explain(&entry.change) {
            Ok(info) => DumpedChange {
                key: entry.key,
                hash: Some(info.hash),
                info: Some(info),
                problem: None,
            },
            Err(error) => {
                let problem = Some(error.to_string());
                DumpedChange { key: entry.key, hash: None, info: None, problem }
            }
        })
        .collect();
    let last = changes.iter().filter_map(|change| change.info.as_ref()).max_by_key(|i| i.time_ms);
    DumpedCommit {
        schema: 1,
        time_ms: last.map_or(0, |info| info.time_ms),
        instance: found.instance,
        sequence: found.commit.sequence,
        by: last.map_or_else(String::new, |info| info.by.clone()),
        place: Place::Segment { segment: found.segment, offset: found.commit.offset },
        changes,
    }
}

fn dump_snapshot<E: From<Error>>(
    snapshot: &Snapshot,
    all: &[Arc<Snapshot>],
    each: &mut impl FnMut(DumpedCommit) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut docs: HashMap<Key, Doc> = HashMap::new();
    let mut after = None;
    loop {
        let page = snapshot.log_page(after, 256).map_err(Error::from)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.instance, last.sequence));
        for LogRow { instance, sequence, time_ms, by, changes } in page {
            let mut dumped = Vec::with_capacity(changes.len());
            for (key, hash) in changes {
                dumped.push(from_document(&mut docs, all, key, hash)?);
            }
            each(DumpedCommit {
                schema: 1,
                time_ms,
                instance: Some(instance),
                sequence,
                by,
                place: Place::Snapshot { snapshot: snapshot.id() },
                changes: dumped,
            })?;
        }
    }
}

fn from_document(
    docs: &mut HashMap<Key, Doc>,
    all: &[Arc<Snapshot>],
    key: Key,
    hash: ChangeHash,
) -> Result<DumpedChange> {
    if !docs.contains_key(&key) {
        if docs.len() >= KEPT {
            docs.clear();
        }
        docs.insert(key.clone(), doc_of_rows(&rows(all, &key)?, &key)?);
    }
    let bytes = docs.get(&key).map_or(Ok::<_, MergeError>(None), |doc| {
        let waiting = || doc.pending().find(|(h, _)| **h == hash).map(|(_, bytes)| bytes.to_vec());
        Ok(doc.change_bytes(&hash)?.or_else(waiting))
    });
    let explained = match bytes {
        Ok(Some(bytes)) => explain(&bytes).map_err(|error| error.to_string()),
        Ok(None) => Err("the document does not hold this change".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let (info, problem) = match explained {
        Ok(info) => (Some(info), None),
        Err(problem) => (None, Some(problem)),
    };
    Ok(DumpedChange { key, hash: Some(hash), info, problem })
}
