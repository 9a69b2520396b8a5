//! `crdt-palace edit`: changes the text of a drawer in an editor.
//!
//! Invariants: the change is made from the version that was shown, so what others wrote while the editor was open is kept.
//! A text that could not be written is not lost: its file stays.

use super::input::without_last_break;
use super::open::{Open, Writer};
use crate::cli::error::Failure;
use crate::cli::everyday_error::EverydayError;
use crate::cli::exit::Exit;
use crate::cli::location::variable;
use crate::cli::print::{count, tell};
use crate::cli::private_directory::PrivateDirectory;
use crate::cli::start::ignore_interrupts;
use crate::mcp::answers;
use crate::memory::MemoryError;
use crate::memory::drawers::{Change, Changed, Drawer};
use crate::memory::told::lines_changed;
use clap::Args;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments of `crdt-palace edit`.
#[derive(Args)]
pub(in crate::cli) struct Edit {
    /// The drawer. The first digits behind the last underscore of its id that no other has are enough
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    writer: Writer,
}

impl Edit {
    pub fn run(&self) -> Result<Exit, Failure> {
        let open = self.writer.open_existing()?;
        let drawer = open.drawer(&self.id)?;
        drawer.check_changeable()?;
        let mut draft = DraftFile::new(&drawer.content).map_err(EverydayError::File)?;
        edit(&draft.file)?;
        let text = draft.read()?;
        let done = match change(&open, &drawer, &text) {
            Ok(done) => done,
            Err(source) => {
                draft.directory.keep();
                return Err(EverydayError::Unsaved { path: draft.file.clone(), source }.into());
            }
        };
        Open::wrote(tell_changed(&open, &drawer, &text, done))
    }
}

fn change(open: &Open, drawer: &Drawer, text: &str) -> Result<Changed, MemoryError> {
    let base = drawer.etag.parse().map_err(|_| MemoryError::NoVersion {
        id: drawer.id.clone(),
        version: drawer.etag.clone(),
    })?;
    let change = Change { content: Some(text), base: Some(&base), ..Change::default() };
    open.drawers().update(&drawer.id, change)
}

fn tell_changed(open: &Open, before: &Drawer, text: &str, done: Changed) -> Result<(), Failure> {
    if !open.as_json && done.merged {
        tell(format_args!(
            "crdt-palace: it was changed meanwhile: both changes are kept, so its text is not exactly yours"
        ));
    }
    if !open.as_json && !done.drawer.conflicts.is_empty() {
        let open = count(done.drawer.conflicts.len(), "open conflict");
        tell(format_args!("crdt-palace: it has {open}: crdt-log conflicts shows them"));
    }
    let (added, removed) = lines_changed(&before.content, text);
    let line = match done.changed {
        true => {
            let (named, place) = (open.named(text), open.place(&done.drawer.place));
            format!("edited {named} in {place}: +{added} −{removed} lines")
        }
        false => "nothing changed".to_owned(),
    };
    open.answer(|| answers::updated(Some(text), done), |out| Ok(writeln!(out, "{line}")?))
}

/// A file for an editor, in a directory of its own.
struct DraftFile {
    directory: PrivateDirectory,
    file: PathBuf,
    /// True if the text has no line break at its end, so that the one that an editor adds is not part of it.
    adds_break: bool,
}

impl DraftFile {
    fn new(text: &str) -> io::Result<Self> {
        let directory = PrivateDirectory::new("edit")?;
        let file = directory.path().join("drawer.md");
        let adds_break = !text.ends_with('\n');
        let end = if adds_break { "\n" } else { "" };
        fs::write(&file, format!("{text}{end}"))?;
        Ok(DraftFile { directory, file, adds_break })
    }

    fn read(&self) -> Result<String, EverydayError> {
        let bytes = fs::read(&self.file).map_err(EverydayError::File)?;
        let path = || self.file.display().to_string();
        let text = String::from_utf8(bytes).map_err(|_| EverydayError::NotText { path: path() })?;
        Ok(if self.adds_break { without_last_break(text) } else { text })
    }
}

/// Opens a file in the user's editor, and returns when that ends.
fn edit(file: &Path) -> Result<(), EverydayError> {
    let editor = variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".into());
    let command = || editor.to_string_lossy().into_owned();
    // Ctrl-C is for the editor, which runs in the same terminal.
    ignore_interrupts();
    // A shell splits the variable, which may have arguments, as in `code --wait`.
    let mut script = editor.clone();
    script.push(" \"$@\"");
    let status = Command::new("sh").arg("-c").arg(script).arg("editor").arg(file).status();
    let status = status.map_err(|source| EverydayError::NoEditor { command: command(), source })?;
    match status.success() {
        true => Ok(()),
        false => Err(EverydayError::EditorFailed { command: command(), status }),
    }
}
