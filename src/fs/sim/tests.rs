//! The rules of the simulated disk, each with a test that fails without it.

use super::*;
use crate::fs::{File, Fs, read_from};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Enough power cuts to see every outcome that a test asks for.
const CUTS: u64 = 300;

fn p(path: &str) -> &Path {
    Path::new(path)
}

/// Writes at the end of a file.
trait Append {
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl Append for Box<dyn File> {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_at(bytes, self.stat()?.len)
    }
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("an error").kind()
}

/// A disk with the durable, empty directories /a and /b.
fn disk() -> (SimDisk, SimFs) {
    let disk = SimDisk::new(11);
    let fs = disk.process();
    for dir in ["/a", "/b"] {
        fs.create_dir(p(dir)).unwrap();
    }
    fs.sync_dir(p("/")).unwrap();
    (disk, fs)
}

fn durable_file(fs: &SimFs, path: &str, bytes: &[u8]) -> Box<dyn File> {
    let file = fs.create(p(path)).unwrap();
    assert_eq!(file.append(bytes).unwrap(), bytes.len());
    file.sync().unwrap();
    fs.sync_dir(p(path).parent().unwrap()).unwrap();
    file
}

fn read(fs: &SimFs, path: &str) -> Vec<u8> {
    read_from(&*fs.open(p(path)).unwrap(), 0).unwrap()
}

/// Returns the results of `see` after each of many power cuts.
fn outcomes<T: Ord>(disk: &SimDisk, see: impl Fn(&SimFs) -> T) -> BTreeSet<T> {
    (0..CUTS)
        .map(|seed| {
            let fork = disk.fork();
            fork.power_cut(seed);
            see(&fork.process())
        })
        .collect()
}

/// Returns which of these paths exist.
fn present(fs: &SimFs, paths: &[&str]) -> Vec<bool> {
    paths.iter().map(|path| fs.stat(p(path)).is_ok()).collect()
}

#[test]
fn synced_bytes_under_a_synced_name_survive_every_power_cut() {
    let (disk, fs) = disk();
    let file = durable_file(&fs, "/a/f", b"kept");
    file.append(b" or not").unwrap();
    for bytes in outcomes(&disk, |fs| read(fs, "/a/f")) {
        assert!(bytes.starts_with(b"kept"), "{bytes:?}");
    }
}

#[test]
fn power_cut_drops_keeps_or_tears_unsynced_bytes() {
    let (disk, fs) = disk();
    let file = durable_file(&fs, "/a/f", &[1; 700]);
    file.append(&[2; 1300]).unwrap();
    let seen = outcomes(&disk, |fs| read(fs, "/a/f"));
    let whole: Vec<u8> = [vec![1; 700], vec![2; 1300]].concat();
    let torn = |b: &Vec<u8>| b.len() > 700 && b.len() < 2000 && whole.starts_with(b);
    assert!(seen.contains(&whole[..700]), "dropped");
    assert!(seen.contains(&whole), "kept");
    assert!(seen.iter().filter(|b| torn(b)).count() > 10, "torn at any byte");
    let hole = [&whole[..1024], &[0; 512][..], &whole[1536..]].concat();
    assert!(seen.contains(&hole), "a later sector without an earlier one");
    let unwritten = [&whole[..700], &[0; 1300][..]].concat();
    assert!(seen.contains(&unwritten), "the length without the bytes");
    for bytes in &seen {
        assert!(bytes.len() >= 700 && bytes.len() <= 2000);
        let written = |(i, byte): (usize, &u8)| *byte == whole[i] || (*byte == 0 && i >= 700);
        assert!(bytes.iter().enumerate().all(written), "nothing that was never written");
    }
}

#[test]
fn fdatasync_covers_what_other_processes_wrote() {
    let (disk, fs) = disk();
    let file = durable_file(&fs, "/a/f", b"");
    file.append(b"from one process").unwrap();
    disk.process().open(p("/a/f")).unwrap().sync().unwrap();
    assert_eq!(outcomes(&disk, |fs| read(fs, "/a/f")).len(), 1);
}

