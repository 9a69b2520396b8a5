//! Limits of a value that is written.
//!
//! Changes from outside have other bounds (`chunk`, `size_bounds`): merging may make a document larger than any
//! single write could.

use super::error::MergeError;
use serde_json::{Map, Value as Json};

/// Maximum length of the value of a `put` or `patch`, in bytes of compact JSON.
pub const VALUE_BYTES_MAX: u64 = 1 << 20;
/// Maximum nesting of maps and lists in a written value; the document itself is the first level.
pub const NESTING_MAX: usize = 64;

/// Checks the length and the nesting of a whole value.
pub(super) fn check_value(value: &Map<String, Json>) -> Result<(), MergeError> {
    // Nesting first: serialising recurses, and a value that is nested deeply enough would exhaust the stack.
    value.values().try_for_each(|value| check_nesting(value, NESTING_MAX - 1))?;
    check_size(value)
}

/// Counts the bytes of JSON without keeping them, and checks the count.
pub(super) fn check_size(value: &impl serde::Serialize) -> Result<(), MergeError> {
    struct Count(u64);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value)
        .map_err(|error| MergeError::Refused { why: error.to_string() })?;
    if count.0 > VALUE_BYTES_MAX {
        return Err(MergeError::TooLarge { bytes: count.0, limit: VALUE_BYTES_MAX });
    }
    Ok(())
}

/// Checks that maps and lists nest at most `left` deep in `value`.
pub(super) fn check_nesting(value: &Json, left: usize) -> Result<(), MergeError> {
    let inner = match value {
        Json::Array(items) => items.iter().collect::<Vec<_>>(),
        Json::Object(fields) => fields.values().collect(),
        _ => return Ok(()),
    };
    // The recursion ends here for any input, however deep.
    let left = left.checked_sub(1).ok_or(MergeError::TooDeep { limit: NESTING_MAX })?;
    inner.into_iter().try_for_each(|value| check_nesting(value, left))
}
