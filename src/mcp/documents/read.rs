//! Reading documents: one, a list, its history.

use super::arguments::{Get, History, List};
use super::keys::{behind_domain, is_listed};
use super::problem::{Code, Problem};
use super::results::{DocumentList, DocumentShown, DocumentVersions, Entry, Version};
use crate::format::hash::{ChangeHash, Etag, Heads};
use crate::format::key::Key;
use crate::format::plural::count;
use crate::mcp::arguments::{argument, bad_cursor, limit, optional_etag};
use crate::mcp::conflicts::{Authorship, open_aside, path as shown_path};
use crate::mcp::page::{Budget, Page, json_len, number, piece, shortened};
use crate::mcp::tool::Call;
use crate::memory::shorten_sources;
use crate::merge::{ChangeInfo, Conflict};
use crate::palace::{self, Document, Palace};
use serde_json::Value;
use std::collections::HashSet;
use std::ops::Range;

type Result<T> = std::result::Result<T, Problem>;

/// Documents that are read at a time to fill a page.
const SCAN: usize = 100;

/// Reads a cursor into one document: a version, so that it means the same whatever others write, and an offset.
pub(super) fn version_and_offset(cursor: &str) -> Result<(Etag, usize)> {
    let parsed =
        cursor.split_once(':').and_then(|(etag, at)| Some((etag.parse().ok()?, at.parse().ok()?)));
    parsed.ok_or_else(|| bad_cursor(cursor).into())
}

