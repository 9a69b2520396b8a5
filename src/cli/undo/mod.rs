//! `crdt-palace undo` and `crdt-palace restore`: take commits back, and bring earlier versions back.
//!
//! `select` finds the commits, `report` prints what was done, and there is one file for each command.

mod commits;
mod report;
mod restore;
mod select;

use super::error::Failure;
use crate::palace::{Options, Palace};
use std::path::Path;

pub(super) use commits::Undo;
pub(super) use restore::Restore;

/// Opens a palace to write. Unlike a server, it makes none.
fn open(path: &Path, program: &str) -> Result<Palace, Failure> {
    drop(Palace::open_read_only(path)?);
    Ok(Options::default().program(program).open(path)?)
}