#[test]
fn fdatasync_does_not_make_a_name_durable() {
    let (disk, fs) = disk();
    let file = fs.create(p("/a/f")).unwrap();
    file.append(b"x").unwrap();
    file.sync().unwrap();
    let seen = outcomes(&disk, |fs| present(fs, &["/a/f"]));
    assert_eq!(seen, BTreeSet::from([vec![false], vec![true]]));
}

#[test]
fn syncing_a_directory_does_not_sync_its_files() {
    let (disk, fs) = disk();
    fs.create(p("/a/f")).unwrap().append(b"x").unwrap();
    fs.sync_dir(p("/a")).unwrap();
    let seen = outcomes(&disk, |fs| read(fs, "/a/f"));
    assert!(seen.contains(&b""[..]) && seen.contains(&b"x"[..]), "{seen:?}");
}

#[test]
fn a_directory_needs_a_sync_of_its_parent() {
    let (disk, fs) = disk();
    fs.create_dir(p("/a/new")).unwrap();
    durable_file(&fs, "/a/new/f", b"x");
    let seen = outcomes(&disk, |fs| present(fs, &["/a/new", "/a/new/f"]));
    assert_eq!(seen, BTreeSet::from([vec![false, false], vec![true, true]]));
}

#[test]
fn rename_survives_under_exactly_one_name() {
    let (disk, fs) = disk();
    durable_file(&fs, "/a/f", b"x");
    fs.rename_noreplace(p("/a/f"), p("/b/g")).unwrap();
    assert_eq!(present(&fs, &["/a/f", "/b/g"]), [false, true]);
    let seen = outcomes(&disk, |fs| present(fs, &["/a/f", "/b/g"]));
    assert_eq!(seen, BTreeSet::from([vec![true, false], vec![false, true]]));
}

#[test]
fn second_rename_never_survives_without_the_first() {
    let (disk, fs) = disk();
    durable_file(&fs, "/a/f", b"x");
    fs.rename_noreplace(p("/a/f"), p("/a/g")).unwrap();
    fs.rename_noreplace(p("/a/g"), p("/a/h")).unwrap();
    let seen = outcomes(&disk, |fs| present(fs, &["/a/f", "/a/g", "/a/h"]));
    let one = |i| (0..3).map(|j| i == j).collect();
    assert_eq!(seen, (0..3).map(one).collect());
}

#[test]
fn syncing_either_directory_makes_a_rename_durable() {
    for dir in ["/a", "/b"] {
        let (disk, fs) = disk();
        // The name in /a is durable only through the rename.
        fs.create(p("/a/f")).unwrap().sync().unwrap();
        fs.rename_noreplace(p("/a/f"), p("/b/f")).unwrap();
        fs.sync_dir(p(dir)).unwrap();
        let seen = outcomes(&disk, |fs| present(fs, &["/a/f", "/b/f"]));
        assert_eq!(seen, BTreeSet::from([vec![false, true]]), "{dir}");
    }
}

#[test]
fn a_removal_may_be_undone_until_the_directory_is_synced() {
    let (disk, fs) = disk();
    durable_file(&fs, "/a/f", b"x");
    fs.remove(p("/a/f")).unwrap();
    let seen = outcomes(&disk, |fs| present(fs, &["/a/f"]));
    assert_eq!(seen, BTreeSet::from([vec![false], vec![true]]));
    fs.sync_dir(p("/a")).unwrap();
    let seen = outcomes(&disk, |fs| present(fs, &["/a/f"]));
    assert_eq!(seen, BTreeSet::from([vec![false]]));
}

#[test]
fn names_of_different_files_survive_in_any_combination() {
    let (disk, fs) = disk();
    for path in ["/a/f", "/a/g"] {
        fs.create(p(path)).unwrap().sync().unwrap();
    }
    assert_eq!(outcomes(&disk, |fs| present(fs, &["/a/f", "/a/g"])).len(), 4);
}

