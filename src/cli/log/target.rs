//! The arguments that the commands of `crdt-log` share.

use super::clock::Clock;
use super::paint::Paint;
use crate::cli::error::Failure;
#[cfg(feature = "mcp")]
use crate::cli::error::PlaceError;
use crate::cli::exit::Exit;
use crate::cli::location::{PalaceArgument, PalaceTarget};
use crate::cli::status::status;
#[cfg(feature = "mcp")]
use crate::palace::Options;
use crate::palace::Palace;
use clap::{Args, ColorChoice};
#[cfg(feature = "mcp")]
use std::path::PathBuf;

/// The palace of a command that shows all of it.
#[derive(Args)]
pub(in crate::cli) struct Target {
    #[command(flatten)]
    at: PalaceTarget,
    /// Print JSON, one object a line, each with the version of its schema
    #[arg(long)]
    pub json: bool,
}

impl Target {
    pub fn open(&self) -> Result<Palace, Failure> {
        Ok(Palace::open_read_only(self.at.path()?)?)
    }

    pub fn status(&self) -> Result<Exit, Failure> {
        status(&self.at.path()?, self.json)
    }
}

/// The palace of a command whose arguments name parts of it.
#[derive(Args)]
pub(in crate::cli) struct Within {
    #[command(flatten)]
    at: PalaceArgument,
    /// Print JSON, one object a line, each with the version of its schema
    #[arg(long)]
    pub json: bool,
}

impl Within {
    #[cfg(feature = "mcp")]
    pub fn path(&self) -> Result<PathBuf, PlaceError> {
        self.at.path()
    }

    pub fn open(&self) -> Result<Palace, Failure> {
        Ok(Palace::open_read_only(self.at.path()?)?)
    }

    /// Opens a palace that must be there already, to write to it.
    #[cfg(feature = "mcp")]
    pub fn open_existing(&self, options: Options) -> Result<Palace, Failure> {
        // Opened for writing, a path without a palace would count as an empty one.
        drop(self.open()?);
        Ok(options.open(self.path()?)?)
    }
}

/// The options for times and colours.
#[derive(Args)]
pub(in crate::cli) struct Look {
    /// Print and read times in UTC, instead of the time zone of this machine
    #[arg(long, global = true)]
    utc: bool,
    /// When to print in colours. On a terminal by default, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

impl Look {
    pub fn clock(&self) -> Clock {
        Clock::new(self.utc)
    }

    #[cfg(feature = "mcp")]
    pub fn is_utc(&self) -> bool {
        self.utc
    }

    pub fn paint(&self) -> Paint {
        Paint::new(self.color)
    }
}
