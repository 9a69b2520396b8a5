//! The tail: commits that no snapshot holds yet, in memory, by document.
//!
//! Invariant: a change is kept, as raw bytes, until a snapshot that holds it has been seen. Nothing is decoded when it
//! is added, so that following fifty busy writers costs little more than reading what they wrote.
//!
//! A clone shares everything. An addition copies the map only if a reader has a view of it then, and once for each such
//! view: afterwards the tail is its own again. So each reader has a tail that nobody changes, and a process without
//! readers changes it in place.

use super::shown::Slot;
use crate::format::id::{InstanceId, SegmentId};
use crate::format::key::Key;
use crate::format::record::{self, decode_commit};
use crate::store::group_commit::Ticket;
use crate::store::own_segments::OwnSegment;
use crate::store::rescan::FoundCommit;
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Where a commit came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Another process's segment; the commit ends at this offset.
    Segment(SegmentId, u64),
    /// This process.
    Own(Ticket),
}

/// One change of one document.
#[derive(Clone, Debug)]
pub struct TailChange {
    /// The Automerge change.
    pub bytes: Bytes,
    /// Where it came from.
    pub origin: Origin,
    /// Number of the rescan that found it.
    pub rescan: u64,
}

/// One commit.
#[derive(Clone, Debug)]
pub struct TailCommit {
    /// Where it came from.
    pub origin: Origin,
    /// The instance that wrote it; `None` if the segment's header is damaged.
    pub instance: Option<InstanceId>,
    /// Its sequence number in that instance.
    pub sequence: u64,
    /// Its body.
    pub body: Bytes,
}

/// The changes of one document, and what it shows once a reader has asked.
#[derive(Debug)]
pub struct TailDocument {
    /// Most documents have one change here, which needs no allocation of its own.
    changes: SmallVec<[TailChange; 1]>,
    shown: Slot,
}

impl Clone for TailDocument {
    fn clone(&self) -> Self {
        // A copy is made to add or drop a change: it will show something else.
        TailDocument { changes: self.changes.clone(), shown: Slot::default() }
    }
}

impl TailDocument {
    fn of(changes: SmallVec<[TailChange; 1]>) -> Arc<Self> {
        Arc::new(TailDocument { changes, shown: Slot::default() })
    }

    /// The changes, in the order in which they were found.
    #[must_use]
    pub fn changes(&self) -> &[TailChange] {
        &self.changes
    }

    /// Place for what the document shows.
    #[must_use]
    pub fn shown(&self) -> &Slot {
        &self.shown
    }
}

/// All commits that no snapshot holds, and the changes in them by document.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    documents: Arc<BTreeMap<Key, Arc<TailDocument>>>,
    commits: Arc<Vec<TailCommit>>,
    rescan: u64,
}

impl Tail {
    /// Begins another rescan: commits that are added from now on have its number.
    pub fn begin_rescan(&mut self) {
        self.rescan += 1;
    }

    /// Number of the last rescan.
    #[must_use]
    pub fn rescan(&self) -> u64 {
        self.rescan
    }

    /// Adds a commit that a rescan found.
    pub fn add_found(&mut self, found: FoundCommit) {
        let FoundCommit { segment, instance, commit } = found;
        let origin = Origin::Segment(segment, commit.end);
        self.add(TailCommit { origin, instance, sequence: commit.sequence, body: commit.body });
    }

    /// Adds a commit of this process.
    pub fn add_own(&mut self, ticket: Ticket, body: Bytes) {
        let Ticket { instance, sequence } = ticket;
        let origin = Origin::Own(ticket);
        self.add(TailCommit { origin, instance: Some(instance), sequence, body });
    }

    fn add(&mut self, commit: TailCommit) {
        let documents = Arc::make_mut(&mut self.documents);
        for record::Entry { key, change } in entries(&commit.body) {
            let change = TailChange { bytes: change, origin: commit.origin, rescan: self.rescan };
            match documents.entry(key) {
                Entry::Occupied(mut document) => {
                    let document = Arc::make_mut(document.get_mut());
                    document.changes.push(change);
                    document.shown.clear();
                }
                Entry::Vacant(place) => drop(place.insert(TailDocument::of(smallvec![change]))),
            }
        }
        Arc::make_mut(&mut self.commits).push(commit);
    }

