//! An index of a code base, made and kept up to date by as many processes as you like.
//!
//! ```text
//! cargo run --no-default-features --example index_snapshot PALACE FOLDER
//! ```
//!
//! Start several processes at once on the same palace and folder. Each file is in the index once, with its hash. Kill
//! any of them: the others index its files too, without a pause. Start it again when files have changed: it indexes
//! those, and removes the entries of deleted files.
//!
//! Tools that keep such an index in one JSON file need a leader that writes it, and an election when the leader dies.
//! Neither is needed here, because **no process owns a file of the code base**:
//!
//! * Every process goes through *all* files, in an order of its own, and skips those that are in the index with their
//!   present hash. So the processes share the work without dividing it. Files that a killed process did not index are
//!   reached by the others anyway. There is no claim, no lease and no timeout.
//! * An entry depends on the file alone. It has no time and no name of its writer; history has those. Two processes
//!   that index the same file at the same moment write the same entry, without a conflict.
//! * The index holds only finished work. No entry says "in progress", so none can outlive the process that made it.

use crdt_palace::palace::{Key, Options, Palace, chain};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The prefix of the keys of the index. The rest of a key is the path below the folder.
const PREFIX: &str = "index/";
/// The number of lines of a chunk.
const CHUNK_LINES: usize = 40;

// Public for tests/programs/child.rs.
pub fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [palace, folder] = arguments.as_slice() else {
        eprintln!("usage: index_snapshot PALACE FOLDER");
        return ExitCode::from(2);
    };
    match run(palace, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("index_snapshot: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(palace: &Path, folder: &Path) -> Result<(), Failure> {
    let palace = Options::new().program("index_snapshot 1.0").open(palace)?;
    let mut written = 0;
    // Files may change during a pass. The index is complete after a pass that wrote nothing.
    loop {
        let changed = pass(&palace, folder)?;
        written += changed;
        if changed == 0 {
            break;
        }
    }
    println!("the index is up to date; this process wrote {written} of its entries");
    Ok(())
}

/// Goes through all files once, and returns how many entries it wrote or removed.
fn pass(palace: &Palace, folder: &Path) -> Result<usize, Failure> {
    let mut names = BTreeSet::new();
    list(folder, Path::new(""), &mut names)?;
    let mut order: Vec<&String> = names.iter().collect();
    let seed = RandomState::new();
    order.sort_by_key(|name| seed.hash_one(name));

    let mut changed = 0;
    for name in order {
        changed += usize::from(bring_up_to_date(palace, folder, name)?);
    }
    let indexed = entries(palace)?;
    for name in indexed.difference(&names).filter(|name| !folder.join(name).exists()) {
        let outcome = palace.delete(&format!("{PREFIX}{name}"))?;
        changed += usize::from(outcome.changed);
    }
    Ok(changed)
}

/// Indexes a file, unless its entry has the present hash. Returns true if it wrote the entry.
fn bring_up_to_date(palace: &Palace, folder: &Path, name: &str) -> Result<bool, Failure> {
    let bytes = match std::fs::read(folder.join(name)) {
        Ok(bytes) => bytes,
        // Another process may be able to read it. If none can, the file is not in the index.
        Err(error) => {
            eprintln!("{name}: {error}");
            return Ok(false);
        }
    };
    let (key, hash) = (format!("{PREFIX}{name}"), blake3::hash(&bytes).to_hex());
    // An entry has conflicts if two processes indexed the file while it changed.
    if let Some(found) = palace.get(&key)?
        && found.value.get("hash").and_then(Value::as_str) == Some(hash.as_str())
        && found.conflicts.is_empty()
    {
        return Ok(false);
    }
    let written = palace.put(&key, &index(&bytes, &hash))?;
    if written.changed {
        println!("indexed {name}");
    }
    Ok(written.changed)
}

/// Indexes the content of a file. Put your own work here: chunks, symbols, embeddings.
fn index(bytes: &[u8], hash: &str) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let lines = text.lines().count();
            let chunks = lines.div_ceil(CHUNK_LINES);
            json!({"status": "indexed", "hash": hash, "lines": lines, "chunks": chunks})
        }
        Err(error) => json!({"status": "failed", "hash": hash, "why": error.to_string()}),
    }
}

/// Returns the files that are in the index.
fn entries(palace: &Palace) -> Result<BTreeSet<String>, Failure> {
    let mut names = BTreeSet::new();
    for key in palace.keys(PREFIX) {
        names.extend(key?.as_str().strip_prefix(PREFIX).map(str::to_owned));
    }
    Ok(names)
}

/// Lists the files below a folder by their paths below it, without hidden ones.
fn list(folder: &Path, below: &Path, names: &mut BTreeSet<String>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let (path, kind) = (below.join(entry.file_name()), entry.file_type()?);
        // A path that is not UTF-8, or too long, cannot be a key.
        let has_key = |name: &&str| Key::new(&format!("{PREFIX}{name}")).is_ok();
        let Some(name) = path.to_str().filter(has_key) else { continue };
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && !hidden {
            list(folder, &path, names)?;
        } else if kind.is_file() && !hidden {
            names.insert(name.to_owned());
        }
    }
    Ok(())
}
