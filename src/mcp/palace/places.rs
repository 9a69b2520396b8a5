//! Renaming places, moving many drawers, bringing one back, and what to say of a filter that names nothing.

use super::arguments::{MoveDrawers, RenamePlace, UndeleteDrawer};
use super::merged::shown_in_answer;
use crate::mcp::page::{Budget, echoed, number};
use crate::mcp::tool::Call;
use crate::mcp::unseen::Undeleted;
use crate::memory::MemoryError;
use crate::memory::drawers::{MoveDrawers as Moves, Rename};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub(super) struct PlaceRenamed {
    pub success: bool,
    pub durable: bool,
    /// The name before
    pub from: String,
    /// The name that is shown now
    pub to: String,
    /// Number of drawers that are there now
    pub drawers: i64,
    /// True if it was joined with another one that had this name
    pub joined: bool,
    /// True if it was called like that already
    pub noop: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawersMoved {
    pub success: bool,
    pub durable: bool,
    /// True if nothing was moved, only counted
    pub dry_run: bool,
    /// Number of drawers that were moved, or would be
    pub moved: i64,
    /// Number of drawers that were there already
    pub already_there: i64,
    /// Number of diary entries. They stay where they are
    pub diary_entries: i64,
    /// Ids without a drawer: they never had one, or it is deleted
    pub not_found: Vec<String>,
    /// Number of ids that are left out of not_found, because the result would be too long
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<i64>,
    /// True if more are left to move: the same call again goes on
    pub more: bool,
    /// Says so if no drawer is in the wing or room, or if it is called otherwise now
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawerUndeleted {
    pub success: bool,
    pub durable: bool,
    pub drawer_id: String,
    pub wing: String,
    pub room: String,
    /// The version that stands now
    pub etag: String,
    /// True if it was not deleted
    pub noop: bool,
    /// The whole text that stands now, up to 20,000 bytes, if you have read no text of this drawer. It counts as read
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The delete that was undone
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undeleted: Option<Undeleted>,
}

pub(super) fn rename_place(
    call: &Call,
    arguments: RenamePlace,
) -> Result<PlaceRenamed, MemoryError> {
    let RenamePlace { wing, room, to, join, .. } = arguments;
    let (room, join) = (room.as_deref(), join.unwrap_or(false));
    let done = call.drawers().rename(&Rename { wing: &wing, room, to: &to, join })?;
    Ok(PlaceRenamed {
        success: true,
        durable: true,
        from: done.from,
        to: done.to,
        drawers: number(done.drawers),
        joined: done.joined,
        noop: !done.changed,
    })
}

pub(super) fn move_drawers(
    call: &Call,
    arguments: MoveDrawers,
) -> Result<DrawersMoved, MemoryError> {
    let MoveDrawers { drawer_ids, wing, room, to_wing, to_room, dry_run, .. } = arguments;
    let dry_run = dry_run.unwrap_or(false);
    let moves = Moves {
        ids: drawer_ids.as_deref().unwrap_or_default(),
        wing: wing.as_deref(),
        room: room.as_deref(),
        to_wing: to_wing.as_deref(),
        to_room: to_room.as_deref(),
        dry_run,
    };
    let note = note(call, moves.wing, moves.room)?;
    let done = call.drawers().move_all(&moves, |done, all| call.progress(done, all))?;
    let mut moved = DrawersMoved {
        success: true,
        durable: true,
        dry_run,
        moved: number(done.moved),
        already_there: number(done.there),
        diary_entries: number(done.entries),
        not_found: Vec::new(),
        left_out: None,
        more: done.more,
        note,
    };
    let not_found = done.not_found.iter().map(|id| echoed(id));
    (moved.not_found, moved.left_out) = Budget::around(&moved).keep(not_found);
    Ok(moved)
}

pub(super) fn undelete_drawer(
    call: &Call,
    arguments: UndeleteDrawer,
) -> Result<DrawerUndeleted, MemoryError> {
    let drawers = call.drawers();
    let done = drawers.undelete(&arguments.drawer_id)?;
    let noop = done.deleted.is_none();
    if noop {
        // Nothing was written, so the answer rests on what another process wrote.
        drawers.await_durable(std::slice::from_ref(&done.drawer.id))?;
    }
    let text = shown_in_answer(call, &done.drawer, done.unread);
    Ok(DrawerUndeleted {
        success: true,
        durable: true,
        text,
        drawer_id: done.drawer.id,
        wing: done.drawer.place.wing,
        room: done.drawer.place.room,
        etag: done.drawer.etag,
        noop,
        undeleted: done.deleted.map(Into::into),
    })
}

/// Says what a filter names, if that is nothing or an old name.
pub(super) fn note(
    call: &Call,
    wing: Option<&str>,
    room: Option<&str>,
) -> Result<Option<String>, MemoryError> {
    if wing.is_none() && room.is_none() {
        return Ok(None);
    }
    Ok(call.drawers().place_note(wing, room)?.map(|note| note.to_string()))
}

/// Says that nothing is by or about a name, such as "agent", with the nearest ones.
pub(super) fn unknown(nothing: &str, kind: &str, name: &str, nearest: &[String]) -> String {
    let unknown = format!("{nothing} {kind} named {:?}", echoed(name));
    if nearest.is_empty() {
        return format!("{unknown}, and there is no other {kind}");
    }
    let names: Vec<String> = nearest.iter().map(|name| format!("{:?}", echoed(name))).collect();
    format!("{unknown}; the nearest names are {}", names.join(", "))
}
