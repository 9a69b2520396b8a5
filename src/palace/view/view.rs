//! One state of the palace, immutable for its readers: the tail, the snapshots, and what is parsed of them.
//!
//! Invariant: a document is the union of its rows in all live snapshots and its changes in the tail. A view never
//! changes, so a reader holds no lock while it reads, and all that it reads is of one moment.

use super::divergent;
use super::document::Document;
use super::loaded::LoadedDocuments;
use super::rows::{doc_of_rows, parse_view, report, rows};
use super::shown::{SHOWN_BYTES_MAX, Shown};
use super::tail::{Tail, TailDocument};
use super::text::distinct_words;
use crate::format::id::SnapshotId;
use crate::format::key::Key;
use crate::merge::{self, Doc};
use crate::palace::error::{Error, Result};
use crate::snapshot::{Snapshot, ViewRow};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The live snapshots, and the keys on which they differ.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Oldest first.
    pub live: Vec<Arc<Snapshot>>,
    /// Number of the rescan that found this set of them.
    pub rescan: u64,
    /// See [`View::divergent_keys`].
    divergent: OnceLock<BTreeSet<Key>>,
}

impl Snapshots {
    /// A set that this rescan found.
    pub fn new(live: Vec<Arc<Snapshot>>, rescan: u64) -> Self {
        Snapshots { live, rescan, divergent: OnceLock::new() }
    }
}

/// See the module.
#[derive(Debug)]
pub struct View {
    /// Commits that are in no snapshot.
    pub tail: Tail,
    /// The live snapshots.
    pub snapshots: Arc<Snapshots>,
    /// A snapshot that could not be read, if there was one.
    pub unreadable: Option<SnapshotId>,
    /// Changes with every set of snapshots, and whenever changes were dropped from the tail: what was loaded or shown in
    /// another generation may hold more or less than this view.
    pub generation: u64,
    /// Documents that were loaded, of any view.
    pub loaded: Arc<LoadedDocuments>,
    /// Bytes of what the tail shows.
    pub shown_bytes: Arc<AtomicUsize>,
    /// A document was read that only another rescan can call complete or incomplete.
    pub doubt: AtomicBool,
}

impl View {
    /// The live snapshots, oldest first.
    pub fn snapshots(&self) -> &[Arc<Snapshot>] {
        &self.snapshots.live
    }

    /// Number of layers: the snapshots, and behind them the tail.
    pub fn layers(&self) -> usize {
        self.snapshots().len() + 1
    }

    /// Documents that two snapshots hold different rows of: search has to read them whatever the indexes of the snapshots
    /// say. See [`divergent`].
    ///
    /// # Errors
    /// If a snapshot cannot be read.
    pub fn divergent_keys(&self) -> Result<&BTreeSet<Key>> {
        if let Some(found) = self.snapshots.divergent.get() {
            return Ok(found);
        }
        let found = divergent::keys_in_two(self.snapshots())?;
        Ok(self.snapshots.divergent.get_or_init(|| found))
    }

    /// Returns the numbers of the documents in conflict, in their order, if an earlier version wrote the snapshot, and none
    /// otherwise. An earlier version indexed one reading of each conflict, so search has to read these documents.
    ///
    /// # Errors
    /// If the snapshot cannot be read.
    pub fn partly_indexed(snapshot: &Snapshot) -> Result<&[i64]> {
        match snapshot.meta().all_readings {
            true => Ok(&[]),
            false => Ok(snapshot.numbers_in_conflict()?),
        }
    }

    /// Loads the document with every change of this view; `None` if there is no change of it.
    ///
    /// # Errors
    /// [`Error::Snapshot`] or [`Error::Document`] if a row of it is damaged.
    pub fn load(&self, key: &Key) -> Result<Option<Doc>> {
        let changes = self.tail.changes(key.as_str());
        if let Some((doc, applied)) = self.loaded.take(key, self.generation, changes.len()) {
            let new = changes.get(applied..).unwrap_or_default();
            if let Some(doc) = doc.apply_without_copy(new.iter().map(|change| &change.bytes[..])) {
                return Ok(Some(doc));
            }
        }
        let rows = rows(self.snapshots(), key)?;
        if rows.is_empty() && changes.is_empty() {
            return Ok(None);
        }
        let mut doc = doc_of_rows(&rows, key)?;
        report(doc.apply(changes.iter().map(|change| &change.bytes[..])).rejected, key);
        Ok(Some(doc))
    }

    /// Keeps a document that [`View::load`] gave, unchanged, for the next reader.
    pub fn keep(&self, key: &Key, doc: Doc) {
        let applied = self.tail.changes(key.as_str()).len();
        self.loaded.keep(key.clone(), doc, self.generation, applied);
    }

    /// Loads a document, asks it something, and keeps it.
    ///
    /// # Errors
    /// As [`View::load`].
    pub fn ask<T>(&self, key: &Key, ask: impl FnOnce(&Doc) -> T) -> Result<Option<T>> {
        let Some(doc) = self.load(key)? else { return Ok(None) };
        let answer = ask(&doc);
        self.keep(key, doc);
        Ok(Some(answer))
    }

    /// Reads the document as it is in this view; `None` if there is none, or it is deleted.
    ///
    /// # Errors
    /// As [`View::load`]; [`Error::View`] if the view in a row is damaged.
    pub fn read(&self, key: &Key) -> Result<Option<Document>> {
        if let Some(document) = self.tail.document(key.as_str()) {
            return self.document_of(key, &*self.shown(key, document)?);
        }
        let mut found = Vec::new();
        for snapshot in self.snapshots() {
            found.extend(snapshot.get_view(key.as_str())?);
        }
        self.read_rows(key, found)
    }

