//! One document: the set of its changes, and questions about their graph.
//!
//! How changes are added (`apply`), how a document is saved (`saved`), shown (`view`) and written (`write`) is
//! implemented above this file.

use super::change_graph::SharedGraph;
use super::change_info::ChangeInfo;
use super::change_message::{ChangeKind, Message};
use super::error::MergeError;
use super::hashes::{Hashes, hashes, native};
use super::kept_objects::SharedRemovals;
use super::panic_guard::{catch_panic, change_by_hash};
use super::size_bounds::DocSize;
use crate::format::hash::{ChangeHash, Etag, Heads};
use automerge::{Automerge, ChangeMetadata, ReadDoc};
use std::collections::BTreeMap;

/// A raw change whose dependencies are not all applied.
#[derive(Debug, Clone)]
pub(super) struct PendingChange {
    pub bytes: Vec<u8>,
    pub deps: Vec<ChangeHash>,
    pub actor: Vec<u8>,
    pub size: DocSize,
}

/// A set of changes, and the document that they make.
///
/// A change whose dependencies are missing is pending: it is kept here, shows in no read, and is applied when
/// they come.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    /// Applied changes. Boxed because even an empty `Automerge` has thousands of bytes, and documents are moved a lot.
    pub(super) am: Box<Automerge>,
    /// Size of the applied changes.
    pub(super) size: DocSize,
    /// Pending changes.
    ///
    /// Trap: they must not go into Automerge's own queue. A local commit removes all queued changes of its actor,
    /// and those that depend on them, without an error.
    pub(super) pending: BTreeMap<ChangeHash, PendingChange>,
    /// Field of the root whose text is prose.
    pub(super) prose: Option<&'static str>,
    /// What the applied changes build on.
    pub(super) graph: SharedGraph,
    /// Removals by applied changes, and the edits that keep what they removed.
    pub(super) removals: SharedRemovals,
}

impl Doc {
    /// Creates a document without any change.
    #[must_use]
    pub fn new() -> Self {
        Doc::default()
    }

    /// Sets the field whose text is prose, as [`Key::prose_field`](crate::format::key::Key::prose_field) names it.
    #[must_use]
    pub fn with_prose(self, prose: Option<&'static str>) -> Self {
        Doc { prose, ..self }
    }

    /// Returns the heads: the applied changes that no other applied change depends on.
    #[must_use]
    pub fn heads(&self) -> Heads {
        Heads::new(hashes(&self.am.get_heads()))
    }

    /// Returns true if the change is applied. A pending change is not.
    #[must_use]
    pub fn contains(&self, hash: &ChangeHash) -> bool {
        // A twentieth of the time in which Automerge describes a change. Its own queue is empty: what is pending is kept
        // beside it.
        self.am.get_missing_deps(&[native(hash)]).is_empty()
    }

    /// Returns true if all changes of a version are applied.
    #[must_use]
    pub fn contains_all(&self, heads: &Heads) -> bool {
        heads.hashes().iter().all(|hash| self.contains(hash))
    }

