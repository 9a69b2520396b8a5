//! One index of a code base, made and kept up to date by as many processes as you like.
//!
//! ```text
//! cargo run --no-default-features --example index_snapshot PALACE FOLDER
//! ```
//!
//! Start several at once on the same palace and folder. Each file is in the index once, with its hash. Kill
//! any of them: the others go on at once and do its part too. Start it again when files have changed: it
//! indexes those, and forgets what is gone.
//!
//! Tools that keep such a snapshot in one JSON file need a leader that writes it, and an election when the
//! leader dies. There is none here, and nothing to elect, because **no file is ever anybody's**:
//!
//! * Every process goes through *all* files, in an order of its own, and skips those that are in the index with their
//!   present hash. So the processes share the work without dividing it. What a dead one has not done is
//!   simply not done, and the others come by there anyway. No claim, no lease, no time to wait out.
//! * An entry follows from the file alone (no time, no name of the writer: history knows those). Two processes
//!   that happen to index the same file at the same moment write the same entry, and it is one.
//! * The index says what is done. There is no mark "at work on it" that could outlive whoever set it.

use crdt_palace::palace::{Key, Options, Palace, WriteOptions, chain};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the keys of the index start with; the rest is the path below the folder.
const PREFIX: &str = "index/";
/// How much of a file is found as one piece.
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
    let palace = Options::default().program("index_snapshot 1.0").open(palace)?;
    let mut written = 0;
    // Files change while one reads them: it is done when there is nothing to do.
    loop {
        let changed = pass(&palace, folder)?;
        written += changed;
        if changed == 0 {
            break;
        }
    }
    println!("the index is up to date; {written} entries are from here");
    Ok(())
}

/// Goes through all files once. Gives how many entries it wrote or removed.
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
        let outcome = palace.delete(&format!("{PREFIX}{name}"), &WriteOptions::default())?;
        changed += usize::from(outcome.changed);
    }
    Ok(changed)
}

fn bring_up_to_date(palace: &Palace, folder: &Path, name: &str) -> Result<bool, Failure> {
    let bytes = match std::fs::read(folder.join(name)) {
        Ok(bytes) => bytes,
        // The others may be luckier, and the index says what is in it.
        Err(error) => {
            eprintln!("{name}: {error}");
            return Ok(false);
        }
    };
    let (key, hash) = (format!("{PREFIX}{name}"), blake3::hash(&bytes).to_hex());
    // In conflict is what two have indexed at the same moment while the file was changing.
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

/// The work itself. This is where yours goes: chunks, symbols, embeddings.
fn index(bytes: &[u8], hash: &str) -> Map<String, Value> {
    let entry = match std::str::from_utf8(bytes) {
        Ok(text) => {
            let lines = text.lines().count();
            let chunks = lines.div_ceil(CHUNK_LINES);
            json!({"status": "indexed", "hash": hash, "lines": lines, "chunks": chunks})
        }
        Err(error) => json!({"status": "failed", "hash": hash, "why": error.to_string()}),
    };
    entry.as_object().cloned().unwrap_or_default()
}

/// The files of the index.
fn entries(palace: &Palace) -> Result<BTreeSet<String>, Failure> {
    let (mut names, mut after) = (BTreeSet::new(), None::<String>);
    loop {
        let page = palace.keys(PREFIX, after.as_deref(), 1_000)?;
        let Some(last) = page.last() else { return Ok(names) };
        after = Some(last.to_string());
        let name = |key: &Key| key.as_str().strip_prefix(PREFIX).map(str::to_owned);
        names.extend(page.iter().filter_map(name));
    }
}

/// The files below a folder, hidden ones left out, by their paths below it.
fn list(folder: &Path, below: &Path, names: &mut BTreeSet<String>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let (path, kind) = (below.join(entry.file_name()), entry.file_type()?);
        // Names that are no text, or too long, have no key.
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