    /// Reads the document from its rows in the snapshots, given oldest first. It must have no changes in the tail.
    ///
    /// # Errors
    /// As [`View::read`].
    pub fn read_rows(&self, key: &Key, mut rows: Vec<ViewRow>) -> Result<Option<Document>> {
        let Some(newest) = rows.pop() else { return Ok(None) };
        // A row with pending changes holds more than its heads say.
        let within = |row: &ViewRow| {
            !row.incomplete && (newest.heads == row.heads || newest.absorbed.contains(&row.heads))
        };
        if rows.iter().all(within) {
            let view = parse_view(&newest.view, key)?;
            if !view.predates_text_merge(key.prose_field()) && !self.may_hide_edits(key)? {
                let since = newest.incomplete.then_some(self.snapshots.rescan);
                let incomplete = self.is_incomplete(since);
                return Ok(Document::of(key.clone(), newest.heads, view, incomplete));
            }
        }
        Ok(self.ask(key, |doc| self.document(doc, key))?.flatten())
    }

    /// Returns true if an earlier version may have made the view in a row of this document, and hidden what was edited in
    /// an object that was removed at once, or the readings of a place of a text that a write left open.
    fn may_hide_edits(&self, key: &Key) -> Result<bool> {
        let is_current = |snapshot: &Arc<Snapshot>| snapshot.meta().all_readings;
        if self.snapshots().iter().all(is_current) {
            return Ok(false);
        }
        let rows = rows(self.snapshots(), key)?;
        Ok(rows.iter().any(|row| merge::may_be_concurrent(&row.document)))
    }

    /// Returns what readers see of a loaded document.
    pub fn document(&self, doc: &Doc, key: &Key) -> Option<Document> {
        let incomplete = self.is_incomplete(self.pending_since(doc, key));
        Document::of(key.clone(), doc.heads(), doc.view(), incomplete)
    }

    /// Returns what a document of the tail shows, from memory if a reader asked before.
    ///
    /// # Errors
    /// As [`View::load`].
    pub fn shown(&self, key: &Key, document: &TailDocument) -> Result<Arc<Shown>> {
        if let Some(shown) = document.shown().get(self.generation) {
            return Ok(shown);
        }
        let shown = Arc::new(match self.load(key)? {
            Some(doc) => {
                let shown = self.show(key, &doc)?;
                self.keep(key, doc);
                shown
            }
            None => self.show(key, &Doc::new())?,
        });
        if self.shown_bytes.load(Ordering::Relaxed) > SHOWN_BYTES_MAX {
            self.tail.forget_half_shown();
        }
        document.shown().fill(shown.clone());
        Ok(shown)
    }

    /// As [`View::shown`], with the distinct words for a search.
    ///
    /// # Errors
    /// As [`View::load`].
    pub fn shown_with_words(&self, key: &Key, document: &TailDocument) -> Result<Arc<Shown>> {
        let shown = self.shown(key, document)?;
        if !shown.has_words() {
            let view = parse_view(&shown.view, key)?;
            shown.make_words(|| distinct_words(&view.value, &view.conflicts));
        }
        Ok(shown)
    }

    fn show(&self, key: &Key, doc: &Doc) -> Result<Shown> {
        let view = serde_json::to_string(&doc.view());
        let view = view.map_err(|source| Error::View { key: key.clone(), source })?;
        let since = self.pending_since(doc, key);
        Ok(Shown::new(self.generation, doc.heads(), view, since, &self.shown_bytes))
    }

    /// Returns the document that is shown.
    ///
    /// # Errors
    /// None but those of a bug: the view was made here.
    pub fn document_of(&self, key: &Key, shown: &Shown) -> Result<Option<Document>> {
        let view: merge::View = parse_view(&shown.view, key)?;
        let incomplete = self.is_incomplete(shown.pending_since);
        Ok(Document::of(key.clone(), shown.heads.clone(), view, incomplete))
    }

    /// Returns the rescan that found the first of the pending changes.
    fn pending_since(&self, doc: &Doc, key: &Key) -> Option<u64> {
        let mut found: HashMap<&[u8], Option<u64>> =
            doc.pending().map(|(_, bytes)| (bytes, None)).collect();
        if found.is_empty() {
            return None;
        }
        for change in self.tail.changes(key.as_str()) {
            if let Some(rescan) = found.get_mut(&change.bytes[..]) {
                rescan.get_or_insert(change.rescan);
            }
        }
        found.into_values().map(|rescan| rescan.unwrap_or(self.snapshots.rescan)).min()
    }

    /// Returns true if a dependency is missing of a change that rescan `since` found. The dependency was written before the
    /// change, perhaps to a file that this rescan had read already. If it exists, a later rescan finds it, so a change
    /// that the last rescan found only leaves the view in doubt.
    fn is_incomplete(&self, since: Option<u64>) -> bool {
        let before = since.is_some_and(|rescan| rescan < self.tail.rescan());
        if since.is_some() && !before {
            self.doubt.store(true, Ordering::Relaxed);
        }
        before
    }

    /// Returns true if the documents that were read have to be read again, from the view of another rescan.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.load(Ordering::Relaxed)
    }
}
