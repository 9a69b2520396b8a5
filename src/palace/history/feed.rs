//! The feed: the commits since a cursor.
//!
//! A cursor holds, for each instance, the commits that the caller has seen. Sequence numbers survive compaction, so a
//! cursor stays valid for as long as the palace exists. If commits are missing, because a file was not copied yet, they
//! are not seen, and are told once they are there.

use super::commits::commits;
use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::format::sequences::Sequences;
use crate::merge::{DocumentEffects, MergeError};
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use crate::snapshot::LogRow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

/// Most commits of one call.
pub const COMMITS_MAX: usize = 10_000;

/// The commits of each instance that a caller has seen. The default cursor has seen none.
///
/// ```
/// use crdt_palace::palace::feed::Cursor;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// let text = palace.cursor_now()?.to_string(); // to be kept anywhere
/// let cursor: Cursor = text.parse()?;
/// assert!(palace.changes_since(&cursor, 100)?.commits.is_empty());
/// assert_eq!(palace.changes_since(&Cursor::default(), 100)?.commits.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(BTreeMap<InstanceId, Sequences>);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("c1")?;
        self.0.iter().try_for_each(|(instance, seen)| write!(f, ".{instance}-{seen}"))
    }
}

impl Cursor {
    fn see(&mut self, instance: InstanceId, sequence: u64) {
        self.0.entry(instance).or_default().insert(sequence);
    }
}

#[cfg(feature = "cli")]
impl Cursor {
    /// Returns true if it has seen this commit.
    pub(crate) fn has_seen(&self, commit: &CommitInfo) -> bool {
        self.contains(commit.instance, commit.sequence)
    }

    /// Returns true if the commit was seen.
    pub(super) fn contains(&self, instance: InstanceId, sequence: u64) -> bool {
        self.0.get(&instance).is_some_and(|seen| seen.contains(sequence))
    }
}

#[cfg(feature = "mcp")]
impl Cursor {
    /// Adds a commit to those that were seen.
    pub(crate) fn saw(&mut self, commit: &CommitInfo) {
        self.see(commit.instance, commit.sequence);
    }

    /// Returns true if `other` has seen all that this has.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let none = Sequences::default();
        self.0.iter().all(|(id, seen)| seen.is_within(other.0.get(id).unwrap_or(&none)))
    }

    /// Returns the instances, each with its seen commits.
    pub(super) fn instances(&self) -> impl Iterator<Item = (&InstanceId, &Sequences)> {
        self.0.iter()
    }
}

impl FromIterator<(InstanceId, Sequences)> for Cursor {
    fn from_iter<T: IntoIterator<Item = (InstanceId, Sequences)>>(seen: T) -> Self {
        Cursor(seen.into_iter().collect())
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let entry = |part: &str| {
            let (instance, sequence) = part.split_once('-')?;
            Some((instance.parse().ok()?, sequence.parse().ok()?))
        };
        let mut parts = text.split('.');
        let version = parts.next() == Some("c1");
        let entries = parts.map(entry).collect::<Option<_>>().filter(|_| version);
        entries.map(Cursor).ok_or_else(|| Error::Cursor { text: text.to_owned() })
    }
}

/// A commit in a feed.
///
/// ```
/// use crdt_palace::palace::{WriteOptions, feed::Cursor};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.with(WriteOptions::new().by("ada/1.0")).put("a", &json!({"n": 1}))?;
/// let commit = &palace.changes_since(&Cursor::default(), 100)?.commits[0];
/// assert_eq!((commit.sequence, commit.by.as_str()), (1, "ada/1.0"));
/// assert_eq!(Some(commit.instance), palace.status()?.this_instance);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CommitInfo {
    /// The instance that made it.
    pub instance: InstanceId,
    /// Its sequence number in that instance.
    pub sequence: u64,
    /// Its time: milliseconds since 1970, UTC, by the writer's clock.
    pub time_ms: i64,
    /// The name of its writer.
    pub by: String,
    /// The documents that it changed.
    pub keys: Vec<Key>,
    /// Its changes, each with the key of its document.
    #[serde(skip)]
    pub(crate) changes: Vec<(Key, ChangeHash)>,
}

/// Commits, and the cursor for the next call.
///
/// ```
/// use crdt_palace::palace::feed::Cursor;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// for key in ["a", "b", "c"] {
///     palace.put(key, &json!({"n": 1}))?;
/// }
/// let (mut cursor, mut seen) = (Cursor::default(), 0);
/// loop {
///     let changes = palace.changes_since(&cursor, 2)?;
///     seen += changes.commits.len();
///     cursor = changes.cursor;
///     if !changes.more {
///         break;
///     }
/// }
/// assert_eq!(seen, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Changes {
    /// The commits: those of an instance in their order, those of different instances by time.
    pub commits: Vec<CommitInfo>,
    /// The cursor for the next call.
    pub cursor: Cursor,
    /// True if there are more commits already.
    pub more: bool,
}

