//! From the bytes of a segment to its records, and a verdict on every byte that is in none.
//!
//! The rule (docs/FORMAT.md): an invalid region that lies below the `synced_upto` of a later record
//! was once known to be on disk, so it is *damage*. Any other invalid region is *torn*: a write that
//! a crash cut short or that is still under way. Either way the records after it still count. Zeros
//! at the end are neither: they are room that the writer made for records to come.

use super::damage::{Region, tell_damage};
use super::record::{MAGIC, Record, claimed_length, decode};

/// What [`scan`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan<'a> {
    /// The good records in file order.
    pub records: Vec<Record<'a>>,
    /// The invalid regions in file order. The last one may reach to the end: the tail.
    pub regions: Vec<Region>,
}

impl Scan<'_> {
    /// Where the last record or invalid region ends: from there on is room, or nothing.
    #[must_use]
    pub fn end(&self, start: u64) -> u64 {
        let record = self.records.last().map_or(start, Record::end);
        self.regions.last().map_or(record, |region| region.bytes.end.max(record))
    }

    /// The offset up to which every byte is in a good record: where a later scan goes on.
    #[must_use]
    pub fn valid_upto(&self, start: u64) -> u64 {
        match self.regions.first() {
            Some(region) => region.bytes.start,
            None => self.records.last().map_or(start, Record::end),
        }
    }

    /// Where the last invalid region starts that a record follows. A write under way is no such region
    /// once its owner has written on.
    #[must_use]
    pub fn passed(&self) -> Option<u64> {
        let last = self.records.last()?.offset;
        let region = self.regions.iter().rev().find(|region| region.bytes.end <= last)?;
        Some(region.bytes.start)
    }
}

/// Finds every record in `bytes`, which start at `offset` in their file.
///
/// Work is bounded: while it looks for the next record after an invalid region, it hashes at most
/// eight times as many bytes as there are, however the bytes were made up; what it does not reach
/// then is reported as part of the region.
#[must_use]
pub fn scan(bytes: &[u8], offset: u64) -> Scan<'_> {
    let mut found = Scan::default();
    let mut budget = bytes.len().saturating_mul(8);
    let used = used(bytes);
    let mut at = 0;
    while at < used {
        match decode(&bytes[at..], offset + at as u64) {
            Ok(record) => {
                at = (record.end() - offset) as usize;
                found.records.push(record);
            }
            Err(reason) => {
                let next = resync(bytes, at + 1, offset, &mut budget).unwrap_or(used);
                let region = offset + at as u64..offset + next as u64;
                found.regions.push(Region { bytes: region, damaged: false, reason });
                at = next;
            }
        }
    }
    tell_damage(&mut found.regions, &found.records);
    found
}

/// How many bytes there are without the zeros at the end. Looked at in pieces, because there may be many.
fn used(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    for piece in bytes.rchunks(256) {
        let start = end - piece.len();
        // Without a branch for each byte: this is what makes it fast.
        if piece.iter().fold(0, |seen, byte| seen | byte) != 0 {
            return piece
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(start, |last| start + last + 1);
        }
        end = start;
    }
    end
}

/// The next position at or after `from` where a whole record stands.
fn resync(bytes: &[u8], from: usize, offset: u64, budget: &mut usize) -> Option<usize> {
    let mut from = from;
    loop {
        let step = bytes.get(from..)?.windows(MAGIC.len()).position(|w| w == MAGIC)?;
        let (at, start) = (from + step, offset + (from + step) as u64);
        if let Ok(length) = claimed_length(&bytes[at..], start)
            && length <= bytes.len() - at
        {
            *budget = budget.checked_sub(length)?;
            if decode(&bytes[at..], start).is_ok() {
                return Some(at);
            }
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{FRAME_HEAD, Kind, encode};
    use super::*;

    /// Three records; each says that all before it is synced.
    fn three() -> (Vec<u8>, Vec<u64>) {
        let (mut file, mut ends) = (Vec::new(), Vec::new());
        for sequence in 1..=3 {
            let offset = file.len() as u64;
            let body = vec![sequence as u8; 10];
            let record =
                Record { kind: Kind::Commit, sequence, offset, synced_upto: offset, body: &body };
            encode(&record, &mut file).unwrap();
            ends.push(file.len() as u64);
        }
        (file, ends)
    }

    #[test]
    fn a_cut_at_every_byte_keeps_every_record_before_it_and_is_never_damage() {
        let (file, ends) = three();
        for length in 0..=file.len() {
            let found = scan(&file[..length], 0);
            let whole = ends.iter().filter(|end| **end <= length as u64).count();
            assert_eq!(found.records.len(), whole, "cut at {length}");
            assert!(found.regions.iter().all(|r| !r.damaged), "cut at {length}");
            let boundary = length == 0 || ends.contains(&(length as u64));
            assert_eq!(found.regions.is_empty(), boundary, "cut at {length}");
        }
    }

    #[test]
    fn a_flip_loses_one_record_and_is_damage_unless_it_is_the_last() {
        let (file, ends) = three();
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 0x40;
            let found = scan(&bad, 0);
            let hit = ends.iter().filter(|end| **end <= at as u64).count();
            let kept: Vec<u64> = found.records.iter().map(|r| r.sequence).collect();
            let expected: Vec<u64> = (1..=3).filter(|s| *s != hit as u64 + 1).collect();
            assert_eq!(kept, expected, "flip at {at}");
            assert_eq!(found.regions.len(), 1);
            assert_eq!(found.regions[0].damaged, hit < 2, "flip at {at}");
            assert_eq!(found.valid_upto(0), if hit == 0 { 0 } else { ends[hit - 1] });
        }
    }

    #[test]
    fn zeros_at_the_end_are_room_and_before_a_record_a_hole() {
        let (bytes, ends) = three();
        let with_room = [&bytes[..], &[0; 5000]].concat();
        assert_eq!(scan(&with_room, 0), scan(&bytes, 0));
        assert_eq!(scan(&[0; 700], 40).end(40), 40);
        let mut torn = with_room.clone();
        torn[ends[2] as usize + 300] = 1;
        let found = scan(&torn, 0);
        assert_eq!(
            found.regions[0].bytes,
            ends[2]..ends[2] + 301,
            "up to the last byte that is set"
        );
        assert_eq!((found.valid_upto(0), found.end(0)), (ends[2], ends[2] + 301));
        let mut hole = with_room;
        hole[ends[0] as usize..ends[1] as usize].fill(0);
        let found = scan(&hole, 0);
        assert_eq!((found.records.len(), found.regions[0].bytes.clone()), (2, ends[0]..ends[1]));
    }

    #[test]
    fn bytes_made_to_cost_work_are_given_up_on() {
        // A candidate at every 36 bytes, each of which claims all the rest.
        let size = 1 << 17;
        let mut bomb = vec![0xff];
        while bomb.len() + FRAME_HEAD < size {
            let offset = bomb.len() as u64;
            let length = (size - bomb.len() - FRAME_HEAD - 16) as u32;
            bomb.extend_from_slice(&MAGIC);
            bomb.extend_from_slice(&[1, 2, 0, 0]);
            bomb.extend_from_slice(&length.to_le_bytes());
            bomb.extend_from_slice(&1u64.to_le_bytes());
            bomb.extend_from_slice(&offset.to_le_bytes());
            bomb.extend_from_slice(&0u64.to_le_bytes());
        }
        bomb.resize(size, 0xff);
        let found = scan(&bomb, 0);
        assert!(found.records.is_empty());
        assert_eq!(found.regions.len(), 1);
        assert_eq!(found.regions[0].bytes, 0..size as u64);
    }
}
