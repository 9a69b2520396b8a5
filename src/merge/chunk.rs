//! One raw change chunk: checked, hashed and measured without decoding its operations.
//!
//! Automerge neither verifies a change's checksum when it parses one, nor bounds what the run-length
//! encoding expands to: a chunk of 119 bytes can hold a million operations. So every chunk from
//! outside passes through [`Chunk::parse`] first, which reads nothing but lengths.

use super::error::MergeError;
use crate::format::hash::ChangeHash;
use sha2::{Digest, Sha256};

/// The most operations in one change, as in the format's description.
pub const OPERATIONS_MAX: u64 = 100_000;
/// The most references to overwritten operations in one change. An operation overwrites one value,
/// or as many as were in conflict.
pub const PREDECESSORS_MAX: u64 = 1_000_000;
/// The most bytes of field names in one change after run-length decoding.
pub const FIELD_NAME_BYTES_MAX: u64 = 16 << 20;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE: u8 = 1;

/// Columns are named by an id and a type: `id << 4 | type`. Only those whose expansion matters:
const FIELD_NAMES: u64 = 1 << 4 | 5;
const ACTIONS: u64 = 4 << 4 | 2;
const PREDECESSOR_COUNTS: u64 = 7 << 4;
const MARK_NAMES: u64 = 10 << 4 | 5;

/// What the head of a change chunk says, and how many operations follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    pub hash: ChangeHash,
    pub deps: Vec<ChangeHash>,
    pub actor: &'a [u8],
    pub time_ms: i64,
    /// See [`super::message`]; empty if there is none.
    pub message: &'a str,
    pub operations: u64,
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
    split(change).map(|(hash, _)| hash)
}

/// The changes that a raw change builds on. Verifies as [`hash_of`] does.
///
/// # Errors
/// If `change` is not one whole type-1 chunk, or its checksum is wrong.
pub fn deps_of(change: &[u8]) -> Result<Vec<ChangeHash>, MergeError> {
    let (_, body) = split(change)?;
    deps(&mut Bytes(body)).ok_or(MergeError::NotAChange { why: "its dependencies are cut short" })
}

/// Verifies the frame of the chunk and returns its hash and its content.
fn split(change: &[u8]) -> Result<(ChangeHash, &[u8]), MergeError> {
    let not = |why| MergeError::NotAChange { why };
    let mut rest = Bytes(change);
    if rest.take(4) != Some(&MAGIC) {
        return Err(not("the first four bytes are not Automerge's"));
    }
    let checksum = rest.take(4).ok_or(not("it ends in its checksum"))?;
    if rest.take(1) != Some(&[CHANGE]) {
        return Err(not("its chunk type is not 1"));
    }
    let before_length = rest.0;
    let length = rest.unsigned().ok_or(not("it ends in its length"))?;
    let length_bytes = before_length.len() - rest.0.len();
    if length != rest.0.len() as u64 {
        return Err(not("its length is not that of the bytes given"));
    }
    let mut hasher = Sha256::new();
    hasher.update([CHANGE]);
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
        let (hash, body) = split(change)?;
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
            Some(Chunk { hash, deps, actor, time_ms, message, operations: 0 })
        };
        let mut chunk = head().ok_or(cut)?;
        chunk.operations = measure(&mut rest)?;
        Ok(chunk)
    }
}

fn deps(rest: &mut Bytes<'_>) -> Option<Vec<ChangeHash>> {
    let count = usize::try_from(rest.unsigned()?).ok()?;
    let (hashes, _) = rest.take(count.checked_mul(32)?)?.as_chunks::<32>();
    Some(hashes.iter().copied().map(ChangeHash).collect())
}

/// Counts the operations, after checking everything that could expand beyond its bytes.
fn measure(rest: &mut Bytes<'_>) -> Result<u64, MergeError> {
    let cut = MergeError::NotAChange { why: "its columns are cut short" };
    let columns = columns(rest).ok_or(cut.clone())?;
    let mut operations = Total::new("operations", OPERATIONS_MAX);
    let mut predecessors = Total::new("overwritten values", PREDECESSORS_MAX);
    let mut names = Total::new("bytes of field names", FIELD_NAME_BYTES_MAX);
    for (name, bytes) in columns {
        let whole = match name {
            ACTIONS => runs(bytes, |b| b.unsigned().map(|_| 1), 1, |n| operations.add(n)),
            PREDECESSOR_COUNTS => runs(bytes, |b| b.unsigned(), 0, |n| predecessors.add(n)),
            FIELD_NAMES | MARK_NAMES => {
                runs(bytes, |b| b.prefixed().map(|s| s.len() as u64), 0, |n| names.add(n))
            }
            _ => Some(()),
        };
        for total in [&operations, &predecessors, &names] {
            total.check()?;
        }
        whole.ok_or(cut.clone())?;
    }
    Ok(operations.count)
}

fn columns<'a>(rest: &mut Bytes<'a>) -> Option<Vec<(u64, &'a [u8])>> {
    let mut lengths = Vec::new();
    for _ in 0..rest.unsigned()? {
        lengths.push((rest.unsigned()?, usize::try_from(rest.unsigned()?).ok()?));
    }
    lengths.into_iter().map(|(name, length)| Some((name, rest.take(length)?))).collect()
}

/// Walks a run-length encoded column and reports `length × weight` of each run. `None` if the bytes
/// end early or `report` has seen enough.
fn runs(
    bytes: &[u8],
    weight: impl Fn(&mut Bytes<'_>) -> Option<u64>,
    weight_of_null: u64,
    mut report: impl FnMut(u64) -> Option<()>,
) -> Option<()> {
    let mut rest = Bytes(bytes);
    while !rest.0.is_empty() {
        match rest.signed()? {
            0 => report(rest.unsigned()?.saturating_mul(weight_of_null))?,
            run @ 1.. => report(weight(&mut rest)?.saturating_mul(run.unsigned_abs()))?,
            literals => {
                for _ in 0..literals.unsigned_abs() {
                    report(weight(&mut rest)?)?;
                }
            }
        }
    }
    Some(())
}

struct Total {
    what: &'static str,
    count: u64,
    limit: u64,
}

impl Total {
    fn new(what: &'static str, limit: u64) -> Self {
        Total { what, count: 0, limit }
    }

    fn add(&mut self, n: u64) -> Option<()> {
        self.count = self.count.saturating_add(n);
        (self.count <= self.limit).then_some(())
    }

    fn check(&self) -> Result<(), MergeError> {
        let Total { what, count, limit } = *self;
        if count > limit { Err(MergeError::TooMany { what, count, limit }) } else { Ok(()) }
    }
}

/// Bytes not yet read. Every read answers `None` at the end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// One LEB128 number: its low 64 bits, how many bits were written, and its last byte.
    fn number(&mut self) -> Option<(u64, u32, u8)> {
        let (mut value, mut bits) = (0u64, 0u32);
        loop {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f).checked_shl(bits).unwrap_or(0);
            bits += 7;
            if byte < 0x80 {
                return Some((value, bits, byte));
            }
            if bits >= 70 {
                return None;
            }
        }
    }

    fn unsigned(&mut self) -> Option<u64> {
        self.number().map(|(value, ..)| value)
    }

    fn signed(&mut self) -> Option<i64> {
        let (value, bits, last) = self.number()?;
        let sign = if last & 0x40 == 0 { 0 } else { u64::MAX.checked_shl(bits).unwrap_or(0) };
        Some((value | sign).cast_signed())
    }

    fn prefixed(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.unsigned()?).ok()?;
        self.take(length)
    }
}
