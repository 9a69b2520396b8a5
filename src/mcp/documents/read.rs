//! Looking at documents.

use super::arguments::{Conflicts, Get, History, List};
use super::keys::{behind_domain, is_listed};
use super::problem::{Code, Problem};
use super::results::{AllConflicts, Entry, Got, Listed, Version, Versions};
use crate::format::hash::Etag;
use crate::mcp::bounds::{ASIDE_BYTES, By, Disputed, ITEM_BYTES, fill, piece, shortened};
use crate::merge::{ChangeInfo, Conflict};
use crate::palace::{self, Document, Palace};
use serde_json::Value;

type Result<T> = std::result::Result<T, Problem>;

/// How many documents are read at a time to fill a page.
const SCAN: usize = 100;

pub(super) fn etag(text: &str) -> Result<Etag> {
    text.parse().map_err(|_| {
        Problem::invalid(format!(
            "{:?} is not an etag: pass one as you got it",
            shortened(text, 80)
        ))
    })
}

/// A limit that was asked for, or the usual one.
pub(super) fn limit(asked: Option<i64>, usual: usize, most: usize) -> Result<usize> {
    let Some(asked) = asked else { return Ok(usual) };
    let limit = usize::try_from(asked).ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| Problem::invalid(format!("limit is {asked}: it must be 1 to {most}")))
}

pub(super) fn bad_cursor(text: &str) -> Problem {
    let text = shortened(text, 80);
    Problem::invalid(format!(
        "{text:?} is not a cursor of this call: pass next_cursor as you got it, or none"
    ))
}

/// A cursor into one document: a version, so that it means the same whatever others write, and a place.
fn place(cursor: &str) -> Result<(Etag, usize)> {
    let parsed =
        cursor.split_once(':').and_then(|(etag, at)| Some((etag.parse().ok()?, at.parse().ok()?)));
    parsed.ok_or_else(|| bad_cursor(cursor))
}

/// The document now, or at a version.
fn document(palace: &Palace, key: &str, version: Option<&Etag>) -> Result<Document> {
    let found = match version {
        Some(version) => palace.get_at(key, version)?,
        None => palace.get(key)?,
    };
    found.ok_or_else(|| match version {
        Some(version) => deleted_at(key, version),
        None => Problem::no_document(key),
    })
}

pub(super) fn deleted_at(key: &str, version: &Etag) -> Problem {
    let text =
        format!("{key:?} was deleted at version {version}: choose another from document_history");
    Problem::new(Code::NotFound, text)
}

