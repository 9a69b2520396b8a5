//! Merging any number of copies of a palace, or of different palaces, into a new one, offline.
//!
//! Invariant: nothing in the sources is changed, and nothing that can be read in them is left out,
//! except for the documents that the caller wants forgotten.

use super::check::conflict_count::ConflictCount;
use super::check::verify::{is_begun_copy, lost_snapshot};
use super::compact::build::fold;
use super::compact::inputs::{Inputs, Segment};
use super::compact::pace::Pace;
use super::error::{Error, Result};
use super::handle::options::Options;
use super::view::tail::entries;
use crate::format::filename::{self, DIRECTORIES, MANIFEST, SNAP, TMP};
use crate::format::id::{PalaceId, SegmentId};
use crate::format::key::Key;
use crate::fs::Fs;
use crate::segment::reader::Commit;
use crate::store::publish;
use crate::store::rescan::Catalog;
use crate::store::root::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Report of a merge of palaces.
///
/// ```
/// use crdt_palace::fs::os::OsFs;
/// use crdt_palace::palace::{Key, into::merge_into};
/// use std::{collections::BTreeSet, sync::Arc};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// for key in ["kept", "secret"] {
///     palace.put(key, &json!({"n": 1}))?;
/// }
/// let (from, into) = ([palace.path().to_owned()], dir.path().join("into"));
/// let report = merge_into(Arc::new(OsFs), &into, &from, &BTreeSet::from([Key::new("secret")?]))?;
/// assert_eq!((report.documents, report.forgotten), (1, 1));
/// assert_eq!(report.in_conflict.documents, 0);
/// assert_ne!(Some(report.palace), palace.status()?.palace); // what was forgotten must not come back
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct IntoReport {
    /// The new palace.
    pub into: PathBuf,
    /// Its id: that of the sources if they are copies of one palace and nothing was forgotten.
    pub palace: PalaceId,
    /// The sources.
    pub sources: Vec<PathBuf>,
    /// Segments read.
    pub segments: usize,
    /// Segments without an end, or with a gap: their processes run or were killed, or the files were not copied whole.
    pub unfinished: usize,
    /// Snapshots read.
    pub snapshots: usize,
    /// Documents in the new palace, deleted ones included.
    pub documents: u64,
    /// Commits in its log.
    pub commits: u64,
    /// Documents in the new palace with an open conflict: those of the sources, and those that the merge brought about.
    pub in_conflict: ConflictCount,
    /// Number of the keys to be forgotten that existed.
    pub forgotten: usize,
    /// Bytes of the sources' segments and snapshots.
    pub bytes_before: u64,
    /// Bytes of the new snapshot.
    pub bytes_after: u64,
    /// Its duration, in milliseconds.
    pub elapsed_ms: u64,
}