    /// Returns true if the document has changes and every head is a delete.
    ///
    /// So an edit that is concurrent with a delete wins: its change is a head, too.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted_at(&self.am.get_heads())
    }

    /// Returns true if a version is deleted.
    pub(super) fn deleted_at(&self, heads: &Hashes) -> bool {
        let meta = |head| self.am.get_change_meta_by_hash(head);
        !heads.is_empty() && heads.iter().all(|head| meta(head).as_ref().is_some_and(is_delete))
    }

    /// Returns true if the version `base`, or the present one if `None`, is deleted.
    pub(super) fn hidden_at(&self, base: Option<&Hashes>) -> bool {
        base.map_or_else(|| self.is_deleted(), |base| self.deleted_at(base))
    }

    /// Converts heads to Automerge's type.
    ///
    /// # Errors
    /// [`MergeError::UnknownVersion`] if one of them is not applied.
    pub(super) fn native_heads(
        &self,
        heads: &Heads,
    ) -> Result<Vec<automerge::ChangeHash>, MergeError> {
        match heads.hashes().iter().find(|hash| !self.contains(hash)) {
            Some(hash) => Err(MergeError::UnknownVersion { hash: *hash }),
            None => Ok(heads.hashes().iter().map(native).collect()),
        }
    }

    /// Converts the version that a write builds on. Returns `None` if that is the present one.
    ///
    /// # Errors
    /// As [`Doc::native_heads`].
    pub(super) fn base_heads(
        &self,
        base: Option<&Heads>,
    ) -> Result<Option<Vec<automerge::ChangeHash>>, MergeError> {
        match base {
            Some(base) if *base != self.heads() => self.native_heads(base).map(Some),
            // Reads and transactions without heads take a faster way than those at the present ones.
            _ => Ok(None),
        }
    }

    /// Returns the version that an etag names, present or past.
    ///
    /// Returns `None` if a part of the etag names no change of this document, or more than one.
    #[must_use]
    pub fn resolve(&self, etag: &Etag) -> Option<Heads> {
        let now = self.heads();
        if now.etag() == *etag {
            return Some(now);
        }
        // A past version is searched among all changes: an etag has only prefixes, and Automerge no index of those.
        let metas = self.am.get_changes_meta(&[]);
        let all = metas.iter().map(|meta| ChangeHash(meta.hash.0));
        let named = Heads::new(all.filter(|hash| etag.names(hash)).collect());
        // Two changes with the same prefix make more hashes than parts; a part that names nothing
        // makes another etag.
        (named.hashes().len() == etag.len() && named.etag() == *etag).then_some(named)
    }

    /// Lists all applied changes without their operations, each after those that it depends on.
    #[must_use]
    pub fn history(&self) -> Vec<ChangeInfo> {
        self.am.get_changes_meta(&[]).iter().map(ChangeInfo::new).collect()
    }

    /// Returns the raw bytes of one applied change, or `None` if no such change is applied.
    ///
    /// # Errors
    /// [`MergeError::Panicked`] if the document was forged and does not hold the changes that it lists.
    pub fn change_bytes(&self, hash: &ChangeHash) -> Result<Option<Vec<u8>>, MergeError> {
        let change = change_by_hash(&self.am, &native(hash))?;
        Ok(change.map(|change| change.raw_bytes().to_vec()))
    }

    /// Returns all applied changes as raw bytes, each after those that it depends on.
    ///
    /// # Errors
    /// As [`Doc::change_bytes`].
    pub fn changes(&self) -> Result<Vec<(ChangeHash, Vec<u8>)>, MergeError> {
        // A forged document can be loaded, and panics only here.
        let changes = catch_panic(|| self.am.get_changes(&[]))?;
        Ok(changes.iter().map(|c| (ChangeHash(c.hash().0), c.raw_bytes().to_vec())).collect())
    }

    /// Iterates over the pending changes as raw bytes, in the order of their hashes.
    pub fn pending(&self) -> impl Iterator<Item = (&ChangeHash, &[u8])> {
        self.pending.iter().map(|(hash, pending)| (hash, pending.bytes.as_slice()))
    }

    /// Lists the changes that pending ones depend on and that were not given to this document, in ascending order.
    #[must_use]
    pub fn missing_dependencies(&self) -> Vec<ChangeHash> {
        let deps = self.pending.values().flat_map(|pending| &pending.deps);
        let unknown =
            |hash: &&ChangeHash| !self.pending.contains_key(*hash) && !self.contains(hash);
        let mut missing: Vec<ChangeHash> = deps.filter(unknown).copied().collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

impl Doc {
    /// Estimates the bytes of memory that the document takes: Automerge keeps about this for each operation and name.
    #[must_use]
    pub fn memory(&self) -> usize {
        const EMPTY: u64 = 4_096;
        const OPERATION: u64 = 64;
        let DocSize { operations, references, names, bytes } = self.size;
        let history = self.graph.memory() + self.removals.memory();
        let held = EMPTY + OPERATION * (operations + references) + names + bytes + history;
        usize::try_from(held).unwrap_or(usize::MAX)
    }

    /// Lists the applied changes that a version does not have. Takes time in proportion to the whole history.
    #[must_use]
    pub fn since(&self, version: &Heads) -> Vec<ChangeHash> {
        let version: Vec<_> = version.hashes().iter().map(native).collect();
        hashes(&self.graph.of(&self.am).since(&version))
    }

    /// Returns the version that has the changes of both versions, and no others.
    #[must_use]
    pub fn join(&self, a: &Heads, b: &Heads) -> Heads {
        let (after_a, after_b) = (self.since(a), self.since(b));
        let of_a =
            a.hashes().iter().filter(|head| after_b.contains(head) || b.hashes().contains(head));
        let of_b = b.hashes().iter().filter(|head| after_a.contains(head));
        Heads::new(of_a.chain(of_b).copied().collect())
    }

    /// Returns the version right before the heads of another one: that of everything that they build on.
    #[must_use]
    pub fn before(&self, version: &Heads) -> Heads {
        let metas = version.hashes().iter();
        let metas = metas.filter_map(|head| self.am.get_change_meta_by_hash(&native(head)));
        self.heads_among(Heads::new(metas.flat_map(|meta| hashes(&meta.deps)).collect()))
    }

    /// Returns those of some changes that no other of them builds on. What a change names as its dependencies can be more
    /// than that: it names the last change of its own actor too.
    pub(super) fn heads_among(&self, changes: Heads) -> Heads {
        let apart = |change: &&ChangeHash| {
            let others = changes.hashes().iter().filter(|other| other != change);
            let beside =
                |other: &ChangeHash| self.since(&Heads::new(vec![*other])).contains(change);
            others.into_iter().all(beside)
        };
        Heads::new(changes.hashes().iter().filter(apart).copied().collect())
    }
}

/// Returns true if a change deletes the document.
pub(super) fn is_delete(change: &ChangeMetadata<'_>) -> bool {
    Message::parse(change.message.as_deref()).kind == ChangeKind::Delete
}
