//! Helpers for the documents of a palace that drawers, facts and the graph share.

use super::error::Result;
use crate::format::key::Key;
use crate::palace::{Batch, Document, Palace};
use crate::palace::{KEYS_MAX, PAGE_MAX};

/// The most documents that one commit of an import holds.
pub(super) const COMMIT_DOCUMENTS: usize = 256;
/// The most text that one commit of an import holds, in bytes, roughly. It is well below the limit of a commit.
pub(super) const COMMIT_BYTES: usize = 1 << 20;

/// Calls `take` with every key that starts with `prefix`, in order.
///
/// # Errors
/// Those of the palace and of `take`.
pub(super) fn each_key(
    palace: &Palace,
    prefix: &str,
    mut take: impl FnMut(&Key) -> Result<()>,
) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let keys = palace.keys_page(prefix, after.as_deref(), KEYS_MAX)?;
        keys.iter().try_for_each(&mut take)?;
        match keys.last() {
            Some(last) if keys.len() == KEYS_MAX => after = Some(last.as_str().to_owned()),
            _ => return Ok(()),
        }
    }
}

/// Calls `take` with every document whose key starts with `prefix`, in the order of the keys.
///
/// # Errors
/// Those of the palace and of `take`.
pub(super) fn each_document(
    palace: &Palace,
    prefix: &str,
    mut take: impl FnMut(Document) -> Result<()>,
) -> Result<()> {
    let mut cursor: Option<String> = None;
    loop {
        let page = palace.scan_page(prefix, cursor.as_deref(), PAGE_MAX)?;
        page.documents.into_iter().try_for_each(&mut take)?;
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Adds to a batch a write of each key that changes nothing.
///
/// An answer may rest on what a document showed, or on its absence. Another process may have written that, and not yet
/// made it durable. A commit returns only when everything that its documents were read from is durable, so after this
/// batch the answer is durable too.
pub(super) fn confirm(batch: &mut Batch<'_>, keys: impl IntoIterator<Item = Key>) {
    for key in keys {
        batch.write(key, |_| Ok(()));
    }
}
