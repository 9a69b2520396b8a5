//! The text of a short cursor.
//!
//! Base64 (URL-safe, without padding) of these bytes, integers big-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 6 | the moment, in milliseconds since 1970 |
//! | 2 | one bit for each cell that is not zero, the first lowest; the highest bit is [`Short::uncertain`] |
//! | 7 each | the cells that are not zero |
//! | 4 to 12 each | the hints: 3 bytes of the instance, and the sequence number in LEB128 |
//! | 3 | the beginning of the BLAKE3 of a name and of all bytes above |

use crate::format::id::InstanceId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Number of cells.
pub const CELLS: usize = 15;
/// Bytes of hints that always fit into a short cursor of 200 characters.
pub const HINT_BYTES_MAX: usize = 150 - MOMENT - 2 - CELLS * CELL - CHECK;
/// The highest value of a cell.
pub const CELL_MAX: u64 = (1 << (8 * CELL)) - 1;

const MOMENT: usize = 6;
const CELL: usize = 7;
const PREFIX: usize = 3;
const CHECK: usize = 3;
const UNCERTAIN: u16 = 1 << CELLS;

/// What a short cursor says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Short {
    /// Commits from before this moment count as seen, unless hints and cells say otherwise.
    pub moment_ms: i64,
    /// The digests of what was seen.
    pub cells: [u64; CELLS],
    /// Last seen commits of instances of which the moment says something else.
    pub hints: Vec<Hint>,
    /// True if more was seen than this says.
    pub uncertain: bool,
}

/// A last seen commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    prefix: [u8; PREFIX],
    /// The sequence number.
    pub sequence: u64,
}

impl Hint {
    /// Says that commits of an instance were seen up to this one; 0 if none was.
    pub fn new(instance: InstanceId, sequence: u64) -> Self {
        let [a, b, c, ..] = instance.0;
        Hint { prefix: [a, b, c], sequence }
    }

    /// Returns true if this may be the instance.
    pub fn fits(&self, instance: InstanceId) -> bool {
        instance.0.starts_with(&self.prefix)
    }

    /// Returns its length in a short cursor.
    pub fn bytes(&self) -> usize {
        PREFIX + leb128(self.sequence).len()
    }
}

impl Short {
    /// Returns the text.
    pub fn encode(&self) -> String {
        let moment = self.moment_ms.clamp(0, (1 << (8 * MOMENT)) - 1).to_be_bytes();
        let mut bytes: Vec<u8> = moment.iter().skip(8 - MOMENT).copied().collect();
        let set = self.cells.iter().enumerate().filter(|(_, cell)| **cell != 0);
        let bits = set.clone().fold(0, |bits, (n, _)| bits | 1_u16 << n);
        bytes.extend((bits | if self.uncertain { UNCERTAIN } else { 0 }).to_be_bytes());
        set.for_each(|(_, cell)| bytes.extend(cell.to_be_bytes().iter().skip(8 - CELL)));
        for hint in &self.hints {
            bytes.extend(hint.prefix);
            bytes.extend(leb128(hint.sequence));
        }
        bytes.extend(check(&bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text; `None` if it is no short cursor, or was not copied whole.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (bytes, last) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
        if check(bytes) != last {
            return None;
        }
        let (moment, rest) = bytes.split_at_checked(MOMENT)?;
        let (bits, mut rest) = rest.split_first_chunk()?;
        let bits = u16::from_be_bytes(*bits);
        let mut short = Short { uncertain: bits & UNCERTAIN != 0, ..Short::default() };
        short.moment_ms = i64::try_from(big_endian(moment)).ok()?;
        let set = short.cells.iter_mut().enumerate().filter(|(n, _)| bits >> n & 1 == 1);
        for (_, cell) in set {
            let digits;
            (digits, rest) = rest.split_at_checked(CELL)?;
            *cell = big_endian(digits);
        }
        while !rest.is_empty() {
            let (prefix, number) = rest.split_first_chunk()?;
            let sequence;
            (sequence, rest) = read_leb128(number)?;
            short.hints.push(Hint { prefix: *prefix, sequence });
        }
        Some(short)
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn check(bytes: &[u8]) -> [u8; CHECK] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"crdt-palace short cursor 1").update(bytes);
    let [a, b, c, ..] = *hasher.finalize().as_bytes();
    [a, b, c]
}

fn leb128(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let [low, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Returns the number at the start, and what follows it.
fn read_leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (digits, rest) = bytes.split_at_checked(length)?;
    let number = digits
        .iter()
        .rev()
        .try_fold(0_u64, |number, byte| Some(number.checked_mul(128)? | u64::from(byte & 0x7f)))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest() -> Short {
        let hint = |n: u8| Hint::new(InstanceId([n; 16]), 20_000);
        let hints: Vec<Hint> = (0..).map(hint).take(HINT_BYTES_MAX / hint(0).bytes()).collect();
        Short { moment_ms: 1_790_000_000_000, cells: [CELL_MAX; CELLS], hints, uncertain: true }
    }

    #[test]
    fn longest_short_cursor_has_at_most_200_characters() {
        let text = longest().encode();
        assert!((190..=200).contains(&text.len()), "{}", text.len());
        assert_eq!(Short::decode(&text), Some(longest()));
    }

    #[test]
    fn short_cursors_round_trip() {
        let mut cells = [0; CELLS];
        (cells[3], cells[14]) = (1, 0x00ab_cdef_0123_4567);
        let hints = [0, 1, 127, 128, u64::MAX].map(|n| Hint::new(InstanceId([9; 16]), n)).to_vec();
        for uncertain in [false, true] {
            let short = Short { moment_ms: 7, cells, hints: hints.clone(), uncertain };
            assert_eq!(Short::decode(&short.encode()), Some(short));
        }
        assert_eq!(Short::decode(&Short::default().encode()), Some(Short::default()));
    }

    #[test]
    fn text_with_any_character_changed_is_no_cursor() {
        let text = longest().encode();
        for n in 0..text.len() {
            let other = if text.as_bytes()[n] == b'A' { "B" } else { "A" };
            let mut wrong = text.clone();
            wrong.replace_range(n..=n, other);
            assert_eq!(Short::decode(&wrong), None, "{n}");
            assert_eq!(Short::decode(&text[..n]), None, "{n}");
        }
        assert_eq!(Short::decode("1a1fdc212ee-26d65c79b33e"), None);
    }
}
