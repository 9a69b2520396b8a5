//! Makes the answers of tools from what the library returns.
//!
//! The commands of `crdt-palace` print the same as JSON. Those that read show everything, because a command has no bound
//! on what it prints. Paths of sources are whole only where the user asks for that.

use super::changed::{ChangedDrawer, DeletedId, DrawerUpdated, DrawersDeleted};
use super::diary::{EntriesShown, EntryShown};
use super::facts::{EntityFacts, FactShown};
use super::merged::MergedText;
use super::overview::Taxonomy;
use super::results::{
    DrawerAdded, DrawerList, DrawerShown, Filters, FoundDrawer, Preview, SearchResults,
    WriteReceipt, bounded,
};
use crate::mcp::page::{Budget, echoed, number};
use crate::memory::drawers::{
    Changed, Counts, Deleted, Drawer, Filed, FiledAs, Hit, Place, Search,
};
use crate::memory::facts::{Fact, FactPage, Facts};
use crate::memory::readable;
use serde::Serialize;

/// Returns the answer of `get_drawer`, with the whole text.
pub(crate) fn drawer(drawer: Drawer, full_source: bool) -> impl Serialize {
    let content = drawer.content.clone();
    DrawerShown { content, next_offset: None, ..DrawerShown::new(drawer, 0, full_source) }
}

/// Returns the answer of `search`, with all hits.
pub(crate) fn found(
    search: &Search<'_>,
    hits: Vec<Hit>,
    more: bool,
    note: Option<String>,
) -> impl Serialize + use<> {
    let [wing, room] = [search.wing, search.room].map(|name| name.map(str::to_owned));
    let [since, before] = [search.since_ms, search.before_ms].map(|ms| ms.map(readable));
    SearchResults {
        query: search.query.to_owned(),
        filters: Filters { wing, room, since, before },
        next_cursor: hits.last().filter(|_| more).map(|hit| hit.next.clone()),
        results: hits.into_iter().map(FoundDrawer::from).collect(),
        note,
    }
}

/// Returns the answer of `list_drawers`, with the first of all drawers.
pub(crate) fn listed(drawers: Vec<Drawer>, total: usize, note: Option<String>) -> impl Serialize {
    let count = number(drawers.len());
    DrawerList {
        drawers: drawers.into_iter().map(Preview::from).collect(),
        total: number(total),
        count,
        offset: 0,
        limit: count,
        next_cursor: None,
        note,
    }
}

/// Returns the answer of `get_taxonomy`, with all wings.
pub(crate) fn taxonomy(counts: Counts) -> impl Serialize {
    let rooms = |rooms: std::collections::BTreeMap<String, usize>| {
        rooms.into_iter().map(|(room, count)| (room, number(count))).collect()
    };
    let taxonomy = counts.into_iter().map(|(wing, counted)| (wing, rooms(counted))).collect();
    Taxonomy { taxonomy, next_cursor: None }
}

/// Returns the answer of `kg_query`, with all facts. `page` is the first page of them.
pub(crate) fn known(
    entity: &str,
    as_of: Option<&str>,
    (page, all): (&FactPage, Vec<Fact>),
    facts: &Facts,
    full_source: bool,
) -> impl Serialize + use<> {
    let now = facts.now();
    let shown = |fact| FactShown::new(fact, Some(entity), &now, full_source);
    EntityFacts {
        entity: entity.to_owned(),
        as_of: as_of.map(str::to_owned),
        facts: all.into_iter().map(shown).collect(),
        count: number(page.total),
        counts: page.counts.into(),
        next_cursor: None,
        note: None,
    }
}

/// Returns what `kg_query` shows of a fact.
pub(crate) fn fact(fact: Fact, facts: &Facts, full_source: bool) -> impl Serialize + use<> {
    FactShown::new(fact, None, &facts.now(), full_source)
}

/// Returns the answer of `diary_read`, with whole texts.
pub(crate) fn entries(agent: &str, entries: Vec<Drawer>, total: usize) -> impl Serialize + use<> {
    let shown = |entry: Drawer| {
        let content = entry.content.clone();
        EntryShown { content, next_offset: None, ..EntryShown::from(entry) }
    };
    EntriesShown {
        agent: agent.to_owned(),
        showing: number(entries.len()),
        entries: entries.into_iter().map(shown).collect(),
        total: number(total),
        next_cursor: None,
        note: None,
    }
}

/// Returns the answer of `add_drawer`.
pub(crate) fn added(filed: Filed, place: Place) -> impl Serialize {
    added_drawer(filed, place)
}

pub(super) fn added_drawer(filed: Filed, place: Place) -> DrawerAdded {
    let there = filed.filed == FiledAs::There;
    DrawerAdded {
        receipt: WriteReceipt::new(filed.etag, Vec::new()),
        drawer_id: filed.id,
        wing: place.wing,
        room: place.room,
        chunks: 1,
        reason: there.then(|| "already_exists".to_owned()),
    }
}

/// Returns the answer of `update_drawer`. `sent` is the text that the call gave.
pub(crate) fn updated(sent: Option<&str>, done: Changed) -> impl Serialize + use<> {
    updated_drawer(sent, done)
}

pub(super) fn updated_drawer(sent: Option<&str>, done: Changed) -> DrawerUpdated {
    let drawer = done.drawer;
    let text = match (done.merged, done.unread) {
        (true, _) => MergedText::new(sent.unwrap_or_default(), &drawer.content),
        (false, true) => MergedText::whole(&drawer.content),
        (false, false) => MergedText::default(),
    };
    let open = if done.beside { drawer.conflicts } else { Vec::new() };
    let (open_conflicts, more_open_conflicts) = bounded(open);
    DrawerUpdated {
        receipt: WriteReceipt::new(done.etag, done.settled),
        drawer_id: drawer.id,
        wing: drawer.place.wing,
        room: drawer.place.room,
        noop: !done.changed,
        current_etag: drawer.etag,
        merged: done.merged,
        text,
        open_conflicts,
        more_open_conflicts,
        replaced_unseen: done.replaced_unseen.map(Into::into),
        undeleted: done.undeleted.map(Into::into),
    }
}

/// Returns the answer of `delete_drawers`.
pub(crate) fn deleted(done: Deleted) -> impl Serialize {
    deleted_drawers(done)
}

pub(super) fn deleted_drawers(done: Deleted) -> DrawersDeleted {
    let mut result = DrawersDeleted {
        success: true,
        durable: true,
        deleted: Vec::new(),
        not_found: Vec::new(),
        changed_since: Vec::new(),
        count: number(done.deleted.len()),
        conflicts: Vec::new(),
        left_out: None,
    };
    let mut budget = Budget::around(&result);
    let deleted = done.deleted.into_iter().map(|(drawer_id, etag)| DeletedId { drawer_id, etag });
    let (deleted, more_deleted) = budget.keep(deleted);
    let not_found = done.not_found.iter().map(|id| echoed(id));
    let (not_found, more_not_found) = budget.keep(not_found);
    let changed = done.changed_since.into_iter();
    let changed =
        changed.map(|(drawer_id, version)| ChangedDrawer { drawer_id, version: version.into() });
    let (changed, more_changed) = budget.keep(changed);
    let left_out = [more_deleted, more_not_found, more_changed].into_iter().flatten().sum();
    (result.deleted, result.not_found, result.changed_since) = (deleted, not_found, changed);
    result.left_out = (left_out > 0).then_some(left_out);
    result
}
