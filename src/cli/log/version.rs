//! The version of a document that a text on the command line names: a commit or a time.

use super::clock::{Clock, Edge};
use super::names::commit;
use crate::cli::error::Failure;
use crate::cli::log_error::LogError;
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::memory::told::id_of;
use crate::palace::log::CommitLog;
use crate::palace::step::Version;

/// A version of a document, or of all.
pub(in crate::cli) enum Side {
    Now,
    Time(i64),
    Version(Heads),
}

impl Side {
    pub fn version(&self) -> Version<'_> {
        match self {
            Side::Now => Version::Now,
            Side::Time(ms) => Version::Time(*ms),
            Side::Version(heads) => Version::Heads(heads),
        }
    }

    pub fn time_ms(&self) -> i64 {
        if let Side::Time(ms) = self { *ms } else { i64::MAX }
    }
}

/// Reads a time.
///
/// # Errors
/// [`LogError::Time`].
pub(in crate::cli) fn time_side(clock: &Clock, text: &str) -> Result<Side, Failure> {
    Ok(Side::Time(clock.parse(text, Edge::End)?))
}

/// Reads a version of a document: that of a time, or the one right after a commit.
///
/// # Errors
/// [`LogError::NotAVersion`], [`LogError::Time`], and errors of the palace.
pub(in crate::cli) fn side(
    clock: &Clock,
    log: &mut CommitLog<'_>,
    key: &Key,
    text: &str,
) -> Result<Side, Failure> {
    let Some(commit) = commit(log, text)? else { return time_side(clock, text) };
    let step = if commit.keys.contains(key) { log.step(&commit, key)? } else { None };
    match step {
        Some(step) => Ok(Side::Version(step.version)),
        None => Err(LogError::NotAVersion { commit: text.to_owned(), document: id_of(key) }.into()),
    }
}
