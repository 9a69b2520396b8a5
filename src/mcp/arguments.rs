//! Arguments that tools of several sets take: limits, etags, cursors.
//!
//! Invariant: an argument that cannot be used is refused with its name and with what to pass instead.

use super::page::shortened;
use crate::format::hash::Etag;
use crate::memory::MemoryError;
use crate::palace;

/// Most characters of an argument that an error repeats.
const SHOWN_CHARS: usize = 80;

/// Reads the number of items to return: `usual` if none is given, 1 to `most`.
///
/// # Errors
/// [`MemoryError::Argument`] if the number is out of range.
pub(super) fn limit(
    field: &'static str,
    given: Option<i64>,
    usual: usize,
    most: usize,
) -> Result<usize, MemoryError> {
    let Some(given) = given else { return Ok(usual) };
    let limit = usize::try_from(given).ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| argument(field, format!("{given} is out of range: pass 1 to {most}")))
}

/// Reads an etag.
///
/// # Errors
/// [`MemoryError::Argument`] if the text is not an etag.
pub(super) fn etag(field: &'static str, text: &str) -> Result<Etag, MemoryError> {
    let why = || {
        let text = shortened(text, SHOWN_CHARS);
        argument(field, format!("{text:?} is not an etag: pass one as a result gave it"))
    };
    text.parse().map_err(|_| why())
}

/// Reads an etag, if there is one.
///
/// # Errors
/// As [`etag`].
pub(super) fn optional_etag(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<Etag>, MemoryError> {
    text.map(|text| etag(field, text)).transpose()
}

/// The error for a cursor that the tool has not given.
pub(super) fn bad_cursor(text: &str) -> palace::Error {
    palace::Error::Cursor { text: text.to_owned() }
}

/// The error for any argument.
pub(super) fn argument(field: &'static str, why: impl Into<String>) -> MemoryError {
    MemoryError::Argument { field, why: why.into() }
}
