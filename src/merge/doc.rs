//! One document: the changes it consists of, and questions about them.

use super::change_info::ChangeInfo;
use super::change_message::{ChangeKind, Message};
use super::error::MergeError;
use super::hashes::{Hashes, hashes, native};
use super::panic_guard::{catch_panic, change_by_hash};
use super::size_bounds::DocSize;
use crate::format::hash::{ChangeHash, Etag, Heads};
use automerge::Automerge;
use std::collections::BTreeMap;

/// A change that waits for one it depends on.
#[derive(Debug, Clone)]
pub(super) struct PendingChange {
    pub bytes: Vec<u8>,
    pub deps: Vec<ChangeHash>,
    pub actor: Vec<u8>,
    pub size: DocSize,
}

/// A set of changes, and the document they make. Changes whose dependencies are missing wait in it
/// and are shown nowhere until those arrive.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    /// In a box because it has some thousand bytes even when it is empty, and documents are moved a lot.
    pub(super) am: Box<Automerge>,
    /// Of what is applied.
    pub(super) size: DocSize,
    pub(super) pending: BTreeMap<ChangeHash, PendingChange>,
}

impl Doc {
    /// A document without any change.
    #[must_use]
    pub fn new() -> Self {
        Doc::default()
    }

    /// The changes that no other applied change depends on.
    #[must_use]
    pub fn heads(&self) -> Heads {
        Heads::new(hashes(&self.am.get_heads()))
    }

    /// Whether the change is applied (not merely pending).
    #[must_use]
    pub fn contains(&self, hash: &ChangeHash) -> bool {
        self.am.get_change_meta_by_hash(&native(hash)).is_some()
    }

    /// Whether all changes of a version are applied.
    #[must_use]
    pub fn contains_all(&self, heads: &Heads) -> bool {
        heads.hashes().iter().all(|hash| self.contains(hash))
    }

    /// Whether the document is deleted: it has changes, and every head is a delete. An edit made at
    /// the same time as a delete therefore wins.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted_at(&self.am.get_heads())
    }

    pub(super) fn deleted_at(&self, heads: &[automerge::ChangeHash]) -> bool {
        !heads.is_empty() && heads.iter().all(|head| self.is_delete(head))
    }

    fn is_delete(&self, hash: &automerge::ChangeHash) -> bool {
        let meta = self.am.get_change_meta_by_hash(hash);
        let kind = meta.map(|meta| Message::parse(meta.message.as_deref()).kind);
        kind == Some(ChangeKind::Delete)
    }

    /// The heads in Automerge's type, after checking that they are applied.
    pub(super) fn native_heads(
        &self,
        heads: &Heads,
    ) -> Result<Vec<automerge::ChangeHash>, MergeError> {
        match heads.hashes().iter().find(|hash| !self.contains(hash)) {
            Some(hash) => Err(MergeError::UnknownVersion { hash: *hash }),
            None => Ok(heads.hashes().iter().map(native).collect()),
        }
    }

    /// The version that an etag names, present or past. `None` if one of its parts names no change
    /// of this document, or more than one.
    #[must_use]
    pub fn resolve(&self, etag: &Etag) -> Option<Heads> {
        let now = self.heads();
        if now.etag() == *etag {
            return Some(now);
        }
        let metas = self.am.get_changes_meta(&[]);
        let all = metas.iter().map(|meta| ChangeHash(meta.hash.0));
        let named = Heads::new(all.filter(|hash| etag.names(hash)).collect());
        // Two changes with the same prefix make more hashes than parts; a part that names nothing
        // makes another etag.
        (named.hashes().len() == etag.len() && named.etag() == *etag).then_some(named)
    }

    /// All applied changes, each after those that it depends on. Without their operations.
    #[must_use]
    pub fn history(&self) -> Vec<ChangeInfo> {
        self.am.get_changes_meta(&[]).iter().map(ChangeInfo::new).collect()
    }

    /// The raw bytes of one applied change; `None` if it is none.
    ///
    /// # Errors
    /// [`MergeError::Panicked`] if the document was forged so that it does not hold what it says.
    pub fn change_bytes(&self, hash: &ChangeHash) -> Result<Option<Vec<u8>>, MergeError> {
        let change = change_by_hash(&self.am, &native(hash))?;
        Ok(change.map(|change| change.raw_bytes().to_vec()))
    }

    /// All applied changes, each after those that it depends on.
    ///
    /// # Errors
    /// As [`Doc::change_bytes`].
    pub fn changes(&self) -> Result<Vec<(ChangeHash, Vec<u8>)>, MergeError> {
        let changes = catch_panic(|| self.am.get_changes(&[]))?;
        Ok(changes.iter().map(|c| (ChangeHash(c.hash().0), c.raw_bytes().to_vec())).collect())
    }

    /// The changes that wait for a dependency, by hash.
    pub fn pending(&self) -> impl Iterator<Item = (&ChangeHash, &[u8])> {
        self.pending.iter().map(|(hash, pending)| (hash, pending.bytes.as_slice()))
    }

    /// The changes that are waited for and that nobody has brought yet, in ascending order.
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

    /// `None` where `base` is absent or the present version.
    pub(super) fn base_heads(
        &self,
        base: Option<&Heads>,
    ) -> Result<Option<Vec<automerge::ChangeHash>>, MergeError> {
        match base {
            Some(base) if *base != self.heads() => self.native_heads(base).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn hidden_at(&self, base: Option<&Hashes>) -> bool {
        base.map_or_else(|| self.is_deleted(), |base| self.deleted_at(base))
    }
}

impl Doc {
    /// Estimates the bytes of memory that the document takes: Automerge keeps about this for each operation and name.
    #[must_use]
    pub fn memory(&self) -> usize {
        const EMPTY: u64 = 4_096;
        const OPERATION: u64 = 64;
        let DocSize { operations, references, names, bytes } = self.size;
        let held = EMPTY + OPERATION * (operations + references) + names + bytes;
        usize::try_from(held).unwrap_or(usize::MAX)
    }
}
