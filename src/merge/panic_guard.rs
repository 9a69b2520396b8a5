//! The calls of Automerge that can panic over bytes from outside, with the panic as an error.
//!
//! Automerge panics where it should refuse: over operations that it cannot decode, and over a document that it
//! loads although the document does not hold the changes that it lists. With `panic = "abort"` this guard is void.

use super::error::MergeError;
use automerge::{Automerge, Change, ReadDoc};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `call` and returns its result, or the message of its panic.
///
/// A document that `call` was changing is lost after a panic: Automerge may have stopped halfway.
pub(super) fn catch_panic<T>(call: impl FnOnce() -> T) -> Result<T, MergeError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        // `panic!("text")` carries a `&str`, `panic!("{x}")` a `String`.
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        MergeError::Panicked { why: text.unwrap_or_else(|| "no message".to_owned()) }
    })
}

/// Returns one applied change of `am`, or `None` if `am` has none with this hash.
pub(super) fn change_by_hash(
    am: &Automerge,
    hash: &automerge::ChangeHash,
) -> Result<Option<Change>, MergeError> {
    // Automerge keeps operations and encodes the change anew here. If that gives another hash, it panics.
    catch_panic(|| am.get_change_by_hash(hash))
}

/// Decodes the operations of a raw change that [`Chunk::parse`](super::chunk::Chunk::parse) has checked.
pub(super) fn decode_change(bytes: &[u8]) -> Result<Change, MergeError> {
    catch_panic(|| Change::try_from(bytes))?
        .map_err(|error| MergeError::Refused { why: error.to_string() })
}
