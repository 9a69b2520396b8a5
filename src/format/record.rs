//! The frame of a record, and the body of a commit.
//!
//! ```text
//! offset  bytes
//!  0      4     magic, 89 50 4c 52
//!  4      1     format version, 1
//!  5      1     kind: 1 header, 2 commit, 3 footer
//!  6      2     zero
//!  8      4     length of the body, n
//! 12      8     sequence number: 1, 2, 3 … of this instance; 0 in a header
//! 20      8     offset of this frame in its file
//! 28      8     synced_upto: every byte before it was known to be on disk when this was written
//! 36      n     body
//! 36+n    16    the first half of the BLAKE3 of all bytes above
//! ```
//!
//! Integers are little-endian. Invariant: [`decode`] checks everything that it returns.

use super::FORMAT_VERSION;
use super::key::Key;

/// The first four bytes of every record. The first has its high bit set, so no text begins like a record.
pub const MAGIC: [u8; 4] = *b"\x89PLR";
/// The number of bytes before the body.
pub const FRAME_HEAD: usize = 36;
/// The number of bytes after the body.
pub const CHECKSUM: usize = 16;
/// The largest record, frame included: 8 MiB.
pub const RECORD_BYTES_MAX: usize = 8 << 20;
/// The largest body of a record, in bytes: the limit for all changes of one commit together.
pub const BODY_BYTES_MAX: usize = RECORD_BYTES_MAX - FRAME_HEAD - CHECKSUM;

/// The highest sequence number. Snapshots store it as a signed number of 64 bits.
pub const SEQUENCE_MAX: u64 = i64::MAX.unsigned_abs();
/// The longest part of a segment that is read, in bytes. Writers begin a new segment long before.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// The kinds of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first record of a segment: its writer.
    Header,
    /// One atomic commit.
    Commit,
    /// The last record of a segment that its owner sealed.
    Footer,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Kind::Header),
            2 => Some(Kind::Commit),
            3 => Some(Kind::Footer),
            _ => None,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Kind::Header => 1,
            Kind::Commit => 2,
            Kind::Footer => 3,
        }
    }
}

/// A record whose frame and checksum are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The kind of record.
    pub kind: Kind,
    /// The sequence number of this commit for its instance; 0 in a header.
    pub sequence: u64,
    /// The offset of the frame in its file.
    pub offset: u64,
    /// Every byte before this offset was on disk when the record was written.
    pub synced_upto: u64,
    /// The payload.
    pub body: &'a [u8],
}

impl Record<'_> {
    /// Returns the offset of the byte after this record.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + (FRAME_HEAD + self.body.len() + CHECKSUM) as u64
    }
}

/// Bytes that are not a record, or a record that cannot be written.
///
/// ```
/// use crdt_palace::palace::{Error, Key, RecordError, SegmentError, StoreError, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// // Each document is small enough, all of them together are not.
/// let large = json!({"text": "x".repeat(1_000_000)});
/// let mut batch = palace.batch();
/// for n in 0..9 {
///     batch.write(Key::new(&format!("large/{n}"))?, |draft| draft.put(&large));
/// }
/// let error = batch.commit().unwrap_err();
/// let Error::Store(StoreError::Segment(SegmentError::Record(error))) = error else { panic!() };
/// assert!(matches!(error, RecordError::TooLarge(bytes) if bytes > 9_000_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// There are fewer bytes than the record needs. At the end of a file this is a torn tail.
    #[error("the record is cut off")]
    Short,
    /// The first bytes are not those of a record.
    #[error("no record starts here")]
    Magic,
    /// The record is of a newer format.
    #[error(
        "the record has format {0}, and this version reads formats up to {FORMAT_VERSION}; upgrade crdt-palace"
    )]
    Version(u8),
    /// A field has a value that no writer gives it.
    #[error("a field of the record has a value that no writer gives it: {0}")]
    Field(&'static str),
    /// The checksum does not match.
    #[error("the record's checksum does not match its bytes")]
    Checksum,
    /// The checksum is good, but the body does not decode.
    #[error("the record's body is malformed: {0}")]
    Body(&'static str),
    /// The file is longer than a segment can be.
    #[error("a segment has at most {SEGMENT_BYTES_MAX} bytes; the rest of the file is not read")]
    Beyond,
    /// The commit is larger than a record may be.
    #[error(
        "a commit has at most {BODY_BYTES_MAX} bytes of changes; this one has {0}: split it into several"
    )]
    TooLarge(usize),
}

