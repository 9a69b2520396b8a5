//! `crdt-log history`: every version of a document, with its author and what it changed.

use super::names::document;
use super::printer::{Printer, writer};
use super::target::{Look, Within};
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::print::stdout;
use crate::format::key::Key;
use crate::memory::told::Told;
use crate::palace::log::CommitLog;
use crate::palace::{ChangeInfo, Direction};
use clap::Args;
use std::io::Write;

/// Arguments of `crdt-log history`.
#[derive(Args)]
pub(super) struct History {
    /// The document, by its id or key
    #[arg(value_name = "KEY|ID")]
    name: String,
    #[command(flatten)]
    within: Within,
    /// Print the newest version first, instead of last
    #[arg(long)]
    reverse: bool,
    /// Print one line for each version, without the difference of the texts
    #[arg(long)]
    brief: bool,
}

impl History {
    pub fn run(&self, look: &Look) -> Result<Exit, Failure> {
        let palace = self.within.open()?;
        let mut log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let key = document(&palace, &log, &self.name)?;
        let printer = Printer::new(look, &log);
        let printer = Printer { with_patch: !self.brief, as_json: self.within.json, ..printer };
        let mut out = stdout();
        let printed = self.print(&mut out, &printer, &mut log, &key);
        let printed = printed.and_then(|()| Ok(out.flush()?));
        after(printed, lacking(&palace, "the history"))
    }

    fn print(
        &self,
        out: &mut impl Write,
        printer: &Printer,
        log: &mut CommitLog<'_>,
        key: &Key,
    ) -> Result<(), Failure> {
        let (mut commits, lost) = log.commits_of(key)?;
        if self.reverse {
            commits.reverse();
        }
        for commit in &commits {
            let told = log.step(commit, key)?.map(|step| Told::new(key, &step));
            // A commit that only repeats changes of another process is no version.
            if let Some(told) = told {
                printer.commit(out, commit, &[told])?;
            }
        }
        match printer.as_json {
            true => Ok(()),
            false => print_lost(out, printer, &lost),
        }
    }
}

/// Names the changes whose commits are in no file.
fn print_lost(out: &mut impl Write, printer: &Printer, lost: &[ChangeInfo]) -> Result<(), Failure> {
    for info in lost {
        let (time, by) = (printer.clock.shown(info.time_ms), writer(&info.by));
        writeln!(out, "{time}  {by}  a change whose commit is in no file that can be read")?;
    }
    Ok(())
}
