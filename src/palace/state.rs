//! What one process knows of the palace: the tail, the snapshots, and a few loaded documents.
//!
//! Invariant: a document is the union of its rows in all live snapshots and its changes in the tail;
//! the cache holds nothing that cannot be loaded again from those. So the cache may be emptied at any
//! time, and is, whenever the set of snapshots changes.

use super::apart;
use super::author::Author;
use super::document::Document;
use super::tail::Tail;
use super::{Error, Result};
use crate::format::hash::{ChangeHash, Heads};
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::merge::{Doc, MergeError, View};
use crate::snapshot::{Row, Snapshot, ViewRow};
use crate::store::follow::Follower;
use crate::store::log::{Log, Ticket};
use crate::store::own::OwnSegments;
use crate::store::root::Root;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How many loaded documents are kept.
const CACHE_DOCUMENTS: usize = 256;

/// A loaded document: how many of its changes in the tail are in it, and when it was used last.
#[derive(Debug)]
struct Loaded {
    doc: Doc,
    applied: usize,
    used: u64,
}

/// See the module.
#[derive(Debug)]
pub struct State {
    /// The number of the last rescan that succeeded, and that nothing was forgotten after; or else 0.
    pub rescan: u64,
    /// The directory as last seen.
    pub follower: Follower,
    /// What is in no snapshot yet.
    pub tail: Tail,
    snapshots: Vec<Arc<Snapshot>>,
    /// The look that found them.
    snapshots_look: u64,
    /// A document was read of which it takes another look to say whether it is incomplete.
    doubt: bool,
    /// See [`apart::keys_in_two`]; found out when it is first needed.
    apart: Option<BTreeSet<Key>>,
    cache: HashMap<Key, Loaded>,
    uses: u64,
    /// Of the instance that the own commits in the tail belong to.
    author: Option<Author>,
    own: Arc<OwnSegments>,
}

impl State {
    /// Knows nothing yet.
    pub fn new(follower: Follower, own: Arc<OwnSegments>) -> Self {
        State {
            rescan: 0,
            follower,
            tail: Tail::default(),
            snapshots: Vec::new(),
            snapshots_look: 0,
            doubt: false,
            apart: None,
            cache: HashMap::new(),
            uses: 0,
            author: None,
            own,
        }
    }

    /// Forgets everything: the directory is another one now.
    pub fn start_over(&mut self, root: Arc<Root>) {
        self.own.disown_all();
        let follower = Follower::new(root, self.own.clone());
        *self = State { rescan: self.rescan, ..State::new(follower, self.own.clone()) };
    }

    /// Looks at the directory.
    pub fn rescan(&mut self) -> Result<()> {
        let news = self.follower.rescan()?;
        self.tail.begin_look();
        self.doubt = false;
        for found in news.commits {
            self.tail.add_found(found);
        }
        if news.snapshots {
            self.snapshots = self.follower.snapshots();
            self.snapshots_look = self.tail.look();
            self.apart = None;
            self.cache.clear();
        }
        if !news.folded.is_empty() {
            let own = self.own.take_folded(&news.folded);
            self.tail.drop_folded(&news.folded, &own);
            self.cache.clear();
        }
        Ok(())
    }

    /// The instance to write as. What one that was given up did not write is forgotten: nothing may build on it. As
    /// much of it as is in its segments is found there.
    pub fn instance(&mut self, log: &Log) -> Result<InstanceId> {
        let instance = log.instance()?;
        if self.forget_unwritten_but(Some(instance), log) {
            self.rescan()?;
        }
        self.author(instance);
        Ok(instance)
    }

    /// Whom the changes of this instance are by.
    pub fn author(&mut self, instance: InstanceId) -> &mut Author {
        self.author.get_or_insert_with(|| Author::new(instance))
    }

    /// Gives a commit its place in the log and in the tail. Loaded documents need not have its changes.
    /// `None` if the instance was given up in the meantime.
    pub fn enqueue(&mut self, log: &Log, instance: InstanceId, body: Bytes) -> Option<Ticket> {
        let ticket = log.enqueue(instance, body.clone())?;
        self.tail.add_own(ticket, body);
        Some(ticket)
    }

    /// If the instance was given up, forgets what it did not write. Whoever reads next must look at the directory first.
    pub fn forget_unwritten(&mut self, log: &Log) {
        self.forget_unwritten_but(log.instance_if_any(), log);
    }

