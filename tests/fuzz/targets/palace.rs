//! A palace on a disk in memory with good documents in it, to which a target adds a file.

use crdt_palace::format::id::{InstanceId, PalaceId};
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{SimDisk, SimFs};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Error, Options, Palace};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::{Arc, OnceLock};

pub const PATH: &str = "/palace";

/// Documents that no target writes.
pub const GOOD: [&str; 2] = ["good/folded", "good/tail"];

struct Made {
    disk: SimDisk,
    palace: PalaceId,
}

pub fn open(fs: SimFs) -> Palace {
    Options::default().fs(Arc::new(fs)).auto_compact(false).open(PATH).unwrap()
}

fn value() -> Map<String, Value> {
    json!({"text": "stays as it is", "list": [1, {"n": 2}]}).as_object().unwrap().clone()
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let disk = SimDisk::new(1);
        let palace = open(disk.process());
        palace.put(GOOD[0], &value()).unwrap();
        palace.compact(CompactOptions::default()).unwrap();
        palace.put(GOOD[1], &value()).unwrap();
        let palace = palace.status().unwrap().palace.unwrap();
        Made { disk, palace }
    })
}

pub fn id() -> PalaceId {
    made().palace
}

/// An instance that wrote nothing good.
pub const SOMEBODY: InstanceId = InstanceId([0x5a; 16]);

/// The palace with one more file.
pub fn with(directory: &str, name: &str, content: &[u8]) -> SimDisk {
    let disk = made().disk.fork();
    let fs = disk.process();
    let file = fs.create(&Path::new(PATH).join(directory).join(name)).unwrap();
    assert_eq!(file.write_at(content, 0).unwrap(), content.len());
    disk
}

/// Whatever else there is, the good documents are served, and after a write and a compaction still.
pub fn serves(disk: &SimDisk) {
    let palace = open(disk.process());
    look(&palace, &|error| panic!("{error}"));
    palace.verify().unwrap();
    palace.status().unwrap();
    palace.put("good/new", &value()).unwrap();
    compact(&palace);
    let again = open(disk.process());
    look(&again, &|error| panic!("{error}"));
    assert_eq!(again.get("good/new").unwrap().unwrap().value, value());
}

/// As [`serves`], but a read that cannot be sure may fail, and blames a damaged file.
pub fn serves_or_blames(disk: &SimDisk) {
    let palace = open(disk.process());
    let blames = |error: Error| assert!(error.to_string().contains("is damaged"), "{error}");
    look(&palace, &blames);
    palace.verify().unwrap();
    if let Err(error) = palace.put("good/new", &value()) {
        blames(error);
    }
    compact(&palace);
    look(&open(disk.process()), &blames);
}

fn compact(palace: &Palace) {
    palace.compact(CompactOptions::new().all()).unwrap();
}

fn look(palace: &Palace, fails: &dyn Fn(Error)) {
    for key in GOOD {
        match palace.get(key) {
            Ok(found) => assert_eq!(found.unwrap().value, value(), "{key}"),
            Err(error) => fails(error),
        }
    }
    match palace.search("stays").limit(100).hits() {
        Ok(found) => {
            let there = |key: &&str| found.iter().any(|hit| hit.document.key.as_str() == *key);
            assert!(GOOD.iter().all(there));
        }
        Err(error) => fails(error),
    }
    // A page may fail where a row of it is damaged: it must not leave documents out.
    if let Ok(page) = palace.scan_page("", None, 1_000) {
        let there = |key: &&str| page.documents.iter().any(|found| found.key.as_str() == *key);
        assert!(GOOD.iter().all(there));
    }
}