/// Merges palaces into a new one at `into`. Nothing may be there, except the remains of such a merge that was cut off.
///
/// ```
/// use crdt_palace::fs::os::OsFs;
/// use crdt_palace::palace::{Palace, into::merge_into};
/// use std::{collections::BTreeSet, sync::Arc};
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let [here, there, into] = ["here", "there", "into"].map(|name| dir.path().join(name));
///
/// Palace::open(&here)?.put("k", &json!({"a": 1}))?;
/// Palace::open(&there)?.put("k", &json!({"b": 2}))?;
/// merge_into(Arc::new(OsFs), &into, &[here, there], &BTreeSet::new())?;
/// let found = Palace::open(&into)?.get("k")?.ok_or("it was merged")?;
/// assert_eq!(serde_json::Value::Object(found.value), json!({"a": 1, "b": 2}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Exists`]; [`Error::Damaged`] or [`Error::Unread`] if a source cannot be read whole; an error of the operating
/// system.
pub fn merge_into(
    fs: Arc<dyn Fs>,
    into: &Path,
    sources: &[PathBuf],
    forget: &BTreeSet<Key>,
) -> Result<IntoReport> {
    let start = Instant::now();
    let exists = || Error::Exists { path: into.to_owned() };
    if fs.stat(into).is_ok() && !is_unfinished(&*fs, into) {
        return Err(exists());
    }
    let mut gathered = Gathered::default();
    for source in sources {
        gathered.add(&fs, source)?;
    }
    let id = match (&gathered.palaces.len(), forget.is_empty()) {
        (1, true) => gathered.palaces.first().copied(),
        _ => None,
    };
    let root = Root::open(fs.clone(), into, false)?;
    let begun = root.palace();
    if begun.is_some_and(|begun| id.map_or(gathered.palaces.contains(&begun), |id| id != begun)) {
        return Err(exists());
    }
    let palace = begun.or(id).map_or_else(|| root.random().map(PalaceId), Ok)?;
    let forgotten = gathered.count(forget)?;
    // It becomes a palace once all is there: one without documents would be taken for a merge that was done.
    root.ensure_tmp()?;
    let folded = fold(&root, palace, &gathered.inputs, forget, Pace::brisk())?;
    if root.create_as(Some(palace))? != palace {
        return Err(exists());
    }
    publish::publish(&root, folded.meta.snapshot)?;
    let merged = Options::default().fs(fs).read_only().open(into)?;
    Ok(IntoReport {
        into: into.to_owned(),
        palace,
        sources: sources.to_vec(),
        segments: gathered.inputs.segments.len(),
        unfinished: gathered.inputs.segments.iter().filter(|s| !s.reader.is_complete()).count(),
        snapshots: gathered.inputs.snapshots.len(),
        documents: folded.meta.documents,
        commits: folded.meta.commits,
        in_conflict: merged.count_conflicts("")?,
        forgotten,
        bytes_before: gathered.bytes,
        bytes_after: folded.bytes,
        elapsed_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Returns true if the directory holds only the remains of a merge that was cut off: `palace.json`, and files that were
/// being made. A directory that cannot be listed holds something else.
fn is_unfinished(fs: &dyn Fs, into: &Path) -> bool {
    let no_content = |name: &String| match name.as_str() {
        MANIFEST | TMP => true,
        name if DIRECTORIES.contains(&name) => {
            fs.list(&into.join(name)).is_ok_and(|names| names.is_empty())
        }
        _ => false,
    };
    fs.list(into).is_ok_and(|names| names.iter().all(no_content))
}

/// Returns a file that should be read and cannot be.
fn unread(root: &Root, catalog: &Catalog) -> Result<Option<PathBuf>> {
    if let Some((id, error)) = catalog.unreadable().next() {
        tracing::error!(%error, "a snapshot cannot be read");
        return Ok(Some(root.file(SNAP, &filename::snapshot(id))));
    }
    match catalog.irregular().next() {
        Some(path) => Ok(Some(path.to_owned())),
        None => lost_snapshot(root, catalog),
    }
}

/// The content of all sources.
#[derive(Default)]
struct Gathered {
    inputs: Inputs,
    palaces: BTreeSet<PalaceId>,
    bytes: u64,
}

impl Gathered {
    fn add(&mut self, fs: &Arc<dyn Fs>, source: &Path) -> Result<()> {
        let root = Arc::new(Root::open(fs.clone(), source, true)?);
        self.palaces.extend(root.palace());
        let mut catalog = Catalog::new(root.clone(), Arc::default());
        let mut commits: BTreeMap<SegmentId, Vec<Commit>> = BTreeMap::new();
        for found in catalog.rescan()?.commits {
            commits.entry(found.segment).or_default().push(found.commit);
        }
        if let Some(path) = unread(&root, &catalog)? {
            return Err(Error::Unread { path });
        }
        let snapshots = catalog.snapshots();
        self.inputs.snapshots.extend(snapshots);
        for followed in catalog.into_segments() {
            let reader = followed.reader;
            if let Some(region) = reader.damage().next() {
                let (path, offset) = (reader.path().to_owned(), region.bytes.start);
                return Err(Error::Damaged { path, offset });
            }
            if is_begun_copy(&reader) {
                continue;
            }
            let Some(instance) = reader.header().map(|header| header.instance) else {
                return Err(Error::Unread { path: reader.path().to_owned() });
            };
            let commits = commits.remove(&reader.id()).unwrap_or_default();
            self.bytes += reader.length();
            self.inputs.segments.push(Segment { reader, instance, commits });
        }
        Ok(())
    }

    fn count(&mut self, forget: &BTreeSet<Key>) -> Result<usize> {
        let mut found = 0;
        for key in forget {
            let in_snapshot = |n: bool, s: &Arc<crate::snapshot::Snapshot>| {
                Ok::<_, Error>(n || s.contains(key.as_str())?)
            };
            let folded = self.inputs.snapshots.iter().try_fold(false, in_snapshot)?;
            let commits = self.inputs.segments.iter().flat_map(|segment| &segment.commits);
            let mut entries = commits.flat_map(|commit| entries(&commit.body));
            found += usize::from(folded || entries.any(|entry| entry.key == *key));
        }
        self.bytes += self.inputs.snapshots.iter().map(|s| s.length()).sum::<u64>();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Palace};
    use super::*;
    use crate::fs::sim::SimDisk;
    use crate::store::StoreError;
    use serde_json::Map;

    fn at(disk: &SimDisk, path: &str) -> Palace {
        Options::default().fs(Arc::new(disk.process())).auto_compact(false).open(path).unwrap()
    }

    fn filled() -> SimDisk {
        let disk = SimDisk::new(1);
        for (path, key) in [("/a", "here"), ("/b", "there")] {
            at(&disk, path).put(key, &Map::new()).unwrap();
        }
        disk
    }

    fn merge(disk: &SimDisk, forget: &BTreeSet<Key>) -> Result<IntoReport> {
        let sources = ["/a", "/b"].map(PathBuf::from);
        merge_into(Arc::new(disk.process()), Path::new("/new"), &sources, forget)
    }

    #[test]
    fn a_merge_that_was_cut_off_is_done_by_the_same_call() {
        let mut cut_off = 0;
        for forget in [BTreeSet::new(), BTreeSet::from([Key::new("here").unwrap()])] {
            let expected: &[&str] = if forget.is_empty() { &["here", "there"] } else { &["there"] };
            for n in 1.. {
                let disk = filled();
                disk.stop_after(disk.operations() + n);
                let done = merge(&disk, &forget);
                disk.power_cut(n);
                if done.is_ok() {
                    break;
                }
                cut_off += 1;
                match merge(&disk, &forget) {
                    Err(Error::Exists { .. }) => assert!(!keys(&disk).is_empty(), "cut off at {n}"),
                    done => drop(done.unwrap()),
                }
                assert_eq!(keys(&disk), expected, "cut off at {n}");
            }
        }
        assert!(cut_off > 20, "{cut_off}");
    }

    fn keys(disk: &SimDisk) -> Vec<String> {
        let keys = at(disk, "/new").keys_page("", None, 10).unwrap();
        keys.iter().map(Key::to_string).collect()
    }

    #[test]
    fn a_merge_that_fails_leaves_no_palace() {
        use crate::fs::sim::{Call, Failure};
        let mut failed = 0;
        for nth in 1.. {
            let disk = filled();
            disk.fail_nth(Call::Write, nth, Failure::NoSpace);
            if merge(&disk, &BTreeSet::new()).is_ok() {
                break;
            }
            failed += 1;
            let there = Options::default().fs(Arc::new(disk.process())).read_only().open("/new");
            assert!(matches!(there, Err(Error::Store(StoreError::NoPalace { .. }))), "{nth}");
            merge(&disk, &BTreeSet::new()).unwrap();
            assert_eq!(keys(&disk), ["here", "there"]);
        }
        assert!(failed > 1, "the snapshot and palace.json are written");
    }

    #[test]
    fn a_merge_goes_on_with_nothing_but_a_merge() {
        // What was to be forgotten must not come back: not into a copy of the same palace either.
        let disk = filled();
        let fs: Arc<dyn Fs> = Arc::new(disk.process());
        let id = at(&disk, "/a").status().unwrap().palace;
        Root::open(fs.clone(), Path::new("/new"), false).unwrap().create_as(id).unwrap();
        let source = [PathBuf::from("/a")];
        let into = |forget: &[&str]| {
            let forget = forget.iter().map(|key| Key::new(key).unwrap()).collect();
            merge_into(fs.clone(), Path::new("/new"), &source, &forget)
        };
        assert!(matches!(into(&["here"]), Err(Error::Exists { .. })));
        fs.create(Path::new("/new/note")).unwrap();
        assert!(matches!(into(&[]), Err(Error::Exists { .. })), "somebody's file is in it");
        fs.remove(Path::new("/new/note")).unwrap();
        let done = into(&[]).unwrap();
        assert_eq!((Some(done.palace), done.segments, done.unfinished), (id, 1, 0));
        assert!(matches!(into(&[]), Err(Error::Exists { .. })), "it is done");
        for directory in ["/theirs", "/theirs/notes"] {
            fs.create_dir(Path::new(directory)).unwrap();
        }
        let theirs = merge_into(fs.clone(), Path::new("/theirs"), &source, &BTreeSet::new());
        assert!(matches!(theirs, Err(Error::Exists { .. })), "somebody's directory is in it");
    }
}
