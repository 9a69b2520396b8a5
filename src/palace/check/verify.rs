//! Verification: reads every byte, and reports what is damaged or missing.
//!
//! It tells three things apart: damage (bytes that were on disk and have changed), a torn tail (a write that a crash cut
//! short, and that was never acknowledged), and pending changes, which build on a change that is missing.

use crate::format::filename;
use crate::format::filename::{OPEN, SEALED, SNAP};
use crate::format::hash::ChangeHash;
use crate::format::key::Key;
use crate::format::plural::count;
use crate::merge::{Doc, MergeError};
use crate::palace::error::{Error, Result, chain};
use crate::palace::handle::shared::Palace;
use crate::palace::view::file_findings::file_findings;
pub use crate::palace::view::finding::{Finding, Severity};
use crate::palace::view::rows::{check_row, doc_of_rows, rows};
use crate::palace::view::tail::Tail;
use crate::snapshot::Snapshot;
use crate::store::open_snapshot::open_snapshot;
use crate::store::rescan::Catalog;
use crate::store::root::Root;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most documents of a damaged snapshot that are tried one by one. A forged number must not take for ever.
const READABLE_MAX: u64 = 1 << 20;

/// Result of a verification: the things that were read, and the findings.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", &json!({"n": 1}))?;
/// let found = palace.verify()?;
/// assert!(!found.has_problem() && found.findings.is_empty());
/// assert_eq!((found.segments, found.snapshots, found.documents), (1, 0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// Segments read.
    pub segments: u64,
    /// Snapshots read.
    pub snapshots: u64,
    /// Documents checked, each once a snapshot and once in the tail.
    pub documents: u64,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// Returns true if a finding is worse than a note.
    #[must_use]
    pub fn has_problem(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Problem)
    }

    fn note(&mut self, path: PathBuf, offset: Option<u64>, severity: Severity, what: String) {
        let (key, missing, path) = (None, Vec::new(), Some(path));
        self.findings.push(Finding { severity, path, offset, key, missing, what });
    }

    fn document(&mut self, key: &Key, missing: Vec<ChangeHash>, what: String) {
        let (severity, key) = (Severity::Problem, Some(key.clone()));
        self.findings.push(Finding { severity, path: None, offset: None, key, missing, what });
    }
}

impl Palace {
    /// Reads every byte of the palace, and reports the findings. Other readers and writers do not wait for it.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// let found = palace.verify()?;
    /// assert_eq!((found.segments, found.documents), (1, 1));
    /// assert!(!found.has_problem());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An error of the operating system. Problems of the palace are in the result instead.
    pub fn verify(&self) -> Result<Verification> {
        verify(self.root())
    }
}

fn verify(root: &Arc<Root>) -> Result<Verification> {
    let mut catalog = Catalog::new(root.clone(), Arc::default());
    let news = catalog.rescan()?;
    let mut found = Verification {
        segments: catalog.segments().count() as u64,
        findings: file_findings(root, &catalog),
        ..Verification::default()
    };
    check_names(root, &catalog, &mut found)?;
    let mut tail = Tail::default();
    news.commits.into_iter().for_each(|commit| tail.add_found(commit));
    let snapshots = catalog.snapshots();
    let mut suspects: BTreeSet<Key> = tail.keys("", None).cloned().collect();
    for snapshot in &snapshots {
        found.snapshots += 1;
        check_snapshot(root, snapshot, &mut suspects, &mut found)?;
    }
    let mut missing = Vec::new();
    for key in suspects {
        let doc = check_document(&key, &snapshots, &tail, &mut found)?;
        let hashes = doc.as_ref().map(Doc::missing_dependencies).unwrap_or_default();
        missing.extend((!hashes.is_empty()).then_some((key, hashes)));
    }
    if !missing.is_empty() {
        check_missing(&mut catalog, tail, missing, &mut found)?;
    }
    Ok(found)
}

/// Checks missing changes again. A change that another builds on may have been written before it, but to a file that the
/// first rescan had read already. Then a second rescan finds it.
fn check_missing(
    catalog: &mut Catalog,
    mut tail: Tail,
    missing: Vec<(Key, Vec<ChangeHash>)>,
    found: &mut Verification,
) -> Result<()> {
    catalog.rescan()?.commits.into_iter().for_each(|commit| tail.add_found(commit));
    let snapshots = catalog.snapshots();
    for (key, mut missing) in missing {
        // Its problems were reported after the first rescan.
        let Some(doc) = load(&key, &snapshots, &tail, |_| {})? else { continue };
        let still = doc.missing_dependencies();
        missing.retain(|hash| still.contains(hash));
        if !missing.is_empty() {
            let waiting = doc.pending().count();
            let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
            let what = format!("{key}: {waiting} change(s) wait for {}", names.join(", "));
            found.document(&key, missing, what);
        }
    }
    Ok(())
}

/// Reports files that have no name of a palace's file: no process reads them.
fn check_names(root: &Root, catalog: &Catalog, found: &mut Verification) -> Result<()> {
    for directory in [OPEN, SEALED, SNAP] {
        for name in root.list(directory)? {
            let ours = match directory {
                SNAP => filename::parse_snapshot(&name).is_some(),
                _ => filename::segment_in(&name).is_some(),
            };
            if !ours {
                let path = root.file(directory, &name);
                let (severity, what) = strange_file(root, catalog, directory, &path, &name);
                found.note(path, None, severity, what);
            }
        }
    }
    Ok(())
}

