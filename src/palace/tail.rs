//! The tail: commits that no snapshot holds yet, in memory, by document.
//!
//! Invariant: a change is kept, as raw bytes, until a snapshot that holds it has been seen. Nothing is
//! decoded here, so that following fifty busy writers costs little more than reading what they wrote.

use crate::format::id::{InstanceId, SegmentId};
use crate::format::key::Key;
use crate::format::record::{Entry, decode_commit};
use crate::store::group_commit::Ticket;
use crate::store::own_segments::OwnSegment;
use crate::store::rescan::FoundCommit;
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};

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
    /// The look that found it.
    pub look: u64,
}

/// One commit.
#[derive(Clone, Debug)]
pub struct TailCommit {
    /// Where it came from.
    pub origin: Origin,
    /// Who wrote it; `None` if the segment's header is damaged.
    pub instance: Option<InstanceId>,
    /// The instance's running number of it.
    pub sequence: u64,
    /// Its body.
    pub body: Bytes,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Tail {
    documents: BTreeMap<Key, Vec<TailChange>>,
    commits: Vec<TailCommit>,
    look: u64,
}

impl Tail {
    /// What is added from now on is found by another look at the directory.
    pub fn begin_look(&mut self) {
        self.look += 1;
    }

    /// The number of the last look.
    #[must_use]
    pub fn look(&self) -> u64 {
        self.look
    }

    /// Adds what a rescan found.
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
        for Entry { key, change } in entries(&commit.body) {
            let change = TailChange { bytes: change, origin: commit.origin, look: self.look };
            // Most documents have one change here.
            self.documents.entry(key).or_insert_with(|| Vec::with_capacity(1)).push(change);
        }
        self.commits.push(commit);
    }

    /// Drops what is in snapshots now.
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
        self.commits.retain(|commit| keep(&commit.origin));
        self.documents.retain(|_, changes| {
            changes.retain(|change| keep(&change.origin));
            !changes.is_empty()
        });
    }

    /// The changes of one document, in the order in which they were found.
    #[must_use]
    pub fn changes(&self, key: &str) -> &[TailChange] {
        self.documents.get(key).map_or(&[], Vec::as_slice)
    }

    /// The last commit of an own instance that changed one of these documents. Only of this one: another
    /// that this process wrote as before has its own numbers, and what is left of it here is on disk.
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

    /// The keys that have changes here, from `after` on (exclusive), as long as they have the prefix.
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

    /// The commits, in the order in which they were found.
    #[must_use]
    pub fn commits(&self) -> &[TailCommit] {
        &self.commits
    }
}

/// The entries of a commit's body, each change a slice of it. The body was decoded when it was read.
pub fn entries(body: &Bytes) -> impl Iterator<Item = Entry<Bytes>> {
    let decoded = decode_commit(body).unwrap_or_default();
    decoded.into_iter().map(|entry| Entry { key: entry.key, change: body.slice_ref(entry.change) })
}
