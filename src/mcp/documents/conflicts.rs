//! Listing the open conflicts of documents, and settling one.

use super::arguments::{Conflicts, Settle};
use super::keys::{check_settleable, has_conflicts_here};
use super::problem::{Code, Problem};
use super::read::{document, each_after, version_and_offset};
use super::results::{DocumentConflicts, DocumentSettled, ListedConflict};
use crate::mcp::arguments::{bad_cursor, etag};
use crate::mcp::conflict_list::{
    ConflictCursor, InConflict, PART, in_parts, numbered, page_of_conflicts, settling_value,
};
use crate::mcp::conflicts::{OpenConflict, settled_aside};
use crate::mcp::page::{Budget, Page, number};
use crate::mcp::tool::Call;
use crate::mcp::unseen::whole_in_answer;
use crate::merge::Conflict;
use crate::palace::{Condition, Document, Error, WriteOptions};
use crate::store::group_commit::Durability;
use serde_json::{Map, Value};

type Result<T> = std::result::Result<T, Problem>;

/// Returns the conflicts of a document, in their order.
fn listed(
    key: &str,
    etag: &str,
    conflicts: Vec<Conflict>,
    value: Map<String, Value>,
) -> impl ExactSizeIterator<Item = ListedConflict> {
    let (whole, key, etag) = (Value::Object(value), key.to_owned(), etag.to_owned());
    conflicts.into_iter().enumerate().map(move |(index, conflict)| ListedConflict {
        key: key.clone(),
        etag: etag.clone(),
        number: number(index + 1),
        conflict: OpenConflict::of(conflict, &whole),
    })
}

pub(super) fn conflicts(call: &Call, asked: &Conflicts) -> Result<DocumentConflicts> {
    match &asked.key {
        Some(key) => of_one(call, key, asked.cursor.as_deref()),
        None => of_all(call, asked.cursor.as_deref()),
    }
}

/// Lists the conflicts of one document, all pages of one version of it.
fn of_one(call: &Call, key: &str, cursor: Option<&str>) -> Result<DocumentConflicts> {
    let from = cursor.map(version_and_offset).transpose()?;
    let version = from.as_ref().map(|(version, _)| version);
    let document = document(&call.palace, key, version)?;
    if version.is_none() {
        call.session.saw_some(&document.key, &document.heads);
    }
    let skipped = from.map_or(0, |(_, skipped)| skipped);
    let etag = document.etag.to_string();
    let conflicts = listed(key, &etag, document.conflicts, document.value);
    let shown = conflicts.enumerate().skip(skipped);
    let shown = shown.map(|(n, one)| (format!("{etag}:{}", n + 1), one));
    let mut result = DocumentConflicts {
        key: Some(key.to_owned()),
        etag: Some(etag.clone()),
        conflicts: Vec::new(),
        next_cursor: None,
    };
    let page = Page::fill(shown, usize::MAX, false, &mut Budget::around(&result));
    (result.conflicts, result.next_cursor) = (page.items, page.next_cursor);
    Ok(result)
}

fn listed_document(document: Document) -> InConflict<ListedConflict> {
    let Document { key, etag, heads, conflicts, value, .. } = document;
    let etag = etag.to_string();
    let conflicts = listed(key.as_str(), &etag, conflicts, value).collect();
    InConflict { key, etag, heads, conflicts }
}