#[test]
fn the_changes_of_one_name_survive_in_order() {
    let (disk, fs) = disk();
    durable_file(&fs, "/a/f", b"old");
    fs.remove(p("/a/f")).unwrap();
    let new = fs.create(p("/a/f")).unwrap();
    new.append(b"new").unwrap();
    new.sync().unwrap();
    let seen = outcomes(&disk, |fs| fs.open(p("/a/f")).map(|_| read(fs, "/a/f")).ok());
    let all = [None, Some(b"old".to_vec()), Some(b"new".to_vec())];
    assert_eq!(seen, BTreeSet::from(all));
    fs.sync_dir(p("/a")).unwrap();
    assert_eq!(outcomes(&disk, |fs| read(fs, "/a/f")), BTreeSet::from([b"new".to_vec()]));
}

#[test]
fn rename_by_link_never_loses_both_names() {
    let (disk, fs) = disk();
    disk.rename_by_link();
    durable_file(&fs, "/a/f", b"x");
    fs.rename_noreplace(p("/a/f"), p("/b/f")).unwrap();
    let seen = outcomes(&disk, |fs| present(fs, &["/a/f", "/b/f"]));
    let all = [[true, false], [true, true], [false, true]].map(Vec::from);
    assert_eq!(seen, BTreeSet::from(all));
    fs.sync_dir(p("/b")).unwrap();
    let seen = outcomes(&disk, |fs| present(fs, &["/a/f", "/b/f"]));
    assert_eq!(seen, BTreeSet::from([vec![true, true], vec![false, true]]));
    durable_file(&fs, "/a/g", b"y");
    assert_eq!(kind(fs.rename_noreplace(p("/a/g"), p("/b/f"))), io::ErrorKind::AlreadyExists);
    disk.fail_nth(Call::Remove, 1, Failure::Io);
    assert!(fs.rename_noreplace(p("/a/g"), p("/b/g")).is_err());
    assert_eq!(present(&fs, &["/a/g", "/b/g"]), [true, true], "cut off in the middle");
}

#[test]
fn events_count_effects_not_plans() {
    let mut seen = Events::default();
    for seed in 0..40 {
        let (disk, fs) = disk();
        disk.rename_by_link();
        let file = durable_file(&fs, "/a/f", b"");
        durable_file(&fs, "/a/h", b"");
        file.append(&[1; 2_000]).unwrap();
        fs.rename(p("/a/f"), p("/b/f")).unwrap();
        fs.create(p("/a/g")).unwrap();
        fs.rename_noreplace(p("/a/h"), p("/b/h")).unwrap();
        disk.fail_nth(Call::Sync, 1, Failure::NoSpace);
        assert!(file.sync().is_err());
        assert_eq!(disk.events().iter().count(), 1, "nothing else happened before the power cut");
        disk.power_cut(seed);
        seen.add(&disk.events());
    }
    use Event::{BothNames, BytesDropped, BytesKept, BytesTorn, Failed};
    use Event::{NameDropped, NameKept, RenameDropped, RenameKept};
    let cuts = [BytesDropped, BytesKept, BytesTorn, NameDropped, NameKept, BothNames];
    for event in cuts.into_iter().chain([RenameDropped, RenameKept]) {
        assert!((1..160).contains(&seen.of(event)), "{event:?}: {seen:?}");
    }
    assert_eq!(seen.of(RenameDropped) + seen.of(RenameKept), 40);
    assert_eq!(seen.of(Failed(Call::Sync, Failure::NoSpace)), 40);
    assert_eq!(seen.of(Failed(Call::Sync, Failure::Io)), 0);
}

#[test]
fn failed_sync_loses_its_bytes_and_the_next_succeeds() {
    let (disk, fs) = disk();
    let file = durable_file(&fs, "/a/f", b"12");
    file.append(b"34").unwrap();
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
    file.append(b"56").unwrap();
    file.sync().unwrap();
    assert_eq!(read(&fs, "/a/f"), b"123456", "the page cache still shows them");
    let seen = outcomes(&disk, |fs| read(fs, "/a/f"));
    assert!(seen.contains(&b"12\x00\x0056"[..]), "lost below bytes that were synced: {seen:?}");
    assert!(seen.contains(&b"123456"[..]), "or written after all: {seen:?}");
    assert!(seen.iter().all(|b| b.starts_with(b"12") && b.ends_with(b"56")), "{seen:?}");
}

