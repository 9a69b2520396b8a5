//! One document: the changes it consists of, and questions about them.

use super::caught::caught;
use super::chunk::{check_document, says_change};
use super::error::MergeError;
use super::extent::Extent;
use super::intake::Waiting;
use super::message::{ChangeKind, Message, Written};
use super::read::Reader;
use super::view::{Rendering, View};
use crate::format::hash::{ChangeHash, Etag, Heads};
use automerge::{Automerge, Change, ChangeMetadata, ReadDoc, SaveOptions};
use std::collections::BTreeMap;

/// A set of changes, and the document they make. Changes whose dependencies are missing wait in it
/// and are shown nowhere until those arrive.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    /// In a box because it has some thousand bytes even when it is empty, and documents are moved a lot.
    pub(super) am: Box<Automerge>,
    /// Of what is applied.
    pub(super) extent: Extent,
    pub(super) waiting: BTreeMap<ChangeHash, Waiting>,
}

/// One change, as history and dumps show it.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let options = WriteOptions { by: Some("ada/1.0".into()), ..WriteOptions::default() };
/// palace.put_with("k", json!({"a": 1, "b": 2}).as_object().ok_or("an object")?, &options)?;
/// palace.put_with("k", json!({"a": 3, "b": 2}).as_object().ok_or("an object")?, &options)?;
/// let history = palace.history("k")?;
/// assert_eq!((history[0].operations, history[1].operations), (2, 1));
/// assert_eq!((history[1].sequence, history[1].by.as_str()), (2, "ada/1.0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChangeInfo {
    /// Its name.
    pub hash: ChangeHash,
    /// Who made it: the 16 bytes of an instance, in hex, or those and a suffix (see
    /// [`Doc::put`]).
    pub actor: String,
    /// The how-many-eth change of this actor in this document, from 1.
    pub sequence: u64,
    /// The counter of its first operation.
    pub start_op: u64,
    /// Milliseconds since 1970; 0 for a first change that does not depend on who makes it.
    pub time_ms: i64,
    /// The writer, as it calls itself; may be empty.
    pub by: String,
    /// What it means.
    pub kind: ChangeKind,
    /// The changes it builds on.
    pub deps: Vec<ChangeHash>,
    /// How many operations it has.
    pub operations: u64,
    /// The operations in words; a history leaves them out, a dump has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<String>,
}

impl ChangeInfo {
    fn new(meta: &ChangeMetadata<'_>) -> Self {
        let message = Message::parse(meta.message.as_deref());
        ChangeInfo {
            hash: ChangeHash(meta.hash.0),
            actor: meta.actor.to_hex_string(),
            sequence: meta.seq,
            start_op: meta.start_op,
            time_ms: meta.timestamp,
            by: message.by.into_owned(),
            kind: message.kind,
            deps: hashes(&meta.deps),
            operations: (meta.max_op + 1).saturating_sub(meta.start_op),
            ops: Vec::new(),
        }
    }
}

pub(super) fn hashes(hashes: &[automerge::ChangeHash]) -> Vec<ChangeHash> {
    hashes.iter().map(|hash| ChangeHash(hash.0)).collect()
}

pub(super) fn native(hash: &ChangeHash) -> automerge::ChangeHash {
    automerge::ChangeHash(hash.0)
}

impl Doc {
    /// A document without any change.
    #[must_use]
    pub fn new() -> Self {
        Doc::default()
    }

