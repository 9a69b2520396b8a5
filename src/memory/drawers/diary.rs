//! Diaries: notes that an agent writes for itself, entry by entry.
//!
//! Invariant: an entry is never changed, and no two entries become one, however many processes write for one agent at
//! once. An entry is a drawer in the room `diary`, so it is counted, listed and found like any other drawer.

use super::drawer::{Drawer, FILINGS, drawer_of};
use super::file::{Filed, FiledAs, Item, checked};
use super::handle::Drawers;
use super::place::{DIARY, DRAWERS, Place, drawer_id, key_at, name};
use crate::format::key::Key;
use crate::memory::documents::each_document;
use crate::memory::error::{MemoryError, Result};
use crate::memory::moment::{date_at, offset_at, readable};
#[cfg(feature = "mcp")]
use crate::memory::nearest::nearest;
use crate::palace::{Once, Outcome};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
#[cfg(feature = "mcp")]
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

/// The most entries of one call.
pub const ENTRIES_MAX: usize = 100;

/// An entry to write.
///
/// ```
/// # use crdt_palace::memory::drawers::{DiaryEntry, Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// let entry = DiaryEntry::new("Ada", "Signed the first token.", Some("auth"), None)?;
/// let id = drawers.write_diary(&entry)?.id;
/// let drawer = drawers.get(&id)?; // it is a drawer like any other
/// assert_eq!((drawer.place.wing.as_str(), drawer.place.room.as_str()), ("wing_ada", "diary"));
/// assert_eq!(drawer.diary, Some(("Ada".into(), "auth".into())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiaryEntry {
    agent: String,
    topic: String,
    pub(super) entry: String,
    pub(super) place: Place,
}

/// An entry that was written.
///
/// ```
/// use crdt_palace::memory::drawers::{DiaryEntry, Drawers};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// let written = drawers.write_diary(&DiaryEntry::new("ada", "a quiet day", None, None)?)?;
/// assert!(written.id.starts_with("diary_wing_ada_"));
/// assert_eq!((written.wing.as_str(), written.topic.as_str()), ("wing_ada", "general"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryWritten {
    /// The id of its drawer.
    pub id: String,
    /// Its version.
    pub etag: String,
    /// The agent that wrote it.
    pub agent: String,
    /// The topic.
    pub topic: String,
    /// The wing that the diary is in.
    pub wing: String,
    /// The time of the write, in milliseconds since 1970, by the writer's clock.
    pub filed_ms: i64,
}

/// Drawers and an entry that a commit is about to write.
#[cfg_attr(not(feature = "mcp"), expect(dead_code, reason = "only the server keeps records"))]
pub(crate) struct CheckpointPlan {
    /// The id of each item's drawer, and whether that is new.
    pub items: Vec<(String, FiledAs)>,
    /// The key of the entry.
    pub entry: Option<Key>,
    /// The time of the entry, in milliseconds since 1970.
    pub now_ms: i64,
}

/// The newest entries of a diary.
///
/// ```
/// # use crdt_palace::memory::drawers::{DiaryEntry, Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// for text in ["Woke up.", "Wrote tests.", "Went home."] {
///     drawers.write_diary(&DiaryEntry::new("Ada", text, None, None)?)?;
/// }
/// let page = drawers.read_diary("Ada", None, 2)?;
/// let texts: Vec<&str> = page.entries.iter().map(|entry| entry.content.as_str()).collect();
/// assert_eq!((texts, page.total), (vec!["Went home.", "Wrote tests."], 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DiaryPage {
    /// The entries, newest first.
    pub entries: Vec<Drawer>,
    /// The number of all entries.
    pub total: usize,
}

impl Drawer {
    /// Returns the date on which it was first filed, such as `2026-03-01`, where the process ran that filed it. If it
    /// does not note the offset of that place, the date is in UTC.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{DiaryEntry, Drawers};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// let id = drawers.write_diary(&DiaryEntry::new("Ada", "Wrote tests.", None, None)?)?.id;
    /// let date = drawers.get(&id)?.filed_date().ok_or("it has a time")?;
    /// assert_eq!(date.len(), "2026-03-01".len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filed_date(&self) -> Option<String> {
        self.filed_ms.map(|ms| date_at(ms, self.filed_offset.as_deref()))
    }
}

impl DiaryEntry {
    /// Makes an entry of this agent's diary. The default topic is "general", the default wing `wing_<agent>`.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if a name or the text is not valid.
    pub fn new(agent: &str, entry: &str, topic: Option<&str>, wing: Option<&str>) -> Result<Self> {
        let agent = name("agent_name", agent)?;
        let topic = name("topic", topic.unwrap_or("general"))?;
        let own = format!("wing_{}", agent.to_lowercase().replace(' ', "_"));
        let place = Place::new(wing.unwrap_or(&own), DIARY)?;
        Ok(DiaryEntry { agent, topic, entry: checked("entry", entry)?.to_owned(), place })
    }

