//! Finding documents by their words.

use super::arguments::Search;
use super::keys::is_listed;
use super::problem::Problem;
use super::results::{DocumentHits, Hit};
use crate::mcp::arguments::{bad_cursor, limit};
use crate::mcp::page::{Budget, Page, some_number};
use crate::mcp::tool::Call;
use crate::memory::shorten_sources;
use crate::palace::Document;
use crate::palace::{HITS_MAX, text_of};
use crate::snapshot::words;

/// Characters of text that a hit shows, and those of them that stand before the word.
const SNIPPET_CHARS: usize = 240;
const BEFORE_CHARS: usize = 60;
/// Most bytes of a query.
const QUERY_BYTES_MAX: usize = 1_000;

pub(super) fn search(call: &Call, asked: &Search) -> Result<DocumentHits, Problem> {
    let limit = limit("limit", asked.limit, 10, 100)?;
    let query = asked.query.as_str();
    if query.len() > QUERY_BYTES_MAX {
        let text = format!("the query has {} bytes: name at most a few words", query.len());
        return Err(Problem::invalid(text));
    }
    let prefix = asked.prefix.as_deref().unwrap_or_default();
    let wanted = |key: &str| key.starts_with(prefix) && is_listed(prefix, key);
    let mut hits = call.palace.search(query).filter(wanted).limit(HITS_MAX).hits()?;
    if let Some(cursor) = &asked.cursor {
        let (score, key) = rank(cursor).ok_or_else(|| bad_cursor(cursor))?;
        // The place at which the hit would stand now, so that a write in between does not move the page.
        let behind = |hit: &crate::palace::Hit| {
            score.total_cmp(&hit.score).then_with(|| hit.document.key.as_str().cmp(key)).is_gt()
        };
        hits.retain(behind);
    }
    let shown = hits.iter().map(|hit| {
        let shown = Hit {
            key: hit.document.key.as_str().to_owned(),
            etag: hit.document.etag.to_string(),
            score: hit.score,
            snippet: snippet(&hit.document, query),
            conflicts: some_number(hit.document.conflicts.len()),
        };
        (format!("{:016x}:{}", hit.score.to_bits(), shown.key), shown)
    });
    let page = Page::fill(shown, limit, false, &mut Budget::around(&()));
    for hit in hits.iter().take(page.items.len()) {
        call.session.saw_some(&hit.document.key, &hit.document.heads);
    }
    Ok(DocumentHits { documents: page.items, next_cursor: page.next_cursor })
}

/// Reads a cursor: a score, exactly, and a key.
fn rank(cursor: &str) -> Option<(f64, &str)> {
    let (score, key) = cursor.split_once(':')?;
    Some((f64::from_bits(u64::from_str_radix(score, 16).ok()?), key))
}

/// Returns some text around the first word of the query that a text has.
fn snippet(document: &Document, query: &str) -> String {
    let asked = words(query);
    let mut value = document.value.clone();
    shorten_sources(&document.key, &mut value);
    let text = text_of(&value, &document.conflicts);
    let hit = |line: &&str| {
        words(line).iter().any(|word| asked.iter().any(|asked| word.starts_with(asked)))
    };
    let line = text.lines().find(hit).or_else(|| text.lines().next()).unwrap_or_default();
    let start = line.split_inclusive(char::is_whitespace).take_while(|part| !hit(part));
    let before: usize = start.map(|part| part.chars().count()).sum();
    let skipped =
        if before < line.chars().count() { before.saturating_sub(BEFORE_CHARS) } else { 0 };
    line.chars().skip(skipped).take(SNIPPET_CHARS).collect()
}