pub(super) fn get(palace: &Palace, asked: &Get) -> Result<Got> {
    let (version, offset) = match (&asked.cursor, &asked.version) {
        (Some(cursor), _) => place(cursor).map(|(version, offset)| (Some(version), offset))?,
        (None, version) => (version.as_deref().map(etag).transpose()?, 0),
    };
    let document = document(palace, &asked.key, version.as_ref())?;
    let path = asked.path.as_deref().unwrap_or_default();
    let whole = Value::Object(document.value);
    let at = |conflict: &Conflict| {
        conflict
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let conflicts = document.conflicts.into_iter().filter(at).collect();
    let (conflicts, more_conflicts) = aside(conflicts, &whole);
    let value = whole.pointer(path).ok_or_else(|| nothing_at(path, &whole))?;
    let text = value.to_string();
    let mut got = Got {
        key: asked.key.clone(),
        etag: document.etag.to_string(),
        value: None,
        json_piece: None,
        next_cursor: None,
        conflicts,
        more_conflicts,
        modified: document.modified.map(|written| By::new(&written.by, written.time_ms)),
        incomplete: document.incomplete,
    };
    if asked.cursor.is_none() && text.len() <= ITEM_BYTES - ASIDE_BYTES {
        got.value = Some(value.clone());
        return Ok(got);
    }
    let bad = || bad_cursor(asked.cursor.as_deref().unwrap_or_default());
    let (part, end) = piece(&text, offset, ITEM_BYTES - ASIDE_BYTES).ok_or_else(bad)?;
    got.json_piece = Some(part.to_owned());
    got.next_cursor = (end < text.len()).then(|| format!("{}:{end}", got.etag));
    Ok(got)
}

/// Conflicts in a result that is about something else: some of them, and how many more there are.
pub(super) fn aside(conflicts: Vec<Conflict>, whole: &Value) -> (Vec<Disputed>, Option<i64>) {
    let count = conflicts.len();
    let disputed = conflicts.into_iter().map(|conflict| Disputed::of(conflict, whole));
    let (shown, more) = fill(disputed, count, ASIDE_BYTES);
    let left = (count - shown.len()) as i64;
    (shown, more.then_some(left))
}

fn nothing_at(path: &str, whole: &Value) -> Problem {
    if !path.starts_with('/') {
        return Problem::invalid(format!(
            "path {path:?} is no JSON pointer: it starts with /, as in /tasks/0"
        ));
    }
    let parent = path.rsplit_once('/').and_then(|(parent, _)| whole.pointer(parent));
    let there = match parent {
        Some(Value::Object(fields)) => {
            let names: Vec<String> =
                fields.keys().take(50).map(|name| shortened(name, 80)).collect();
            format!("the fields there are {names:?}")
        }
        Some(Value::Array(items)) => format!("the list there has {} items", items.len()),
        _ => "nor is there anything around it".to_owned(),
    };
    Problem::new(Code::NotFound, format!("there is nothing at {path:?}; {there}"))
}

pub(super) fn list(palace: &Palace, asked: &List) -> Result<Listed> {
    let limit = limit(asked.limit, 100, 1_000)?;
    let prefix = asked.prefix.as_deref().unwrap_or_default();
    let (entries, more) = each_after(palace, prefix, asked.cursor.clone(), limit, entry)?;
    let (documents, cut) = fill(entries, limit, ITEM_BYTES);
    let last = documents.last().map(|entry| entry.key.clone());
    Ok(Listed { next_cursor: last.filter(|_| more || cut), documents })
}

/// What `make` makes of each document behind `after` that a listing with this prefix shows, at most `limit` of
/// them, and whether there are more.
pub(in crate::mcp) fn each_after<T>(
    palace: &Palace,
    prefix: &str,
    mut after: Option<String>,
    limit: usize,
    make: impl Fn(Document) -> T,
) -> palace::Result<(Vec<T>, bool)> {
    let mut made = Vec::new();
    loop {
        let page = palace.scan_page(prefix, after.as_deref(), SCAN)?;
        after = page.cursor;
        for document in page.documents {
            let key = document.key.as_str();
            if is_listed(prefix, key) {
                if made.len() == limit {
                    return Ok((made, true));
                }
                made.push(make(document));
            } else if let Some(behind) = behind_domain(key) {
                // All of the domain is skipped at once, and the rest of the page read again.
                after = Some(behind);
                break;
            }
        }
        if after.is_none() {
            return Ok((made, false));
        }
    }
}

fn entry(document: Document) -> Entry {
    Entry {
        key: document.key.as_str().to_owned(),
        etag: document.etag.to_string(),
        bytes: Value::Object(document.value).to_string().len() as i64,
        conflicts: document.conflicts.len() as i64,
        modified: document.modified.map(|written| By::new(&written.by, written.time_ms)),
    }
}

pub(super) fn history(palace: &Palace, asked: &History) -> Result<Versions> {
    let limit = limit(asked.limit, 50, 500)?;
    let changes = palace.history(&asked.key)?;
    if changes.is_empty() {
        return Err(Problem::no_document(&asked.key));
    }
    let mut newest = changes.iter().rev();
    if let Some(cursor) = &asked.cursor {
        // What was written since stands before the place, or is left to the next look from the start.
        newest
            .find(|change| change.hash.etag().to_string() == *cursor)
            .ok_or_else(|| bad_cursor(cursor))?;
    }
    let (versions, more) = fill(newest.map(version), limit, ITEM_BYTES);
    let last = versions.last().map(|version| version.etag.clone());
    Ok(Versions { key: asked.key.clone(), next_cursor: last.filter(|_| more), versions })
}

fn version(change: &ChangeInfo) -> Version {
    let kind = serde_json::to_value(change.kind).ok();
    Version {
        etag: change.hash.etag().to_string(),
        by: By::new(&change.by, change.time_ms),
        kind: kind.as_ref().and_then(Value::as_str).unwrap_or("unknown").to_owned(),
        operations: change.operations.try_into().unwrap_or(i64::MAX),
        follows: change.deps.iter().map(|hash| hash.etag().to_string()).collect(),
    }
}

pub(super) fn conflicts(palace: &Palace, asked: &Conflicts) -> Result<AllConflicts> {
    let from = asked.cursor.as_deref().map(place).transpose()?;
    let document = document(palace, &asked.key, from.as_ref().map(|(version, _)| version))?;
    let skipped = from.map_or(0, |(_, skipped)| skipped);
    let whole = Value::Object(document.value);
    let disputed = document.conflicts.into_iter().skip(skipped);
    let disputed = disputed.map(|conflict| Disputed::of(conflict, &whole));
    let (conflicts, more) = fill(disputed, usize::MAX, ITEM_BYTES);
    let etag = document.etag.to_string();
    let next_cursor = more.then(|| format!("{etag}:{}", skipped + conflicts.len()));
    Ok(AllConflicts { key: asked.key.clone(), etag, conflicts, next_cursor })
}
