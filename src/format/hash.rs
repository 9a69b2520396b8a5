//! Change hashes, heads and etags.
//!
//! A document's version is the set of its *heads*: the changes that no other change depends on. The
//! *etag* is that set made short: 16 hex digits for each head, sorted, joined by dots.

use super::id::{from_hex, hex_digit, write_hex};
use std::fmt;

/// The SHA-256 that names an Automerge change.
///
/// ```
/// use crdt_palace::palace::ChangeHash;
///
/// let digits = "0f".repeat(32);
/// let hash: ChangeHash = digits.parse()?;
/// assert_eq!((hash.0[0], hash.to_string()), (0x0f, digits));
/// # Ok::<(), crdt_palace::palace::EtagError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeHash(pub [u8; 32]);

impl ChangeHash {
    /// Returns the version of the document right after this change, with everything that the change
    /// builds on.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let first = palace.put("a", &json!({"n": 1}))?;
    /// palace.put("a", &json!({"n": 2}))?;
    /// let change = palace.history("a")?.remove(0);
    /// assert_eq!(change.hash.etag(), first.etag);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn etag(&self) -> Etag {
        Etag(vec![prefix(self)])
    }
}

impl fmt::Display for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl std::str::FromStr for ChangeHash {
    type Err = EtagError;
    fn from_str(text: &str) -> Result<Self, EtagError> {
        from_hex(text).map(ChangeHash).ok_or_else(|| EtagError { text: text.to_owned() })
    }
}

impl serde::Serialize for ChangeHash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// The heads of a document, sorted and without duplicates. Empty if the document has no change.
///
/// ```
/// use crdt_palace::palace::{ChangeHash, Heads};
///
/// let (low, high) = (ChangeHash([0x01; 32]), ChangeHash([0xfe; 32]));
/// let heads = Heads::new(vec![high, low, high]);
/// assert_eq!(heads.hashes(), [low, high]);
/// assert_eq!(heads.etag().to_string(), "0101010101010101.fefefefefefefefe");
/// assert!(Heads::default().is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Heads(Vec<ChangeHash>);

impl Heads {
    /// Sorts the hashes and removes duplicates.
    #[must_use]
    pub fn new(mut hashes: Vec<ChangeHash>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        Heads(hashes)
    }

    /// Returns the hashes in ascending order.
    #[must_use]
    pub fn hashes(&self) -> &[ChangeHash] {
        &self.0
    }

    /// Returns true if the document has no change at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Encodes the heads as snapshots store them: 32 bytes a head, in ascending order.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|hash| hash.0).collect()
    }

    /// Decodes what [`Heads::to_bytes`] made; `None` if the length is no multiple of 32.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        rest.is_empty().then(|| Heads::new(hashes.iter().copied().map(ChangeHash).collect()))
    }

    /// Returns the short name of this version.
    #[must_use]
    pub fn etag(&self) -> Etag {
        let mut prefixes: Vec<u64> = self.0.iter().map(prefix).collect();
        prefixes.sort_unstable();
        Etag(prefixes)
    }
}

fn prefix(hash: &ChangeHash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.0[..8]);
    u64::from_be_bytes(first)
}

/// The version of a document in short: 16 hex digits for each head, sorted, joined by `.`. It also names
/// a position in history, for `base` and `get_at`.
///
/// ```
/// use crdt_palace::palace::Etag;
/// let etag: Etag = "00000000000000ff.0123456789abcdef".parse()?;
/// assert_eq!(etag.to_string(), "00000000000000ff.0123456789abcdef");
/// assert_eq!(etag.len(), 2);
/// assert!(!etag.is_empty());
/// let hash = "0123456789abcdef".repeat(4).parse()?;
/// assert!(etag.names(&hash));
/// assert!("xyz".parse::<Etag>().is_err());
/// # Ok::<(), crdt_palace::palace::EtagError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag(Vec<u64>);

/// A text that is not an etag or a change hash.
///
/// ```
/// use crdt_palace::palace::Etag;
///
/// let error = "latest".parse::<Etag>().unwrap_err();
/// assert_eq!(error.text, "latest");
/// ```
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[error("{text:?} is not an etag: expected 16 lower-case hex digits for each head, joined by '.'")]
#[non_exhaustive]
pub struct EtagError {
    /// The rejected text.
    pub text: String,
}

impl Etag {
    /// Returns true if `hash` is one of the heads that this etag names.
    #[must_use]
    pub fn names(&self, hash: &ChangeHash) -> bool {
        self.0.contains(&prefix(hash))
    }

    /// Returns the number of heads.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if it names no head, as the etag of a document that was never written does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, prefix) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(".")?;
            }
            write!(f, "{prefix:016x}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Etag {
    type Err = EtagError;
    fn from_str(text: &str) -> Result<Self, EtagError> {
        let error = || EtagError { text: text.to_owned() };
        let head = |part: &str| {
            let digits = part.as_bytes();
            if digits.len() != 16 {
                return None;
            }
            digits.iter().try_fold(0u64, |n, d| Some(n << 4 | u64::from(hex_digit(*d)?)))
        };
        let mut prefixes: Vec<u64> =
            text.split('.').map(head).collect::<Option<_>>().ok_or_else(error)?;
        prefixes.sort_unstable();
        prefixes.dedup();
        Ok(Etag(prefixes))
    }
}

impl serde::Serialize for Etag {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_sixteen_digits_a_head_sorted() {
        let low = ChangeHash([1; 32]);
        let high = ChangeHash([0xfe; 32]);
        let etag = Heads::new(vec![high, low, high]).etag();
        assert_eq!(etag.to_string(), "0101010101010101.fefefefefefefefe");
        assert!(etag.names(&low) && etag.names(&high) && !etag.names(&ChangeHash([2; 32])));
        assert_eq!(etag.to_string().parse::<Etag>().unwrap(), etag);
        assert!(!etag.is_empty() && Heads::default().etag().is_empty());
    }

    #[test]
    fn heads_round_trip_as_bytes() {
        let heads = Heads::new(vec![ChangeHash([9; 32]), ChangeHash([3; 32])]);
        assert_eq!(Heads::from_bytes(&heads.to_bytes()), Some(heads));
        assert_eq!(Heads::from_bytes(&[0; 31]), None);
        assert!(Heads::from_bytes(&[]).unwrap().is_empty());
    }
}
