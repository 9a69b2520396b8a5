//! Files that are absent for a while: a person moved them, or they cannot be read.

use crate::files::{ALL, at, only, set};
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::palace::Palace;
use serde_json::{Value, json};
use std::path::Path;

fn shown(palace: &Palace, key: &str) -> Value {
    palace.get(key).unwrap().map_or(Value::Null, |document| Value::Object(document.value))
}

/// A process that wrote a document, and writes it again while the snapshot that holds it is away: Automerge would
/// number the second change as the first, and whoever sees both would refuse one of them for ever.
#[test]
fn writers_that_miss_their_own_change_hide_nothing_later() {
    for folded in [false, true] {
        let disk = SimDisk::new(1);
        let palace = at(&disk, "/p");
        set(&palace, "k", json!({"before": 1}));
        set(&palace, "k", json!({"before": 2}));
        palace.compact(ALL).unwrap();
        let all = json!({"before": 2, "while": 3, "after": 4});
        let (fs, path) = (disk.process(), only(&disk, "/p/snap"));
        fs.rename(&path, Path::new("/elsewhere")).unwrap();
        assert_eq!(shown(&palace, "k"), Value::Null);
        set(&palace, "k", json!({"while": 2}));
        set(&palace, "k", json!({"while": 3}));
        if folded {
            palace.compact(ALL).unwrap();
        }
        fs.rename(Path::new("/elsewhere"), &path).unwrap();
        set(&palace, "k", json!({"after": 4}));
        for palace in [&palace, &at(&disk, "/p")] {
            assert_eq!(shown(palace, "k"), all, "folded: {folded}");
            assert!(palace.verify().unwrap().findings.is_empty(), "folded: {folded}");
        }
        palace.compact(ALL).unwrap();
        assert_eq!(shown(&at(&disk, "/p"), "k"), all, "folded: {folded}");
        let actors = palace.history("k").unwrap().into_iter().map(|change| change.actor);
        assert_eq!(actors.collect::<std::collections::BTreeSet<_>>().len(), 2);
    }
}

/// While a snapshot cannot be read nobody knows what it holds, so what a process knew of a segment that is gone
/// stays; and once more, if the segment is put back.
#[test]
fn segments_that_are_put_back_count_again() {
    let disk = SimDisk::new(1);
    let (writer, reader) = (at(&disk, "/p"), at(&disk, "/p"));
    set(&writer, "first", json!({"n": 1}));
    writer.compact(ALL).unwrap();
    set(&writer, "k", json!({"n": 1}));
    writer.seal().unwrap();
    let segment = only(&disk, "/p/sealed");
    assert_eq!(shown(&reader, "k"), json!({"n": 1}));
    // A name of its own: the reader has the other one open.
    let bad = Path::new("/p/snap").join(format!("{}.snap", "7".repeat(32)));
    disk.process().create(&bad).unwrap().write_at(b"no snapshot", 0).unwrap();
    disk.process().rename(&segment, Path::new("/elsewhere")).unwrap();
    assert_eq!(shown(&reader, "k"), json!({"n": 1}), "nobody knows who holds it");
    disk.process().rename(Path::new("/elsewhere"), &segment).unwrap();
    assert_eq!(shown(&reader, "k"), json!({"n": 1}));
    disk.process().remove(&bad).unwrap();
    assert_eq!(shown(&reader, "k"), json!({"n": 1}), "it is there");
}
