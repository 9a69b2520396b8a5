//! `crdt-palace restore`: brings an earlier version of a document back, as a new write.

use super::open::Common;
use super::report::Report;
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after};
use crate::cli::log::names::document;
use crate::cli::log::version::side;
use crate::cli::log_error::LogError;
use crate::memory::told::Kind;
use crate::memory::undo::restore;
use crate::palace::{Direction, WriteOptions};
use clap::Args;

/// Arguments of `crdt-palace restore`.
#[derive(Args)]
pub(in crate::cli) struct Restore {
    /// The document by its id or key, and its version: a commit that `crdt-log history` prints, or a time
    #[arg(value_name = "ID@VERSION")]
    version: String,
    #[command(flatten)]
    common: Common,
}

impl Restore {
    pub fn run(&self) -> Result<Exit, Failure> {
        let text = &self.version;
        let named =
            text.rsplit_once('@').filter(|(id, version)| !id.is_empty() && !version.is_empty());
        let Some((name, version)) = named else {
            return Err(LogError::NoVersion { text: text.clone() }.into());
        };
        let Common { dry_run, within, look } = &self.common;
        let palace = self.common.open("restore")?;
        let mut log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let key = document(&palace, &log, name)?;
        if Kind::of(&key) == Kind::Note {
            return Err(Failure::Usage(
                "the palace keeps this document itself: it cannot be restored",
            ));
        }
        let side = side(&look.clock(), &mut log, &key, version)?;
        let found = log.view_at(&key, side.version())?;
        drop(log);
        let Some((_, view)) = found.filter(|(_, view)| !view.deleted) else {
            return Err(LogError::NotThere { name: name.to_owned() }.into());
        };
        let restored = restore(&palace, WriteOptions::new(), &key, &view.value, *dry_run)?;
        let report = Report { palace: &palace, look, as_json: within.json };
        let printed = report.restored(&key, &view.value, &restored, *dry_run);
        if !dry_run {
            palace.seal()?;
        }
        after(printed, Exit::Done)
    }
}
