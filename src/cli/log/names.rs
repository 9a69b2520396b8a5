//! The commit or document that a name on the command line stands for.

use crate::cli::error::Failure;
use crate::cli::log_error::LogError;
use crate::cli::short_ids::{Named as ShortId, named, with_id};
use crate::format::key::Key;
use crate::memory::Ids;
use crate::palace::Palace;
use crate::palace::commit_id::Named;
use crate::palace::feed::CommitInfo;
use crate::palace::log::CommitLog;

/// A commit or a document.
pub(in crate::cli) enum Found {
    Commit(CommitInfo),
    Document(Key),
}

/// Finds what a name stands for: the beginning of a commit's id, the id of a drawer, diary entry or fact, the beginning of
/// one, or a key.
///
/// # Errors
/// [`LogError::Unknown`] or [`LogError::Ambiguous`], and errors of the palace.
pub(in crate::cli) fn find(
    palace: &Palace,
    log: &CommitLog<'_>,
    name: &str,
) -> Result<Found, Failure> {
    if let Some(commit) = commit(log, name)? {
        return Ok(Found::Commit(commit));
    }
    if let Some(key) = with_id(palace, name)? {
        return Ok(Found::Document(key));
    }
    if let Ok(key) = Key::new(name)
        && palace.has_history(&key)?
    {
        return Ok(Found::Document(key));
    }
    let name = || name.to_owned();
    match named(palace, &Ids::read(palace)?, &name())? {
        ShortId::One(id) => {
            let key = with_id(palace, &id)?;
            key.map(Found::Document).ok_or_else(|| LogError::Unknown { name: name() }.into())
        }
        ShortId::Several(ids) => Err(LogError::Ambiguous { name: name(), commits: ids }.into()),
        ShortId::Nothing => Err(LogError::Unknown { name: name() }.into()),
    }
}

/// Finds the commit that a name stands for; `None` if there is none.
///
/// # Errors
/// [`LogError::Ambiguous`], and errors of the palace.
pub(in crate::cli) fn commit(
    log: &CommitLog<'_>,
    name: &str,
) -> Result<Option<CommitInfo>, Failure> {
    let commits = match log.instances().named(name) {
        Named::NoName | Named::Unknown => Vec::new(),
        Named::One(one) => vec![one],
        Named::Several(several) => several,
    };
    let mut found = Vec::new();
    for commit in commits {
        found.extend(log.commit(commit)?);
    }
    let ids = || found.iter().map(|commit| log.instances().short(commit.id())).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(LogError::Ambiguous { name: name.to_owned(), commits: ids() }.into()),
    }
}

/// Finds the document that a name stands for.
///
/// # Errors
/// As [`find`], and [`LogError::NotADocument`].
pub(in crate::cli) fn document(
    palace: &Palace,
    log: &CommitLog<'_>,
    name: &str,
) -> Result<Key, Failure> {
    match find(palace, log, name)? {
        Found::Document(key) => Ok(key),
        Found::Commit(_) => Err(LogError::NotADocument { name: name.to_owned() }.into()),
    }
}
