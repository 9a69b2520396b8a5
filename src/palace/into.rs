//! Merging any number of copies of a palace, or of different palaces, into a new one, offline.
//!
//! Invariant: nothing in the sources is changed, and nothing that can be read in them is left out,
//! except for the documents that the caller wants forgotten.

use super::check::conflict_count::ConflictCount;
use super::check::verify::lost_snapshot;
use super::compact::build::fold;
use super::compact::inputs::{Inputs, Segment};
use super::compact::pace::Pace;
use super::error::{Error, Result};
use super::handle::options::Options;
use super::view::file_findings::is_begun_copy;
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
    #[serde(serialize_with = "crate::format::path_text::one")]
    pub into: PathBuf,
    /// Its id: that of the sources if they are copies of one palace and nothing was forgotten.
    pub palace: PalaceId,
    /// The sources.
    #[serde(serialize_with = "crate::format::path_text::list")]
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
/// [`Error::Exists`] and [`Error::Inside`]; [`Error::NothingToForget`] if no source has a document that was to be
/// forgotten; [`Error::Damaged`] or [`Error::Unread`] if a source cannot be read whole; an error of the operating system.
/// After each of them nothing was made, or the same call goes on where it stopped.
pub fn merge_into(
    fs: Arc<dyn Fs>,
    into: &Path,
    sources: &[PathBuf],
    forget: &BTreeSet<Key>,
) -> Result<IntoReport> {
    let named = |key: &Key| Forget { name: key.to_string(), keys: vec![key.clone()] };
    merge_without(fs, into, sources, &forget.iter().map(named).collect::<Vec<_>>())
}

/// A document to be left out of a merge: its name for the caller, and the keys that it may have.
pub(crate) struct Forget {
    pub name: String,
    pub keys: Vec<Key>,
}

/// Merges palaces as [`merge_into`] does. An id may stand for several keys, of which one has to be there.
pub(crate) fn merge_without(
    fs: Arc<dyn Fs>,
    into: &Path,
    sources: &[PathBuf],
    forget: &[Forget],
) -> Result<IntoReport> {
    let start = Instant::now();
    check_apart(&*fs, into, sources)?;
    let exists = || Error::Exists { path: into.to_owned() };
    if fs.stat(into).is_ok() && !is_unfinished(&*fs, into) {
        return Err(exists());
    }
    let mut gathered = Gathered::default();
    for source in sources {
        gathered.add(&fs, source)?;
    }
    let forget = gathered.existing(forget)?;
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
    // It becomes a palace once all is there: one without documents would be taken for a merge that was done.
    root.ensure_tmp()?;
    let folded = fold(&root, palace, &gathered.inputs, &forget, Pace::brisk())?;
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
        forgotten: forget.len(),
        bytes_before: gathered.bytes,
        bytes_after: folded.bytes,
        elapsed_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Checks that the new palace is in no source, and no source in it. A palace inside another one would be a strange file
/// there, and be deleted with it.
fn check_apart(fs: &dyn Fs, into: &Path, sources: &[PathBuf]) -> Result<()> {
    let is_in = |inner: &Path, outer: &Path| {
        let Ok(outer) = fs.stat(outer) else { return false };
        inner.ancestors().any(|above| fs.stat(above).is_ok_and(|above| above.same_file(&outer)))
    };
    let inside = sources.iter().find(|source| {
        // The palace itself is told to exist.
        into.parent().is_some_and(|parent| is_in(parent, source)) || is_in(source, into)
    });
    match inside {
        Some(source) => Err(Error::Inside { into: into.to_owned(), path: source.to_owned() }),
        None => Ok(()),
    }
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
        None => Ok(lost_snapshot(root, catalog)?.and_then(|finding| finding.path)),
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

    /// Returns the keys to forget that are there. A user who wants a document erased must not take a misspelt key for an
    /// erased one.
    fn existing(&mut self, forget: &[Forget]) -> Result<BTreeSet<Key>> {
        let (mut keys, mut nowhere) = (BTreeSet::new(), Vec::new());
        for Forget { name, keys: possible } in forget {
            let mut found = false;
            for key in possible {
                if self.holds(key)? {
                    keys.insert(key.clone());
                    found = true;
                }
            }
            nowhere.extend((!found).then(|| name.clone()));
        }
        if !nowhere.is_empty() {
            return Err(Error::NothingToForget { names: nowhere });
        }
        self.bytes += self.inputs.snapshots.iter().map(|s| s.length()).sum::<u64>();
        Ok(keys)
    }

    fn holds(&self, key: &Key) -> Result<bool> {
        for snapshot in &self.inputs.snapshots {
            if snapshot.contains(key.as_str())? {
                return Ok(true);
            }
        }
        let commits = self.inputs.segments.iter().flat_map(|segment| &segment.commits);
        Ok(commits.flat_map(|commit| entries(&commit.body)).any(|entry| entry.key == *key))
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

    #[test]
    fn merges_into_a_source_or_without_a_key_make_nothing() {
        let disk = filled();
        let fs: Arc<dyn Fs> = Arc::new(disk.process());
        let sources = ["/a", "/b"].map(PathBuf::from);
        let merge = |into: &str, forget: &[&str]| {
            let forget = forget.iter().map(|key| Key::new(key).unwrap()).collect();
            merge_into(fs.clone(), Path::new(into), &sources, &forget).unwrap_err()
        };
        for into in ["/a/sub", "/b/open/new", "/"] {
            assert!(matches!(merge(into, &[]), Error::Inside { .. }), "{into}");
        }
        let Error::NothingToForget { names } = merge("/new", &["here", "Here", "nowhere"]) else {
            panic!("no error");
        };
        assert_eq!(names, ["Here", "nowhere"]);
        for path in ["/a/sub", "/b/open/new", "/new"] {
            assert!(fs.list(Path::new(path)).is_err(), "{path} was made");
        }
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
