//! One raw chunk, a change or a saved document: verified, hashed and measured without decoding its operations.
//!
//! Automerge does not verify a change's checksum when it parses one, and does not bound what the run-length
//! encoding expands to: a chunk of 119 bytes can hold a million operations. So every chunk from
//! outside passes through [`Chunk::parse`] or [`check_document`] first. They read nothing but lengths.

use super::columns::{Bytes, Limits, are_of_a_chain, measure, specs};
use super::error::MergeError;
use super::size_bounds::{DocSize, READABLE};
use crate::format::hash::ChangeHash;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Maximum of operations in one change, as in the format's description.
pub const OPERATIONS_MAX: u64 = 100_000;
/// Maximum of references to overwritten operations in one change.
///
/// An operation overwrites one value, or all values of a field in conflict.
pub const PREDECESSORS_MAX: u64 = 1_000_000;
/// Maximum of bytes of field names in one change after run-length decoding.
pub const FIELD_NAME_BYTES_MAX: u64 = 16 << 20;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const DOCUMENT: u8 = 0;
const CHANGE: u8 = 1;

/// Times at this distance from 1970 or beyond are refused: Automerge saves times as differences, and panics if
/// one of those does not fit into 64 bits.
const TIME_MAX: u64 = 1 << 62;

/// Bounds of a change. Marks are refused: nothing here makes any, and Automerge saves a document in which a mark
/// ends before it begins but cannot load it again.
const CHANGE_LIMITS: Limits = Limits {
    operations: OPERATIONS_MAX,
    references: PREDECESSORS_MAX,
    names: FIELD_NAME_BYTES_MAX,
    marks: 0,
};
/// Bounds of a saved document: what readers accept change by change, in sum. Automerge judges the marks of a
/// saved document itself when it loads them.
const DOCUMENT_LIMITS: Limits = Limits {
    operations: READABLE.operations,
    references: READABLE.references,
    names: READABLE.names,
    marks: u64::MAX,
};

/// Header of a change chunk, and the size of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// Hash of the change.
    pub hash: ChangeHash,
    /// Hashes of the changes that it builds on.
    pub deps: Vec<ChangeHash>,
    /// Actor who made it.
    pub actor: &'a [u8],
    /// Time in milliseconds since 1970.
    pub time_ms: i64,
    /// Text of [`super::change_message`]; empty if there is none.
    pub message: &'a str,
    /// Size that it adds to a history.
    pub size: DocSize,
}

/// Returns true if these bytes claim to be a change rather than a document.
pub(super) fn claims_to_be_a_change(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC) && bytes.get(8) == Some(&CHANGE)
}

/// Returns the hash of a raw change. Verifies its checksum and does not read its operations.
///
/// # Errors
/// [`MergeError::NotAChange`] or [`MergeError::Checksum`] if `change` is not one whole type-1 chunk.
pub fn hash_of(change: &[u8]) -> Result<ChangeHash, MergeError> {
    split(change, CHANGE).map(|(hash, _)| hash)
}

/// Returns the hashes of the changes that a raw change builds on. Verifies it as [`hash_of`] does.
///
/// # Errors
/// As [`hash_of`].
pub fn deps_of(change: &[u8]) -> Result<Vec<ChangeHash>, MergeError> {
    let (_, body) = split(change, CHANGE)?;
    deps(&mut Bytes(body)).ok_or(MergeError::NotAChange { why: "its dependencies are cut short" })
}

/// Verifies the frame of a chunk. Returns its hash and its content.
fn split(change: &[u8], kind: u8) -> Result<(ChangeHash, &[u8]), MergeError> {
    let not = |why| MergeError::NotAChange { why };
    let mut rest = Bytes(change);
    if rest.take(4) != Some(&MAGIC) {
        return Err(not("it does not start with Automerge's magic bytes"));
    }
    let checksum = rest.take(4).ok_or(not("it ends within its checksum"))?;
    // Automerge would also accept a compressed change (type 2). Inflating it could need any amount of memory.
    if rest.take(1) != Some(&[kind]) {
        let why =
            if kind == CHANGE { "its chunk type is not 1" } else { "its chunk type is not 0" };
        return Err(not(why));
    }
    let before_length = rest.0;
    let length = rest.unsigned().ok_or(not("it ends within its length"))?;
    let length_bytes = before_length.len() - rest.0.len();
    if length != rest.0.len() as u64 {
        return Err(not("its length does not match the number of bytes"));
    }
    // The hash covers the length as it is written: a longer encoding of the same number makes another change.
    let mut hasher = Sha256::new();
    hasher.update([kind]);
    hasher.update(before_length.get(..length_bytes).unwrap_or_default());
    hasher.update(rest.0);
    let hash = ChangeHash(hasher.finalize().into());
    // Trap: `Change::from_bytes` does not compare the checksum. A flipped bit would become a different change
    // with the same actor and sequence number, and the true one would be refused as a duplicate.
    if hash.0.get(..4) != Some(checksum) {
        return Err(MergeError::Checksum);
    }
    Ok((hash, rest.0))
}

