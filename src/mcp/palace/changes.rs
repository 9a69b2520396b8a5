//! The feed: what others wrote since a moment.
//!
//! A cursor that this server does not know still has a time. What is told then begins a minute before that time.
//!
//! Invariant: nothing is left out but what the caller's process wrote, and over HTTP, where that may be another
//! client's, not that either; after a restart, something may be told twice.

use super::arguments::ChangesSince;
use crate::format::key::{Key, ONCE};
use crate::mcp::arguments::{argument, bad_cursor, limit};
use crate::mcp::conflicts::writer;
use crate::mcp::feed_cursors::FeedCursors;
use crate::mcp::page::{Budget, number};
use crate::mcp::tool::Call;
use crate::memory::drawers::drawer_id;
use crate::memory::facts::fact_id;
use crate::memory::{Deed, MemoryError, deeds, milliseconds, readable};
use crate::palace::feed::{CommitInfo, Cursor};
use crate::palace::{DocumentEffects, Palace, Rival};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

/// Time by which the feed goes back for an unknown cursor, because of clocks and of commits under way.
const OVERLAP_MS: i64 = 60_000;
/// Commits that are read in one step.
const PAGE: usize = 1_000;
/// Most documents of one commit that are named, and most bytes of their names.
const NAMED: usize = 100;
const NAMED_BYTES: usize = 30_000;

#[derive(Serialize, JsonSchema)]
pub(super) struct Changes {
    /// Each process's in their order
    pub changes: Vec<CommitShown>,
    pub count: i64,
    /// For the next call
    pub next_cursor: String,
    /// True if there is more already
    pub more: bool,
    /// True if the server did not know the cursor, and began a minute before it was given
    pub approximate: bool,
}

/// A document that was changed.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct ChangedDocument {
    /// drawer, diary, fact or document
    pub kind: String,
    /// Its id; of a document its key
    pub id: String,
    /// The effects of the commit on it: filed, asserted, created, edited, moved, ended, settled, deleted, restored
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub did: Vec<&'static str>,
    /// True if there is an open conflict between this and something that you wrote
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_conflict: bool,
}

/// A commit.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct CommitShown {
    pub at: String,
    pub by: String,
    /// The process that made it
    pub instance: String,
    /// The documents that it wrote, changed or deleted
    pub changed: Vec<ChangedDocument>,
    /// Number of those that are not named
    pub and_more: i64,
}

pub(super) fn changes_since(call: &Call, arguments: ChangesSince) -> Result<Changes, MemoryError> {
    let ChangesSince { cursor, since, limit: most, include_own } = arguments;
    let most = limit("limit", most, 20, 100)?;
    let own = include_own.unwrap_or(call.shared);
    let reader =
        Reader { palace: &call.palace, client: call.client.as_deref(), shared: call.shared };
    feed(&reader, &call.feed_cursors, &FeedStart { cursor, since }, most, own)
}

/// The client that is told.
struct Reader<'a> {
    palace: &'a Palace,
    /// Its name and version.
    client: Option<&'a str>,
    /// True if other clients write through this process.
    shared: bool,
}

impl Reader<'_> {
    /// Returns true if the client wrote this: through this process, if it is the only client of that, otherwise by its name
    /// and version.
    fn wrote(&self, rival: &Rival) -> bool {
        if self.shared {
            return self.client == Some(rival.written.by.as_str());
        }
        let instance = self.palace.instance().map(|instance| instance.to_string());
        instance.is_some_and(|instance| rival.actor.starts_with(&instance))
    }

    /// Tells what a commit did to a document. What cannot be read is left out: the commit is told all the same.
    fn effects(&self, commit: &CommitInfo, key: &Key) -> Option<DocumentEffects> {
        self.palace.effects(commit, key).unwrap_or_else(|error| {
            tracing::warn!(%key, %error, "what a commit did cannot be told");
            None
        })
    }
}

/// The moment at which the feed begins.
struct FeedStart {
    cursor: Option<String>,
    since: Option<String>,
}