/// Returns the document now, or at a version.
pub(super) fn document(palace: &Palace, key: &str, version: Option<&Etag>) -> Result<Document> {
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

pub(super) fn get(call: &Call, asked: &Get) -> Result<DocumentShown> {
    let (version, offset) = match (&asked.cursor, &asked.version) {
        (Some(cursor), _) => {
            version_and_offset(cursor).map(|(version, offset)| (Some(version), offset))?
        }
        (None, version) => (optional_etag("version", version.as_deref())?, 0),
    };
    let palace = &call.palace;
    let mut document = document(palace, &asked.key, version.as_ref())?;
    shorten_sources(&document.key, &mut document.value);
    let seen = Seen::new(call, asked, &document)?;
    let path = asked.path.as_deref().unwrap_or_default();
    let whole = Value::Object(document.value);
    let at = |conflict: &Conflict| {
        conflict
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let conflicts = document.conflicts.into_iter().filter(at).collect();
    let (conflicts, more_conflicts) = open_aside(conflicts, &whole);
    let value = whole.pointer(path).ok_or_else(|| nothing_at(path, &whole))?;
    let text = value.to_string();
    let mut shown = DocumentShown {
        key: asked.key.clone(),
        etag: document.etag.to_string(),
        value: None,
        json_piece: None,
        next_cursor: None,
        conflicts,
        more_conflicts,
        modified: document.modified.map(|written| Authorship::new(&written.by, written.time_ms)),
        incomplete: document.incomplete,
    };
    // What is around the value takes its part of the result first.
    let room = Budget::around(&shown).left();
    if asked.cursor.is_none() && text.len() <= room {
        shown.value = Some(value.clone());
        seen.note(0..text.len(), text.len());
        return Ok(shown);
    }
    let bad = || bad_cursor(asked.cursor.as_deref().unwrap_or_default());
    let (part, end) = piece(&text, offset, room).ok_or_else(bad)?;
    seen.note(offset..end, text.len());
    shown.json_piece = Some(part.to_owned());
    shown.next_cursor = (end < text.len()).then(|| format!("{}:{end}", shown.etag));
    Ok(shown)
}

/// Notes which part of a document a result shows.
struct Seen<'a> {
    call: &'a Call,
    key: Key,
    heads: Heads,
    /// True if it is the present version. An older one is no base, unless the client began to read it while it was.
    is_present: bool,
    /// True if only the part at a path is shown.
    is_path: bool,
}

impl<'a> Seen<'a> {
    fn new(call: &'a Call, asked: &Get, document: &Document) -> palace::Result<Self> {
        let (key, heads) = (document.key.clone(), document.heads.clone());
        let is_present = match (&asked.version, &asked.cursor) {
            (None, None) => true,
            _ => call.palace.get(key.as_str())?.is_some_and(|now| now.heads == heads),
        };
        let is_path = asked.path.as_deref().is_some_and(|path| !path.is_empty());
        Ok(Seen { call, key, heads, is_present, is_path })
    }

    fn note(&self, part: Range<usize>, total: usize) {
        let Seen { call, key, heads, .. } = self;
        match (self.is_present, self.is_path) {
            (true, true) => call.session.saw_some(key, heads),
            (true, false) => call.session.saw_part(key, heads, part, total),
            // It is compared with a delete, like everything that was shown.
            (false, true) => call.session.told_of(key, heads.hashes()),
            (false, false) => {
                call.session.saw_further_part(key, heads, part, total);
                call.session.told_of(key, heads.hashes());
            }
        }
    }
}

fn nothing_at(path: &str, whole: &Value) -> Problem {
    let shown = shown_path(path);
    if !path.starts_with('/') {
        let why = format!("{shown:?} is not a JSON pointer: start with /, as in /tasks/0");
        return argument("path", why).into();
    }
    let parent = path.rsplit_once('/').and_then(|(parent, _)| whole.pointer(parent));
    let there = match parent {
        Some(Value::Object(fields)) => {
            let names: Vec<String> =
                fields.keys().take(50).map(|name| shortened(name, 80)).collect();
            format!("the fields there are {names:?}")
        }
        Some(Value::Array(items)) => format!("the list there has {}", count(items.len(), "item")),
        _ => "nor is there anything around it".to_owned(),
    };
    Problem::new(Code::NotFound, format!("there is nothing at {shown:?}; {there}"))
}

pub(super) fn list(call: &Call, asked: &List) -> Result<DocumentList> {
    let limit = limit("limit", asked.limit, 100, 1_000)?;
    let prefix = asked.prefix.as_deref().unwrap_or_default();
    let with_version = |document: Document| {
        Some(((document.key.clone(), document.heads.clone()), entry(document)))
    };
    let cursor = asked.cursor.clone();
    let (entries, more) = each_after(
        &call.palace,
        prefix,
        cursor,
        limit,
        |key| is_listed(prefix, key),
        with_version,
    )?;
    let (seen, entries): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    let entries = entries.into_iter().map(|entry| (entry.key.clone(), entry));
    let page = Page::fill(entries, limit, more, &mut Budget::around(&()));
    for (key, heads) in seen.iter().take(page.items.len()) {
        call.session.saw_some(key, heads);
    }
    Ok(DocumentList { documents: page.items, next_cursor: page.next_cursor })
}

/// Calls `make` with each document behind `after` that `is_shown` names and that starts with this prefix, until it has made
/// `limit` things. Returns what it made, and whether it would make more.
pub(in crate::mcp) fn each_after<T>(
    palace: &Palace,
    prefix: &str,
    mut after: Option<String>,
    limit: usize,
    is_shown: impl Fn(&str) -> bool,
    make: impl Fn(Document) -> Option<T>,
) -> palace::Result<(Vec<T>, bool)> {
    let mut made = Vec::new();
    loop {
        let page = palace.scan_page(prefix, after.as_deref(), SCAN)?;
        after = page.cursor;
        for document in page.documents {
            let key = document.key.as_str();
            if is_shown(key) {
                let next = make(document);
                if next.is_some() && made.len() == limit {
                    return Ok((made, true));
                }
                made.extend(next);
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
        bytes: number(json_len(&Value::Object(document.value))),
        conflicts: number(document.conflicts.len()),
        modified: document.modified.map(|written| Authorship::new(&written.by, written.time_ms)),
    }
}

pub(super) fn history(call: &Call, asked: &History) -> Result<DocumentVersions> {
    let limit = limit("limit", asked.limit, 50, 500)?;
    let changes = call.palace.history(&asked.key)?;
    if changes.is_empty() {
        return Err(Problem::no_document(&asked.key));
    }
    let mut newest = changes.iter().rev();
    if let Some(cursor) = &asked.cursor {
        // What was written since stands before the cursor's version, or comes with the next call without a cursor.
        newest
            .find(|change| change.hash.etag().to_string() == *cursor)
            .ok_or_else(|| bad_cursor(cursor))?;
    }
    let mut history =
        DocumentVersions { key: asked.key.clone(), versions: Vec::new(), next_cursor: None };
    let versions = newest.clone().map(version).map(|version| (version.etag.clone(), version));
    let page = Page::fill(versions, limit, false, &mut Budget::around(&history));
    let listed = newest_of(newest.take(page.items.len()));
    call.session.told_of(&Key::new(&asked.key).map_err(palace::Error::from)?, &listed);
    (history.versions, history.next_cursor) = (page.items, page.next_cursor);
    Ok(history)
}

/// Returns those of some changes that no other of them names as what it builds on.
fn newest_of<'a>(changes: impl Iterator<Item = &'a ChangeInfo> + Clone) -> Vec<ChangeHash> {
    let older: HashSet<ChangeHash> = changes.clone().flat_map(|one| one.deps.clone()).collect();
    changes.map(|one| one.hash).filter(|hash| !older.contains(hash)).collect()
}

fn version(change: &ChangeInfo) -> Version {
    let kind = serde_json::to_value(change.kind).ok();
    Version {
        etag: change.hash.etag().to_string(),
        by: Authorship::new(&change.by, change.time_ms),
        kind: kind.as_ref().and_then(Value::as_str).unwrap_or("unknown").to_owned(),
        operations: change.operations.try_into().unwrap_or(i64::MAX),
        follows: change.deps.iter().map(|hash| hash.etag().to_string()).collect(),
    }
}
