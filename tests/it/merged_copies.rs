//! A palace in the hands of programs that copy files: a copy made while it is written, both copies written on
//! machines whose clocks are years apart, and their files brought together again in both directions. Files
//! arrive by halves, two versions of one file are kept under names that sync programs make up, leftovers of
//! copying and files of another palace lie around. Whatever was acknowledged anywhere is read by whoever
//! opens either directory then, before and after it is compacted, and each strange file is told.
//!
//! ```text
//! CRDT_PALACE_SEEDS=1000 cargo test --release --no-default-features --test it merged_copies -- --nocapture
//! ```

use crate::support::{Dice, dir, documents, names, object, seeds};
use crdt_palace::fs::name_events::NameEvents;
use crdt_palace::fs::os::OsFs;
use crdt_palace::fs::{Directory, File, Fs, Host, Listed, Stat};
use crdt_palace::palace::compact::{CompactOptions, CompactReport};
use crdt_palace::palace::verify::Severity;
use crdt_palace::palace::{Error, Options, Palace, StoreError};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

const DIRECTORIES: [&str; 3] = ["open", "sealed", "snap"];
const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// The real file system, on a machine of its own with a clock of its own.
#[derive(Debug)]
struct Elsewhere {
    machine: u8,
    ahead_ms: AtomicI64,
}