    /// Drops the commits of segments that snapshots hold now.
    pub fn drop_folded(&mut self, folded: &HashSet<SegmentId>, own: &[OwnSegment]) {
        let in_own = |ticket: &Ticket| {
            own.iter().any(|own| {
                own.instance == ticket.instance
                    && own.sequences.as_ref().is_some_and(|s| s.contains(&ticket.sequence))
            })
        };
        self.retain(|origin| match origin {
            Origin::Segment(segment, _) => !folded.contains(segment),
            Origin::Own(ticket) => !in_own(ticket),
        });
    }

    /// Drops the commits of an own instance that were never written.
    pub fn drop_unwritten(&mut self, instance: InstanceId, written: u64) {
        self.retain(|origin| match origin {
            Origin::Segment(..) => true,
            Origin::Own(ticket) => ticket.instance != instance || ticket.sequence <= written,
        });
    }

    fn retain(&mut self, keep: impl Fn(&Origin) -> bool) {
        Arc::make_mut(&mut self.commits).retain(|commit| keep(&commit.origin));
        Arc::make_mut(&mut self.documents).retain(|_, document| {
            let kept = document.changes.iter().filter(|change| keep(&change.origin)).count();
            if kept > 0 && kept < document.changes.len() {
                let changes = document.changes.iter().filter(|change| keep(&change.origin));
                *document = TailDocument::of(changes.cloned().collect());
            }
            kept > 0
        });
    }

    /// The document of this key, if it has changes here.
    #[must_use]
    pub fn document(&self, key: &str) -> Option<&TailDocument> {
        self.documents.get(key).map(AsRef::as_ref)
    }

    /// The changes of one document, in the order in which they were found.
    #[must_use]
    pub fn changes(&self, key: &str) -> &[TailChange] {
        self.document(key).map_or(&[], TailDocument::changes)
    }

    /// The last commit of an own instance that changed one of these documents. Commits of an earlier instance of this
    /// process do not count: they have numbers of their own, and those still here are on disk.
    #[must_use]
    pub fn last_own<'a>(
        &self,
        instance: InstanceId,
        keys: impl IntoIterator<Item = &'a Key>,
    ) -> Option<Ticket> {
        let changes = keys.into_iter().flat_map(|key| self.changes(key.as_str()));
        let own = changes.filter_map(|change| match change.origin {
            Origin::Own(ticket) if ticket.instance == instance => Some(ticket),
            _ => None,
        });
        own.max_by_key(|ticket| ticket.sequence)
    }

    /// The keys that have changes here and begin with `prefix`, behind `after`, in their order.
    pub fn keys<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Key> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let start = match after {
            Some(after) if after >= prefix => Excluded(after),
            _ => Included(prefix),
        };
        let range = self.documents.range::<str, _>((start, Unbounded));
        range.map(|(key, _)| key).take_while(move |key| key.as_str().starts_with(prefix))
    }

    /// All documents with changes here, in the order of their keys.
    pub fn documents(&self) -> impl Iterator<Item = (&Key, &TailDocument)> {
        self.documents.iter().map(|(key, document)| (key, document.as_ref()))
    }

    /// Forgets what every second document shows; a reader makes it again when it asks.
    pub fn forget_half_shown(&self) {
        let shown = self.documents.values().filter(|document| document.shown.is_filled());
        shown.step_by(2).for_each(|document| document.shown.clear());
    }

    /// The commits, in the order in which they were found.
    pub fn commits(&self) -> impl Iterator<Item = &TailCommit> {
        self.commits.iter()
    }
}

/// Returns the entries of a commit's body, each change a slice of it. The body was decoded when it was read.
pub fn entries(body: &Bytes) -> impl Iterator<Item = record::Entry<Bytes>> {
    let decoded = decode_commit(body).unwrap_or_default();
    let entry = |entry: record::Entry<&[u8]>| record::Entry {
        key: entry.key,
        change: body.slice_ref(entry.change),
    };
    decoded.into_iter().map(entry)
}
