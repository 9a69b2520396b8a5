//! Opens the palace of an undo or a restore.

use crate::cli::error::Failure;
use crate::palace::{Options, Palace};
use std::path::Path;

/// Opens a palace to write. Unlike a server, it makes none.
///
/// # Errors
/// Errors of the palace.
pub(super) fn open_existing(path: &Path, program: &str) -> Result<Palace, Failure> {
    drop(Palace::open_read_only(path)?);
    Ok(Options::default().program(program).open(path)?)
}