/// Lists the conflicts of all documents but drawers, which have a list of their own.
fn of_all(call: &Call, cursor: Option<&str>) -> Result<DocumentConflicts> {
    let cursor = cursor.map(ConflictCursor::parse).transpose()?;
    let (mut first, mut after) = (None, None);
    if let Some(cursor) = &cursor {
        if !has_conflicts_here(&cursor.key) {
            return Err(bad_cursor(&cursor.key).into());
        }
        first = call.palace.get(&cursor.key)?;
        after = Some(cursor.key.clone());
    }
    let in_conflict = |document: Document| (!document.conflicts.is_empty()).then_some(document);
    let read = |after: Option<&str>| {
        let after = after.map(str::to_owned);
        each_after(&call.palace, "", after, PART, has_conflicts_here, in_conflict)
            .map(|(documents, _)| documents)
    };
    let found = in_parts(first, after, |document: &Document| document.key.as_str(), read);
    let found = found.map(|document| document.map(listed_document));
    let showed = |key: &_, heads: &_| call.session.saw_some(key, heads);
    let page = page_of_conflicts(cursor.as_ref(), found, showed)?;
    let (conflicts, next_cursor) = (page.items, page.next_cursor);
    Ok(DocumentConflicts { key: None, etag: None, conflicts, next_cursor })
}

pub(super) fn settle(call: &Call, asked: Settle) -> Result<DocumentSettled> {
    let Settle { key, conflict: wanted, take, value, etag: version } = asked;
    check_settleable(&key, take.is_some() && value.is_none())?;
    let version = etag("etag", &version)?;
    let document = document(&call.palace, &key, None)?;
    // Another version has other numbers.
    if document.etag != version {
        return Err(conflicts_changed(call, &document));
    }
    let conflict = numbered(wanted, document.conflicts.iter())?;
    let shown = conflict.shown_value(&document.value).unwrap_or_default();
    let value = settling_value(conflict, &shown, take.as_deref(), ("value", value))?;
    let options = WriteOptions {
        if_match: Some(Condition::Match(version)),
        by: call.client.clone(),
        ..WriteOptions::default()
    };
    let durable = options.durability == Durability::Durable;
    let mut left = None;
    let outcome = call.palace.with(options).write(&key, |draft| {
        // A client that has seen only the conflict has not read what is around it.
        let choice = call.session.present(draft, &document.key);
        draft.settle(conflict, &value)?;
        left = Some((choice, draft.view()?));
        Ok(())
    });
    let outcome = outcome.map_err(|error| not_settled(call, error))?;
    // A commit that succeeded has run the closure.
    let (choice, view) = left.ok_or(Error::EmptyBatch)?;
    call.session.wrote(&document.key, &choice, &outcome, false);
    let unread = choice.is_to_be_shown().then(|| Value::Object(view.value.clone()));
    let shown = unread
        .and_then(|value| whole_in_answer(&call.session, &document.key, &outcome.current, value));
    let (conflicts, more_conflicts) = settled_aside(outcome.settled);
    let mut settled = DocumentSettled {
        key,
        etag: outcome.etag.to_string(),
        current_etag: outcome.current_etag.to_string(),
        value: shown,
        changed: outcome.changed,
        durable,
        conflicts,
        more_conflicts,
        open_conflicts: Vec::new(),
        more_open_conflicts: None,
    };
    let open = listed(&settled.key, &settled.current_etag, view.conflicts, view.value);
    (settled.open_conflicts, settled.more_open_conflicts) = Budget::around(&settled).keep(open);
    Ok(settled)
}

fn not_settled(call: &Call, error: Error) -> Problem {
    match error {
        Error::EtagMismatch { current: Some(now), .. } => conflicts_changed(call, &now),
        Error::EtagMismatch { key, current: None } => Problem::no_document(key.as_str()),
        error => error.into(),
    }
}

/// Makes the problem of a document that has another version than the one that was listed. It names the present one, so
/// that a delete is compared with that.
fn conflicts_changed(call: &Call, now: &Document) -> Problem {
    call.session.saw_some(&now.key, &now.heads);
    let (key, etag) = (now.key.as_str(), now.etag.to_string());
    let message = format!(
        "ETAG_MISMATCH: {key:?} is at version {etag} now, and nothing was settled: list its conflicts again \
         (document_conflicts), and call again with the number and the etag that it shows. A conflict that is not \
         listed any more is settled"
    );
    Problem::new(Code::EtagMismatch, message)
}
