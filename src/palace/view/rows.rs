//! From rows of snapshots to a document.
//!
//! Invariant: a document is the union of its rows in all live snapshots and its changes in the tail, whatever the order
//! in which they are put together.

use crate::format::hash::{ChangeHash, Heads};
use crate::format::key::Key;
use crate::merge::{Doc, MergeError, View};
use crate::palace::error::{Error, Result};
use crate::snapshot::{Row, Snapshot};
use std::sync::Arc;

/// Returns the rows of a document in these snapshots, in their order.
pub fn rows(snapshots: &[Arc<Snapshot>], key: &Key) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    for snapshot in snapshots {
        found.extend(snapshot.get(key.as_str())?);
    }
    Ok(found)
}

/// Merges the rows of one document, given oldest first. A row whose changes are known to be in a newer one is not
/// decoded. A change that Automerge refuses stays in its file, and `crdt-log verify` names it; the others count.
pub fn doc_of_rows(rows: &[Row], key: &Key) -> Result<Doc> {
    let mut doc: Option<Doc> = None;
    let mut contained: Vec<&Heads> = Vec::new();
    for row in rows.iter().rev() {
        let known = |doc: &Doc| contained.contains(&&row.heads) || doc.contains_all(&row.heads);
        match &mut doc {
            Some(doc) if known(doc) => {}
            Some(doc) => report(merge_row(doc, row, key)?, key),
            None => doc = Some(load_row(row, key)?),
        }
        if let Some(doc) = &mut doc {
            report(doc.apply(row.waiting.iter().map(Vec::as_slice)).rejected, key);
        }
        contained.extend(&row.absorbed);
    }
    Ok(doc.unwrap_or_default().with_prose(key.prose_field()))
}

/// Loads the document that one row holds.
pub fn load_row(row: &Row, key: &Key) -> Result<Doc> {
    let loaded = Doc::load(&row.document).and_then(|doc| match doc.heads() == row.heads {
        true => Ok(doc),
        false => Err(MergeError::NotADocument { why: "it is of another version".to_owned() }),
    });
    loaded.map_err(|source| Error::Document { key: key.clone(), source })
}

fn merge_row(doc: &mut Doc, row: &Row, key: &Key) -> Result<Rejected> {
    let merged = doc.merge(&load_row(row, key)?);
    merged
        .map(|applied| applied.rejected)
        .map_err(|source| Error::Document { key: key.clone(), source })
}

/// Checks that a row which is as its builder wrote it can be loaded, and holds what it says.
pub fn check_row(row: &Row) -> Result<()> {
    parse_view(&row.view, &row.key)?;
    let changes = load_row(row, &row.key)?.changes();
    changes.map(drop).map_err(|source| Error::Document { key: row.key.clone(), source })
}

type Rejected = Vec<(Option<ChangeHash>, MergeError)>;

/// Logs the changes that a document refused.
pub(super) fn report(rejected: Rejected, key: &Key) {
    for (hash, error) in rejected {
        tracing::warn!(%key, ?hash, %error, "a change was refused");
    }
}

/// Parses the view that a row keeps as text.
pub fn parse_view(text: &str, key: &Key) -> Result<View> {
    serde_json::from_str(text).map_err(|source| Error::View { key: key.clone(), source })
}
