//! Snapshots: files that were edited anywhere, and files whose every check is right around any content.

use super::change::sample;
use super::input::Input;
use super::palace::{self, SOMEBODY};
use crdt_palace::format::filename;
use crdt_palace::format::hash::{ChangeHash, Heads};
use crdt_palace::format::id::{PalaceId, SegmentId, SnapshotId};
use crdt_palace::format::key::Key;
use crdt_palace::snapshot::{Builder, LogRow, Meta, Row, Snapshot, Source, Terms};
use std::sync::OnceLock;

const ID: SnapshotId = SnapshotId([0xdd; 16]);
const VIEWS: [&str; 6] = [
    r#"{"value":{"x":"text"},"conflicts":[]}"#,
    r#"{"value":{}}"#,
    r#"{"value":[]}"#,
    "[[[[[[[[[[[[",
    "",
    "not JSON",
];

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (built, bytes) = match input.byte() % 4 {
        0 => (false, input.0.to_vec()),
        1 => (false, edited(&mut input)),
        _ => (true, build(&mut input)),
    };
    if let Ok(snapshot) = Snapshot::open(Source::Bytes(bytes.clone()), ID) {
        read_all(&snapshot);
    }
    let disk = palace::with("snap", &filename::snapshot(ID), &bytes);
    match built {
        true => palace::serves(&disk),
        false => palace::serves_or_blames(&disk),
    }
}

/// Nothing of it need succeed.
fn read_all(snapshot: &Snapshot) {
    for key in ["a", "b/c", "zz"] {
        drop(snapshot.get(key));
        drop(snapshot.get_view(key));
    }
    drop(snapshot.scan("", None, 100));
    drop(snapshot.list("", None, 100));
    drop(snapshot.matching(&Terms::default().whole("text")));
    drop(snapshot.log_instances());
    drop(snapshot.verify());
}

fn edited(input: &mut Input<'_>) -> Vec<u8> {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    let mut bytes = GOOD.get_or_init(|| build(&mut Input(&[3, 0, 0, 0, 0, 1, 0, 0, 2]))).clone();
    while !input.is_empty() {
        let at = (usize::from(input.byte()) << 8 | usize::from(input.byte())) % bytes.len();
        bytes[at] = input.byte();
    }
    bytes
}

/// As the builder makes them, and so with every check.
fn build(input: &mut Input<'_>) -> Vec<u8> {
    let mut builder = Builder::in_memory(meta(input)).unwrap();
    for key in ["a", "b/c", "long/key", "é"] {
        if !input.is_empty() {
            let row = row(key, input);
            builder.add(&row, "text to be found").unwrap();
        }
    }
    for sequence in 1..=input.below(4) as u64 {
        let changes = vec![(Key::new("a").unwrap(), ChangeHash([input.byte(); 32]))];
        let time_ms = input.odd_number().cast_signed();
        let by = "somebody".to_owned();
        builder.add_log(&LogRow { instance: SOMEBODY, sequence, time_ms, by, changes }).unwrap();
    }
    builder.finish_bytes().unwrap().1
}

fn meta(input: &mut Input<'_>) -> Meta {
    let choice = input.byte();
    Meta {
        snapshot: ID,
        palace: if choice & 1 == 0 { palace::id() } else { PalaceId([choice; 16]) },
        created_ms: if choice & 2 == 0 { 0 } else { input.odd_number().cast_signed() },
        covers: vec![SegmentId([choice; 16])],
        supersedes: if choice & 4 == 0 { Vec::new() } else { vec![ID, SnapshotId([choice; 16])] },
        beside: if choice & 8 == 0 { Vec::new() } else { vec![ID] },
        all_readings: choice & 16 != 0,
        appended: if choice & 16 == 0 { 1000 } else { input.odd_number() },
        documents: 0,
        commits: 0,
    }
}

fn row(key: &str, input: &mut Input<'_>) -> Row {
    let document = match input.byte() % 4 {
        0 => input.some().to_vec(),
        _ => sample(input),
    };
    let heads = match input.byte() % 3 {
        0 => Heads::default(),
        1 => Heads::new(vec![ChangeHash([input.byte(); 32])]),
        _ => match crdt_palace::merge::Doc::load(&document) {
            Ok(doc) => doc.heads(),
            Err(_) => Heads::default(),
        },
    };
    let view = VIEWS[input.below(VIEWS.len())].to_owned();
    let waiting = (0..input.below(3)).map(|_| sample(input)).collect();
    let absorbed = (0..input.below(2)).map(|_| heads.clone()).collect();
    Row { key: Key::new(key).unwrap(), document, heads, view, waiting, absorbed }
}
