//! The feed: what others wrote since a moment.
//!
//! Invariant: nothing is left out but what the caller's process wrote, and over HTTP, where that may be another
//! client's, not that either. What may have been told before is marked. Clocks and restarts change nothing of that.

use super::arguments::ChangesSince;
use crate::format::key::Key;
use crate::mcp::arguments::{argument, limit};
use crate::mcp::conflicts::writer;
use crate::mcp::feed_cursors::FeedCursors;
use crate::mcp::page::{Budget, number};
use crate::mcp::tool::Call;
use crate::memory::drawers::renamed_place;
use crate::memory::told::{Kind, id_of};
use crate::memory::{Deed, MemoryError, deeds, milliseconds, readable};
use crate::palace::feed::CommitInfo;
use crate::palace::{DocumentEffects, Palace, Position, Rival, Session};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

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
    /// True if something of this, or of what follows, may have been told before
    pub approximate: bool,
}

/// A document that was changed.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct ChangedDocument {
    /// drawer, diary, fact, place or document
    pub kind: String,
    /// Its id; of a document its key, of a place that was renamed its old name, wing or wing/room
    pub id: String,
    /// The present name of a place that was renamed
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The effects of the commit on it: filed, asserted, created, edited, moved, renamed, ended, settled, deleted, restored
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
    /// True if you may have been told of this before
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_repeat: bool,
}

pub(super) fn changes_since(call: &Call, arguments: ChangesSince) -> Result<Changes, MemoryError> {
    let ChangesSince { cursor, since, limit: most, include_own } = arguments;
    let most = limit("limit", most, 20, 100)?;
    let own = include_own.unwrap_or(call.shared);
    let (palace, session) = (&call.palace, &call.session);
    let reader = Reader { palace, session, client: call.client.as_deref(), shared: call.shared };
    feed(&reader, &call.feed_cursors, &FeedStart { cursor, since }, most, own)
}

/// The client that is told.
struct Reader<'a> {
    palace: &'a Palace,
    session: &'a Session,
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

    /// Notes that the client is told of a commit: of what it did to the documents that the answer names.
    fn note(&self, commit: &CommitInfo, told: &CommitShown) {
        let named = commit.keys.iter().filter(|key| self.named(key).is_some());
        for key in named.take(told.changed.len()) {
            let of_key = commit.changes.iter().filter(|(changed, _)| changed == key);
            let changes: Vec<_> = of_key.map(|(_, change)| *change).collect();
            self.session.told_of(key, &changes);
        }
    }

    /// Returns how a changed document is called; `None` of one that goes with another.
    fn named(&self, key: &Key) -> Option<Named> {
        let kind = match Kind::of(key) {
            // A move is named by the change of the drawer itself, and a call by what it wrote.
            Kind::Note => return None,
            Kind::Place => {
                let (id, to) = self.renamed(key)?;
                return Some(Named { kind: Kind::Place.name(), id, to: Some(to) });
            }
            Kind::Entity | Kind::Relation => Kind::Document,
            kind => kind,
        };
        Some(Named { kind: kind.name(), id: id_of(key), to: None })
    }

    /// Returns the place that a document renames, and its new name. What cannot be read is left out.
    fn renamed(&self, key: &Key) -> Option<(String, String)> {
        let found = self.palace.get_unrefreshed(key.as_str());
        let found = found.unwrap_or_else(|error| {
            tracing::warn!(%key, %error, "the renamed place cannot be told");
            None
        });
        renamed_place(key, &found?.value)
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
    let mut position = begin(palace, cursors, from)?;
    let approximate = position.is_approximate();
    let this = palace.instance().filter(|_| !own);
    let (mut changes, mut budget) = (Vec::new(), Budget::around(&()));
    let answer = |changes: Vec<CommitShown>, position, next: Option<&CommitInfo>| {
        let next_ms = next.map(|commit| commit.time_ms);
        let next_cursor = cursors.give(palace, position, next_ms)?;
        let count = number(changes.len());
        Ok(Changes { changes, count, next_cursor, more: next.is_some(), approximate })
    };
    loop {
        let page = palace.changes_since(&position.seen, PAGE)?;
        for commit in &page.commits {
            let told = Some(commit.instance) != this;
            let may_repeat = position.may_repeat(commit);
            if let Some(shown) =
                told.then(|| shown(reader, commit, may_repeat)).filter(|c| !c.changed.is_empty())
            {
                if changes.len() == limit || !budget.takes(&shown) {
                    return answer(changes, position, Some(commit));
                }
                reader.note(commit, &shown);
                changes.push(shown);
            }
            position.seen.saw(commit);
        }
        if !page.more {
            return answer(changes, position, None);
        }
    }
}

/// Returns the position to begin with.
fn begin(
    palace: &Palace,
    cursors: &FeedCursors,
    from: &FeedStart,
) -> Result<Position, MemoryError> {
    Ok(match (&from.cursor, &from.since) {
        (Some(_), Some(_)) => {
            return Err(argument("since", "there is a cursor too: pass one of the two"));
        }
        (None, None) => palace.cursor_now()?.into(),
        (None, Some(since)) => palace.cursor_at(milliseconds("since", since)?)?.into(),
        (Some(cursor), None) => cursors.find(palace, cursor)?,
    })
}

fn shown(reader: &Reader<'_>, commit: &CommitInfo, may_repeat: bool) -> CommitShown {
    let changed: Vec<_> =
        commit.keys.iter().filter_map(|key| Some((key, reader.named(key)?))).collect();
    let count = changed.len();
    let changed = changed.into_iter().take(NAMED).map(|(key, Named { kind, id, to })| {
        let done = reader.effects(commit, key);
        let did = done.iter().flat_map(|done| deeds(key, done)).map(Deed::name).collect();
        let in_conflict = done.is_some_and(|it| it.rivals.iter().any(|it| reader.wrote(it)));
        ChangedDocument { kind: kind.to_owned(), id, to, did, in_conflict }
    });
    let (named, _) = Budget::of(NAMED_BYTES).keep(changed);
    CommitShown {
        at: readable(commit.time_ms),
        by: writer(&commit.by),
        instance: commit.instance.to_string(),
        and_more: number(count - named.len()),
        changed: named,
        may_repeat,
    }
}

/// The name of a changed document.
struct Named {
    kind: &'static str,
    id: String,
    to: Option<String>,
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