/// Appends one framed record to `out`.
///
/// # Errors
/// [`RecordError::TooLarge`] if the body is over [`BODY_BYTES_MAX`]; `out` is unchanged then.
pub fn encode(record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let length = u32::try_from(record.body.len())
        .ok()
        .filter(|_| record.body.len() <= BODY_BYTES_MAX)
        .ok_or(RecordError::TooLarge(record.body.len()))?;
    let start = out.len();
    out.reserve(FRAME_HEAD + record.body.len() + CHECKSUM);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[FORMAT_VERSION, record.kind.to_byte(), 0, 0]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&record.sequence.to_le_bytes());
    out.extend_from_slice(&record.offset.to_le_bytes());
    out.extend_from_slice(&record.synced_upto.to_le_bytes());
    out.extend_from_slice(record.body);
    let checksum = checksum(&out[start..]);
    out.extend_from_slice(&checksum);
    Ok(())
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut half = [0; CHECKSUM];
    half.copy_from_slice(&blake3::hash(bytes).as_bytes()[..CHECKSUM]);
    half
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// Returns the length that the frame at the start of `bytes` claims; its checksum is not read yet.
/// `offset` is where `bytes` starts in its file.
pub(super) fn claimed_length(bytes: &[u8], offset: u64) -> Result<usize, RecordError> {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(RecordError::Magic);
    }
    let head = bytes.first_chunk::<FRAME_HEAD>().ok_or(RecordError::Short)?;
    if head[4] != FORMAT_VERSION {
        return Err(RecordError::Version(head[4]));
    }
    let length = u32_at(head, 8).ok_or(RecordError::Short)? as usize;
    if length > BODY_BYTES_MAX {
        return Err(RecordError::Field("length"));
    }
    // A record that was copied to another place, or a stale block, is not one.
    if u64_at(head, 20) != Some(offset) {
        return Err(RecordError::Field("offset"));
    }
    Ok(FRAME_HEAD + length + CHECKSUM)
}

/// Reads the record at the start of `bytes`, which start at `offset` in their file.
///
/// # Errors
/// [`RecordError`] names the problem.
pub fn decode(bytes: &[u8], offset: u64) -> Result<Record<'_>, RecordError> {
    let length = claimed_length(bytes, offset)?;
    let frame = bytes.get(..length).ok_or(RecordError::Short)?;
    let (sealed, check) = frame.split_at(length - CHECKSUM);
    // Before any field but the length is believed.
    if checksum(sealed) != check {
        return Err(RecordError::Checksum);
    }
    let field = |at| u64_at(sealed, at).ok_or(RecordError::Short);
    // A later version may give them a meaning that this one would miss.
    if sealed[6..8] != [0, 0] {
        return Err(RecordError::Field("reserved bytes"));
    }
    let sequence = field(12)?;
    if sequence > SEQUENCE_MAX {
        return Err(RecordError::Field("sequence number"));
    }
    Ok(Record {
        kind: Kind::from_byte(sealed[5]).ok_or(RecordError::Field("kind"))?,
        sequence,
        offset,
        synced_upto: field(28)?,
        body: &sealed[FRAME_HEAD..],
    })
}

/// One change of one document, as a commit carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<B> {
    /// The document.
    pub key: Key,
    /// One uncompressed Automerge change chunk, opaque here.
    pub change: B,
}

/// Encodes the body of a commit: a 4-byte count, then for each entry a 2-byte key length, the key, a
/// 4-byte change length and the change.
#[must_use]
pub fn encode_commit<B: AsRef<[u8]>>(entries: &[Entry<B>]) -> Vec<u8> {
    let bytes = |e: &Entry<B>| 6 + e.key.as_str().len() + e.change.as_ref().len();
    let mut body = Vec::with_capacity(4 + entries.iter().map(bytes).sum::<usize>());
    body.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    for entry in entries {
        let (key, change) = (entry.key.as_str().as_bytes(), entry.change.as_ref());
        body.extend_from_slice(&(key.len() as u16).to_le_bytes());
        body.extend_from_slice(key);
        body.extend_from_slice(&(change.len() as u32).to_le_bytes());
        body.extend_from_slice(change);
    }
    body
}

/// Decodes what [`encode_commit`] made; the changes are slices of `body`.
///
/// # Errors
/// [`RecordError::Body`] if the bytes are not exactly such a list with valid keys.
pub fn decode_commit(body: &[u8]) -> Result<Vec<Entry<&[u8]>>, RecordError> {
    let mut rest = body;
    let count = u32::from_le_bytes(take_array(&mut rest)?) as usize;
    // An entry has at least 7 bytes, so the bytes bound the count before memory is reserved for it.
    if count > rest.len() / 7 {
        return Err(RecordError::Body("more entries than bytes for them"));
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let length = u16::from_le_bytes(take_array(&mut rest)?) as usize;
        let key = std::str::from_utf8(take(&mut rest, length)?)
            .map_err(|_| RecordError::Body("a key is not UTF-8"))?;
        let key = Key::new(key).map_err(|_| RecordError::Body("a key is not valid"))?;
        let length = u32::from_le_bytes(take_array(&mut rest)?) as usize;
        entries.push(Entry { key, change: take(&mut rest, length)? });
    }
    if rest.is_empty() { Ok(entries) } else { Err(RecordError::Body("bytes after the last entry")) }
}