/// Returns what was written behind a cursor or since a time: at most `limit` commits, and as many as fit.
fn feed(
    reader: &Reader<'_>,
    cursors: &FeedCursors,
    from: &FeedStart,
    limit: usize,
    own: bool,
) -> Result<Changes, MemoryError> {
    let palace = reader.palace;
    let now = palace.now_ms();
    let (mut cursor, approximate) = begin(palace, cursors, from)?;
    let this = palace.instance().filter(|_| !own);
    let (mut changes, mut budget) = (Vec::new(), Budget::around(&()));
    let answer = |changes: Vec<CommitShown>, next_cursor, more| {
        let count = number(changes.len());
        Ok(Changes { changes, count, next_cursor, more, approximate })
    };
    loop {
        let page = palace.changes_since(&cursor, PAGE)?;
        for commit in &page.commits {
            let told = Some(commit.instance) != this;
            if let Some(shown) =
                told.then(|| shown(reader, commit)).filter(|c| !c.changed.is_empty())
            {
                if changes.len() == limit || !budget.takes(&shown) {
                    let next = cursors.shorten(cursor, commit.time_ms.clamp(0, now));
                    return answer(changes, next, true);
                }
                changes.push(shown);
            }
            cursor.see(commit);
        }
        if !page.more {
            return answer(changes, cursors.shorten(cursor, now), false);
        }
    }
}

/// Returns the palace's cursor to begin with, and whether it is approximate.
fn begin(
    palace: &Palace,
    cursors: &FeedCursors,
    from: &FeedStart,
) -> Result<(Cursor, bool), MemoryError> {
    match (&from.cursor, &from.since) {
        (Some(_), Some(_)) => Err(argument("since", "there is a cursor too: pass one of the two")),
        (None, None) => Ok((palace.cursor_now()?, false)),
        (None, Some(since)) => Ok((palace.cursor_at(milliseconds("since", since)?)?, false)),
        (Some(short), None) => match cursors.find(short) {
            Some(cursor) => Ok((cursor, false)),
            None => {
                let since = FeedCursors::since_ms(short).ok_or_else(|| bad_cursor(short))?;
                Ok((palace.cursor_at(since.saturating_sub(OVERLAP_MS))?, true))
            }
        },
    }
}

fn shown(reader: &Reader<'_>, commit: &CommitInfo) -> CommitShown {
    let changed: Vec<_> = commit.keys.iter().filter_map(|key| Some((key, named(key)?))).collect();
    let count = changed.len();
    let changed = changed.into_iter().take(NAMED).map(|(key, (kind, id))| {
        let done = reader.effects(commit, key);
        let did = done.iter().flat_map(|done| deeds(key, done)).map(Deed::name).collect();
        let in_conflict = done.is_some_and(|it| it.rivals.iter().any(|it| reader.wrote(it)));
        ChangedDocument { kind: kind.to_owned(), id, did, in_conflict }
    });
    let (named, _) = Budget::of(NAMED_BYTES).keep(changed);
    CommitShown {
        at: readable(commit.time_ms),
        by: writer(&commit.by),
        instance: commit.instance.to_string(),
        and_more: number(count - named.len()),
        changed: named,
    }
}

/// Returns the kind and the id of a changed document; `None` of one that goes with another.
fn named(key: &Key) -> Option<(&'static str, String)> {
    // A drawer that was moved is named by the change of the drawer itself, and a call by what it wrote.
    if ["moved/", ONCE].iter().any(|prefix| key.as_str().starts_with(prefix)) {
        return None;
    }
    Some(match (drawer_id(key), fact_id(key)) {
        (Some(id), _) if id.starts_with("diary_") => ("diary", id),
        (Some(id), _) => ("drawer", id),
        (None, Some(id)) => ("fact", id),
        (None, None) => ("document", key.as_str().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::sim::SimDisk;
    use crate::palace::Options;
    use std::collections::HashSet;
    use std::sync::Arc;

    #[test]
    fn a_page_of_the_past_is_gone_on_with_by_a_server_that_does_not_know_the_cursor() {
        let disk = SimDisk::new(1);
        let open = || Options::default().fs(Arc::new(disk.process())).open("/p").unwrap();
        let (theirs, ours) = (open(), open());
        let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
        for key in &keys {
            theirs.put(key, &serde_json::Map::new()).unwrap();
            disk.advance(10_000);
        }
        let since = Some(readable(0));
        let (mut from, mut told, mut pages) =
            (FeedStart { cursor: None, since }, HashSet::new(), 0);
        loop {
            // Each page is asked of a server that was started anew.
            let reader = Reader { palace: &ours, client: None, shared: false };
            let page = feed(&reader, &FeedCursors::default(), &from, 9, false).unwrap();
            told.extend(page.changes.iter().flat_map(|c| &c.changed).map(|c| c.id.clone()));
            pages += 1;
            if !page.more {
                break;
            }
            assert!(pages < 10, "it goes in circles");
            from = FeedStart { cursor: Some(page.next_cursor), since: None };
        }
        assert_eq!(told, keys.into_iter().collect::<HashSet<_>>());
    }
}
