//! Records and their bodies: what decodes is what was encoded, and a scan accounts for every byte.

use super::input::Input;
use crdt_palace::format::header::{Header, decode_footer, encode_footer};
use crdt_palace::format::key::Key;
use crdt_palace::format::manifest::Manifest;
use crdt_palace::format::record::{
    Entry, Kind, Record, decode, decode_commit, encode, encode_commit,
};
use crdt_palace::format::scan::scan;

pub fn run(data: &[u8]) {
    accounts_for_all(data, 0);
    bodies(data);
    let mut input = Input(data);
    let frame = sound(&mut input);
    let offset = input.number() >> 1;
    let mut bad = frame.clone();
    input.edit(&mut bad);
    // A guided fuzzer watches what a checksum is compared with, and forges one.
    if let Ok(record) = decode(&bad, 0) {
        let mut again = Vec::new();
        encode(&record, &mut again).unwrap();
        assert!(bad.starts_with(&again), "{record:?} was not written so");
    }
    accounts_for_all(&[&bad[..], &frame].concat(), offset);
}

/// A frame that is right around any body.
fn sound(input: &mut Input<'_>) -> Vec<u8> {
    let kind = [Kind::Header, Kind::Commit, Kind::Footer][input.below(3)];
    let (sequence, synced_upto) = (input.odd_number() >> 1, input.odd_number());
    let body = input.some();
    let record = Record { kind, sequence, offset: 0, synced_upto, body };
    let mut frame = Vec::new();
    encode(&record, &mut frame).unwrap();
    assert_eq!(decode(&frame, 0), Ok(record));
    bodies(body);
    frame
}

/// Whatever decodes gives the same bytes again.
fn bodies(body: &[u8]) {
    if let Ok(entries) = decode_commit(body) {
        assert_eq!(encode_commit(&entries), body);
    }
    if let Ok(header) = Header::decode(body) {
        assert_eq!(header.encode(), body);
    }
    if let Ok(commits) = decode_footer(body) {
        assert_eq!(encode_footer(commits), body);
    }
    if let Ok(manifest) = Manifest::decode(body) {
        assert_eq!(Manifest::decode(manifest.encode().as_bytes()).unwrap(), manifest);
    }
    if let Ok(key) = std::str::from_utf8(body).map(Key::new)
        && let Ok(key) = key
    {
        let entries = [Entry { key, change: body }];
        assert_eq!(decode_commit(&encode_commit(&entries)).unwrap(), entries);
    }
}

/// Records and regions follow each other without a gap, and behind them is nothing but zeros.
fn accounts_for_all(bytes: &[u8], offset: u64) {
    let found = scan(bytes, offset);
    let records = found.records.iter().map(|record| record.offset..record.end());
    let mut parts: Vec<_> =
        records.chain(found.regions.iter().map(|region| region.bytes.clone())).collect();
    parts.sort_by_key(|part| part.start);
    let mut at = offset;
    for part in parts {
        assert!(part.start == at && part.end > at, "{found:?}");
        at = part.end;
    }
    assert_eq!(at, found.end(offset));
    let room = &bytes[(at - offset) as usize..];
    assert!(room.iter().all(|byte| *byte == 0), "{found:?}");
    assert!(found.valid_upto(offset) <= at);
}
