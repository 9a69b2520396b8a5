//! Checks what a write demands of the document that it meets: its condition, and the version that it names as its base.

use super::draft::exists;
use super::request::Condition;
use crate::format::hash::{Etag, Heads};
use crate::format::key::Key;
use crate::merge::Doc;
use crate::palace::error::{Error, Result};
use crate::palace::view::view::View;

/// Refuses to judge a condition where a snapshot cannot be read: it may hold another version.
pub(super) fn check_readable(view: &View) -> Result<()> {
    match view.unreadable {
        Some(snapshot) => Err(Error::Unreadable { snapshot }),
        None => Ok(()),
    }
}

pub(super) fn check_condition(
    view: &View,
    doc: Option<&Doc>,
    key: &Key,
    condition: Option<&Condition>,
) -> Result<()> {
    let current = doc.filter(|doc| exists(doc));
    let holds = match condition {
        None => true,
        Some(Condition::Absent) => current.is_none(),
        Some(Condition::Match(etag)) => current.is_some_and(|doc| doc.heads().etag() == *etag),
    };
    if holds {
        return Ok(());
    }
    let current = current.and_then(|doc| view.document(doc, key)).map(Box::new);
    Err(Error::EtagMismatch { key: key.clone(), current })
}

pub(super) fn resolve_base(
    doc: Option<&Doc>,
    key: &Key,
    base: Option<&Etag>,
) -> Result<Option<Heads>> {
    let Some(etag) = base else { return Ok(None) };
    let found = match doc {
        Some(doc) => doc.resolve(etag),
        None => Doc::new().resolve(etag),
    };
    match found {
        Some(heads) => Ok(Some(heads)),
        None => Err(Error::NoSuchVersion { key: key.clone(), etag: etag.clone() }),
    }
}
