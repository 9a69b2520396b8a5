//! Finds the records in the bytes of a segment, and the regions that are in no record.
//!
//! Records after an invalid region still count; `damage` says whether the region is torn or damaged.
//! Zeros at the end are no region: they are padding, which the writer fills with later records.

use super::damage::{Region, tell_damage};
use super::record::{MAGIC, Record, claimed_length, decode};

/// The result of [`scan`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan<'a> {
    /// The good records in file order.
    pub records: Vec<Record<'a>>,
    /// The invalid regions in file order. The last one may reach to the end of the file.
    pub regions: Vec<Region>,
}

impl Scan<'_> {
    /// Returns where the last record or invalid region ends. Only padding follows.
    #[must_use]
    pub fn end(&self, start: u64) -> u64 {
        let record = self.records.last().map_or(start, Record::end);
        self.regions.last().map_or(record, |region| region.bytes.end.max(record))
    }

    /// Returns the offset up to which every byte is in a good record. A later scan continues there.
    #[must_use]
    pub fn valid_upto(&self, start: u64) -> u64 {
        match self.regions.first() {
            Some(region) => region.bytes.start,
            None => self.records.last().map_or(start, Record::end),
        }
    }

    /// Returns the start of the last invalid region that a record follows. A write under way is no such
    /// region, unless its owner has written another record since.
    #[must_use]
    pub fn passed(&self) -> Option<u64> {
        let last = self.records.last()?.offset;
        let region = self.regions.iter().rev().find(|region| region.bytes.end <= last)?;
        Some(region.bytes.start)
    }
}

/// Finds every record in `bytes`, which start at `offset` in their file.
///
/// The work is bounded. While the scan looks for the next record after an invalid region, it hashes at
/// most eight times the bytes that there are, whatever the bytes are. The rest then counts as part of the
/// region.
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
                // From the next byte on: behind the start of a torn record a good one may begin.
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

/// Returns the number of bytes before the padding. Reads in pieces, because the padding may be long.
fn used(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    for piece in bytes.rchunks(256) {
        let start = end - piece.len();
        // No branch for each byte, so that the compiler vectorises it.
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

/// Returns the next position at or after `from` where a whole record stands.
fn resync(bytes: &[u8], from: usize, offset: u64, budget: &mut usize) -> Option<usize> {
    let mut from = from;
    loop {
        let step = bytes.get(from..)?.windows(MAGIC.len()).position(|w| w == MAGIC)?;
        let (at, start) = (from + step, offset + (from + step) as u64);
        if let Ok(length) = claimed_length(&bytes[at..], start)
            && length <= bytes.len() - at
        {
            // Hostile bytes can make every position claim the whole rest.
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
    fn cut_segment_keeps_earlier_records_and_is_torn() {
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
    fn flipped_bit_loses_one_record_and_is_damage_unless_last() {
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
    fn trailing_zeros_are_padding_and_inner_zeros_a_hole() {
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
    fn scan_of_hostile_bytes_is_bounded() {
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
