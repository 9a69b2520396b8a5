//! The id that a name on the command line stands for: all of an id, or a beginning that only one id has.

use super::error::Failure;
use crate::format::key::Key;
use crate::memory::{Ids, keys_of};
use crate::palace::Palace;

/// Most ids that are offered for a name that may be several.
const OFFERED: usize = 5;

/// The meaning of a name.
pub(super) enum Named {
    /// Nothing has it.
    Nothing,
    /// One id.
    One(String),
    /// Several ids begin with it: some of them.
    Several(Vec<String>),
}

/// Returns the key of the document with an id; `None` if none was ever written.
pub(super) fn with_id(palace: &Palace, id: &str) -> Result<Option<Key>, Failure> {
    for key in keys_of(id) {
        if palace.has_history(&key)? {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Finds the id that a name stands for. Whatever was written once is found by its whole id, also if it is deleted.
pub(super) fn named(palace: &Palace, ids: &Ids, name: &str) -> Result<Named, Failure> {
    if with_id(palace, name)?.is_some() {
        return Ok(Named::One(name.to_owned()));
    }
    Ok(match ids.named(name).as_slice() {
        [] => Named::Nothing,
        [one] => Named::One((*one).to_owned()),
        several => {
            Named::Several(several.iter().take(OFFERED).map(|id| (*id).to_owned()).collect())
        }
    })
}
