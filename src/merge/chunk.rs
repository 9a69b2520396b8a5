//! One raw chunk, a change or a saved document: checked, hashed and measured without decoding its operations.
//!
//! Automerge neither verifies a change's checksum when it parses one, nor bounds what the run-length
//! encoding expands to: a chunk of 119 bytes can hold a million operations. So every chunk from
//! outside passes through [`Chunk::parse`] or [`check_document`] first, which read nothing but lengths.

use super::columns::{Bytes, Limits, measure, specs};
use super::error::MergeError;
use super::size_bounds::{DocSize, READABLE};
use crate::format::hash::ChangeHash;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// The most operations in one change, as in the format's description.
pub const OPERATIONS_MAX: u64 = 100_000;
/// The most references to overwritten operations in one change. An operation overwrites one value,
/// or as many as were in conflict.
pub const PREDECESSORS_MAX: u64 = 1_000_000;
/// The most bytes of field names in one change after run-length decoding.
pub const FIELD_NAME_BYTES_MAX: u64 = 16 << 20;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const DOCUMENT: u8 = 0;
const CHANGE: u8 = 1;

/// Times as far apart as two of this are more than Automerge can keep: it panics.
const TIME_MAX: u64 = 1 << 62;

/// No marks: nothing here makes any, and a document with the end of a mark before its beginning can be saved and not
/// be loaded again.
const CHANGE_LIMITS: Limits = Limits {
    operations: OPERATIONS_MAX,
    references: PREDECESSORS_MAX,
    names: FIELD_NAME_BYTES_MAX,
    marks: 0,
};
/// What a saved document may hold: what readers take in change by change, together. Marks that it was saved with are
/// Automerge's to judge.
const DOCUMENT_LIMITS: Limits = Limits {
    operations: READABLE.operations,
    references: READABLE.references,
    names: READABLE.names,
    marks: u64::MAX,
};

/// What the head of a change chunk says, and how much follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    pub hash: ChangeHash,
    pub deps: Vec<ChangeHash>,
    pub actor: &'a [u8],
    pub time_ms: i64,
    /// See [`super::message`]; empty if there is none.
    pub message: &'a str,
    pub size: DocSize,
}

/// Whether these bytes say that they are a change, and not a document.
pub(super) fn says_change(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC) && bytes.get(8) == Some(&CHANGE)
}

/// The hash of a raw change: its checksum is verified, its operations are not looked at.
///
/// # Errors
/// If `change` is not one whole type-1 chunk, or its checksum is wrong.
pub fn hash_of(change: &[u8]) -> Result<ChangeHash, MergeError> {
    split(change, CHANGE).map(|(hash, _)| hash)
}

/// The changes that a raw change builds on. Verifies as [`hash_of`] does.
///
/// # Errors
/// If `change` is not one whole type-1 chunk, or its checksum is wrong.
pub fn deps_of(change: &[u8]) -> Result<Vec<ChangeHash>, MergeError> {
    let (_, body) = split(change, CHANGE)?;
    deps(&mut Bytes(body)).ok_or(MergeError::NotAChange { why: "its dependencies are cut short" })
}

/// Verifies the frame of the chunk and returns its hash and its content.
fn split(change: &[u8], kind: u8) -> Result<(ChangeHash, &[u8]), MergeError> {
    let not = |why| MergeError::NotAChange { why };
    let mut rest = Bytes(change);
    if rest.take(4) != Some(&MAGIC) {
        return Err(not("the first four bytes are not Automerge's"));
    }
    let checksum = rest.take(4).ok_or(not("it ends in its checksum"))?;
    if rest.take(1) != Some(&[kind]) {
        return Err(not("its chunk type is not 1"));
    }
    let before_length = rest.0;
    let length = rest.unsigned().ok_or(not("it ends in its length"))?;
    let length_bytes = before_length.len() - rest.0.len();
    if length != rest.0.len() as u64 {
        return Err(not("its length is not that of the bytes given"));
    }
    let mut hasher = Sha256::new();
    hasher.update([kind]);
    hasher.update(before_length.get(..length_bytes).unwrap_or_default());
    hasher.update(rest.0);
    let hash = ChangeHash(hasher.finalize().into());
    if hash.0.get(..4) != Some(checksum) {
        return Err(MergeError::Checksum);
    }
    Ok((hash, rest.0))
}

impl<'a> Chunk<'a> {
    /// Verifies the frame, reads the head and bounds what the columns expand to.
    pub fn parse(change: &'a [u8]) -> Result<Self, MergeError> {
        let (hash, body) = split(change, CHANGE)?;
        let cut = MergeError::NotAChange { why: "its head is cut short or not right" };
        let mut rest = Bytes(body);
        let mut head = || {
            let deps = deps(&mut rest)?;
            let actor = rest.prefixed()?;
            // Sequence number, start of the operation counter.
            (0..2).try_for_each(|_| rest.number().map(drop))?;
            let time_ms = rest.signed()?;
            let message = std::str::from_utf8(rest.prefixed()?).ok()?;
            for _ in 0..rest.unsigned()? {
                rest.prefixed()?;
            }
            Some(Chunk { hash, deps, actor, time_ms, message, size: DocSize::default() })
        };
        let chunk = head().ok_or(cut)?;
        if chunk.time_ms.unsigned_abs() >= TIME_MAX {
            return Err(MergeError::NotAChange { why: "its time is out of any calendar" });
        }
        if !distinct(&chunk.deps) {
            return Err(MergeError::NotAChange { why: "it names a dependency twice" });
        }
        let cut = MergeError::NotAChange { why: "its columns are cut short" };
        let columns = specs(&mut rest).and_then(|specs| rest.columns(specs)).ok_or(cut)?;
        let size = measure(columns, &CHANGE_LIMITS)?;
        Ok(Chunk { size: DocSize { bytes: change.len() as u64, ..size }, ..chunk })
    }
}

/// Automerge goes through all dependencies for each of them.
fn distinct(deps: &[ChangeHash]) -> bool {
    let mut seen = HashSet::new();
    deps.iter().all(|dep| seen.insert(dep))
}

fn deps(rest: &mut Bytes<'_>) -> Option<Vec<ChangeHash>> {
    let count = usize::try_from(rest.unsigned()?).ok()?;
    let (hashes, _) = rest.take(count.checked_mul(32)?)?.as_chunks::<32>();
    Some(hashes.iter().copied().map(ChangeHash).collect())
}

/// Checks that these bytes are one whole saved document with a right checksum, not deflated, and that it
/// does not expand to more than readers take. Gives what it expands to.
pub(super) fn check_document(saved: &[u8]) -> Result<DocSize, MergeError> {
    let (_, body) = split(saved, DOCUMENT)?;
    let mut rest = Bytes(body);
    let mut read = || {
        for _ in 0..rest.unsigned()? {
            rest.prefixed()?;
        }
        let heads = usize::try_from(rest.unsigned()?).ok()?;
        rest.take(heads.checked_mul(32)?)?;
        let (changes, operations) = (specs(&mut rest)?, specs(&mut rest)?);
        Some((rest.columns(changes)?, rest.columns(operations)?))
    };
    let cut = MergeError::NotAChange { why: "it is cut short or not right" };
    let (changes, operations) = read().ok_or(cut)?;
    measure(changes, &DOCUMENT_LIMITS)?;
    let size = measure(operations, &DOCUMENT_LIMITS)?;
    Ok(DocSize { bytes: saved.len() as u64, ..size })
}