#[test]
fn failed_sync_is_reported_once_to_every_open_file() {
    let (disk, fs) = disk();
    let file = durable_file(&fs, "/a/f", b"12");
    let other = disk.process();
    let theirs = other.open(p("/a/f")).unwrap();
    file.append(b"34").unwrap();
    disk.fail_nth(Call::Sync, 1, Failure::Io);
    assert!(theirs.sync().is_err());
    assert!(file.sync().is_err(), "the failure of somebody else's sync is news here");
    assert!(file.sync().is_ok() && theirs.sync().is_ok(), "and then it is not");
    assert!(other.open(p("/a/f")).unwrap().sync().is_ok(), "nor to who opened it later");
    let seen = outcomes(&disk, |fs| read(fs, "/a/f"));
    assert!(seen.contains(&b"12\x00\x00"[..]), "the bytes are gone: {seen:?}");
}

#[test]
fn a_note_replaces_what_was_there_and_is_not_synced() {
    let (disk, fs) = disk();
    durable_file(&fs, "/a/LOCK", b"old note");
    fs.write_note(p("/a/LOCK"), b"new").unwrap();
    assert_eq!(read(&fs, "/a/LOCK"), b"new");
    let seen = outcomes(&disk, |fs| read(fs, "/a/LOCK"));
    assert!(seen.contains(&b"old note"[..]) && seen.contains(&b"new"[..]), "{seen:?}");
    let mixed = |b: &[u8]| b != b"old note" && !b"new".starts_with(b) && b != [0; 3];
    assert!(!seen.iter().any(|b| mixed(b)), "old and new do not mix: {seen:?}");
    fs.open(p("/a/LOCK")).unwrap().sync().unwrap();
    assert_eq!(outcomes(&disk, |fs| read(fs, "/a/LOCK")), BTreeSet::from([b"new".to_vec()]));
}

#[test]
fn power_cut_ends_processes_locks_and_boot() {
    let (disk, fs) = disk();
    let file = durable_file(&fs, "/a/f", b"x");
    assert!(file.try_lock().unwrap());
    let before = fs.host();
    disk.power_cut(1);
    assert!(fs.list(p("/a")).is_err() && file.stat().is_err() && fs.random().is_err());
    let next = disk.process();
    assert!(next.open(p("/a/f")).unwrap().try_lock().unwrap());
    assert_eq!(next.host().machine, before.machine);
    assert_ne!(next.host().boot, before.boot);
}

#[test]
fn simulated_lock_belongs_to_one_open_file() {
    let (disk, one) = disk();
    let file = durable_file(&one, "/a/f", b"");
    let other = disk.process();
    let theirs = other.open_lock(p("/a/f")).unwrap();
    assert!(file.try_lock().unwrap() && file.try_lock().unwrap(), "taking it twice is one lock");
    assert!(!one.open(p("/a/f")).unwrap().try_lock().unwrap(), "same process, opened anew");
    assert!(!theirs.try_lock().unwrap());
    drop(file);
    assert!(theirs.try_lock().unwrap());
    other.kill();
    assert!(one.open(p("/a/f")).unwrap().try_lock().unwrap(), "a killed holder frees it");
}

#[test]
fn killed_process_fails_calls_and_leaves_its_bytes() {
    let (disk, fs) = disk();
    let file = fs.create(p("/a/f")).unwrap();
    file.append(b"cached").unwrap();
    fs.kill();
    assert!(file.append(b"!").is_err() && file.sync().is_err() && file.try_lock().is_err());
    assert!(fs.create(p("/a/g")).is_err() && fs.clone().stat(p("/a/f")).is_err());
    assert_eq!(read(&disk.process(), "/a/f"), b"cached");
}

#[test]
fn an_open_file_works_on_when_its_name_changes_or_goes() {
    let (_disk, fs) = disk();
    let file = durable_file(&fs, "/a/f", b"1");
    let identity = file.stat().unwrap();
    fs.rename_noreplace(p("/a/f"), p("/b/f")).unwrap();
    assert!(fs.stat(p("/b/f")).unwrap().same_file(&identity));
    fs.remove(p("/b/f")).unwrap();
    assert_eq!(file.append(b"2").unwrap(), 1);
    assert_eq!(read_from(&*file, 0).unwrap(), b"12");
    let again = durable_file(&fs, "/a/f", b"").stat().unwrap();
    assert!(!again.same_file(&identity), "a new file under an old name is another file");
    assert_eq!(file.stat().unwrap().len, 2);
}

