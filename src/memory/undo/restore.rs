//! Brings an earlier version of a document back, as a new write.

use super::take_back::{change_of, not_written};
use crate::format::hash::ChangeHash;
use crate::format::key::Key;
use crate::memory::error::Result;
use crate::memory::told::Told;
use crate::palace::{Error, Palace, WriteOptions};
use serde_json::{Map, Value};

/// The outcome of a restore.
pub(crate) struct Restored {
    /// The write, or the one that a dry run would make; `None` if the document shows that version already.
    pub told: Option<Told>,
    /// A change that was written.
    pub change: Option<ChangeHash>,
}

/// Makes a document show the value of an earlier version. Its history stays, and so does what other processes write at the
/// same moment.
///
/// # Errors
/// Errors of the palace; then nothing was written.
pub(crate) fn restore(
    palace: &Palace,
    options: WriteOptions,
    key: &Key,
    value: &Map<String, Value>,
    dry_run: bool,
) -> Result<Restored> {
    let mut step = None;
    let written = palace.with(options).write(key.as_str(), |draft| {
        draft.put(value)?;
        step = Some(draft.step()?);
        match dry_run {
            true => Err(not_written()),
            false => Ok(()),
        }
    });
    let change = match written {
        Ok(outcome) => change_of(&outcome),
        Err(Error::Document { .. }) if dry_run && step.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let told = step.flatten().map(|step| Told::new(key, &step));
    Ok(Restored { told, change })
}
