//! Finding documents by their words.

use super::arguments::Search;
use super::keys::is_listed;
use super::problem::Problem;
use super::read::{bad_cursor, limit};
use super::results::{Found, Hit};
use crate::mcp::bounds::{ITEM_BYTES, fill};
use crate::palace::{Document, Palace};
use crate::palace::{HITS_MAX, text_of};
use crate::snapshot::words;

/// How many characters of text a hit shows, and how many of them stand before the word.
const SNIPPET_CHARS: usize = 240;
const BEFORE_CHARS: usize = 60;
/// The longest query, in bytes.
const QUERY_BYTES_MAX: usize = 1_000;

pub(super) fn search(palace: &Palace, asked: &Search) -> Result<Found, Problem> {
    let limit = limit(asked.limit, 10, 100)?;
    let query = asked.query.as_str();
    if query.len() > QUERY_BYTES_MAX {
        let text = format!("the query has {} bytes: name at most a few words", query.len());
        return Err(Problem::invalid(text));
    }
    let prefix = asked.prefix.as_deref().unwrap_or_default();
    let wanted = |key: &str| key.starts_with(prefix) && is_listed(prefix, key);
    let mut hits = palace.search(query).filter(&wanted).limit(HITS_MAX).hits()?;
    if let Some(cursor) = &asked.cursor {
        let (score, key) = place(cursor).ok_or_else(|| bad_cursor(cursor))?;
        // Where it would stand now, so that nobody's write in between moves the page.
        let behind = |hit: &crate::palace::Hit| {
            score.total_cmp(&hit.score).then_with(|| hit.document.key.as_str().cmp(key)).is_gt()
        };
        hits.retain(behind);
    }
    let shown = hits.iter().map(|hit| Hit {
        key: hit.document.key.as_str().to_owned(),
        etag: hit.document.etag.to_string(),
        score: hit.score,
        snippet: snippet(&hit.document, query),
    });
    let (documents, more) = fill(shown, limit, ITEM_BYTES);
    let last = documents.last().map(|hit| format!("{:016x}:{}", hit.score.to_bits(), hit.key));
    Ok(Found { next_cursor: last.filter(|_| more), documents })
}

/// A score, exactly, and a key.
fn place(cursor: &str) -> Option<(f64, &str)> {
    let (score, key) = cursor.split_once(':')?;
    Some((f64::from_bits(u64::from_str_radix(score, 16).ok()?), key))
}

/// Some text around the first word of the query that a text has.
fn snippet(document: &Document, query: &str) -> String {
    let asked = words(query);
    let text = text_of(&document.value);
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
