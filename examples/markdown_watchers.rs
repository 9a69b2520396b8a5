//! A folder of Markdown, mirrored into a palace by a file watcher; or by several, all over the same folder.
//!
//! ```text
//! cargo run --no-default-features --example markdown_watchers PALACE FOLDER
//! ```
//!
//! Start it as often as you like, kill any of them, start it again: each reacts to every change, none is in
//! charge, and there is exactly one entry for each document, with what the file says now.
//!
//! Two rules make that so, and neither is a lock:
//!
//! * **The path is the key, and an entry says only what the file says** (no time, no name of the writer: history
//!   knows those). Two watchers that write the same at the same time have written one entry, not a conflict.
//! * **A changed entry is looked at like a changed file.** A slow watcher may put down what the file said a moment
//!   ago, over what another one wrote since, and be killed before it notices. Everybody else is told of that
//!   write too, looks at the file, and puts it right.

use crdt_palace::palace::{Key, Options, Palace, WriteOptions, chain};
use notify::{Event, EventKind, RecursiveMode, Watcher};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the keys of the entries start with; the rest is the path below the folder.
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
    let palace = Options::default().program("markdown_watchers 1.0").open(palace)?;
    let mirror = Mirror { palace, folder: folder.canonicalize()? };
    let (sender, changed) = channel();
    // What changes from here on comes through the channel, so a look at everything misses nothing.
    let _events = mirror.watch_files(sender.clone())?;
    mirror.watch_entries(sender)?;
    mirror.look(&mirror.folder)?;
    println!("watching {}", mirror.folder.display());
    for path in changed {
        mirror.look(&path)?;
    }
    Err("nothing tells of changes any more".into())
}

struct Mirror {
    palace: Palace,
    folder: PathBuf,
}

impl Mirror {
    fn watch_files(&self, changed: Sender<PathBuf>) -> Result<impl Watcher + use<>, Failure> {
        let folder = self.folder.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let paths = match event {
                // Reading is an event too, and everybody here reads.
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => Vec::new(),
                Ok(event) if !event.need_rescan() => event.paths,
                // Events were lost: anything may have changed.
                _ => vec![folder.clone()],
            };
            // It fails when the program is about to end.
            drop(paths.into_iter().try_for_each(|path| changed.send(path)));
        })?;
        watcher.watch(&self.folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    }

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

    /// Makes the entry of a path, or every entry below it, say what the file says. A directory that came or went may
    /// bring no event for what is in it.
    fn look(&self, path: &Path) -> Result<(), Failure> {
        let Ok(below) = path.strip_prefix(&self.folder) else { return Ok(()) };
        // Names that are no text have no key.
        let Some(below) = below.to_str() else { return Ok(()) };
        let mut names = BTreeSet::new();
        find(&self.folder, Path::new(below), &mut names);
        names.extend(self.entries(below)?);
        names.iter().try_for_each(|name| self.agree(name))
    }

    /// The entry of a path and those below it.
    fn entries(&self, below: &str) -> Result<Vec<String>, Failure> {
        let (mut names, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.palace.keys(&format!("{PREFIX}{below}"), after.as_deref(), 1_000)?;
            let Some(last) = page.last() else { return Ok(names) };
            after = Some(last.to_string());
            let page = page.iter().map(name).filter(|name| Path::new(name).starts_with(below));
            names.extend(page.map(str::to_owned));
        }
    }

    fn agree(&self, name: &str) -> Result<(), Failure> {
        let key = format!("{PREFIX}{name}");
        let (what, outcome) = match std::fs::read(self.folder.join(name)) {
            Ok(bytes) => {
                let text = Value::from(String::from_utf8_lossy(&bytes));
                ("wrote", self.palace.put(&key, &Map::from_iter([("text".to_owned(), text)])))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ("removed", self.palace.delete(&key, &WriteOptions::default()))
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                return Ok(());
            }
        };
        match outcome {
            // Nothing differed, so nothing was written: most often, another watcher was faster.
            Ok(outcome) if !outcome.changed => {}
            Ok(_) => println!("{what} {name}"),
            Err(error) => eprintln!("{name}: {}", chain(&error)),
        }
        Ok(())
    }
}

/// The path below the folder of which an entry tells.
fn name(key: &Key) -> &str {
    key.as_str().strip_prefix(PREFIX).unwrap_or_default()
}

/// The Markdown files at or below a path, by their paths below the folder. What cannot be listed is gone.
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
