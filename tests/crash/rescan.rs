//! Rescans of an open handle: the changes they find, and the files they do not open.

use crate::between_calls::Plan;
use crate::copies::Copied;
use crate::files::{ALL, PALACE, automatic, bytes, only, open, set_number};
use crate::support::object;
use crdt_palace::fs::sim::{Call, Failure, SimDisk};
use crdt_palace::fs::{File, Fs};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Document, Palace};
use crdt_palace::store::rescan::Catalog;
use crdt_palace::store::root::Root;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn shown(palace: &Palace, key: &str) -> Option<u64> {
    palace.get(key).unwrap().map(|found| found.value["n"].as_u64().unwrap())
}

/// One snapshot, and a segment that its owner still has.
fn filled(disk: &SimDisk) -> Palace {
    let palace = open(disk.process()).unwrap();
    set_number(&palace, "k", 1);
    palace.compact(CompactOptions::default()).unwrap();
    set_number(&palace, "tail", 2);
    palace
}

#[test]
fn rescans_that_find_nothing_new_open_no_file() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let (interrupted, plan) = Plan::new(disk.process());
    let reader = automatic(interrupted);
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (Some(1), Some(2)));
    plan.before(1, Some(Call::Open), || ());
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (Some(1), Some(2)));
    assert!(!plan.end(), "a file was opened");
}

/// The listing named it, and when it is to be opened it has gone: its successor is in the next listing.
#[test]
fn snapshots_that_vanish_during_a_rescan_are_followed() {
    let mut happened = 0;
    for nth in 1.. {
        let disk = SimDisk::new(1);
        let owner = filled(&disk);
        let (interrupted, plan) = Plan::new(disk.process());
        let reader = automatic(interrupted);
        let (compactor, disk) = (open(disk.process()).unwrap(), disk);
        plan.before(nth, None, move || {
            for _ in 0..2 {
                set_number(&owner, "other", 3);
                owner.seal().unwrap();
                compactor.compact(ALL).unwrap();
                disk.advance(3_600_000);
            }
        });
        assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (Some(1), Some(2)), "call {nth}");
        if !plan.end() {
            break;
        }
        happened = nth;
    }
    assert!(happened > 10, "{happened} calls");
}

/// Rather than to be taken for one that is gone.
#[test]
fn snapshots_whose_stat_fails_fail_the_rescan() {
    let disk = SimDisk::new(1);
    let owner = open(disk.process()).unwrap();
    set_number(&owner, "k", 1);
    owner.compact(ALL).unwrap();
    drop(owner);
    let mut catalog = catalog(&disk);
    (1..50).for_each(|nth| disk.fail_nth(Call::Stat, nth, Failure::Io));
    assert!(catalog.rescan().is_err());
    disk.heal();
    catalog.rescan().unwrap();
    assert_eq!(catalog.all_snapshots().count(), 1);
}

/// A copy of the snapshot that is under way, in the snapshot's place, and a handle that saw it.
struct HalfCopied {
    bytes: Vec<u8>,
    path: PathBuf,
    file: Box<dyn File>,
    reader: Palace,
    plan: Plan,
}

fn half_copied(disk: &SimDisk) -> HalfCopied {
    let (fs, path) = (disk.process(), only(disk, &format!("{PALACE}/snap")));
    let bytes = bytes(disk, &path);
    fs.remove(&path).unwrap();
    let file = fs.create(&path).unwrap();
    file.write_at(&bytes[..bytes.len() / 2], 0).unwrap();
    let (interrupted, plan) = Plan::new(disk.process());
    let reader = automatic(interrupted);
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (None, Some(2)));
    HalfCopied { bytes, path, file, reader, plan }
}

#[test]
fn snapshots_arriving_in_pieces_are_read_once_whole() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let HalfCopied { bytes, file, reader, .. } = half_copied(&disk);
    file.write_at(&bytes[bytes.len() / 2..], bytes.len() as u64 / 2).unwrap();
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (Some(1), Some(2)));
}

/// As sync programs do: the file is made under another name.
#[test]
fn half_copied_snapshots_are_read_as_soon_as_replaced() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let HalfCopied { bytes, path, reader, .. } = half_copied(&disk);
    let whole = path.with_extension("arrived");
    disk.process().create(&whole).unwrap().write_at(&bytes, 0).unwrap();
    disk.process().rename(&whole, &path).unwrap();
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (Some(1), Some(2)));
}

/// The clock of a file need not tell of each change, so it is not tried once only.
#[test]
fn unreadable_snapshots_are_retried_after_a_second() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let HalfCopied { reader, plan, .. } = half_copied(&disk);
    plan.before(1, Some(Call::Open), || ());
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (None, Some(2)));
    assert!(!plan.end(), "it was tried again at once");
    disk.advance(1_000);
    plan.before(1, Some(Call::Open), || ());
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (None, Some(2)));
    assert!(plan.end(), "it was not tried again");
}

#[test]
fn documents_of_files_removed_by_hand_are_not_shown() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let reader = open(disk.process()).unwrap();
    assert_eq!(shown(&reader, "k"), Some(1));
    disk.process().remove(&only(&disk, &format!("{PALACE}/snap"))).unwrap();
    assert_eq!((shown(&reader, "k"), shown(&reader, "tail")), (None, Some(2)));
}

fn catalog(disk: &SimDisk) -> Catalog {
    let root = Root::open(Arc::new(disk.process()), Path::new(PALACE), true).unwrap();
    Catalog::new(Arc::new(root), Arc::default())
}

