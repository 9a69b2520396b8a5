//! Automerge's panics as errors. It panics over what it should refuse: operations that it cannot decode, or a document
//! that it loads and then cannot give the changes of.

use super::error::MergeError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `ask` gives, or what its panic said. If that changed a document on its way, the document is lost.
pub(super) fn caught<T>(ask: impl FnOnce() -> T) -> Result<T, MergeError> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        MergeError::Panicked { why: text.unwrap_or_default() }
    })
}
