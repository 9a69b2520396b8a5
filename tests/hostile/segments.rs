//! Hostile segments: claimed lengths and numbers, and floods of keys.

use crate::child::works_with;
use crate::made::{self, record};
use crate::support::{compact_all, manual, names};
use crdt_palace::format::record::{CHECKSUM, FRAME_HEAD, Kind, MAGIC, SEGMENT_BYTES_MAX};
use std::fs::File;

const MEMORY: u64 = 200;

/// A frame with a right checksum that says any length, kind and sequence number.
fn frame(bytes: &mut Vec<u8>, version: u8, length: u32, sequence: u64, body: &[u8]) {
    let start = bytes.len();
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[version, 2, 0, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    for number in [sequence, start as u64, u64::MAX] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    assert_eq!(bytes.len(), start + FRAME_HEAD);
    bytes.extend_from_slice(body);
    let checksum = blake3::hash(&bytes[start..]);
    bytes.extend_from_slice(&checksum.as_bytes()[..CHECKSUM]);
}

#[test]
fn claimed_lengths_allocate_nothing() {
    for directory in ["open", "sealed"] {
        for said in [u32::MAX, 8 << 20, 1] {
            let made = made::palace();
            let mut bytes = made.header();
            frame(&mut bytes, 1, said, 1, &u32::MAX.to_le_bytes());
            // More entries than bytes for them.
            frame(&mut bytes, 1, 4, 2, &u32::MAX.to_le_bytes());
            std::fs::write(made.segment(directory), bytes).unwrap();
            let outcome = works_with(&made.path);
            outcome.tells("more entries than bytes for them");
            assert!(outcome.memory < MEMORY, "{} MiB", outcome.memory);
            assert!(made.segment("sealed").exists(), "what is damaged stays where it is");
        }
    }
}

#[test]
fn sequence_numbers_beyond_the_tables_are_no_record() {
    let made = made::palace();
    let mut bytes = made.header();
    frame(&mut bytes, 1, 4, u64::MAX, &0u32.to_le_bytes());
    record(&mut bytes, Kind::Commit, 1, &0u32.to_le_bytes());
    std::fs::write(made.segment("sealed"), bytes).unwrap();
    let outcome = works_with(&made.path);
    assert_eq!(outcome.skipped, [""; 0], "nothing was promised: it is a torn write");
}

/// A terabyte that takes no room on disk: once with nothing in it, once behind a good header.
#[test]
fn sparse_terabyte_segments_are_reported_and_not_read() {
    for headed in [false, true] {
        let made = made::palace();
        let path = made.segment("sealed");
        std::fs::write(&path, if headed { made.header() } else { Vec::new() }).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        let outcome = works_with(&made.path);
        outcome.tells("a segment has at most 67108864 bytes; the rest of the file is not read");
        assert!(
            outcome.skipped[0].contains("the rest of the file is not read"),
            "{:?}",
            outcome.skipped
        );
        assert!(outcome.memory < MEMORY, "{} MiB", outcome.memory);
        assert!(path.exists() && made::blocks(&path) < 1 << 20);
        let copies = names(&made.path, "quarantine");
        assert!(copies.len() == 1 && copies[0].ends_with(".seg.txt"), "no copy: {copies:?}");
    }
}

#[test]
fn segments_of_the_largest_size_are_read_whole() {
    let made = made::palace();
    let mut bytes = made.header();
    let change = crate::bomb::puts(1, 1, 1);
    record(&mut bytes, Kind::Commit, 1, &made::commit("long", &[change]));
    bytes.resize(SEGMENT_BYTES_MAX as usize, 0);
    std::fs::write(made.segment("sealed"), bytes).unwrap();
    let outcome = works_with(&made.path);
    assert_eq!((outcome.problems, outcome.skipped), (Vec::new(), Vec::new()));
    assert!(manual(&made.path).get("long").unwrap().unwrap().value.contains_key("x"));
}

#[test]
fn terabyte_manifests_and_locks_are_not_read() {
    let made = made::palace();
    File::create(made.path.join("LOCK")).unwrap().set_len(1 << 40).unwrap();
    works_with(&made.path);
    let manifest = made.path.join("palace.json");
    let good = std::fs::read(&manifest).unwrap();
    File::options().write(true).open(&manifest).unwrap().set_len(1 << 40).unwrap();
    let error = crdt_palace::palace::Palace::open(&made.path).unwrap_err();
    assert!(error.to_string().contains("palace.json is damaged"), "{error}");
    std::fs::write(&manifest, good).unwrap();
    works_with(&made.path);
}

/// Nearly a million keys in one record, none of them with a change: memory is a multiple of the bytes that are
/// there, and the garbage is kept and told.
#[test]
fn memory_for_a_flood_of_keys_is_proportional_to_its_bytes() {
    let made = made::palace();
    let mut body = Vec::new();
    let count: u32 = 200_000;
    body.extend_from_slice(&count.to_le_bytes());
    for n in 0..count {
        let key = format!("{n:x}");
        body.extend_from_slice(&(key.len() as u16).to_le_bytes());
        body.extend_from_slice(key.as_bytes());
        body.extend_from_slice(&1u32.to_le_bytes());
        body.push(0);
    }
    made.add(&[body.clone()]);
    let outcome = works_with(&made.path);
    outcome.tells("is refused");
    println!("{} MiB for {} KiB", outcome.memory, body.len() >> 10);
    assert!(outcome.memory < 600, "{} MiB", outcome.memory);
}

#[test]
fn invalid_keys_are_damage_and_odd_keys_are_served() {
    let made = made::palace();
    let change = crate::bomb::puts(1, 1, 1);
    let long = "k".repeat(512);
    let odd = [
        "../../../etc/passwd",
        "/etc/passwd",
        ".",
        "..",
        "\u{202e}\u{200b}",
        "'; DROP TABLE keys; --",
        "%00",
        &long,
    ];
    let mut bodies: Vec<_> =
        odd.iter().map(|key| made::commit(key, std::slice::from_ref(&change))).collect();
    // A key that is one byte too long, one with a line break, one that is no UTF-8.
    for key in [vec![b'k'; 513], b"a\nb".to_vec(), vec![0xff]] {
        let mut body = 1u32.to_le_bytes().to_vec();
        body.extend_from_slice(&(key.len() as u16).to_le_bytes());
        body.extend_from_slice(&key);
        body.extend_from_slice(&(change.len() as u32).to_le_bytes());
        body.extend_from_slice(&change);
        bodies.push(body);
    }
    let path = made.add(&bodies);
    let outcome = works_with(&made.path);
    outcome.tells("a key is not valid");
    outcome.tells("a key is not UTF-8");
    assert!(path.exists(), "what is damaged stays where it is");
    let palace = manual(&made.path);
    for key in odd {
        assert!(palace.get(key).unwrap().unwrap().value.contains_key("x"), "{key:?}");
    }
    compact_all(&palace);
    let names: Vec<_> =
        std::fs::read_dir(&made.path).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.len() <= 9, "no document's name is a path: {names:?}");
}

#[test]
fn newer_records_are_left_in_place() {
    let made = made::palace();
    let mut bytes = made.header();
    bytes[4] = 2;
    let checksum = blake3::hash(&bytes[..bytes.len() - CHECKSUM]);
    let start = bytes.len() - CHECKSUM;
    bytes[start..].copy_from_slice(&checksum.as_bytes()[..CHECKSUM]);
    frame(&mut bytes, 2, 4, 1, &0u32.to_le_bytes());
    let path = made.segment("sealed");
    std::fs::write(&path, &bytes).unwrap();
    let outcome = works_with(&made.path);
    outcome.tells("the record has format 2, and this version reads formats up to 1");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}
