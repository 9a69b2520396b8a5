//! What others wrote since a moment, and the cursors for it.
//!
//! A cursor of the palace names every process that ever wrote, which is too long for a model to repeat. So the
//! server gives short ones, and remembers what the last of them stand for. One that it does not know, because it was
//! given before a restart or long ago, still says since when there was something to tell: what is told then begins a
//! minute before that.
//!
//! Invariant: nothing is left out but what the caller's process wrote, and over HTTP, where that may be another
//! client's, not that either; after a restart, something may be told twice.

use super::answers::number;
use super::bounds::room;
use crate::memory::drawers::drawer_id;
use crate::memory::facts::fact_id;
use crate::memory::{MemoryError, milliseconds, readable};
use crate::palace::Palace;
use crate::palace::feed::{CommitInfo, Cursor};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How many cursors a server remembers.
const REMEMBERED: usize = 256;
/// How far before an unknown cursor's time it is begun again, for clocks and commits under way.
const OVERLAP_MS: i64 = 60_000;
/// How many commits are looked at in one step.
const PAGE: usize = 1_000;
/// How many documents of one commit are named.
const NAMED: usize = 100;

/// Cursors that were given, by their short form.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Cursors(Mutex<VecDeque<(String, Cursor)>>);

impl Cursors {
    /// A short form, which also says since when something may not have been told.
    fn give(&self, cursor: Cursor, since_ms: i64) -> String {
        let digest = blake3::hash(cursor.to_string().as_bytes()).to_hex();
        let short = format!("{since_ms:x}-{}", digest.chars().take(12).collect::<String>());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back((short.clone(), cursor));
        if known.len() > REMEMBERED {
            known.pop_front();
        }
        short
    }

    fn find(&self, short: &str) -> Option<Cursor> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(known, _)| known == short).map(|(_, cursor)| cursor.clone())
    }
}

/// A document that was changed.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Touched {
    /// drawer, diary, fact or document
    pub kind: String,
    /// Its id; of a document its key
    pub id: String,
}

/// A commit.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Commit {
    pub at: String,
    pub by: String,
    /// Which process
    pub instance: String,
    /// What it wrote, changed or deleted
    pub changed: Vec<Touched>,
    /// How many more that are not named
    pub and_more: i64,
}

/// Where to begin.
pub(super) struct From {
    pub cursor: Option<String>,
    pub since: Option<String>,
}

/// What was found.
pub(super) struct News {
    pub commits: Vec<Commit>,
    pub next: String,
    pub more: bool,
    pub approximate: bool,
}

/// What was written behind a cursor or since a time, at most so many commits.
pub(super) fn news(
    palace: &Palace,
    cursors: &Cursors,
    from: &From,
    limit: usize,
    own: bool,
) -> Result<News, MemoryError> {
    let now = palace.now_ms();
    let (mut cursor, approximate) = begin(palace, cursors, from)?;
    let this = palace.instance().filter(|_| !own);
    let (mut commits, mut room) = (Vec::new(), room());
    loop {
        let page = palace.changes_since(&cursor, PAGE)?;
        for commit in &page.commits {
            let told = Some(commit.instance) != this;
            if let Some(shown) = told.then(|| shown(commit)).filter(|c| !c.changed.is_empty()) {
                if commits.len() == limit || !room.takes(&shown) {
                    let next = cursors.give(cursor, commit.time_ms.clamp(0, now));
                    return Ok(News { commits, next, more: true, approximate });
                }
                commits.push(shown);
            }
            cursor.see(commit);
        }
        if !page.more {
            return Ok(News { commits, next: cursors.give(cursor, now), more: false, approximate });
        }
    }
}

fn begin(palace: &Palace, cursors: &Cursors, from: &From) -> Result<(Cursor, bool), MemoryError> {
    let unknown = || MemoryError::Argument {
        field: "cursor",
        why: "it is none: pass back what an earlier call gave as next_cursor, or nothing"
            .to_owned(),
    };
    match (&from.cursor, &from.since) {
        (Some(_), Some(_)) => Err(MemoryError::Argument {
            field: "since",
            why: "there is a cursor too: pass one of the two".to_owned(),
        }),
        (None, None) => Ok((palace.cursor_now()?, false)),
        (None, Some(since)) => Ok((palace.cursor_at(milliseconds("since", since)?)?, false)),
        (Some(short), None) => match cursors.find(short) {
            Some(cursor) => Ok((cursor, false)),
            None => {
                let time = short.split_once('-').ok_or_else(unknown)?.0;
                let time = i64::from_str_radix(time, 16).map_err(|_| unknown())?;
                Ok((palace.cursor_at(time.saturating_sub(OVERLAP_MS))?, true))
            }
        },
    }
}

fn shown(commit: &CommitInfo) -> Commit {
    let touched = |key: &crate::format::key::Key| {
        let (kind, id) = match (drawer_id(key), fact_id(key)) {
            (Some(id), _) if id.starts_with("diary_") => ("diary", id),
            (Some(id), _) => ("drawer", id),
            (None, Some(id)) => ("fact", id),
            // A drawer that was moved is named by the change of the drawer itself.
            (None, None) if key.as_str().starts_with("moved/") => return None,
            (None, None) => ("document", key.as_str().to_owned()),
        };
        Some(Touched { kind: kind.to_owned(), id })
    };
    let mut changed: Vec<Touched> = commit.keys.iter().filter_map(touched).collect();
    let and_more = number(changed.len().saturating_sub(NAMED));
    changed.truncate(NAMED);
    Commit {
        at: readable(commit.time_ms),
        by: commit.by.clone(),
        instance: commit.instance.to_string(),
        changed,
        and_more,
    }
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
        let (mut from, mut told, mut pages) = (From { cursor: None, since }, HashSet::new(), 0);
        loop {
            // Each page is asked of a server that was started anew.
            let news = news(&ours, &Cursors::default(), &from, 9, false).unwrap();
            told.extend(news.commits.iter().flat_map(|c| &c.changed).map(|c| c.id.clone()));
            pages += 1;
            if !news.more {
                break;
            }
            assert!(pages < 10, "it goes in circles");
            from = From { cursor: Some(news.next), since: None };
        }
        assert_eq!(told, keys.into_iter().collect::<HashSet<_>>());
    }
}
