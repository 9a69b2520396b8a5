//! Mirrors a folder of Markdown into a palace. Several processes may watch the same folder.
//!
//! ```text
//! cargo run --no-default-features --example markdown_watchers PALACE FOLDER
//! ```
//!
//! Start it as often as you like, kill any of the processes, start it again. Each reacts to every change, and none is
//! the leader. Every file has exactly one entry, with its present text.
//!
//! Two rules ensure that, without a lock:
//!
//! * **The path is the key, and an entry holds only the text of the file.** It has no time and no name of its writer;
//!   history has those. Two processes that write the same text at the same time make one entry, without a conflict.
//! * **A change of an entry is handled like a change of the file.** A slow process may write an old text over a newer
//!   one, and be killed before it notices. The other processes see that write, read the file, and correct the entry.

use crdt_palace::palace::{Key, Options, Palace, chain};
use notify::{Event, EventKind, RecursiveMode, Watcher};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The prefix of the keys of the entries. The rest of a key is the path below the folder.
const PREFIX: &str = "markdown/";

// Public for tests/programs/child.rs.
pub fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [palace, folder] = arguments.as_slice() else {
        eprintln!("usage: markdown_watchers PALACE FOLDER");
        return ExitCode::from(2);
    };
    match mirror(palace, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("markdown_watchers: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn mirror(palace: &Path, folder: &Path) -> Result<(), Failure> {
    let palace = Options::new().program("markdown_watchers 1.0").open(palace)?;
    let mirror = Mirror { palace, folder: folder.canonicalize()? };
    let (sender, changed) = channel();
    // The watches start before the first scan, so no change falls between them.
    let _events = mirror.watch_files(sender.clone())?;
    mirror.watch_entries(sender)?;
    mirror.update(&mirror.folder)?;
    println!("watching {}", mirror.folder.display());
    for path in changed {
        mirror.update(&path)?;
    }
    Err("the watches of the folder and of the palace have ended".into())
}

struct Mirror {
    palace: Palace,
    folder: PathBuf,
}

impl Mirror {
    /// Sends the path of every file that changes.
    fn watch_files(&self, changed: Sender<PathBuf>) -> Result<impl Watcher + use<>, Failure> {
        let folder = self.folder.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let paths = match event {
                // Reads are events too, and every process here reads.
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => Vec::new(),
                Ok(event) if !event.need_rescan() => event.paths,
                // Events were lost: anything may have changed.
                _ => vec![folder.clone()],
            };
            // Sending fails only when the program is about to end.
            drop(paths.into_iter().try_for_each(|path| changed.send(path)));
        })?;
        watcher.watch(&self.folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    }

    /// Sends the path of every file whose entry changes.
    fn watch_entries(&self, changed: Sender<PathBuf>) -> Result<(), Failure> {
        let (mut watch, folder) = (self.palace.watch(PREFIX)?, self.folder.clone());
        let mut tell = move || -> Result<(), Failure> {
            loop {
                for key in watch.next(Duration::from_secs(3_600))? {
                    changed.send(folder.join(name(&key)))?;
                }
            }
        };
        std::thread::Builder::new().spawn(move || {
            if let Err(error) = tell() {
                eprintln!("markdown_watchers: {}", chain(&*error));
                std::process::exit(1);
            }
        })?;
        Ok(())
    }

    /// Updates the entry of a path and those below it. A directory that appears or vanishes may cause no events for the
    /// files in it.
    fn update(&self, path: &Path) -> Result<(), Failure> {
        let Ok(below) = path.strip_prefix(&self.folder) else { return Ok(()) };
        // A path that is not UTF-8 cannot be a key.
        let Some(below) = below.to_str() else { return Ok(()) };
        let mut names = BTreeSet::new();
        find(&self.folder, Path::new(below), &mut names);
        names.extend(self.entries(below)?);
        names.iter().try_for_each(|name| self.update_entry(name))
    }

    /// Returns the entries of a path and below it.
    fn entries(&self, below: &str) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for key in self.palace.keys(&format!("{PREFIX}{below}")) {
            let key = key?;
            // The prefix is one of text: it also finds "notes.md" below "note".
            let name = Some(name(&key)).filter(|name| Path::new(name).starts_with(below));
            names.extend(name.map(str::to_owned));
        }
        Ok(names)
    }

    /// Writes the text of a file into its entry, or deletes the entry of a file that is gone.
    fn update_entry(&self, name: &str) -> Result<(), Failure> {
        let key = format!("{PREFIX}{name}");
        let (what, outcome) = match std::fs::read(self.folder.join(name)) {
            Ok(bytes) => {
                ("wrote", self.palace.put(&key, &json!({"text": String::from_utf8_lossy(&bytes)})))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ("removed", self.palace.delete(&key))
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                return Ok(());
            }
        };
        match outcome {
            // Nothing differed, so nothing was written. Mostly another process was faster.
            Ok(outcome) if !outcome.changed => {}
            Ok(_) => println!("{what} {name}"),
            Err(error) => eprintln!("{name}: {}", chain(&error)),
        }
        Ok(())
    }
}

/// Returns the path of an entry below the folder.
fn name(key: &Key) -> &str {
    key.as_str().strip_prefix(PREFIX).unwrap_or_default()
}

/// Finds the Markdown files at or below a path, by their paths below the folder. A directory that cannot be listed
/// counts as gone.
fn find(folder: &Path, below: &Path, names: &mut BTreeSet<String>) {
    let path = folder.join(below);
    let Ok(kind) = path.symlink_metadata().map(|found| found.file_type()) else { return };
    if kind.is_file() && below.extension().is_some_and(|extension| extension == "md") {
        names.extend(below.to_str().map(str::to_owned));
    } else if kind.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.for_each(|entry| find(folder, &below.join(entry.file_name()), names));
    }
}