    /// Returns the agent whose diary it is for.
    #[cfg(feature = "mcp")]
    pub(crate) fn agent(&self) -> &str {
        &self.agent
    }

    /// Returns the topic.
    #[cfg(feature = "mcp")]
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the wing that the diary is in.
    #[cfg(feature = "mcp")]
    pub(crate) fn wing(&self) -> &str {
        &self.place.wing
    }

    pub(super) fn value(&self, filing: Value) -> Map<String, Value> {
        Map::from_iter([
            ("wing".to_owned(), json!(self.place.wing)),
            ("room".to_owned(), json!(self.place.room)),
            ("content".to_owned(), json!(self.entry)),
            ("agent".to_owned(), json!(self.agent)),
            ("topic".to_owned(), json!(self.topic)),
            (FILINGS.to_owned(), Value::Array(vec![filing])),
        ])
    }

    fn written(&self, id: String, outcome: &Outcome, filed_ms: i64) -> EntryWritten {
        let (agent, topic, wing) =
            (self.agent.clone(), self.topic.clone(), self.place.wing.clone());
        EntryWritten { id, etag: outcome.etag.to_string(), agent, topic, wing, filed_ms }
    }
}

impl Drawers {
    /// Writes an entry to a diary.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{DiaryEntry, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// let entry = DiaryEntry::new("Ada", "Wrote tests.", None, None)?;
    /// let (first, second) = (drawers.write_diary(&entry)?, drawers.write_diary(&entry)?);
    /// assert_ne!(first.id, second.id); // the same words twice are two entries
    /// assert_eq!(drawers.get(&second.id)?.etag, second.etag);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn write_diary(&self, entry: &DiaryEntry) -> Result<EntryWritten> {
        self.write_diary_once(entry, None, |_| Value::Null)
    }

    /// Writes an entry like [`Drawers::write_diary`], but at most once for a call of this name.
    pub(crate) fn write_diary_once<'a>(
        &'a self,
        entry: &'a DiaryEntry,
        once: Option<&'a Once>,
        answer: impl FnOnce(CheckpointPlan) -> Value + 'a,
    ) -> Result<EntryWritten> {
        self.checkpoint_once(&[], Some(entry), once, answer)?
            .1
            .ok_or_else(|| MemoryError::argument("entry", "it was not written: call again"))
    }

    /// Files items and writes a diary entry, all in one commit.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{DiaryEntry, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// let entry = DiaryEntry::new("Ada", "Decided how to sign.", None, None)?;
    /// let (filed, entered) = drawers.checkpoint(&[item], Some(&entry))?;
    /// assert_eq!(drawers.get(&filed[0].id)?.content, "We sign tokens with RSA.");
    /// assert_eq!(drawers.get(&entered.ok_or("it was written")?.id)?.content, "Decided how to sign.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`Drawers::file`].
    pub fn checkpoint(
        &self,
        items: &[Item],
        entry: Option<&DiaryEntry>,
    ) -> Result<(Vec<Filed>, Option<EntryWritten>)> {
        self.checkpoint_once(items, entry, None, |_| Value::Null)
    }

    /// Files items and writes a diary entry like [`Drawers::checkpoint`], but at most once for a call of this name.
    /// `answer` makes what the call's record keeps of them.
    pub(crate) fn checkpoint_once<'a>(
        &'a self,
        items: &'a [Item],
        entry: Option<&'a DiaryEntry>,
        once: Option<&'a Once>,
        answer: impl FnOnce(CheckpointPlan) -> Value + 'a,
    ) -> Result<(Vec<Filed>, Option<EntryWritten>)> {
        // One time for the key and for the filing, so that the order of ids is the order of times.
        let now = self.palace.now_ms();
        let key = entry.map(|entry| self.entry_key(entry, now)).transpose()?;
        let (filed, others) = self.file_with(items, |batch, items| {
            if let (Some(entry), Some(key)) = (entry, &key) {
                let value = entry.value(filing(now));
                batch.write(key.clone(), move |draft| draft.put(&value));
            }
            if let Some(once) = once {
                let plan = CheckpointPlan { items, entry: key.clone(), now_ms: now };
                batch.record(once, move || answer(plan));
            }
        })?;
        let id = key.as_ref().and_then(drawer_id);
        let written = entry.zip(id).zip(others.first());
        Ok((filed, written.map(|((entry, id), outcome)| entry.written(id, outcome, now))))
    }

    /// Returns a new key for an entry. It has a random part, so that the same words twice are two entries.
    fn entry_key(&self, entry: &DiaryEntry, now: i64) -> Result<Key> {
        let us = next_us(now);
        let time = readable(us / 1_000).replace(['-', ':', 'Z'], "").replace('T', "_");
        let seconds = time.split('.').next().unwrap_or_default();
        // The time in an id has microseconds, as in MemPalace.
        let fraction = us % 1_000_000;
        let random: String =
            self.palace.unique()?.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        key_at(&entry.place, &format!("{seconds}{fraction:06}_{random}"))
    }

    /// Returns the newest entries of an agent's diary, at most `last` of them, from one wing or from all wings.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{DiaryEntry, Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// drawers.write_diary(&DiaryEntry::new("Ada", "At home.", None, None)?)?;
    /// drawers.write_diary(&DiaryEntry::new("Ada", "At work.", None, Some("atlas"))?)?;
    /// assert_eq!(drawers.read_diary("Ada", None, 10)?.total, 2);
    /// assert_eq!(drawers.read_diary("Ada", Some("atlas"), 10)?.entries[0].content, "At work.");
    /// assert_eq!(drawers.read_diary("ada", None, 10)?.total, 2); // whatever the case
    /// assert_eq!(drawers.read_diary("Bob", None, 10)?.total, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`], and errors of the palace.
    pub fn read_diary(&self, agent: &str, wing: Option<&str>, last: usize) -> Result<DiaryPage> {
        let (mut entries, total) = self.diary_behind(agent, wing, None)?;
        entries.truncate(last.clamp(1, ENTRIES_MAX));
        Ok(DiaryPage { entries, total })
    }

    /// Reads the entries of an agent's diary that are older than the one with the id `after`, the newest first. Returns
    /// them with the number of entries of the whole diary.
    pub(crate) fn diary_behind(
        &self,
        agent: &str,
        wing: Option<&str>,
        after: Option<&str>,
    ) -> Result<(Vec<Drawer>, usize)> {
        if let Some(after) = after.filter(|after| !after.starts_with(DIARY)) {
            return Err(MemoryError::cursor(after));
        }
        // The name of the wing has no case, so "Ada" and "ada" are one agent here too.
        let agent = name("agent_name", agent)?.to_lowercase();
        let mut entries = Vec::new();
        for wing in self.filed_wings(wing)? {
            self.each_entry(&wing, |drawer| {
                if drawer.diary.as_ref().is_some_and(|(whose, _)| whose.to_lowercase() == agent) {
                    entries.push(drawer);
                }
            })?;
        }
        // The id decides between entries of the same time, so that each has one place.
        let place = |id: &str| (time_in(id).to_owned(), id.to_owned());
        entries.sort_by_cached_key(|entry: &Drawer| Reverse(place(&entry.id)));
        let total = entries.len();
        if let Some(after) = after.map(place) {
            entries.retain(|entry| place(&entry.id) < after);
        }
        let mut spellings = self.known_spellings()?;
        let entries = entries.into_iter().map(|entry| spellings.show(entry));
        Ok((entries.collect::<Result<_>>()?, total))
    }

    /// Returns the nearest names of agents if no entry is by this one; `None` if one is.
    ///
    /// # Errors
    /// Errors of the palace.
    #[cfg(feature = "mcp")]
    pub(crate) fn nearest_agents(&self, agent: &str) -> Result<Option<Vec<String>>> {
        let mut agents = BTreeSet::new();
        for wing in self.filed_wings(None)? {
            self.each_entry(&wing, |drawer| agents.extend(drawer.diary.map(|(agent, _)| agent)))?;
        }
        Ok(nearest(agent.trim(), agents, str::to_lowercase))
    }

    fn each_entry(&self, wing: &str, mut take: impl FnMut(Drawer)) -> Result<()> {
        let prefix = format!("{DRAWERS}{wing}/{DIARY}/");
        each_document(&self.palace, &prefix, |document| {
            take(drawer_of(document));
            Ok(())
        })
    }
}

/// Makes the filing of an entry. Its offset is a field beside the time, so that its date is that of the writer.
fn filing(now: i64) -> Value {
    match offset_at(now, &TimeZone::system()) {
        Some(offset) => json!({ "at": now, "offset": offset }),
        None => json!({ "at": now }),
    }
}

/// Returns a time in microseconds that no other entry of this process has. So entries that it writes within one
/// millisecond have an order.
fn next_us(now_ms: i64) -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = now_ms.saturating_mul(1_000);
    let next = |last: i64| Some(now.max(last.saturating_add(1)));
    let last = LAST.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    now.max(last.unwrap_or(0).saturating_add(1))
}

/// Returns the end of an entry's id: the date, the time and the random part.
fn time_in(id: &str) -> &str {
    let start = id.rmatch_indices('_').nth(2).map_or(0, |(at, _)| at);
    id.get(start..).unwrap_or(id)
}
