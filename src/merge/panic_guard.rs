//! Automerge's panics as errors. It panics over what it should refuse: operations that it cannot decode, or a document
//! that it loads and then cannot give the changes of.

use super::error::MergeError;
use automerge::{Automerge, Change};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `ask` gives, or what its panic said. If that changed a document on its way, the document is lost.
pub(super) fn catch_panic<T>(ask: impl FnOnce() -> T) -> Result<T, MergeError> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        MergeError::Panicked { why: text.unwrap_or_default() }
    })
}

/// One applied change; `None` if it is none.
pub(super) fn change_by_hash(
    am: &Automerge,
    hash: &automerge::ChangeHash,
) -> Result<Option<Change>, MergeError> {
    catch_panic(|| am.get_change_by_hash(hash))
}

/// Decodes the operations of a chunk that was checked when it came in.
pub(super) fn decode_change(bytes: &[u8]) -> Result<Change, MergeError> {
    catch_panic(|| Change::try_from(bytes))?
        .map_err(|error| MergeError::Refused { why: error.to_string() })
}
