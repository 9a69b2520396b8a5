//! The worked example of docs/FORMAT.md, byte for byte.

use crdt_palace::format::FORMAT_VERSION;
use crdt_palace::format::filename;
use crdt_palace::format::header::{Header, decode_footer, encode_footer};
use crdt_palace::format::id::{InstanceId, PalaceId, SegmentId};
use crdt_palace::format::key::Key;
use crdt_palace::format::record::{Entry, Kind, Record, decode_commit, encode, encode_commit};
use crdt_palace::format::scan::scan;
use crdt_palace::merge::{Doc, Stamp, author_of};

const PAGE: &str = include_str!("../../docs/FORMAT.md");

/// The bytes of the block that is fenced as `hex`. Each line starts with its offset.
fn example() -> Vec<u8> {
    let block = PAGE.split("```hex\n").nth(1).unwrap().split("```").next().unwrap();
    let mut bytes = Vec::new();
    for line in block.lines() {
        let line = line.split('#').next().unwrap();
        let Some((offset, digits)) = line.split_once(' ') else { continue };
        assert_eq!(usize::from_str_radix(offset, 16), Ok(bytes.len()), "{line}");
        let byte = |pair: &str| u8::from_str_radix(pair, 16).unwrap();
        bytes.extend(digits.split_whitespace().map(byte));
    }
    bytes
}

/// What the page says the example holds.
fn header() -> Header {
    Header {
        segment: SegmentId(*b"segment-00000001"),
        instance: InstanceId(*b"instance-0000001"),
        palace: PalaceId(*b"palace-000000001"),
        machine: *b"machine-00000001",
        boot: *b"boot-00000000001",
        created_ms: 1_790_000_000_000,
        fs_type: 0xEF53,
        pid: 4242,
        program: "example 1".to_owned(),
    }
}

fn key() -> Key {
    Key::new("notes/plan").unwrap()
}

fn segment(change: &[u8]) -> Vec<u8> {
    let (header, commit) = (header().encode(), encode_commit(&[Entry { key: key(), change }]));
    let footer = encode_footer(1);
    let mut file = Vec::new();
    let mut synced_upto = 0;
    for (kind, sequence, body) in
        [(Kind::Header, 0, &header[..]), (Kind::Commit, 1, &commit), (Kind::Footer, 1, &footer)]
    {
        let offset = file.len() as u64;
        encode(&Record { kind, sequence, offset, synced_upto, body }, &mut file).unwrap();
        // The header and the commit were synced before what follows them was written.
        synced_upto = file.len() as u64;
    }
    file
}

#[test]
fn format_page_example_decodes_and_encodes_to_the_same_bytes() {
    let bytes = example();
    let found = scan(&bytes, 0);
    assert!(found.regions.is_empty());
    let [first, commit, last] = found.records.as_slice() else { panic!("three records") };
    assert_eq!((first.kind, first.sequence), (Kind::Header, 0));
    assert_eq!(Header::decode(first.body), Ok(header()));
    assert_eq!((commit.kind, commit.sequence), (Kind::Commit, 1));
    assert_eq!(commit.synced_upto, first.end());
    assert_eq!((last.kind, last.sequence), (Kind::Footer, 1));
    assert_eq!(decode_footer(last.body), Ok(1));
    let entries = decode_commit(commit.body).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].key, key());

    let change = entries[0].change;
    let written = author_of(change).unwrap();
    assert_eq!((written.by.as_str(), written.time_ms), ("example", 1_790_000_000_001));
    let mut doc = Doc::new();
    assert!(doc.apply([change]).rejected.is_empty());
    assert_eq!(doc.view().value["done"], false);
    assert!(PAGE.contains(&format!("`{}`", doc.heads().etag())), "the page names the etag");
    let name = filename::segment(header().segment);
    assert!(PAGE.contains(&format!("`open/{name}`")), "the page names the file");

    assert_eq!(segment(change), bytes);
}

#[test]
fn format_page_names_the_version_that_is_written() {
    assert!(PAGE.starts_with(&format!("# The format of a palace, version {FORMAT_VERSION}\n")));
}

/// Shows the lines that belong on the page, if they are others.
#[test]
fn format_page_shows_the_bytes_that_a_writer_writes_now() {
    let mut doc = Doc::new();
    let stamp =
        Stamp { actor: header().instance.0, time_ms: 1_790_000_000_001, by: "example", undoes: "" };
    let value = serde_json::json!({"done": false});
    let change = doc.put(&stamp, None, value.as_object().unwrap()).unwrap().unwrap();
    let bytes = segment(&change.bytes);
    let line = |(n, line): (usize, &[u8])| {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x} {}\n", n * 16, digits.join(" "))
    };
    let lines: String = bytes.chunks(16).enumerate().map(line).collect();
    assert!(bytes == example(), "etag {}\n{lines}", doc.heads().etag());
}
