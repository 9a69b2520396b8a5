//! A palace on disk with good documents, and the files that are put beside them.

pub use crate::good::{GOOD, value};
use crate::support::{compact_all, dir, manual};
use crdt_palace::format::filename;
use crdt_palace::format::hash::Heads;
use crdt_palace::format::header::Header;
use crdt_palace::format::id::{InstanceId, PalaceId, SegmentId, SnapshotId};
use crdt_palace::format::key::Key;
use crdt_palace::format::record::{Entry, Kind, Record, encode, encode_commit};
use crdt_palace::snapshot::{Builder, Meta, Row};
use std::path::{Path, PathBuf};

pub const SEGMENT: SegmentId = SegmentId([0xee; 16]);
pub const SNAPSHOT: SnapshotId = SnapshotId([0xdd; 16]);

pub struct Made {
    /// Deletes it when dropped.
    _dir: tempfile::TempDir,
    pub path: PathBuf,
    pub palace: PalaceId,
}

/// A palace with a good document in a snapshot, one in a sealed segment, one in an open one.
pub fn palace() -> Made {
    let dir = dir();
    let path = dir.path().join("palace");
    let palace = manual(&path);
    palace.put(GOOD[0], &value()).unwrap();
    compact_all(&palace);
    palace.put(GOOD[1], &value()).unwrap();
    palace.seal().unwrap();
    palace.put(GOOD[2], &value()).unwrap();
    let id = palace.status().unwrap().palace.unwrap();
    Made { _dir: dir, path, palace: id }
}

impl Made {
    pub fn segment(&self, directory: &str) -> PathBuf {
        self.path.join(directory).join(filename::segment(SEGMENT))
    }

    pub fn snapshot(&self) -> PathBuf {
        self.path.join("snap").join(filename::snapshot(SNAPSHOT))
    }

    /// Adds a sealed segment with these records behind its header.
    pub fn add(&self, bodies: &[Vec<u8>]) -> PathBuf {
        let mut bytes = self.header();
        for (n, body) in bodies.iter().enumerate() {
            record(&mut bytes, Kind::Commit, n as u64 + 1, body);
        }
        // A writer leaves padding behind its last record.
        bytes.push(0);
        let path = self.segment("sealed");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Adds a sealed segment with these changes of one document, some to a commit.
    pub fn add_changes(&self, key: &str, changes: &[Vec<u8>]) -> PathBuf {
        let bodies: Vec<_> = changes.chunks(1_000).map(|changes| commit(key, changes)).collect();
        self.add(&bodies)
    }

    /// The first record of a segment that this machine might have written.
    pub fn header(&self) -> Vec<u8> {
        let header = Header {
            segment: SEGMENT,
            instance: InstanceId([0x5a; 16]),
            palace: self.palace,
            machine: machine(),
            boot: [0; 16],
            created_ms: 0,
            fs_type: 0xEF53,
            pid: 1,
            program: "somebody".to_owned(),
        };
        let mut bytes = Vec::new();
        record(&mut bytes, Kind::Header, 0, &header.encode());
        bytes
    }

    /// Adds a snapshot with these rows, each check of it right.
    pub fn add_snapshot(&self, rows: &[Row]) -> PathBuf {
        let path = self.snapshot();
        std::fs::write(&path, snapshot(self.palace, rows)).unwrap();
        path
    }
}

/// So that what the segment lacks at its end is not taken for a copy under way.
fn machine() -> [u8; 16] {
    use crdt_palace::fs::{Fs, os::OsFs};
    OsFs.host().machine
}

pub fn record(bytes: &mut Vec<u8>, kind: Kind, sequence: u64, body: &[u8]) {
    let offset = bytes.len() as u64;
    encode(&Record { kind, sequence, offset, synced_upto: 0, body }, bytes).unwrap();
}

pub fn commit(key: &str, changes: &[Vec<u8>]) -> Vec<u8> {
    let entry = |change: &Vec<u8>| Entry { key: Key::new(key).unwrap(), change: change.clone() };
    encode_commit(&changes.iter().map(entry).collect::<Vec<_>>())
}

pub fn snapshot(palace: PalaceId, rows: &[Row]) -> Vec<u8> {
    let meta = Meta {
        snapshot: SNAPSHOT,
        palace,
        created_ms: 1,
        covers: Vec::new(),
        supersedes: Vec::new(),
        beside: Vec::new(),
        all_readings: true,
        appended: 1_000,
        documents: 0,
        commits: 0,
    };
    let mut builder = Builder::in_memory(meta).unwrap();
    rows.iter().for_each(|row| builder.add(row, "text to be found").unwrap());
    builder.finish_bytes().unwrap().1
}

/// A row with this saved document, and otherwise as if it were a good one.
pub fn row(key: &str, document: Vec<u8>, heads: Heads) -> Row {
    let view = r#"{"value":{"text":"text to be found"},"conflicts":[]}"#.to_owned();
    let key = Key::new(key).unwrap();
    Row { key, document, heads, view, waiting: Vec::new(), absorbed: Vec::new() }
}

/// The length of what is there, without what is only said to be.
pub fn blocks(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().blocks() * 512
}
