//! Numbers of drawers by wing and room, and the processes that write.

use super::arguments::{ListRooms, ListWings, NoArguments};
use super::places::note;
use crate::format::key::DRAWERS;
use crate::mcp::arguments::bad_cursor;
use crate::mcp::conflicts::writer;
use crate::mcp::not_offered::held_elsewhere;
use crate::mcp::page::{Budget, Page, echoed, number};
use crate::mcp::tool::Call;
use crate::mcp::unseen::went_back_in_words;
use crate::memory::drawers::{self, Counts, folded};
use crate::memory::{MemoryError, readable};
use crate::palace::status::LiveInstance;
use crate::palace::{OLDER_NOTE, Palace};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most wings, rooms and processes that the overview names.
const NAMED: usize = 100;
/// Most bytes of the processes in the overview, and of its wings.
const INSTANCES_BYTES: usize = 30_000;
const WINGS_BYTES: usize = 30_000;

/// Numbers of drawers by wing or room.
pub(super) type Counted = BTreeMap<String, i64>;

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Instance {
    pub instance: String,
    pub pid: i64,
    pub program: String,
    /// The client that wrote last through it; null if it did not say
    pub client: Option<String>,
    pub since: String,
    /// The file that it appends to
    pub segment: String,
    pub bytes: i64,
    /// True if it is this server
    pub this_server: bool,
    /// True if its version shows only one of several texts that were written at once
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub older: bool,
    /// The advice about an older one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

/// Numbers of what has open conflicts
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct InConflict {
    /// Drawers and diary entries; conflicts lists them
    pub drawers: i64,
    /// Facts, the graph and shared documents
    pub others: i64,
    /// True if there may be more: not everything was looked at
    pub at_least: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    pub total_drawers: i64,
    pub wings: Counted,
    pub rooms: Counted,
    /// True if wings, rooms or instances were left out; list_wings and list_rooms give all
    pub truncated: bool,
    pub facts: i64,
    pub palace: String,
    /// The running processes that have written
    pub instances: Vec<Instance>,
    /// The numbers of documents with open conflicts
    pub in_conflict: InConflict,
    /// The contents of tool sets that this server does not offer, with the option that offers them
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_offered: Vec<String>,
    /// The process that compacts now, if one does
    pub compacting: Option<String>,
    /// Why the palace cannot be written, if it cannot
    pub read_only: Option<String>,
    /// Says so if the palace went back to an older state under this server, and to when
    #[serde(skip_serializing_if = "Option::is_none")]
    pub went_back: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Wings {
    pub wings: Counted,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Rooms {
    /// The wing, or "all"
    pub wing: String,
    pub rooms: Counted,
    pub next_cursor: Option<String>,
    /// Says so if the wing has no drawers, or is called otherwise now
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Taxonomy {
    pub taxonomy: BTreeMap<String, Counted>,
    pub next_cursor: Option<String>,
}

pub(super) fn list_wings(call: &Call, arguments: ListWings) -> Result<Wings, MemoryError> {
    let counts = call.drawers().counts(None)?;
    let wings = counts.into_iter().map(|(wing, rooms)| (wing, sum(&rooms))).collect();
    let page = behind(wings, arguments.cursor.as_deref(), &mut Budget::around(&()));
    Ok(Wings { wings: page.items.into_iter().collect(), next_cursor: page.next_cursor })
}

pub(super) fn list_rooms(call: &Call, arguments: ListRooms) -> Result<Rooms, MemoryError> {
    let ListRooms { wing, cursor } = arguments;
    let counts = call.drawers().counts(wing.as_deref())?;
    let note = note(call, wing.as_deref(), None)?;
    let shown = counts.keys().next();
    let wing = wing.as_deref().map_or("all", |asked| shown.map_or(asked, String::as_str));
    let mut result = Rooms { wing: echoed(wing), rooms: Counted::new(), next_cursor: None, note };
    let page = behind(by_room(&counts), cursor.as_deref(), &mut Budget::around(&result));
    (result.rooms, result.next_cursor) = (page.items.into_iter().collect(), page.next_cursor);
    Ok(result)
}

/// The entries of a map behind a name, as many as fit. The cursor is the last name. Their order is that of the folded
/// names, which do not change when another spelling gets the most drawers.
fn behind(counted: Counted, after: Option<&str>, budget: &mut Budget) -> Page<(String, i64)> {
    let after = after.map(folded);
    let mut entries: Vec<(String, String, i64)> =
        counted.into_iter().map(|(name, count)| (folded(&name), name, count)).collect();
    entries.sort_unstable();
    entries.retain(|(fold, ..)| after.as_ref().is_none_or(|after| fold > after));
    let entry = |(_, name, count): (String, String, i64)| (name.clone(), (name, count));
    Page::fill(entries.into_iter().map(entry), usize::MAX, false, budget)
}

/// The cursor is wing and room: a wing may have more rooms than fit one result. No name has a slash.
pub(super) fn get_taxonomy(call: &Call, arguments: ListWings) -> Result<Taxonomy, MemoryError> {
    let after = arguments.cursor.as_deref().map(|cursor| {
        cursor
            .split_once('/')
            .map(|(wing, room)| (folded(wing), folded(room)))
            .ok_or_else(|| bad_cursor(cursor))
    });
    let after = after.transpose()?;
    let counts = call.drawers().counts(None)?;
    let rooms = counts.into_iter().flat_map(|(wing, rooms)| {
        rooms.into_iter().map(move |(room, count)| (wing.clone(), room, number(count)))
    });
    let mut rooms: Vec<_> = rooms.map(|row| ((folded(&row.0), folded(&row.1)), row)).collect();
    rooms.sort_unstable();
    rooms.retain(|(place, _)| after.as_ref().is_none_or(|after| place > after));
    let entry =
        |(_, row): ((String, String), (String, String, i64))| (format!("{}/{}", row.0, row.1), row);
    let rooms = rooms.into_iter().map(entry);
    let page = Page::fill(rooms, usize::MAX, false, &mut Budget::around(&()));
    let mut taxonomy: BTreeMap<String, Counted> = BTreeMap::new();
    for (wing, room, count) in page.items {
        taxonomy.entry(wing).or_default().insert(room, count);
    }
    Ok(Taxonomy { taxonomy, next_cursor: page.next_cursor })
}

fn sum(rooms: &BTreeMap<String, usize>) -> i64 {
    number(rooms.values().sum())
}

fn by_room(counts: &Counts) -> Counted {
    drawers::by_room(counts).into_iter().map(|(room, count)| (room, number(count))).collect()
}

/// Returns the largest that fit, in the order of their names, and whether there are others.
fn largest(counted: Counted, budget: &mut Budget) -> (Counted, bool) {
    let count = counted.len();
    let mut by_size: Vec<(String, i64)> = counted.into_iter().collect();
    by_size.sort_by_key(|(_, count)| -count);
    let (named, _) = budget.keep(by_size.into_iter().take(NAMED));
    let cut = named.len() < count;
    (named.into_iter().collect(), cut)
}

pub(super) fn status(call: &Call, NoArguments {}: NoArguments) -> Result<Status, MemoryError> {
    let counts = call.drawers().counts(None)?;
    let status = call.palace.status()?;
    let instance = |live: LiveInstance| Instance {
        this_server: Some(live.instance) == status.this_instance,
        instance: live.instance.to_string(),
        pid: i64::from(live.pid),
        program: writer(&live.program),
        client: live.client.as_deref().map(writer),
        since: readable(live.since_ms),
        segment: live.segment.to_string(),
        bytes: i64::try_from(live.bytes).unwrap_or(i64::MAX),
        older: live.older,
        note: live.older.then_some(OLDER_NOTE),
    };
    let running = status.instances.len();
    let instances = status.instances.into_iter().take(NAMED).map(instance);
    let mut result = Status {
        total_drawers: counts.values().map(sum).sum(),
        wings: Counted::new(),
        rooms: Counted::new(),
        truncated: false,
        facts: number(call.facts().count()?),
        palace: status.path.display().to_string(),
        instances: Budget::of(INSTANCES_BYTES).keep(instances).0,
        in_conflict: in_conflict(&call.palace)?,
        not_offered: held_elsewhere(&call.palace, &call.offered)?,
        compacting: status.compaction.as_ref().map(|holder| writer(&holder.holder)),
        read_only: status.read_only.map(|reason| reason.to_string()),
        went_back: status.went_back.as_ref().map(went_back_in_words),
    };
    let mut budget = Budget::around(&result);
    let wings = counts.iter().map(|(wing, rooms)| (wing.clone(), sum(rooms))).collect();
    let (wings, cut_wings) = largest(wings, &mut budget.share(WINGS_BYTES));
    let (rooms, cut_rooms) = largest(by_room(&counts), &mut budget);
    result.truncated = cut_wings || cut_rooms || result.instances.len() < running;
    (result.wings, result.rooms) = (wings, rooms);
    Ok(result)
}

fn in_conflict(palace: &Palace) -> Result<InConflict, MemoryError> {
    let (all, drawers) = (palace.count_conflicts("")?, palace.count_conflicts(DRAWERS)?);
    Ok(InConflict {
        drawers: number(drawers.documents),
        others: number(all.documents.saturating_sub(drawers.documents)),
        at_least: all.at_least,
    })
}