    /// Whoever writes names the instance that it writes as: asked for twice, it may be given up in between.
    fn forget_unwritten_but(&mut self, instance: Option<InstanceId>, log: &Log) -> bool {
        let given_up = |author: &mut Author| Some(author.instance()) != instance;
        let Some(author) = self.author.take_if(given_up) else { return false };
        let before = author.instance();
        self.tail.drop_unwritten(before, log.written(before));
        self.cache.clear();
        self.rescan = 0;
        true
    }

    /// The snapshots in use, oldest first.
    pub fn snapshots(&self) -> &[Arc<Snapshot>] {
        &self.snapshots
    }

    /// How many layers there are: the snapshots, and behind them the tail.
    pub fn layers(&self) -> usize {
        self.snapshots.len() + 1
    }

    /// The documents whose words the indexes of the snapshots may not know: see [`apart`].
    pub fn keys_apart(&mut self) -> Result<&BTreeSet<Key>> {
        if self.apart.is_none() {
            self.apart = Some(apart::keys_in_two(&self.snapshots)?);
        }
        Ok(self.apart.get_or_insert_default())
    }

    /// The document, loaded, with every change that is known here; `None` if there is no change of it.
    pub fn load(&mut self, key: &Key) -> Result<Option<&Doc>> {
        let Some(doc) = self.take(key)? else { return Ok(None) };
        Ok(Some(self.keep(key.clone(), doc)))
    }

    /// As [`State::load`], to be changed. Give it back with [`State::keep`] once the change is here.
    pub fn take(&mut self, key: &Key) -> Result<Option<Doc>> {
        let changes = self.tail.changes(key.as_str());
        if let Some(Loaded { doc, applied, .. }) = self.cache.remove(key) {
            let new = changes.get(applied..).unwrap_or_default();
            if let Some(doc) = doc.apply_without_copy(new.iter().map(|change| &change.bytes[..])) {
                return Ok(Some(doc));
            }
        }
        let rows = rows(&self.snapshots, key)?;
        if rows.is_empty() && changes.is_empty() {
            return Ok(None);
        }
        let mut doc = doc_of_rows(&rows, key)?;
        report(doc.apply(changes.iter().map(|change| &change.bytes[..])).rejected, key);
        Ok(Some(doc))
    }

    /// Keeps a document that has every change that is known here.
    pub fn keep(&mut self, key: Key, doc: Doc) -> &Doc {
        self.make_room();
        self.uses += 1;
        let applied = self.tail.changes(key.as_str()).len();
        let loaded = Loaded { doc, applied, used: self.uses };
        &self.cache.entry(key).insert_entry(loaded).into_mut().doc
    }

    fn make_room(&mut self) {
        if self.cache.len() < CACHE_DOCUMENTS {
            return;
        }
        let mut used: Vec<u64> = self.cache.values().map(|loaded| loaded.used).collect();
        used.sort_unstable();
        let median = used.get(used.len() / 2).copied().unwrap_or(0);
        self.cache.retain(|_, loaded| loaded.used > median);
    }

    /// Forgets all loaded documents.
    pub fn evict_all(&mut self) {
        self.cache.clear();
    }

    /// The document as readers see it.
    pub fn read(&mut self, key: &Key) -> Result<Option<Document>> {
        if self.tail.changes(key.as_str()).is_empty() && !self.cache.contains_key(key) {
            let mut found = Vec::new();
            for snapshot in &self.snapshots {
                found.extend(snapshot.get_view(key.as_str())?);
            }
            return self.read_rows(key, found);
        }
        self.read_loaded(key)
    }

    /// The document from its rows in the snapshots, given oldest first; its tail must be empty.
    pub fn read_rows(&mut self, key: &Key, mut rows: Vec<ViewRow>) -> Result<Option<Document>> {
        let Some(newest) = rows.pop() else { return Ok(None) };
        // A row with changes that wait holds more than its heads say.
        let within = |row: &ViewRow| {
            !row.incomplete && (newest.heads == row.heads || newest.absorbed.contains(&row.heads))
        };
        if rows.iter().all(within) {
            let view = parse_view(&newest.view, key)?;
            let since = newest.incomplete.then_some(self.snapshots_look);
            let incomplete = self.is_incomplete(since);
            return Ok(Document::of(key.clone(), newest.heads, view, incomplete));
        }
        self.read_loaded(key)
    }

