//! The options that an undo and a restore share.

use crate::cli::error::Failure;
use crate::cli::log::target::{Look, Within};
use crate::palace::{Options, Palace};
use clap::Args;

/// The palace to write to, and the form of the report.
#[derive(Args)]
pub(super) struct Common {
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub within: Within,
    #[command(flatten)]
    pub look: Look,
}

impl Common {
    /// Opens the palace. Unlike a server, it makes none. `command` is its name in history.
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn open(&self, command: &str) -> Result<Palace, Failure> {
        let program = format!("crdt-palace {command} {}", env!("CARGO_PKG_VERSION"));
        self.within.open_existing(Options::default().program(&program))
    }
}