impl Palace {
    /// Returns the commits that `cursor` has not seen, at most `limit` (and [`COMMITS_MAX`]) of them.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// use crdt_palace::palace::feed::Cursor;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// let seen = palace.changes_since(&Cursor::default(), 100)?;
    /// assert_eq!(seen.commits[0].keys[0].as_str(), "a");
    /// palace.put("b", &json!({"n": 1}))?;
    /// let new = palace.changes_since(&seen.cursor, 100)?;
    /// assert_eq!((new.commits.len(), new.commits[0].keys[0].as_str()), (1, "b"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Snapshot`] if the log of a snapshot is damaged, [`Error::Store`] with an error of the operating system.
    pub fn changes_since(&self, cursor: &Cursor, limit: usize) -> Result<Changes> {
        let limit = limit.clamp(1, COMMITS_MAX);
        // One more than wanted, to know whether there is more.
        let mut queues = self.unseen(cursor, limit + 1)?;
        let mut changes = Changes { commits: Vec::new(), cursor: cursor.clone(), more: false };
        while changes.commits.len() < limit {
            let heads = queues.iter().filter_map(|(id, queue)| Some((queue.front()?.time_ms, *id)));
            let Some((_, instance)) = heads.min() else { return Ok(changes) };
            let Some(row) = queues.get_mut(&instance).and_then(VecDeque::pop_front) else { break };
            changes.cursor.see(instance, row.sequence);
            changes.commits.push(commit_info(row));
        }
        changes.more = queues.values().any(|queue| !queue.is_empty());
        Ok(changes)
    }

    /// Tells what a commit did to one of its documents, and whether that is in conflict now; `None` if the document has
    /// none of its changes, because a file with them is missing or damaged.
    ///
    /// The answer comes from the document before and after the commit, so it is the same before and after a compaction.
    ///
    /// ```
    /// # use crdt_palace::palace::ChangeEffect;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// palace.compact(Default::default())?;
    /// let commit = &palace.changes_since(&Default::default(), 10)?.commits[0];
    /// let done = palace.effects(commit, &commit.keys[0])?.ok_or("it is there")?;
    /// assert_eq!(done.effects, [ChangeEffect::Created]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::history`].
    pub fn effects(&self, commit: &CommitInfo, key: &Key) -> Result<Option<DocumentEffects>> {
        let of_key = commit.changes.iter().filter(|(changed, _)| changed == key);
        let changes: Vec<ChangeHash> = of_key.map(|(_, change)| *change).collect();
        let failed = |source: MergeError| Error::Document { key: key.clone(), source };
        let found = self.last_view().ask(key, |doc| doc.effects(&changes))?;
        Ok(found.transpose().map_err(failed)?.flatten())
    }

    /// Returns a cursor that has seen the commits before this time, in milliseconds since 1970, by the writers' clocks.
    ///
    /// # Errors
    /// Any of [`Error`].
    #[cfg(feature = "mcp")]
    pub(crate) fn cursor_at(&self, time_ms: i64) -> Result<Cursor> {
        let mut cursor = Cursor::default();
        loop {
            let page = self.changes_since(&cursor, COMMITS_MAX)?;
            let before = page.commits.iter().take_while(|commit| commit.time_ms < time_ms);
            let seen = before.map(|commit| cursor.saw(commit)).count();
            if seen < page.commits.len() || !page.more {
                return Ok(cursor);
            }
        }
    }

    /// Returns a cursor that has seen all present commits.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// let cursor = palace.cursor_now()?;
    /// palace.put("b", &json!({"n": 1}))?;
    /// let since = palace.changes_since(&cursor, 100)?;
    /// assert_eq!((since.commits.len(), since.commits[0].keys[0].as_str()), (1, "b"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::changes_since`].
    pub fn cursor_now(&self) -> Result<Cursor> {
        let view = self.fresh()?;
        Ok(commits(&view)?.into_iter().map(|(id, one)| (id, one.sequences)).collect())
    }

    /// Returns the next commits of each instance, at most `limit` of each.
    fn unseen(
        &self,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<BTreeMap<InstanceId, VecDeque<LogRow>>> {
        let (view, none) = (self.fresh()?, Sequences::default());
        let found = commits(&view)?
            .into_iter()
            .map(|(id, one)| Ok((id, one.unseen(cursor.0.get(&id).unwrap_or(&none), limit)?)));
        found.collect()
    }
}

pub(super) fn commit_info(row: LogRow) -> CommitInfo {
    let LogRow { instance, sequence, time_ms, by, changes } = row;
    let mut keys: Vec<Key> = changes.iter().map(|(key, _)| key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    CommitInfo { instance, sequence, time_ms, by, keys, changes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_round_trips_as_text() {
        let mut gaps = Sequences::up_to(9);
        gaps.insert(12);
        let cursor = Cursor(BTreeMap::from([
            (InstanceId([1; 16]), Sequences::up_to(7)),
            (InstanceId([2; 16]), gaps),
        ]));
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        assert!(cursor.to_string().ends_with("-9+12~12"), "{cursor}");
        assert_eq!("c1".parse::<Cursor>().unwrap(), Cursor::default());
        for bad in ["", "c2", "c1.", "c1.7", "c1.00-1"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