    /// Reads what [`Doc::save`] or [`Doc::apply_and_save`] wrote.
    ///
    /// # Errors
    /// If the bytes are neither exactly one document chunk with a right checksum, whose heads follow
    /// from its content, nor one change that depends on no other.
    pub fn load(saved: &[u8]) -> Result<Self, MergeError> {
        let not = |why: String| MergeError::NotADocument { why };
        if saved.is_empty() {
            return Err(not("no bytes".to_owned()));
        }
        if says_change(saved) {
            let mut doc = Doc::new();
            if let Some((_, error)) = doc.apply([saved]).rejected.into_iter().next() {
                return Err(error);
            }
            let waits = || not("a change that depends on another".to_owned());
            return doc.waiting.is_empty().then_some(doc).ok_or_else(waits);
        }
        let extent = check_document(saved).map_err(|error| not(error.to_string()))?;
        let loaded = caught(|| Automerge::load(saved))?;
        let am = loaded.map_err(|error| not(error.to_string()))?;
        if !am.get_missing_deps(&[]).is_empty() {
            return Err(not("changes without their dependencies follow it".to_owned()));
        }
        Ok(Doc { am: Box::new(am), extent, waiting: BTreeMap::new() })
    }

    /// All applied changes as one Automerge document chunk, not compressed. Waiting changes are not
    /// in it: keep [`Doc::waiting`] beside it. Equal documents may have different bytes; compare
    /// heads.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.am.save_with_options(SaveOptions { deflate: false, retain_orphans: false })
    }

    /// The changes that no other applied change depends on.
    #[must_use]
    pub fn heads(&self) -> Heads {
        Heads::new(hashes(&self.am.get_heads()))
    }

    /// Whether the change is applied (not merely waiting).
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

    /// The document as it is now.
    #[must_use]
    pub fn view(&self) -> View {
        self.render(&self.am.get_heads(), None)
    }

    /// The document as it was at `heads`.
    ///
    /// # Errors
    /// [`MergeError::UnknownVersion`] if one of them is not a change of this document.
    pub fn view_at(&self, heads: &Heads) -> Result<View, MergeError> {
        let heads = self.known(heads)?;
        Ok(self.render(&heads, Some(&heads)))
    }

    fn render(
        &self,
        at: &[automerge::ChangeHash],
        heads: Option<&[automerge::ChangeHash]>,
    ) -> View {
        let modified = self.modified_at(at);
        if self.deleted_at(at) {
            return View {
                value: Default::default(),
                conflicts: Vec::new(),
                deleted: true,
                modified,
            };
        }
        let mut rendering = Rendering::new(&self.am);
        let value = rendering.map(Reader { am: &self.am, heads }.root());
        View { value, conflicts: rendering.conflicts, deleted: false, modified }
    }

    fn modified_at(&self, heads: &[automerge::ChangeHash]) -> Option<Written> {
        let written = |hash| Some(Written::new(&self.am.get_change_meta_by_hash(hash)?));
        heads.iter().filter_map(written).max_by_key(|written| (written.time_ms, written.change))
    }

    /// The heads in Automerge's type, after checking that they are applied.
    pub(super) fn known(&self, heads: &Heads) -> Result<Vec<automerge::ChangeHash>, MergeError> {
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
        let change = change(&self.am, &native(hash))?;
        Ok(change.map(|change| change.raw_bytes().to_vec()))
    }

    /// All applied changes, each after those that it depends on.
    ///
    /// # Errors
    /// As [`Doc::change_bytes`].
    pub fn changes(&self) -> Result<Vec<(ChangeHash, Vec<u8>)>, MergeError> {
        let changes = caught(|| self.am.get_changes(&[]))?;
        Ok(changes.iter().map(|c| (ChangeHash(c.hash().0), c.raw_bytes().to_vec())).collect())
    }
}

/// One applied change; `None` if it is none.
pub(super) fn change(
    am: &Automerge,
    hash: &automerge::ChangeHash,
) -> Result<Option<Change>, MergeError> {
    caught(|| am.get_change_by_hash(hash))
}

impl Doc {
    /// Estimates the bytes of memory that the document takes: Automerge keeps about this for each operation and name.
    #[must_use]
    pub fn memory(&self) -> usize {
        const EMPTY: u64 = 4_096;
        const OPERATION: u64 = 64;
        let Extent { operations, references, names, bytes } = self.extent;
        let held = EMPTY + OPERATION * (operations + references) + names + bytes;
        usize::try_from(held).unwrap_or(usize::MAX)
    }
}
