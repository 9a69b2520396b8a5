//! Encodes values as bytes of a row, and computes the check that each row carries.
//!
//! Owns: the framing of lists, and the checks. Invariant: two different rows never feed the same bytes to
//! a check, because every part is preceded by its length, and every kind of row by its name. Must not
//! know: SQL.

use crate::format::hash::{ChangeHash, Heads};
use crate::format::id::InstanceId;
use crate::format::key::Key;

/// The first 16 bytes of a BLAKE3.
pub(super) type Check = [u8; 16];

fn check(kind: &str, parts: &[&[u8]]) -> Check {
    let mut hasher = blake3::Hasher::new();
    // The length before each part, so that no byte can move from one part to the next unnoticed.
    let mut frame = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    frame(kind.as_bytes());
    parts.iter().for_each(|part| frame(part));
    shorten(&hasher)
}

fn shorten(hasher: &blake3::Hasher) -> Check {
    let mut short = Check::default();
    hasher.finalize_xof().fill(&mut short);
    short
}

/// Computes the check of a key. It covers the number too, so that neighbours in number are provably
/// neighbours in key order.
pub(super) fn key_check(number: i64, key: &[u8]) -> Check {
    check("key", &[&number.to_le_bytes(), key])
}

/// The columns of a row of `views`, as bytes.
pub(super) struct ViewColumns<'a> {
    pub(super) number: i64,
    pub(super) key: &'a [u8],
    pub(super) heads: &'a [u8],
    pub(super) absorbed: &'a [u8],
    pub(super) incomplete: bool,
    pub(super) view: &'a [u8],
}

impl ViewColumns<'_> {
    pub(super) fn check(&self) -> Check {
        let number = self.number.to_le_bytes();
        let incomplete = [u8::from(self.incomplete)];
        check("view", &[&number, self.key, self.heads, self.absorbed, &incomplete, self.view])
    }
}

/// Computes the check of a saved document. It is apart from that of the view, so that reading a view does
/// not have to read the document.
pub(super) fn document_check(number: i64, key: &[u8], document: &[u8], waiting: &[u8]) -> Check {
    check("document", &[&number.to_le_bytes(), key, document, waiting])
}

/// The columns of a row of `log`, as bytes.
pub(super) struct LogColumns<'a> {
    pub(super) instance: InstanceId,
    pub(super) sequence: u64,
    pub(super) time_ms: i64,
    pub(super) by: &'a [u8],
    pub(super) changes: &'a [u8],
}

impl LogColumns<'_> {
    pub(super) fn check(&self) -> Check {
        let (sequence, time) = (self.sequence.to_le_bytes(), self.time_ms.to_le_bytes());
        check("log", &[&self.instance.0, &sequence, &time, self.by, self.changes])
    }
}

pub(super) fn meta_check(pairs: &[(&str, String)]) -> Check {
    let parts: Vec<&[u8]> =
        pairs.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).collect();
    check("meta", &parts)
}

/// A check over parts that are too many to hold at once.
pub(super) struct RunningCheck(blake3::Hasher);

impl RunningCheck {
    pub(super) fn new(kind: &str) -> Self {
        let mut running = RunningCheck(blake3::Hasher::new());
        running.add(kind.as_bytes());
        running
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(super) fn finish(&self) -> Check {
        shorten(&self.0)
    }
}

/// Packs a list of byte strings, each after its length in four bytes, little-endian.
///
/// `None` if one of them has 4 GiB or more.
pub(super) fn pack<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut packed = Vec::new();
    for part in parts {
        packed.extend_from_slice(&u32::try_from(part.len()).ok()?.to_le_bytes());
        packed.extend_from_slice(part);
    }
    Some(packed)
}

/// Unpacks what [`pack`] made; `None` if the bytes are no such list.
pub(super) fn unpack(mut packed: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !packed.is_empty() {
        let (length, rest) = packed.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        parts.push(part);
        packed = rest;
    }
    Some(parts)
}

pub(super) fn pack_heads(list: &[Heads]) -> Option<Vec<u8>> {
    let encoded: Vec<Vec<u8>> = list.iter().map(Heads::to_bytes).collect();
    pack(encoded.iter().map(Vec::as_slice))
}

pub(super) fn unpack_heads(packed: &[u8]) -> Option<Vec<Heads>> {
    unpack(packed)?.into_iter().map(Heads::from_bytes).collect()
}

pub(super) fn pack_changes(changes: &[(Key, ChangeHash)]) -> Option<Vec<u8>> {
    pack(changes.iter().flat_map(|(key, hash)| [key.as_str().as_bytes(), &hash.0]))
}

pub(super) fn unpack_changes(packed: &[u8]) -> Option<Vec<(Key, ChangeHash)>> {
    let parts = unpack(packed)?;
    let (pairs, rest) = parts.as_chunks::<2>();
    let change =
        |[key, hash]: &[&[u8]; 2]| Some((key_of(key)?, ChangeHash((*hash).try_into().ok()?)));
    if rest.is_empty() { pairs.iter().map(change).collect() } else { None }
}

pub(super) fn key_of(bytes: &[u8]) -> Option<Key> {
    Key::new(std::str::from_utf8(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_round_trip_and_anything_else_is_refused() {
        let parts: [&[u8]; 3] = [b"one", b"", b"three"];
        let packed = pack(parts).unwrap();
        assert_eq!(unpack(&packed).unwrap(), parts);
        assert_eq!(unpack(&[]).unwrap(), Vec::<&[u8]>::new());
        // A cut between two parts leaves a shorter list. The row's check notices that, not the framing.
        let ends = [0, 7, 11];
        for cut in (0..packed.len()).filter(|cut| !ends.contains(cut)) {
            assert_eq!(unpack(&packed[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn changes_round_trip() {
        let changes = vec![
            (Key::new("a").unwrap(), ChangeHash([1; 32])),
            (Key::new("ключ").unwrap(), ChangeHash([2; 32])),
        ];
        assert_eq!(unpack_changes(&pack_changes(&changes).unwrap()), Some(changes));
        assert_eq!(unpack_changes(&pack([&b"a"[..]]).unwrap()), None);
    }

    #[test]
    fn bytes_moved_between_columns_change_the_check() {
        assert_ne!(document_check(1, b"k", b"ab", b"c"), document_check(1, b"k", b"a", b"bc"));
        assert_ne!(key_check(1, b"k"), key_check(2, b"k"));
    }
}