    fn read_loaded(&mut self, key: &Key) -> Result<Option<Document>> {
        let Some(doc) = self.take(key)? else { return Ok(None) };
        let document = self.document(&doc, key);
        self.keep(key.clone(), doc);
        Ok(document)
    }

    /// What readers see of a loaded document.
    pub fn document(&mut self, doc: &Doc, key: &Key) -> Option<Document> {
        let incomplete = self.is_incomplete(self.waits_since(doc, key));
        Document::of(key.clone(), doc.heads(), doc.view(), incomplete)
    }

    /// The look that found the first of the changes that wait.
    fn waits_since(&self, doc: &Doc, key: &Key) -> Option<u64> {
        let mut looks: HashMap<&[u8], Option<u64>> =
            doc.pending().map(|(_, bytes)| (bytes, None)).collect();
        if looks.is_empty() {
            return None;
        }
        for change in self.tail.changes(key.as_str()) {
            if let Some(look) = looks.get_mut(&change.bytes[..]) {
                look.get_or_insert(change.look);
            }
        }
        looks.into_values().map(|look| look.unwrap_or(self.snapshots_look)).min()
    }

    /// Whether what a change waits for is missing that has been here since that look. It may have been written where
    /// that look had been before, but before the change: another look finds it, if anybody does.
    fn is_incomplete(&mut self, since: Option<u64>) -> bool {
        let before = since.is_some_and(|look| look < self.tail.look());
        self.doubt |= since.is_some() && !before;
        before
    }

    /// Whether what was read since the last look has to be read again after another one.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt
    }
}

/// The rows of a document in these snapshots, in their order.
pub fn rows(snapshots: &[Arc<Snapshot>], key: &Key) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    for snapshot in snapshots {
        found.extend(snapshot.get(key.as_str())?);
    }
    Ok(found)
}

/// One document from its rows, given oldest first. A row whose changes are known to be in a newer one
/// is not even decoded. A change that Automerge refuses stays in its file, and `crdt-log verify` names
/// it; the others count.
pub fn doc_of_rows(rows: &[Row], key: &Key) -> Result<Doc> {
    let mut doc: Option<Doc> = None;
    let mut contained: Vec<&Heads> = Vec::new();
    for row in rows.iter().rev() {
        let known = |doc: &Doc| contained.contains(&&row.heads) || doc.contains_all(&row.heads);
        match &mut doc {
            Some(doc) if known(doc) => {}
            Some(doc) => report(merge_row(doc, row, key)?, key),
            None => doc = Some(load_row(row, key)?),
        }
        if let Some(doc) = &mut doc {
            report(doc.apply(row.waiting.iter().map(Vec::as_slice)).rejected, key);
        }
        contained.extend(&row.absorbed);
    }
    Ok(doc.unwrap_or_default())
}

/// The document that a row holds, alone.
pub fn load_row(row: &Row, key: &Key) -> Result<Doc> {
    let loaded = Doc::load(&row.document).and_then(|doc| match doc.heads() == row.heads {
        true => Ok(doc),
        false => Err(MergeError::NotADocument { why: "it is of another version".to_owned() }),
    });
    loaded.map_err(|source| Error::Document { key: key.clone(), source })
}

fn merge_row(doc: &mut Doc, row: &Row, key: &Key) -> Result<Rejected> {
    let merged = doc.merge(&load_row(row, key)?);
    merged
        .map(|applied| applied.rejected)
        .map_err(|source| Error::Document { key: key.clone(), source })
}

/// Whether a row that is as its snapshot's builder wrote it is also what it should be.
pub fn check_row(row: &Row) -> Result<()> {
    parse_view(&row.view, &row.key)?;
    let changes = load_row(row, &row.key)?.changes();
    changes.map(drop).map_err(|source| Error::Document { key: row.key.clone(), source })
}

type Rejected = Vec<(Option<ChangeHash>, MergeError)>;

fn report(rejected: Rejected, key: &Key) {
    for (hash, error) in rejected {
        tracing::warn!(%key, ?hash, %error, "a change was refused");
    }
}

/// The view that a snapshot's row keeps as text.
pub fn parse_view(text: &str, key: &Key) -> Result<View> {
    serde_json::from_str(text).map_err(|source| Error::View { key: key.clone(), source })
}
