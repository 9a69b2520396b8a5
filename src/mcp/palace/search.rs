//! Searching drawers, and looking for duplicates.

use super::arguments::{CheckDuplicate, Search};
use super::places::note;
use super::results::{DuplicateMatch, DuplicateMatches, Filters, FoundDrawer, SearchResults};
use crate::mcp::arguments::limit;
use crate::mcp::page::{Budget, Page, echoed};
use crate::mcp::tool::Call;
use crate::memory::drawers::{HITS_MAX, Search as Question};
use crate::memory::{MemoryError, milliseconds};

/// Similarity from which on a text is a duplicate, unless the caller gives another.
pub(super) const SIMILAR: f64 = 0.9;

pub(super) fn search(call: &Call, arguments: Search) -> Result<SearchResults, MemoryError> {
    let found = call.drawers().search(&question(&arguments)?)?;
    let filter = |given: &Option<String>| given.as_deref().map(echoed);
    let filters = Filters {
        wing: filter(&arguments.wing),
        room: filter(&arguments.room),
        since: filter(&arguments.since),
        before: filter(&arguments.before),
    };
    let query = arguments.query;
    let note = note(call, arguments.wing.as_deref(), arguments.room.as_deref())?;
    let mut results =
        SearchResults { query, filters, results: Vec::new(), next_cursor: None, note };
    let mut seen = Vec::new();
    let hits = found.hits.into_iter().map(|hit| {
        let whole = hit.snippet == hit.drawer.content;
        seen.push((hit.drawer.key.clone(), hit.drawer.heads.clone(), whole));
        (hit.next.clone(), FoundDrawer::from(hit))
    });
    let page = Page::fill(hits, HITS_MAX, found.more, &mut Budget::around(&results));
    for (key, heads, whole) in seen.into_iter().take(page.items.len()) {
        call.showed(&key, &heads, whole);
    }
    (results.results, results.next_cursor) = (page.items, page.next_cursor);
    Ok(results)
}

pub(super) fn check_duplicate(
    call: &Call,
    arguments: CheckDuplicate,
) -> Result<DuplicateMatches, MemoryError> {
    let CheckDuplicate { content, threshold } = arguments;
    let found = call.drawers().duplicates(&content, threshold.unwrap_or(SIMILAR))?;
    let is_duplicate = !found.is_empty();
    // There are ten at most, each with the beginning of its text.
    let seen: Vec<_> =
        found.iter().map(|one| (one.drawer.key.clone(), one.drawer.heads.clone())).collect();
    let found = found.into_iter().map(DuplicateMatch::from);
    let (matches, _) = Budget::around(&()).keep(found);
    for ((key, heads), shown) in seen.into_iter().zip(&matches) {
        call.showed(&key, &heads, !shown.truncated);
    }
    Ok(DuplicateMatches { is_duplicate, matches })
}

fn question(arguments: &Search) -> Result<Question<'_>, MemoryError> {
    let time = |field, text: &Option<String>| {
        text.as_deref().map(|text| milliseconds(field, text)).transpose()
    };
    Ok(Question {
        query: &arguments.query,
        wing: arguments.wing.as_deref(),
        room: arguments.room.as_deref(),
        since_ms: time("since", &arguments.since)?,
        before_ms: time("before", &arguments.before)?,
        after: arguments.cursor.as_deref(),
        limit: limit("limit", arguments.limit, 5, HITS_MAX)?,
    })
}
