//! Diaries.

use super::arguments::{DiaryRead, DiaryWrite};
use super::once::{diary_once, palace_once, recorded_entry, repeated_entry};
use super::places::{note, unknown};
use super::results::{EntryWritten, WriteReceipt};
use super::text::part;
use crate::mcp::arguments::limit;
use crate::mcp::page::{Budget, Page, echoed, number};
use crate::mcp::tool::Call;
use crate::memory::drawers::{DiaryEntry, Drawer, ENTRIES_MAX};
use crate::memory::{MemoryError, readable};
use crate::palace::Once;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct EntryShown {
    pub entry_id: String,
    pub wing: String,
    /// The day where the server ran that wrote it
    pub date: Option<String>,
    /// The time in UTC
    pub timestamp: Option<String>,
    pub topic: String,
    pub content: String,
    /// If the text goes on: the offset for get_drawer
    pub next_offset: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EntriesShown {
    pub agent: String,
    /// Newest first
    pub entries: Vec<EntryShown>,
    pub total: i64,
    pub showing: i64,
    pub next_cursor: Option<String>,
    /// Says so if no entry is by this agent, or no drawer in this wing, or if the wing is called otherwise now
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl From<Drawer> for EntryShown {
    fn from(drawer: Drawer) -> Self {
        let (timestamp, date) = (drawer.filed_ms.map(readable), drawer.filed_date());
        let mut shown = EntryShown {
            entry_id: drawer.id,
            wing: drawer.place.wing,
            date,
            timestamp,
            topic: drawer.diary.map(|(_, topic)| echoed(&topic)).unwrap_or_default(),
            content: String::new(),
            next_offset: None,
        };
        (shown.content, shown.next_offset) = part(&drawer.content, 0, &shown);
        shown
    }
}

pub(super) fn diary_write(call: &Call, arguments: DiaryWrite) -> Result<EntryWritten, MemoryError> {
    let once = diary_once(&arguments)?;
    let DiaryWrite { agent_name, entry, topic, wing, .. } = &arguments;
    let entry = DiaryEntry::new(agent_name, entry, topic.as_deref(), wing.as_deref())?;
    let repeated = |record: &Value| repeated_entry(call, &entry, record);
    palace_once(call, once.as_ref(), repeated, || write_entry(call, &entry, once.as_ref()))
}

fn write_entry(
    call: &Call,
    entry: &DiaryEntry,
    once: Option<&Once>,
) -> Result<EntryWritten, MemoryError> {
    let written = call.drawers().write_diary_once(entry, once, |plan| recorded_entry(&plan))?;
    Ok(EntryWritten {
        receipt: WriteReceipt::new(written.etag, Vec::new()),
        entry_id: written.id,
        agent: written.agent,
        topic: written.topic,
        wing: written.wing,
        timestamp: readable(written.filed_ms),
        chunks: 1,
        repeated: false,
    })
}

pub(super) fn diary_read(call: &Call, arguments: DiaryRead) -> Result<EntriesShown, MemoryError> {
    let DiaryRead { agent_name, last_n, wing, cursor } = arguments;
    let last = limit("last_n", last_n, 10, ENTRIES_MAX)?;
    let (entries, total) =
        call.drawers().diary_behind(&agent_name, wing.as_deref(), cursor.as_deref())?;
    let mut shown = EntriesShown {
        agent: echoed(&agent_name),
        entries: Vec::new(),
        total: number(total),
        showing: number(last),
        next_cursor: None,
        note: diary_note(call, &agent_name, wing.as_deref(), total)?,
    };
    let entries = entries.into_iter().map(|entry| (entry.id.clone(), EntryShown::from(entry)));
    let page = Page::fill(entries, last, false, &mut Budget::around(&shown));
    shown.showing = number(page.items.len());
    (shown.entries, shown.next_cursor) = (page.items, page.next_cursor);
    Ok(shown)
}

/// Says what an agent and a wing name, if that is nothing or an old name.
fn diary_note(
    call: &Call,
    agent: &str,
    wing: Option<&str>,
    total: usize,
) -> Result<Option<String>, MemoryError> {
    let agents = match total {
        0 => call.drawers().nearest_agents(agent)?,
        _ => None,
    };
    let of_agent = agents.map(|names| unknown("no diary entry is by an", "agent", agent, &names));
    let of_wing = note(call, wing, None)?;
    let notes: Vec<String> = of_agent.into_iter().chain(of_wing).collect();
    Ok((!notes.is_empty()).then(|| notes.join("; ")))
}