/// Who reads for months must not keep what others have long folded.
#[test]
fn segments_compacted_by_other_processes_are_released() {
    let disk = SimDisk::new(1);
    let writer = filled(&disk);
    let mut catalog = catalog(&disk);
    for n in 0..3 {
        set_number(&writer, "k", n);
        let news = catalog.rescan().unwrap();
        assert_eq!((news.commits.is_empty(), news.folded.len()), (false, 0));
        let segment = news.commits[0].segment;
        assert_eq!(catalog.segments().map(|s| s.reader.id()).collect::<Vec<_>>(), [segment]);
        writer.compact(CompactOptions::default()).unwrap();
        let news = catalog.rescan().unwrap();
        assert!(news.commits.is_empty() && news.snapshots);
        assert_eq!(news.folded.into_iter().collect::<Vec<_>>(), [segment]);
        assert_eq!((catalog.segments().count(), catalog.backlog().segments), (0, 0));
        let news = catalog.rescan().unwrap();
        assert!(!news.snapshots && news.folded.is_empty(), "nothing is new: {news:?}");
    }
}

/// As sync programs bring what another machine wrote: each newer copy is a new file of the same name.
#[test]
fn newer_copies_are_read_on_and_older_ones_went_back() {
    let disk = SimDisk::new(1);
    let writer = open(disk.process()).unwrap();
    let copies = [1, 2].map(|n| {
        set_number(&writer, "k", n);
        Copied::of(&disk).unwrap()
    });
    let mut catalog = catalog(&disk);
    for copy in &copies {
        copy.put_back(&disk, false);
        let news = catalog.rescan().unwrap();
        assert_eq!((news.commits.len(), news.went_back), (1, false), "only what is new is read");
    }
    copies[0].put_back(&disk, false);
    assert!(catalog.rescan().unwrap().went_back);
}

/// Or they would grow, and call what they hold overdue, until somebody repairs a file.
#[test]
fn segments_are_released_beside_an_unreadable_snapshot() {
    let disk = SimDisk::new(1);
    let writer = filled(&disk);
    let bad = Path::new(PALACE).join("snap").join(format!("{}.snap", "0".repeat(32)));
    disk.process().create(&bad).unwrap().write_at(b"no snapshot", 0).unwrap();
    let mut catalog = catalog(&disk);
    for n in 0..2 {
        set_number(&writer, "k", n);
        let segment = catalog.rescan().unwrap().commits[0].segment;
        writer.compact(CompactOptions::default()).unwrap();
        let news = catalog.rescan().unwrap();
        assert_eq!(news.folded.into_iter().collect::<Vec<_>>(), [segment]);
        assert_eq!((catalog.segments().count(), catalog.unreadable().count()), (0, 1));
        assert!(catalog.rescan().unwrap().folded.is_empty(), "each is told once");
        assert_eq!(shown(&writer, "k"), Some(n));
    }
}

#[test]
fn segments_of_another_palace_are_told_apart() {
    let disk = SimDisk::new(1);
    let _owner = filled(&disk);
    let elsewhere = SimDisk::new(2);
    let stranger = filled(&elsewhere);
    let open = Path::new(PALACE).join("open");
    let name = elsewhere.process().list(&open).unwrap().remove(0);
    let bytes = bytes(&elsewhere, &open.join(&name));
    disk.process().create(&open.join(&name)).unwrap().write_at(&bytes, 0).unwrap();
    let mut catalog = catalog(&disk);
    catalog.rescan().unwrap();
    let found: Vec<_> =
        catalog.segments().filter_map(|segment| catalog.foreign_palace(&segment.reader)).collect();
    assert_eq!(catalog.segments().count(), 2);
    assert_eq!(found, [stranger.status().unwrap().palace.unwrap()]);
}

/// What was read with it, by each kind of reading; `None`: not there.
fn read(palace: &Palace, how: &str) -> Option<Document> {
    match how {
        "get" => palace.get("x").unwrap(),
        "scan" => palace.scan_page("", None, 10).unwrap().documents.pop(),
        "search" => palace.search("before").limit(10).hits().unwrap().pop().map(|hit| hit.document),
        _ => {
            let found = palace.verify().unwrap();
            assert!(!found.has_problem(), "{:?}", found.findings);
            palace.get("x").unwrap()
        }
    }
}

/// A change in a segment that is read late builds on one in a segment that was read early.
#[test]
fn rescans_that_overlap_writes_leave_no_document_incomplete() {
    for (how, follows) in
        ["get", "scan", "search", "verify"].map(|how| [(how, false), (how, true)]).as_flattened()
    {
        let mut happened = 0;
        for nth in 1.. {
            let disk = SimDisk::new(nth);
            let writers: Vec<_> = (0..4).map(|_| open(disk.process()).unwrap()).collect();
            let write = |n: usize, field: String| {
                let fields = object(json!({ field: "before" }));
                writers[n].patch("x", &fields).unwrap();
            };
            // Two have a segment already.
            (0..2).for_each(|n| write(n, format!("before{n}")));
            let (interrupted, plan) = Plan::new(disk.process());
            let reader = automatic(interrupted);
            if *follows {
                reader.get("x").unwrap();
            }
            let later = writers.clone();
            plan.before(nth, None, move || {
                for n in [0, 3, 1, 2, 0] {
                    let fields = object(json!({format!("during{n}"): 1}));
                    later[n].patch("x", &fields).unwrap();
                }
            });
            let found = read(&reader, how).unwrap();
            assert!(!found.incomplete, "{how} {follows}, call {nth}: {found:?}");
            assert_eq!(found.value["before1"], "before");
            if !plan.end() {
                break;
            }
            happened += 1;
            assert_eq!(reader.get("x").unwrap().unwrap().value.len(), 6);
        }
        assert!(happened > 5, "{how}: only {happened} calls");
    }
}
