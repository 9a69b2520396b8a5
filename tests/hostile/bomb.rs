//! Small bytes that expand to many.

use sha2::{Digest, Sha256};

/// A chunk of Automerge with a right length and checksum around any content.
pub fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    hashed.extend(unsigned(body.len() as u64));
    hashed.extend(body);
    let checksum = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &checksum[..4], &hashed].concat()
}

/// A number as Automerge writes it.
pub fn unsigned(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// The length of a run of equal values; one value alone is a literal run.
pub fn run(n: i64) -> Vec<u8> {
    if n == 1 {
        return vec![0x7f];
    }
    let mut bytes = unsigned(n as u64);
    if bytes[bytes.len() - 1] & 0x40 != 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(0);
    }
    bytes
}

/// `count` zeros, deflated: one literal, then copies of 258 bytes, each in 13 bits.
pub fn deflated_zeros(count: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // The last block, with the fixed code; a zero; 285 and the distance 1; the end of the block.
    bits.low_first(0b011, 3);
    bits.high_first(0x30, 8);
    for _ in 0..count / 258 {
        bits.high_first(0xc5, 8);
        bits.high_first(0, 5);
    }
    bits.high_first(0, 7);
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn bit(&mut self, bit: u32) {
        if self.used.is_multiple_of(8) {
            self.bytes.push(0);
        }
        *self.bytes.last_mut().unwrap() |= (bit as u8) << (self.used % 8);
        self.used += 1;
    }

    fn low_first(&mut self, value: u32, count: u32) {
        (0..count).for_each(|n| self.bit(value >> n & 1));
    }

    fn high_first(&mut self, value: u32, count: u32) {
        (0..count).rev().for_each(|n| self.bit(value >> n & 1));
    }
}

/// A change of its own actor with these columns, each a name and raw bytes.
pub fn change(actor: u64, start_op: u64, columns: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![0, 16];
    body.extend([7; 8]);
    body.extend(actor.to_be_bytes());
    body.push(1);
    body.extend(unsigned(start_op));
    body.extend([0, 0, 0]);
    body.extend(unsigned(columns.len() as u64));
    for (name, bytes) in columns {
        body.extend(unsigned(*name));
        body.extend(unsigned(bytes.len() as u64));
    }
    columns.iter().for_each(|(_, bytes)| body.extend(bytes));
    chunk(1, &body)
}

/// A change with `count` puts of `null` to one field.
pub fn puts(actor: u64, start_op: u64, count: i64) -> Vec<u8> {
    let columns = [
        (21, [run(count), vec![1, b'x']].concat()),
        (52, unsigned(count as u64)),
        (66, [run(count), vec![1]].concat()),
        (86, [run(count), vec![0]].concat()),
        (112, [run(count), vec![0]].concat()),
    ];
    change(actor, start_op, &columns)
}