#[test]
fn simulated_errors_match_the_system() {
    use io::ErrorKind::{AlreadyExists, InvalidInput, IsADirectory, NotADirectory, NotFound};
    let (_disk, fs) = disk();
    durable_file(&fs, "/a/f", b"");
    durable_file(&fs, "/a/g", b"");
    assert_eq!(kind(fs.create(p("/a/f"))), AlreadyExists);
    assert_eq!(kind(fs.create_dir(p("/a"))), AlreadyExists);
    assert_eq!(kind(fs.create(p("/c/f"))), NotFound);
    assert_eq!(kind(fs.create(p("/a/f/f"))), NotADirectory);
    assert_eq!(kind(fs.open(p("/a/none"))), NotFound);
    assert_eq!(kind(fs.open(p("/a"))), InvalidInput);
    assert_eq!(kind(fs.list(p("/c"))), NotFound);
    assert_eq!(kind(fs.stat(p("/a/none"))), NotFound);
    assert_eq!(kind(fs.remove(p("/a/none"))), NotFound);
    assert_eq!(kind(fs.remove(p("/a"))), IsADirectory);
    assert_eq!(kind(fs.rename_noreplace(p("/a/f"), p("/a/g"))), AlreadyExists);
    assert_eq!(kind(fs.rename_noreplace(p("/a/none"), p("/a/g"))), NotFound);
    assert_eq!(fs.open(p("/a/f")).unwrap().append(b"x").unwrap_err().raw_os_error(), Some(9));
    assert_eq!(present(&fs, &["a/./f", "/b/../a/g", "/"]), [true; 3], "paths are normalised");
}

#[test]
fn reading_stops_at_the_end_and_open_lock_never_truncates() {
    let (_disk, fs) = disk();
    durable_file(&fs, "/a/f", b"abc");
    let file = fs.open_lock(p("/a/f")).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 2);
    assert_eq!(&buffer[..2], b"bc");
    assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, u64::MAX).unwrap(), 0);
    assert_eq!(file.append(b"d").unwrap(), 1);
    assert_eq!(read(&fs, "/a/f"), b"abcd");
    fs.open_lock(p("/a/new")).unwrap();
    assert_eq!(fs.stat(p("/a/new")).unwrap().len, 0);
}

#[test]
fn planned_faults_hit_the_nth_call_of_their_kind_only() {
    let (disk, fs) = disk();
    disk.fail_nth(Call::Create, 2, Failure::NoSpace);
    disk.fail_nth(Call::Rename, 1, Failure::Io);
    disk.fail_nth(Call::SyncDir, 1, Failure::Io);
    fs.create(p("/a/1")).unwrap();
    assert_eq!(fs.create(p("/a/2")).unwrap_err().raw_os_error(), Some(28));
    fs.create(p("/a/3")).unwrap();
    assert_eq!(fs.rename_noreplace(p("/a/1"), p("/b/1")).unwrap_err().raw_os_error(), Some(5));
    assert!(fs.sync_dir(p("/a")).is_err());
    assert_eq!(present(&fs, &["/a/1", "/a/2", "/a/3", "/b/1"]), [true, false, true, false]);
    let seen = outcomes(&disk, |fs| present(fs, &["/a/1", "/a/3"]));
    assert!(seen.contains(&vec![false, false]), "a failed sync_dir makes nothing durable");
    fs.sync_dir(p("/a")).unwrap();
    assert_eq!(outcomes(&disk, |fs| present(fs, &["/a/1", "/a/3"])).len(), 1);
}

