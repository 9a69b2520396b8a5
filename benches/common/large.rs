//! The large palace: 100,000 documents, built once and kept, because building it takes minutes.
//!
//! It is built as production would build it, in steps of 1 MiB with a compaction that is due after
//! each, so building it is at the same time the measurement of what compaction writes.

use super::{Result, bench_dir, document, key, quick};
use crdt_palace::format::FORMAT_VERSION;
use crdt_palace::palace::compact::{CompactOptions, CompactReport, Extent};
use crdt_palace::palace::{Error, Options, Palace, StoreError, WriteOptions};
use std::path::{Path, PathBuf};

/// Part of the name of the kept files: increase it when they are to be built again.
const VERSION: u32 = 1;
/// What is appended before each compaction, in bytes.
const STEP: u64 = 1 << 20;
/// Where a palace keeps what it keeps.
const DIRECTORIES: [&str; 7] = ["open", "sealed", "snap", "trash", "tmp", "quarantine", "."];

/// How many documents the large palace has.
pub fn documents() -> u64 {
    if quick() { 10_000 } else { 100_000 }
}

/// A file or directory that is kept between runs.
pub fn kept(name: &str) -> Result<PathBuf> {
    let name = format!("kept-{FORMAT_VERSION}.{VERSION}-{}-{name}", documents());
    Ok(bench_dir()?.join(name))
}

/// What the automatic steps cost.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Steps {
    pub steps: u64,
    /// Bytes of the segments that were folded.
    pub appended: u64,
    /// Bytes of all snapshots that were published.
    pub published: u64,
    /// Bytes that were given to `write` while compacting.
    pub given: u64,
    /// Bytes of pages that became dirty while compacting.
    pub dirtied: u64,
    /// How long `LOCK` was held, the longest time, in milliseconds.
    pub lock_ms: u64,
    /// All steps together, in milliseconds.
    pub elapsed_ms: u64,
}

impl Steps {
    /// Of the large palace, which is built if it is not there.
    pub fn of_large() -> Result<Self> {
        stepped()?;
        Ok(serde_json::from_slice(&std::fs::read(kept("steps.json")?)?)?)
    }

    fn step(&mut self, palace: &Palace) -> Result {
        palace.seal()?;
        self.appended += size(&palace.path().join("sealed"))?;
        let before = io()?;
        let options = CompactOptions::new().extent(Extent::Due);
        let CompactReport { bytes_after, lock_held_ms, elapsed_ms, .. } =
            palace.compact(options)?;
        let after = io()?;
        self.steps += 1;
        self.published += bytes_after;
        self.given += after.0 - before.0;
        self.dirtied += after.1 - before.1;
        self.lock_ms = self.lock_ms.max(lock_held_ms);
        self.elapsed_ms += elapsed_ms;
        Ok(())
    }
}

/// The large palace as automatic steps leave it. Do not write to it: see [`copy`].
pub fn stepped() -> Result<PathBuf> {
    keep("stepped", |path| {
        let palace = Options::default().auto_compact(false).open(path)?;
        let buffered = palace.with(WriteOptions::new().buffered());
        let mut steps = Steps::default();
        for n in 0..documents() {
            buffered.put(&key(n), &document(n))?;
            let new = || {
                Ok::<u64, Box<dyn std::error::Error + Send + Sync>>(
                    size(&path.join("open"))? + size(&path.join("sealed"))?,
                )
            };
            if n % 32 == 0 && new()? >= STEP {
                steps.step(&palace)?;
            }
        }
        steps.step(&palace)?;
        clean(&palace)?;
        Ok(std::fs::write(kept("steps.json")?, serde_json::to_vec(&steps)?)?)
    })
}

/// The large palace in one snapshot. Do not write to it: see [`copy`].
pub fn single() -> Result<PathBuf> {
    keep("single", |path| {
        link(&stepped()?, path)?;
        let palace = Options::default().auto_compact(false).open(path)?;
        palace.compact(CompactOptions::new().all())?;
        clean(&palace)
    })
}

/// What `build` makes in the directory that it is given, made once and kept.
pub fn keep(name: &str, build: impl FnOnce(&Path) -> Result) -> Result<PathBuf> {
    let (path, unfinished) = (kept(name)?, kept(&format!("{name}.unfinished"))?);
    if !path.exists() {
        eprintln!("building {} (kept for the next run)", path.display());
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        build(&unfinished)?;
        std::fs::rename(&unfinished, &path)?;
    }
    Ok(path)
}

/// Seals the segment and folds what is due, then takes away what that left behind.
pub fn fold_due(palace: &Palace) -> Result {
    palace.seal()?;
    let due = || CompactOptions::new().extent(Extent::Due);
    // The compaction in the background may still hold the lock.
    while let Err(error) = palace.compact(due()) {
        match error {
            Error::Store(StoreError::Busy { .. }) => {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            error => return Err(error.into()),
        }
    }
    clean(palace)
}

/// Takes away what later compactions would take away once it is old enough.
pub fn clean(palace: &Palace) -> Result {
    for snapshot in palace.status()?.snapshots.iter().filter(|snapshot| snapshot.superseded) {
        let name = crdt_palace::format::filename::snapshot(snapshot.snapshot);
        std::fs::remove_file(palace.path().join("snap").join(name))?;
    }
    for file in std::fs::read_dir(palace.path().join("trash"))? {
        std::fs::remove_file(file?.path())?;
    }
    Ok(())
}

/// A copy to write to. The files of a palace never change once they have their name, so hard links do.
pub fn copy(of: &Path) -> Result<tempfile::TempDir> {
    let dir = super::scratch()?;
    link(of, dir.path())?;
    Ok(dir)
}

/// A copy of a palace whose processes still run. The files are its own, so they are of no running process.
pub fn duplicate(of: &Path) -> Result<tempfile::TempDir> {
    let dir = super::scratch()?;
    each_file(of, dir.path(), |from, to| std::fs::copy(from, to).map(drop))?;
    Ok(dir)
}

fn link(from: &Path, to: &Path) -> Result {
    each_file(from, to, |from, to| std::fs::hard_link(from, to))
}

fn each_file(from: &Path, to: &Path, copy: impl Fn(&Path, &Path) -> std::io::Result<()>) -> Result {
    for name in DIRECTORIES {
        std::fs::create_dir_all(to.join(name))?;
        for file in std::fs::read_dir(from.join(name))? {
            let file = file?;
            // LOCK and CAS are written in place.
            let shared = name == "." && file.file_name() != "palace.json";
            if file.file_type()?.is_file() && !shared {
                copy(&file.path(), &to.join(name).join(file.file_name()))?;
            }
        }
    }
    Ok(())
}

/// The bytes of the files in a directory.
pub fn size(path: &Path) -> Result<u64> {
    let mut sum = 0;
    for file in std::fs::read_dir(path)? {
        sum += file?.metadata()?.len();
    }
    Ok(sum)
}

/// `wchar` and `write_bytes` of this process so far.
fn io() -> Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let field = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.ok_or("no such line in /proc/self/io")?.trim().parse()?)
    };
    Ok((field("wchar:")?, field("write_bytes:")?))
}