/// Describes a file without a name of a palace's file. A renamed snapshot may be all that is left of acknowledged writes.
fn strange_file(
    root: &Root,
    catalog: &Catalog,
    directory: &str,
    path: &Path,
    name: &str,
) -> (Severity, String) {
    let id = || name.get(..32)?.parse().ok();
    let Some(id) = id().filter(|_| directory == SNAP) else {
        let what = "no file of a palace has such a name; it is not read".to_owned();
        return (Severity::Note, what);
    };
    let known = |s: &Arc<Snapshot>| s.id() == id || s.meta().supersedes.contains(&id);
    if catalog.all_snapshots().any(known) {
        let what = format!("a renamed copy of snapshot {id}, which is here; it is not read");
        return (Severity::Note, what);
    }
    match open_snapshot(root, path, id) {
        Ok(_) => {
            let what = format!(
                "this snapshot was renamed, and is not read: what only it holds is missing. Give it its name \
                 back, {id}.snap"
            );
            (Severity::Problem, what)
        }
        Err(error) => (Severity::Note, format!("a renamed file that is not read: {error}")),
    }
}

/// Returns a snapshot that was renamed, so that no process reads it, and whose content no other snapshot holds.
///
/// # Errors
/// An error of the operating system.
pub(in crate::palace) fn lost_snapshot(root: &Root, catalog: &Catalog) -> Result<Option<Finding>> {
    for name in root.list(SNAP)? {
        let path = root.file(SNAP, &name);
        if filename::parse_snapshot(&name).is_some() {
            continue;
        }
        let (severity, what) = strange_file(root, catalog, SNAP, &path, &name);
        if severity == Severity::Problem {
            return Ok(Some(Finding::of_file(&path, None, severity, what)));
        }
    }
    Ok(None)
}

fn check_snapshot(
    root: &Root,
    snapshot: &Snapshot,
    suspects: &mut BTreeSet<Key>,
    found: &mut Verification,
) -> Result<()> {
    let path = root.file(SNAP, &filename::snapshot(snapshot.id()));
    let palace = snapshot.meta().palace;
    if root.palace().is_some_and(|ours| ours != palace) {
        let what =
            format!("this snapshot belongs to palace {palace}; it is read, and never retired");
        found.note(path.clone(), None, Severity::Note, what);
    }
    let problems = snapshot.verify()?;
    for problem in &problems {
        found.note(path.clone(), None, Severity::Problem, problem.to_string());
    }
    if !problems.is_empty() {
        found.note(path.clone(), None, Severity::Note, readable_part(snapshot));
    }
    let mut after: Option<String> = None;
    loop {
        // Pages that cannot be read were reported just now.
        let Ok(page) = snapshot.rows_after(after.as_deref(), 1_000) else { return Ok(()) };
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key.as_str().to_owned());
        found.documents += page.len() as u64;
        for row in page {
            if let Err(error) = check_row(&row) {
                let what = format!("{} in {}: {}", row.key, path.display(), chain(&error));
                found.document(&row.key, Vec::new(), what);
            } else if !row.waiting.is_empty() {
                suspects.insert(row.key);
            }
        }
    }
}

/// Describes what a damaged snapshot still holds.
fn readable_part(snapshot: &Snapshot) -> String {
    let documents = snapshot.meta().documents;
    let readable = |number: u64| {
        let number = i64::try_from(number).ok()?;
        snapshot.numbered_view(number).ok().map(|view| view.key)
    };
    let keys: Vec<Key> = (1..=documents.min(READABLE_MAX)).filter_map(readable).collect();
    let named = match (keys.first(), keys.last()) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    format!(
        "{} of {} of this snapshot can be read{named}; the whole one in a copy of the palace has the rest",
        keys.len(),
        count(documents, "document")
    )
}

/// Checks a document as a whole, and returns it.
fn check_document(
    key: &Key,
    snapshots: &[Arc<Snapshot>],
    tail: &Tail,
    found: &mut Verification,
) -> Result<Option<Doc>> {
    found.documents += u64::from(!tail.changes(key.as_str()).is_empty());
    load(key, snapshots, tail, |(hash, error)| {
        let name = hash.map_or_else(|| "a change".to_owned(), |hash| format!("change {hash}"));
        found.document(key, Vec::new(), format!("{name} of {key} is refused: {error}"));
    })
}

/// Loads a document, and gives `refused` its changes that are refused. `None` if one of its rows is damaged: that was
/// reported with its snapshot.
fn load(
    key: &Key,
    snapshots: &[Arc<Snapshot>],
    tail: &Tail,
    refused: impl FnMut((Option<ChangeHash>, MergeError)),
) -> Result<Option<Doc>> {
    let rows = match rows(snapshots, key) {
        Err(Error::Snapshot(error)) if error.is_of_the_file() => return Ok(None),
        found => found?,
    };
    let Ok(mut doc) = doc_of_rows(&rows, key) else { return Ok(None) };
    let kept = rows.iter().flat_map(|row| row.waiting.iter().map(Vec::as_slice));
    let changes = tail.changes(key.as_str()).iter();
    let applied = doc.apply(changes.map(|change| &change.bytes[..]).chain(kept));
    applied.rejected.into_iter().for_each(refused);
    Ok(Some(doc))
}