#[test]
fn short_write_returns_its_count_and_failed_one_does_not() {
    let mut left = BTreeSet::new();
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        let fs = disk.process();
        let file = fs.create(p("/f")).unwrap();
        disk.fail_nth(Call::Write, 1, Failure::Short);
        let count = file.append(b"12345").unwrap();
        assert!(count < 5, "seed {seed}");
        assert_eq!(read(&fs, "/f"), &b"12345"[..count], "seed {seed}");
        disk.fail_nth(Call::Write, 1, Failure::NoSpace);
        assert_eq!(file.append(b"abc").unwrap_err().raw_os_error(), Some(28));
        left.insert(read(&fs, "/f").len() - count);
    }
    assert_eq!(left, BTreeSet::from([0, 1, 2]), "a failed write leaves a part, at times");
}

#[test]
fn faults_by_chance_hit_about_one_in_n() {
    let (disk, fs) = disk();
    disk.fail_one_in(4);
    let failed = (0..1000).filter(|i| fs.create(p(&format!("/a/{i}"))).is_err()).count();
    assert!((150..350).contains(&failed), "{failed}");
    disk.fail_one_in(0);
    fs.create(p("/a/last")).unwrap();
}

#[test]
fn read_calls_fail_when_planned_and_change_nothing() {
    let (disk, fs) = disk();
    let file = durable_file(&fs, "/a/f", b"x");
    let before = disk.operations();
    let errno = |error: io::Error| error.raw_os_error();
    let mut buffer = [0; 4];
    disk.fail_nth(Call::Open, 2, Failure::NoHandle);
    fs.open(p("/a/f")).unwrap();
    assert_eq!(errno(fs.open(p("/a/f")).unwrap_err()), Some(24), "EMFILE");
    fs.open(p("/a/f")).unwrap();
    disk.fail_nth(Call::Open, 1, Failure::Io);
    assert_eq!(errno(fs.open_lock(p("/a/f")).unwrap_err()), Some(5));
    disk.fail_nth(Call::Read, 1, Failure::Short);
    assert_eq!(errno(file.read_at(&mut buffer, 0).unwrap_err()), Some(5), "less would be the end");
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 1);
    disk.fail_nth(Call::List, 1, Failure::NoHandle);
    assert_eq!(errno(fs.list(p("/a")).unwrap_err()), Some(24));
    assert_eq!(fs.list(p("/a")).unwrap(), ["f"]);
    disk.fail_nth(Call::Stat, 1, Failure::NoHandle);
    disk.fail_nth(Call::Stat, 2, Failure::NoSpace);
    disk.fail_nth(Call::Stat, 3, Failure::Io);
    assert_eq!(errno(fs.stat(p("/none")).unwrap_err()), Some(5), "not NotFound, and not EMFILE");
    assert_eq!(errno(file.stat().unwrap_err()), Some(5), "not ENOSPC");
    assert_eq!(errno(fs.owned(p("/a")).unwrap_err()), Some(5));
    assert!(fs.owned(p("/a")).unwrap() && file.stat().unwrap().len == 1);
    assert_eq!(disk.operations(), before, "looking is no operation");
    disk.fail_nth(Call::Create, 1, Failure::NoHandle);
    assert_eq!(errno(fs.create(p("/a/g")).unwrap_err()), Some(24));
    disk.fail_nth(Call::Read, 1, Failure::Io);
    disk.heal();
    assert_eq!(read(&fs, "/a/f"), b"x");
}

#[test]
fn random_read_failures_spare_other_calls() {
    let (disk, fs) = disk();
    durable_file(&fs, "/a/f", b"x");
    disk.fail_looks_one_in(4);
    let errors: Vec<_> =
        (0..1000).filter_map(|_| fs.open(p("/a/f")).err()?.raw_os_error()).collect();
    assert!((150..350).contains(&errors.len()), "{}", errors.len());
    assert!(errors.contains(&5) && errors.contains(&24), "EIO and EMFILE");
    for i in 0..100 {
        fs.create(p(&format!("/a/{i}"))).unwrap();
    }
    disk.fail_looks_one_in(0);
    disk.fail_one_in(1);
    assert_eq!(read(&fs, "/a/f"), b"x", "and the other way round");
}