pub(super) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], RecordError> {
    let (taken, after) =
        rest.split_at_checked(length).ok_or(RecordError::Body("it ends too early"))?;
    *rest = after;
    Ok(taken)
}

pub(super) fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RecordError> {
    let (taken, after) = rest.split_first_chunk().ok_or(RecordError::Body("it ends too early"))?;
    *rest = after;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, change: &[u8]) -> Entry<Vec<u8>> {
        Entry { key: Key::new(key).unwrap(), change: change.to_vec() }
    }

    fn sample() -> (Vec<u8>, Vec<u8>) {
        let body = encode_commit(&[entry("a", b"one"), entry("b/c", b"")]);
        let record =
            Record { kind: Kind::Commit, sequence: 7, offset: 99, synced_upto: 42, body: &body };
        let mut frame = Vec::new();
        encode(&record, &mut frame).unwrap();
        (body, frame)
    }

    #[test]
    fn a_commit_round_trips() {
        let (body, frame) = sample();
        let record = decode(&frame, 99).unwrap();
        assert_eq!((record.sequence, record.synced_upto, record.kind), (7, 42, Kind::Commit));
        assert_eq!(record.end(), 99 + frame.len() as u64);
        assert_eq!(record.body, body);
        let entries = decode_commit(record.body).unwrap();
        assert_eq!(entries[0].change, b"one");
        assert_eq!(entries[1].key.as_str(), "b/c");
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_refused() {
        let (_, frame) = sample();
        for length in 0..frame.len() {
            assert_eq!(decode(&frame[..length], 99), Err(RecordError::Short), "cut at {length}");
        }
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad, 99).is_err(), "bit {bit}");
        }
        assert_eq!(decode(&frame, 98), Err(RecordError::Field("offset")));
    }

    #[test]
    fn a_body_with_a_good_checksum_is_still_checked() {
        let (body, _) = sample();
        for length in 0..body.len() {
            assert!(decode_commit(&body[..length]).is_err(), "cut at {length}");
        }
        assert!(decode_commit(&[body.as_slice(), b"x"].concat()).is_err());
        assert!(decode_commit(&u32::MAX.to_le_bytes()).is_err());
        let control = encode_commit(&[entry("ab", b"")])
            .iter()
            .map(|b| if *b == b'b' { 0 } else { *b })
            .collect::<Vec<_>>();
        assert_eq!(decode_commit(&control), Err(RecordError::Body("a key is not valid")));
    }

    /// Puts a number into a frame and makes its checksum right again.
    fn with(frame: &[u8], at: usize, number: &[u8]) -> Vec<u8> {
        let mut frame = frame[..frame.len() - CHECKSUM].to_vec();
        frame[at..at + number.len()].copy_from_slice(number);
        let check = checksum(&frame);
        [&frame, &check[..]].concat()
    }

    #[test]
    fn record_numbers_are_accepted_up_to_their_limits() {
        let (_, frame) = sample();
        let length = |length: usize| with(&frame, 8, &(length as u32).to_le_bytes());
        let whole = FRAME_HEAD + BODY_BYTES_MAX + CHECKSUM;
        assert_eq!(claimed_length(&length(BODY_BYTES_MAX), 99), Ok(whole));
        let error = Err(RecordError::Field("length"));
        assert_eq!(claimed_length(&length(BODY_BYTES_MAX + 1), 99), error);
        let numbered = |sequence: u64| with(&frame, 12, &sequence.to_le_bytes());
        assert_eq!(decode(&numbered(SEQUENCE_MAX), 99).unwrap().sequence, SEQUENCE_MAX);
        let error = Err(RecordError::Field("sequence number"));
        assert_eq!(decode(&numbered(SEQUENCE_MAX + 1), 99), error);
    }

    #[test]
    fn a_body_over_the_cap_is_refused_before_it_is_written() {
        let body = vec![0; BODY_BYTES_MAX + 1];
        let record =
            Record { kind: Kind::Commit, sequence: 1, offset: 0, synced_upto: 0, body: &body };
        let mut out = Vec::new();
        assert_eq!(encode(&record, &mut out), Err(RecordError::TooLarge(BODY_BYTES_MAX + 1)));
        assert!(out.is_empty());
    }
}