impl<'a> Chunk<'a> {
    /// Verifies the frame, reads the header and bounds what the columns expand to.
    pub fn parse(change: &'a [u8]) -> Result<Self, MergeError> {
        let (hash, body) = split(change, CHANGE)?;
        let cut = MergeError::NotAChange { why: "its header is cut short or malformed" };
        let mut rest = Bytes(body);
        let mut head = || {
            let deps = deps(&mut rest)?;
            let actor = rest.prefixed()?;
            // Sequence number, start of the operation counter.
            (0..2).try_for_each(|_| rest.number().map(drop))?;
            let time_ms = rest.signed()?;
            let message = std::str::from_utf8(rest.prefixed()?).ok()?;
            // The other actors that the operations refer to.
            for _ in 0..rest.unsigned()? {
                rest.prefixed()?;
            }
            Some(Chunk { hash, deps, actor, time_ms, message, size: DocSize::default() })
        };
        let chunk = head().ok_or(cut)?;
        if chunk.time_ms.unsigned_abs() >= TIME_MAX {
            return Err(MergeError::NotAChange { why: "its time is out of range" });
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

/// Returns true if no dependency is repeated. For each of them Automerge walks over all, so a change that repeats
/// one a million times would keep a processor busy.
fn distinct(deps: &[ChangeHash]) -> bool {
    let mut seen = HashSet::new();
    deps.iter().all(|dep| seen.insert(dep))
}

fn deps(rest: &mut Bytes<'_>) -> Option<Vec<ChangeHash>> {
    let count = usize::try_from(rest.unsigned()?).ok()?;
    // The bytes are taken before anything is allocated: the count alone is not to be trusted.
    let (hashes, _) = rest.take(count.checked_mul(32)?)?.as_chunks::<32>();
    Some(hashes.iter().copied().map(ChangeHash).collect())
}

/// Checks that these bytes are one whole, uncompressed saved document with a right checksum, and that readers
/// accept what it expands to. Returns that size.
pub(super) fn check_document(saved: &[u8]) -> Result<DocSize, MergeError> {
    let (_, body) = split(saved, DOCUMENT)?;
    let cut = MergeError::NotAChange { why: "its header is cut short or malformed" };
    let DocumentColumns { changes, operations, .. } = document_columns(body).ok_or(cut)?;
    // The columns about changes add no operations, but can expand just as far.
    measure(changes, &DOCUMENT_LIMITS)?;
    let size = measure(operations, &DOCUMENT_LIMITS)?;
    Ok(DocSize { bytes: saved.len() as u64, ..size })
}

/// Returns false if each change of a saved document builds on the one before it. Reads neither its operations nor its
/// checksum.
#[must_use]
pub fn may_be_concurrent(saved: &[u8]) -> bool {
    let mut rest = Bytes(saved);
    if claims_to_be_a_change(saved) || rest.take(9).is_none() || rest.unsigned().is_none() {
        return false;
    }
    let columns = document_columns(rest.0);
    columns.is_some_and(|columns| columns.actors > 1 && !are_of_a_chain(&columns.changes))
}

/// Name and bytes of each column.
type Columns<'a> = Vec<(u64, &'a [u8])>;

struct DocumentColumns<'a> {
    actors: u64,
    changes: Columns<'a>,
    operations: Columns<'a>,
}

/// Reads the content of a saved document as far as its columns.
fn document_columns(body: &[u8]) -> Option<DocumentColumns<'_>> {
    let mut rest = Bytes(body);
    let actors = rest.unsigned()?;
    for _ in 0..actors {
        rest.prefixed()?;
    }
    let heads = usize::try_from(rest.unsigned()?).ok()?;
    rest.take(heads.checked_mul(32)?)?;
    let (changes, operations) = (specs(&mut rest)?, specs(&mut rest)?);
    let (changes, operations) = (rest.columns(changes)?, rest.columns(operations)?);
    Some(DocumentColumns { actors, changes, operations })
}
