//! Segments: any sequence of records and of what is none, read by pieces and as a part of a palace.

use super::change::sample;
use super::input::Input;
use super::palace::{self, PATH, SOMEBODY};
use crdt_palace::format::filename;
use crdt_palace::format::header::{Header, encode_footer};
use crdt_palace::format::id::{PalaceId, SegmentId};
use crdt_palace::format::key::Key;
use crdt_palace::format::record::{
    CHECKSUM, Entry, FRAME_HEAD, Kind, MAGIC, Record, encode, encode_commit,
};
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::fs::{Fs, read_from};
use crdt_palace::segment::reader::{Commit, Reader};
use std::path::Path;

const KEYS: [&str; 4] = ["a", "b/c", "long/key/with/parts", "é"];
const ID: SegmentId = SegmentId([0xee; 16]);

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (sealed, cut) = (input.byte() % 2 == 1, input.number());
    let bytes = file(&mut input);
    let directory = if sealed { "sealed" } else { "open" };
    let disk = palace::with(directory, &filename::segment(ID), &bytes);
    let path = Path::new(PATH).join(directory).join(filename::segment(ID));
    reads_the_same_by_pieces(&disk, &path, (cut % (bytes.len() as u64 + 1)) as usize);
    palace::serves(&disk);
}

/// What a reader gets that looks while the file is half as long, and again when it is whole, is what it
/// gets from the whole.
fn reads_the_same_by_pieces(disk: &SimDisk, path: &Path, cut: usize) {
    let fs = disk.process();
    let whole = read(&mut Reader::new(ID, path, fs.open(path).unwrap()));
    let bytes = read_from(&*fs.open(path).unwrap(), 0).unwrap();
    let growing = Path::new("/growing");
    let file = fs.create(growing).unwrap();
    let mut reader = Reader::new(ID, growing, fs.open(growing).unwrap());
    file.write_at(&bytes[..cut], 0).unwrap();
    let mut found = read(&mut reader);
    file.write_at(&bytes[cut..], cut as u64).unwrap();
    found.extend(read(&mut reader));
    found.sort_by_key(|commit| commit.offset);
    assert!(whole.iter().all(|commit| found.contains(commit)), "cut at {cut}");
    assert!(reader.read_new().unwrap().is_empty(), "nothing is given twice");
    assert_eq!(found.len(), whole.len(), "cut at {cut}");
}

fn read(reader: &mut Reader) -> Vec<Commit> {
    reader.read_new().unwrap()
}

/// Follows a recipe.
fn file(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sequence = 0;
    while !input.is_empty() && bytes.len() < 1 << 16 {
        match input.byte() % 8 {
            0 => add(&mut bytes, Kind::Header, 0, 0, &header(input)),
            1 | 2 => {
                sequence += 1;
                let synced = bytes.len() as u64 * u64::from(input.byte() % 2);
                add(&mut bytes, Kind::Commit, sequence, synced, &commit(input));
            }
            3 => {
                let commits =
                    if input.byte().is_multiple_of(4) { input.odd_number() } else { sequence };
                add(&mut bytes, Kind::Footer, sequence, 0, &encode_footer(commits));
            }
            4 => any_frame(input, &mut bytes),
            5 => bytes.extend(std::iter::repeat_n(0, usize::from(input.byte()) * 8)),
            6 => bytes.extend_from_slice(input.some()),
            _ => input.edit(&mut bytes),
        }
    }
    bytes
}

fn add(bytes: &mut Vec<u8>, kind: Kind, sequence: u64, synced_upto: u64, body: &[u8]) {
    let offset = bytes.len() as u64;
    encode(&Record { kind, sequence, offset, synced_upto, body }, bytes).unwrap();
}

/// A frame whose checksum is right, and nothing else need be.
fn any_frame(input: &mut Input<'_>, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    let (version, kind, reserved) = (1 + input.byte() % 2, input.byte() % 5, input.byte() % 2);
    let (sequence, synced) = (input.odd_number(), input.odd_number());
    let body = input.some();
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[version, kind, reserved, 0]);
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    for number in [sequence, start as u64, synced] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    assert_eq!(bytes.len() - start, FRAME_HEAD);
    bytes.extend_from_slice(body);
    let checksum = blake3::hash(&bytes[start..]);
    bytes.extend_from_slice(&checksum.as_bytes()[..CHECKSUM]);
}

fn header(input: &mut Input<'_>) -> Vec<u8> {
    let choice = input.byte();
    let header = Header {
        segment: if choice & 1 == 0 { ID } else { SegmentId([choice; 16]) },
        instance: SOMEBODY,
        palace: if choice & 2 == 0 { palace::id() } else { PalaceId([choice; 16]) },
        machine: [choice & 4; 16],
        boot: [choice & 8; 16],
        created_ms: input.odd_number().cast_signed(),
        fs_type: 0xEF53,
        pid: 1,
        program: "somebody".to_owned(),
    };
    let mut body = header.encode();
    if choice & 0xf0 == 0xf0 {
        input.edit(&mut body);
    }
    body
}

fn commit(input: &mut Input<'_>) -> Vec<u8> {
    let mut entries = Vec::new();
    for _ in 0..input.below(4) {
        let key = Key::new(KEYS[input.below(KEYS.len())]).unwrap();
        let change = match input.byte() % 4 {
            0 => input.some().to_vec(),
            _ => sample(input),
        };
        entries.push(Entry { key, change });
    }
    let mut body = encode_commit(&entries);
    if input.byte().is_multiple_of(8) {
        input.edit(&mut body);
    }
    body
}