#[test]
fn the_power_fails_after_the_nth_operation() {
    let (disk, fs) = disk();
    let start = disk.operations();
    assert_eq!(start, 3, "two directories and a sync");
    disk.stop_after(start + 2);
    let file = fs.create(p("/a/f")).unwrap();
    assert_eq!(file.stat().unwrap().len, 0, "reading is no operation");
    assert_eq!(file.append(b"x").unwrap(), 1, "the nth call still happens");
    assert!(file.sync().is_err() && file.stat().is_err() && disk.process().list(p("/")).is_err());
    assert_eq!(disk.operations(), start + 2, "nothing happens without power");
    disk.power_cut(0);
    assert!(disk.process().list(p("/a")).is_ok());
}

#[test]
fn the_same_seed_and_calls_give_the_same_disk() {
    let run = |seed: u64| {
        let disk = SimDisk::new(seed);
        let fs = disk.process();
        disk.fail_one_in(5);
        let errors: Vec<bool> = (0..40)
            .map(|i| {
                let file = fs.create(p(&format!("/{i}")));
                file.and_then(|f| f.append(&[i; 60]).and_then(|_| f.sync())).is_err()
            })
            .collect();
        disk.power_cut(seed);
        let fs = disk.process();
        let mut names = fs.list(p("/")).unwrap();
        let listed = names.clone();
        names.sort();
        let bytes: Vec<_> = names.iter().map(|name| read(&fs, name)).collect();
        (errors, listed, bytes, fs.random().unwrap(), fs.host().boot, fs.now_ms())
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}

#[test]
fn forked_disk_is_independent() {
    let (disk, fs) = disk();
    durable_file(&fs, "/a/f", b"");
    let fork = disk.fork();
    let other = fork.process();
    other.remove(p("/a/f")).unwrap();
    assert_eq!(present(&fs, &["/a/f"]), [true]);
    assert_eq!(present(&other, &["/a/f"]), [false]);
}

#[test]
fn the_clock_ticks_and_can_be_advanced() {
    let (disk, fs) = disk();
    let start = fs.now_ms();
    assert_eq!(disk.process().now_ms(), start + 1);
    disk.advance(60_000);
    assert_eq!(fs.now_ms(), start + 60_002);
    let file = durable_file(&fs, "/a/f", b"");
    assert_eq!(fs.modified(p("/a/f")).unwrap().1, start + 60_002);
    fs.now_ms();
    file.append(b"x").unwrap();
    assert_eq!(fs.modified(p("/a/f")).unwrap().1, start + 60_003);
}

#[test]
fn random_bytes_never_come_twice() {
    let (disk, one) = disk();
    let other = disk.process();
    let seen: BTreeSet<_> = (0..1000)
        .map(|i| if i % 2 == 0 { one.random() } else { other.random() }.unwrap())
        .collect();
    assert_eq!(seen.len(), 1000);
}

#[test]
fn a_listing_is_in_no_order() {
    let (_disk, fs) = disk();
    for i in 0..8 {
        fs.create(p(&format!("/a/{i}"))).unwrap();
    }
    let mut first = fs.list(p("/a")).unwrap();
    assert_ne!(first, fs.list(p("/a")).unwrap());
    first.sort();
    assert_eq!(first, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn process_of_another_user_changes_nothing() {
    let (disk, fs) = disk();
    durable_file(&fs, "/a/f", b"x");
    let stranger = disk.strange_process();
    assert!(fs.owned(p("/a")).unwrap() && !stranger.owned(p("/a")).unwrap());
    assert_eq!(kind(stranger.owned(p("/c"))), io::ErrorKind::NotFound);
    assert_eq!(kind(stranger.create(p("/a/g"))), io::ErrorKind::PermissionDenied);
    assert_eq!(kind(stranger.remove(p("/a/f"))), io::ErrorKind::PermissionDenied);
    assert_eq!(read(&stranger, "/a/f"), b"x");
    stranger.open(p("/a/f")).unwrap().sync().unwrap();
}

#[test]
fn simulated_fs_type_can_be_set_and_has_no_local_path() {
    let (disk, fs) = disk();
    assert_eq!(fs.fs_type(p("/a")).unwrap(), 0xEF53);
    disk.set_fs_type(0x6969);
    assert_eq!(fs.fs_type(p("/a")).unwrap(), 0x6969);
    assert_eq!(fs.local_path(p("/a")), None);
}
