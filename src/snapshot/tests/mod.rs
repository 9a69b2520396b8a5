//! Small snapshots with known contents, shared by the tests of this layer.

mod contents;
mod damage;
mod files;

use super::*;
use crate::format::id::{PalaceId, SegmentId};

pub(super) const ID: SnapshotId = SnapshotId([0xab; 16]);

pub(super) fn meta() -> Meta {
    Meta {
        snapshot: ID,
        palace: PalaceId([1; 16]),
        created_ms: 1_700_000_000_123,
        covers: vec![SegmentId([2; 16]), SegmentId([3; 16])],
        supersedes: vec![SnapshotId([4; 16])],
        beside: vec![SnapshotId([5; 16]), SnapshotId([6; 16])],
        all_readings: true,
        appended: u64::MAX,
        documents: 0,
        commits: 0,
    }
}

pub(super) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn hash(n: usize) -> ChangeHash {
    ChangeHash(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

/// Returns a row whose parts all differ from those of every other `n`; some of them are empty.
pub(super) fn row(name: &str, n: usize) -> Row {
    let bytes = |length: usize| -> Vec<u8> { (0..length).map(|i| (i * 7 + n) as u8).collect() };
    Row {
        key: key(name),
        document: bytes(n * 37 % 900),
        heads: Heads::new((0..n % 3).map(|i| hash(n * 10 + i)).collect()),
        view: format!("Drawer {n}\0 {}", "wörd ".repeat(n * 13 % 150)),
        waiting: (0..n % 2).map(|i| bytes(i + 5)).collect(),
        absorbed: (0..n % 4).map(|i| Heads::new(vec![hash(n), hash(i)])).collect(),
    }
}

/// Returns `count` rows under `drawer/0000` and so on.
pub(super) fn rows(count: usize) -> Vec<Row> {
    (0..count).map(|n| row(&format!("drawer/{n:04}"), n)).collect()
}

/// Returns the text by which the tests let a row be found.
pub(super) fn text(row: &Row) -> String {
    format!("{} {}", row.key, row.view)
}

pub(super) fn commit(instance: u8, sequence: u64) -> LogRow {
    LogRow {
        instance: InstanceId([instance; 16]),
        sequence,
        time_ms: (sequence as i64).wrapping_neg(),
        by: format!("writer {instance} ☃"),
        changes: vec![(key("drawer/0001"), hash(sequence as usize)), (key("b"), hash(7))],
    }
}

pub(super) fn fill(builder: &mut Builder, rows: &[Row], log: &[LogRow]) {
    rows.iter().for_each(|row| builder.add(row, &text(row)).unwrap());
    log.iter().for_each(|commit| builder.add_log(commit).unwrap());
}

pub(super) fn build(rows: &[Row], log: &[LogRow]) -> Vec<u8> {
    let mut builder = Builder::in_memory(meta()).unwrap();
    fill(&mut builder, rows, log);
    builder.finish_bytes().unwrap().1
}

pub(super) fn open(bytes: Vec<u8>) -> Result<Snapshot, SnapshotError> {
    Snapshot::open(Source::Bytes(bytes), ID)
}

pub(super) fn snapshot(rows: &[Row], log: &[LogRow]) -> Snapshot {
    open(build(rows, log)).unwrap()
}

pub(super) fn problems(snapshot: &Snapshot) -> Vec<String> {
    snapshot.verify().unwrap().iter().map(ToString::to_string).collect()
}
