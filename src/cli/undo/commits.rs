//! `crdt-palace undo`: writes the opposite of commits, as new ones.

use super::open::open_existing;
use super::report::Report;
use super::select::Commits;
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after};
use crate::cli::location::PalaceArgument;
use crate::cli::log::target::Look;
use crate::cli::print::tell;
use crate::memory::undo;
use crate::palace::{Direction, WriteOptions};
use clap::Args;

const PROGRAM: &str = concat!("crdt-palace undo ", env!("CARGO_PKG_VERSION"));

/// Arguments of `crdt-palace undo`.
#[derive(Args)]
pub(in crate::cli) struct Undo {
    #[command(flatten)]
    commits: Commits,
    /// Print what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON, one document a line, with the version of its schema
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: PalaceArgument,
    #[command(flatten)]
    look: Look,
}

impl Undo {
    pub fn run(&self) -> Result<Exit, Failure> {
        let palace = open_existing(&self.at.path()?, PROGRAM)?;
        let commits = self.commits.find(&palace, &self.look.clock())?;
        if commits.is_empty() {
            tell(format_args!(
                "crdt-palace: no commit of that writer since then, so there is nothing to undo"
            ));
            return Ok(Exit::Problem);
        }
        let mut log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let undo =
            undo::Undo { palace: &palace, options: WriteOptions::new(), dry_run: self.dry_run };
        let done = undo.run(&mut log, &commits)?;
        drop(log);
        let report = Report { palace: &palace, look: &self.look, as_json: self.json };
        let printed = report.undone(&done, self.dry_run);
        if !self.dry_run {
            palace.seal()?;
        }
        let stays = done.iter().flat_map(|done| &done.parts).any(|part| !part.left.is_empty());
        after(printed, if stays { Exit::Problem } else { Exit::Done })
    }
}