impl Fs for Elsewhere {
    fn now_ms(&self) -> i64 {
        OsFs.now_ms() + self.ahead_ms.load(Relaxed)
    }
    fn host(&self) -> Host {
        Host { machine: [self.machine; 16], boot: [self.machine | 128; 16] }
    }
    /// ext4, wherever the temporary directory is.
    fn fs_type(&self, _path: &Path) -> io::Result<u64> {
        Ok(0xEF53)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsFs.create_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        OsFs.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        OsFs.open(path)
    }
    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn File>> {
        OsFs.open_lock(path)
    }
    fn write_note(&self, path: &Path, note: &[u8]) -> io::Result<()> {
        OsFs.write_note(path, note)
    }
    fn entries(&self, path: &Path) -> io::Result<Vec<Listed>> {
        OsFs.entries(path)
    }
    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        OsFs.open_dir(path)
    }
    fn name_events(&self, directories: &[PathBuf]) -> io::Result<Option<NameEvents>> {
        OsFs.name_events(directories)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        OsFs.stat(path)
    }
    fn modified(&self, path: &Path) -> io::Result<(Stat, i64)> {
        OsFs.modified(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFs.rename(from, to)
    }
    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFs.rename_noreplace(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFs.remove(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsFs.sync_dir(path)
    }
    fn local_path(&self, path: &Path) -> Option<PathBuf> {
        OsFs.local_path(path)
    }
    fn owned(&self, path: &Path) -> io::Result<bool> {
        OsFs.owned(path)
    }
    fn is_mounted_read_only(&self, path: &Path) -> io::Result<bool> {
        OsFs.is_mounted_read_only(path)
    }
    fn yield_to_others(&self) {}
    fn random(&self) -> io::Result<[u8; 16]> {
        OsFs.random()
    }
}

/// What must be there: the fields of each document, and the sum of its counter.
type Promised = BTreeMap<String, (BTreeSet<String>, i64)>;

/// A copy of the palace, and who works on it.
struct Side {
    path: PathBuf,
    fs: Arc<Elsewhere>,
    handles: Vec<Palace>,
}

impl Side {
    fn new(path: PathBuf, machine: u8, ahead_ms: i64) -> Self {
        let fs = Arc::new(Elsewhere { machine, ahead_ms: AtomicI64::new(ahead_ms) });
        Side { path, fs, handles: Vec::new() }
    }

    fn open(&self) -> Palace {
        Options::default().fs(self.fs.clone()).auto_compact(false).open(&self.path).unwrap()
    }

    /// Something that a process here does.
    fn act(&mut self, dice: &mut Dice, promised: &mut Promised) {
        let who = dice.below(2);
        while self.handles.len() <= who {
            self.handles.push(self.open());
        }
        match dice.below(14) {
            0 => drop(self.handles.remove(who)),
            1 => self.handles[who].seal().unwrap(),
            2 => drop(compact(&self.handles[who], false)),
            _ => write(&self.handles[who], "doc", dice, promised),
        }
    }
}

fn write(palace: &Palace, kind: &str, dice: &mut Dice, promised: &mut Promised) {
    let key = format!("{kind}/{}", dice.below(4));
    let (fields, sum) = promised.entry(key.clone()).or_default();
    if dice.chance(4) {
        palace.increment(&key, &["count"], 3).unwrap();
        *sum += 3;
    } else {
        let field = format!("f{:x}", dice.roll());
        let patch = object(json!({ field.clone(): true }));
        palace.patch(&key, &patch).unwrap();
        fields.insert(field);
    }
}

fn compact(palace: &Palace, adopt: bool) -> CompactReport {
    let all = CompactOptions::new().all();
    loop {
        match palace.compact(if adopt { all.adopt() } else { all }) {
            // Another handle compacts just now, as it is due there.
            Err(Error::Store(StoreError::Busy { .. })) => std::thread::yield_now(),
            done => return done.unwrap(),
        }
    }
}

/// A program that copies files, and what it has not finished.
#[derive(Default)]
struct Tool {
    half: Vec<(PathBuf, PathBuf)>,
    conflicts: usize,
}

impl Tool {
    /// Copies what is missing there. Between two files, life goes on.
    fn copy(
        &mut self,
        from: &Path,
        to: &Path,
        dice: &mut Dice,
        mut meanwhile: impl FnMut(&mut Dice),
    ) {
        std::fs::create_dir_all(to).unwrap();
        if !to.join("palace.json").exists() {
            std::fs::copy(from.join("palace.json"), to.join("palace.json")).unwrap();
        }
        for directory in DIRECTORIES.into_iter().chain(["tmp", "trash", "quarantine"]) {
            std::fs::create_dir_all(to.join(directory)).unwrap();
        }
        // In any order: nothing tells these programs in which direction data moves.
        let mut directories = DIRECTORIES;
        directories.swap(0, dice.below(3));
        directories.swap(1, 1 + dice.below(2));
        for directory in directories {
            for name in names(from, directory) {
                meanwhile(dice);
                self.copy_file(&from.join(directory), &to.join(directory), &name, dice);
            }
        }
    }

    fn copy_file(&mut self, from: &Path, to: &Path, name: &str, dice: &mut Dice) {
        let (source, target) = (from.join(name), to.join(name));
        if self.half.iter().any(|(_, half)| *half == source) {
            return;
        }
        // It may have been retired since it was listed.
        let Ok(bytes) = std::fs::read(&source) else { return };
        match std::fs::read(&target) {
            Err(_) if dice.chance(6) && !bytes.is_empty() => {
                std::fs::write(&target, &bytes[..dice.below(bytes.len())]).unwrap();
                self.half.push((source, target));
            }
            Err(_) => place(&target, &bytes),
            Ok(there) if there == bytes => {}
            Ok(_) => self.keep_both(&target, &bytes, name, dice),
        }
    }

    /// Two versions of one file: either gets another name.
    fn keep_both(&mut self, target: &Path, bytes: &[u8], name: &str, dice: &mut Dice) {
        self.conflicts += 1;
        let other = target.with_file_name(conflict_name(name, self.conflicts, dice));
        if dice.chance(2) {
            std::fs::rename(target, &other).unwrap();
            place(target, bytes);
        } else {
            place(&other, bytes);
        }
    }

    /// Finishes what was copied by half, if its source is still there: a new file in the place of the old.
    fn finish(&mut self) {
        for (source, target) in self.half.drain(..) {
            match std::fs::read(&source) {
                Ok(bytes) => place(&target, &bytes),
                Err(_) => drop(std::fs::remove_file(&target)),
            }
        }
    }
}

/// As sync programs do: under a name of their own first.
fn place(target: &Path, bytes: &[u8]) {
    let name = format!(".syncthing.{}.tmp", target.file_name().unwrap().to_str().unwrap());
    std::fs::write(target.with_file_name(&name), bytes).unwrap();
    std::fs::rename(target.with_file_name(name), target).unwrap();
}

fn conflict_name(name: &str, n: usize, dice: &mut Dice) -> String {
    let (stem, ending) = name.rsplit_once('.').unwrap();
    match dice.below(4) {
        0 => format!("{stem} (Ann's conflicted copy 2026-11-{n:02}).{ending}"),
        1 => format!("{stem}.sync-conflict-20261121-{n:06}-ABCDEFG.{ending}"),
        2 => format!("{stem}-LAPTOP-{n}.{ending}"),
        _ => format!("{stem} ({n}).{ending}"),
    }
}

/// Whoever reads there finds all of it.
fn assert_whole(palace: &Palace, promised: &Promised, context: &str) {
    let found = documents(palace);
    for (key, (fields, sum)) in promised {
        let document = found.get(key).unwrap_or_else(|| panic!("{context}: {key} is lost"));
        assert!(!document.incomplete, "{context}: {key} waits for something");
        assert!(document.conflicts.is_empty(), "{context}: {document:?}");
        for field in fields {
            let value = document.value.get(field);
            assert_eq!(value, Some(&Value::Bool(true)), "{context}: {field} of {key} is lost");
        }
        let count = document.value.get("count").map_or(0, |count| count.as_i64().unwrap());
        assert_eq!(count, *sum, "{context}: the counter of {key}");
    }
}

/// The files in a palace whose names are none that a palace gives.
fn strange_files(path: &Path) -> BTreeSet<PathBuf> {
    let regular = |name: &str| {
        let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
        let digits = stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits && ["seg", "snap"].contains(&ending)
    };
    let directories = DIRECTORIES.into_iter();
    let all = directories.flat_map(|directory| {
        names(path, directory).into_iter().map(move |name| (directory, name))
    });
    let strange = all.filter(|(_, name)| !regular(name));
    strange.map(|(directory, name)| path.join(directory).join(name)).collect()
}

/// Each of these files is told, and nothing is called worse than it is.
fn assert_told(side: &Side, files: &BTreeSet<PathBuf>, context: &str) {
    let findings = side.open().verify().unwrap().findings;
    let told: BTreeSet<_> = findings.iter().filter_map(|finding| finding.path.as_ref()).collect();
    for file in files {
        assert!(told.contains(file), "{context}: nobody tells of {}", file.display());
    }
    let problems: Vec<_> = findings.iter().filter(|f| f.severity == Severity::Problem).collect();
    assert!(problems.is_empty(), "{context}: {problems:?}");
}

/// A few documents in a palace of their own; some of its files are brought into this one.
fn bring_strangers(
    to: &Path,
    at: &Path,
    dice: &mut Dice,
    promised: &mut Promised,
) -> BTreeSet<PathBuf> {
    let other = Side::new(at.to_owned(), 77, 0);
    let palace = other.open();
    (0..3).for_each(|_| write(&palace, "other", dice, promised));
    if dice.chance(2) {
        compact(&palace, false);
    }
    drop(palace);
    let mut brought = BTreeSet::new();
    for directory in DIRECTORIES {
        for name in names(at, directory) {
            let target = to.join(directory).join(&name);
            std::fs::copy(at.join(directory).join(name), &target).unwrap();
            brought.insert(target);
        }
    }
    assert!(!brought.is_empty());
    brought
}

fn merge(seed: u64) {
    let root = dir();
    let mut dice = Dice::new(seed);
    let mut promised = Promised::new();
    let years = [0, -6, 9, -30][dice.below(4)] * YEAR_MS;
    let mut one = Side::new(root.path().join("one"), 1, 0);
    let mut two = Side::new(root.path().join("two"), 2, years);
    let (here, there) = (one.path.clone(), two.path.clone());
    write(&one.open(), "doc", &mut dice, &mut promised);
    (0..15).for_each(|_| one.act(&mut dice, &mut promised));
    // A copy of what is being written: it may lack anything, and need not be read yet.
    let mut tool = Tool::default();
    tool.copy(&here, &there, &mut dice, |dice| one.act(dice, &mut promised));
    let following = two.open();
    documents(&following);
    for _ in 0..20 {
        one.act(&mut dice, &mut promised);
        two.act(&mut dice, &mut promised);
    }
    let strangers =
        bring_strangers(&two.path, &root.path().join("other"), &mut dice, &mut promised);
    // Both ways, while both are still written, and once more when they are not.
    tool.copy(&here, &there, &mut dice, |dice| two.act(dice, &mut promised));
    tool.copy(&there, &here, &mut dice, |dice| one.act(dice, &mut promised));
    (0..4).for_each(|_| two.act(&mut dice, &mut promised));
    // Whoever compacts in between takes nothing away that was not there yet.
    compact(&two.open(), false);
    let nothing = |_: &mut Dice| {};
    for _ in 0..3 {
        tool.finish();
        tool.copy(&there, &here, &mut dice, nothing);
        tool.copy(&here, &there, &mut dice, nothing);
    }
    tool.finish();
    std::fs::write(one.path.join("open/.syncthing.left.tmp"), "left").unwrap();
    std::fs::write(two.path.join("snap/Thumbs.db"), "left").unwrap();
    if let Some(name) = names(&one.path, "snap").first() {
        let copy = conflict_name(name, 99, &mut dice);
        std::fs::copy(one.path.join("snap").join(name), one.path.join("snap").join(copy)).unwrap();
    }
    for side in [&one, &two] {
        let context = |when: &str| format!("{}, {when}", side.path.display());
        assert_whole(&side.open(), &promised, &context("merged"));
        assert_whole(
            &Side::new(side.path.clone(), 3, YEAR_MS).open(),
            &promised,
            &context("elsewhere"),
        );
        assert_told(side, &strange_files(&side.path), &context("merged"));
    }
    assert_told(&two, &strangers, "strangers");
    assert_whole(&following, &promised, "followed all the time");
    // And compacting them takes nothing away.
    one.handles.clear();
    two.handles.clear();
    for adopt in [false, true] {
        for side in [&one, &two] {
            for round in ["once", "twice"] {
                let context = |what| format!("{}, {what} {round}", side.path.display());
                compact(&side.open(), adopt);
                assert_whole(&side.open(), &promised, &context("compacted"));
                side.fs.ahead_ms.fetch_add(61_000, Relaxed);
            }
        }
        assert!(strangers.iter().all(|file| file.exists()), "a file of another palace was retired");
        tool.copy(&there, &here, &mut dice, nothing);
        tool.finish();
        assert_whole(&one.open(), &promised, "merged again");
    }
    assert_whole(&following, &promised, "followed to the end");
}

#[test]
fn merged_copies_show_all_acknowledged_writes() {
    for seed in seeds(20) {
        let result = catch_unwind(AssertUnwindSafe(|| merge(seed)));
        if let Err(panic) = result {
            eprintln!("replay it with CRDT_PALACE_SEED={seed}");
            resume_unwind(panic);
        }
        if seed % 100 == 0 {
            eprintln!("{seed} merges");
        }
    }
}
