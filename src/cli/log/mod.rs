//! `crdt-log`: shows what is in a palace and how it came to be, read-only.
//!
//! One file for each command. They share `target` (the palace), `clock` and `paint` (times and colours), `select` (filters),
//! `names` (what a name stands for), `version` (of a document), `patch` (the difference of two texts), `document` (one as JSON)
//! and `printer` (a commit as a line). `crdt-palace undo` reads names and times, and prints, by the same files.

mod at;
mod blame;
pub(super) mod clock;
mod conflicts;
mod diff;
mod document;
mod dump;
mod history;
pub(super) mod names;
pub(super) mod paint;
pub(super) mod patch;
pub(super) mod printer;
mod raw;
pub(super) mod select;
mod show;
mod stats;
pub(super) mod target;
mod verify;
pub(super) mod version;

use super::error::Failure;
use super::exit::{Exit, finish};
use super::parse::parse;
use super::start;
#[cfg(feature = "mcp")]
use clap::CommandFactory as _;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use target::{Look, Target};

const EXAMPLES: &str = "\
Examples:
  crdt-log dump -n 20
      Print the newest 20 commits: when, which commit, who, what.
  crdt-log dump --since yesterday --wing atlas -p
      Print what was written in a wing, with the difference of the texts.
  crdt-log dump --follow
      Print each commit of any process as it is made.
  crdt-log show 7f3a-12
      Print all that a commit did. The name is that of its line.
  crdt-log history ID
      Print every version of a drawer, with its writer and what it changed.
  crdt-log diff ID 7f3a-12
      Compare the version of a commit with the present one.
  crdt-log blame ID
      Print who wrote each line.
  crdt-log at yesterday search signing keys
      Search the documents as they were at the end of yesterday.
  crdt-log verify PALACE
      Read every byte. Exit code 1 if anything is damaged, or if a change is pending
      because another one is missing.

The palace is PALACE or --palace, else that of $CRDT_PALACE_DIR, else the default palace. A
leading ~ is the home directory.

Exit codes: 0 done, 1 a problem was found, 2 usage, 10 no palace at the path, 12 a newer
version wrote the palace.";

/// Show what is in a palace and how it came to be, without changing it and without holding up its writers.
#[derive(Parser)]
#[command(name = "crdt-log", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    look: Look,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the commits, one line each: when, which commit, who, what
    Dump(dump::Dump),
    /// Print a commit with all that it did, or a document as it is now
    Show(show::Show),
    /// Print every version of a document, with its writer and what it changed
    History(history::History),
    /// Compare two versions of a document, or the palace at two times
    Diff(diff::Diff),
    /// Print a document, and who wrote each line
    Blame(blame::Blame),
    /// List, show or search the documents as they were at a time
    At(at::At),
    /// Print the open conflicts, with every reading and its writer
    Conflicts(conflicts::Conflicts),
    /// Read every byte and report what is damaged or missing
    Verify(Target),
    /// Count commits, changes and documents, by writer, day and wing
    Stats(Target),
    /// Show the processes that write the palace, the locks that they hold, and its files
    Status(Target),
}

/// Returns the table of the commands and options.
#[cfg(feature = "mcp")]
pub(super) fn command() -> clap::Command {
    Cli::command()
}

/// Runs `crdt-log`.
#[must_use]
pub fn main() -> ExitCode {
    let cli: Cli = match parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    start::set_up();
    finish("crdt-log", run(&cli))
}

fn run(Cli { look, command }: &Cli) -> Result<Exit, Failure> {
    match command {
        Command::Dump(dump) => dump.run(look),
        Command::Show(show) => show.run(look),
        Command::History(history) => history.run(look),
        Command::Diff(diff) => diff.run(look),
        Command::Blame(blame) => blame.run(look),
        Command::At(at) => at.run(look),
        Command::Conflicts(conflicts) => conflicts.run(look),
        Command::Verify(target) => verify::verify_all(target),
        Command::Stats(target) => stats::stats(target, &look.clock()),
        Command::Status(target) => target.status(),
    }
}
