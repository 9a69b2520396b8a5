//! `crdt-palace undo`: writes the opposite of commits, as new ones.

use super::open::Common;
use super::report::Report;
use super::select::Commits;
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after};
use crate::cli::print::tell;
use crate::memory::undo;
use crate::palace::{Direction, WriteOptions};
use clap::Args;

/// Arguments of `crdt-palace undo`.
#[derive(Args)]
pub(in crate::cli) struct Undo {
    #[command(flatten)]
    commits: Commits,
    #[command(flatten)]
    common: Common,
}

impl Undo {
    pub fn run(&self) -> Result<Exit, Failure> {
        let Common { dry_run, within, look } = &self.common;
        let palace = self.common.open("undo")?;
        let commits = self.commits.find(&palace, &look.clock())?;
        if commits.is_empty() {
            tell(format_args!(
                "crdt-palace: no commit of that writer since then, so there is nothing to undo"
            ));
            return Ok(Exit::Problem);
        }
        let mut log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let undo = undo::Undo { palace: &palace, options: WriteOptions::new(), dry_run: *dry_run };
        let done = undo.run(&mut log, &commits)?;
        drop(log);
        let report = Report { palace: &palace, look, as_json: within.json };
        let printed = report.undone(&done, *dry_run);
        if !dry_run {
            palace.seal()?;
        }
        let stays = done.iter().flat_map(|done| &done.parts).any(|part| !part.left.is_empty());
        after(printed, if stays { Exit::Problem } else { Exit::Done })
    }
}
