//! Filing, reading, changing and deleting drawers.

use super::answers::{added_drawer, deleted_drawers, updated_drawer};
use super::arguments::{
    AddDrawer, Checkpoint, DeleteDrawer, DeleteDrawers, GetDrawer, GetDrawers, ListDrawers,
    UpdateDrawer, offset,
};
use super::changed::{DrawerDeleted, DrawerUpdated, DrawersDeleted};
use super::once::{checkpoint_once, palace_once, recorded_entry, repeated_checkpoint};
use super::places::note;
use super::results::{
    CheckpointEntry, CheckpointItemResult, CheckpointSaved, DrawerAdded, DrawerList, DrawerShown,
    DrawersShown, Preview, WriteReceipt,
};
use super::search::SIMILAR;
use crate::mcp::arguments::{argument, bad_cursor, etag, limit, optional_etag};
use crate::mcp::page::{Budget, Page, echoed, number};
use crate::mcp::tool::Call;
use crate::memory::MemoryError;
use crate::memory::drawers::{
    Change, CheckpointPlan, DiaryEntry, Drawers, Duplicate, Filed, FiledAs, Item, Place, distinct,
};
use crate::palace::Once;
use serde::Serialize;
use serde_json::{Value, json};

/// Most items of one checkpoint.
const ITEMS_MAX: usize = 100;

pub(super) fn add_drawer(call: &Call, arguments: AddDrawer) -> Result<DrawerAdded, MemoryError> {
    let AddDrawer { wing, room, content, source_file, added_by, .. } = arguments;
    let item = Item::new(Place::new(&wing, &room)?, &content)?
        .said(source_file.as_deref(), added_by.as_deref())?;
    let (drawers, place) = (call.drawers(), item.place.clone());
    let filed = only(drawers.file(&[item])?)?;
    let place = drawers.shown_or_stored(place);
    Ok(added_drawer(filed, place))
}

pub(super) fn get_drawer(call: &Call, arguments: GetDrawer) -> Result<DrawerShown, MemoryError> {
    let GetDrawer { drawer_id, offset: from, version, full_source } = arguments;
    let from = offset(from)?;
    let drawer = match &version {
        Some(version) => call.drawers().get_at(&drawer_id, &etag("version", version)?)?,
        None => {
            let drawers = call.drawers();
            drawers.get(&drawer_id).map_err(|error| drawers.if_deleted(error))?
        }
    };
    let (key, heads, total) =
        (drawer.key.clone(), drawer.heads.clone(), drawer.content.chars().count());
    // An older version is no base, unless the client began to read it while it was the present one.
    let is_present =
        version.is_none() || call.drawers().under(&key)?.is_some_and(|now| now.heads == heads);
    let shown = DrawerShown::new(drawer, from, full_source.unwrap_or(false));
    let start = from.min(total);
    let part = start..start + shown.content.chars().count();
    match is_present {
        true => call.session.saw_part(&key, &heads, part, total),
        false => {
            call.session.saw_further_part(&key, &heads, part, total);
            call.session.told_of(&key, heads.hashes());
        }
    }
    Ok(shown)
}

/// The drawer of an id, or the id if it names none.
#[derive(Serialize)]
#[serde(untagged)]
enum DrawerOrMissing {
    Drawer(Box<DrawerShown>),
    NotFound(String),
}

/// The cursor is the number of distinct ids that the pages before had. Ids that name nothing are part of a page, and
/// count in its length, like the others.
pub(super) fn get_drawers(call: &Call, arguments: GetDrawers) -> Result<DrawersShown, MemoryError> {
    let GetDrawers { drawer_ids, full_source, cursor } = arguments;
    let full_source = full_source.unwrap_or(false);
    let done =
        cursor.as_deref().map_or(Ok(0), |text| text.parse().map_err(|_| bad_cursor(text)))?;
    let (drawers, mut seen) = (call.drawers(), Vec::new());
    let read = |(n, id): (usize, &String)| {
        let asked = match drawers.get(id) {
            Ok(drawer) => {
                let version = (drawer.key.clone(), drawer.heads.clone());
                let shown = DrawerShown::new(drawer, 0, full_source);
                seen.push(Some((version, shown.next_offset.is_none())));
                DrawerOrMissing::Drawer(Box::new(shown))
            }
            Err(MemoryError::NoDrawer { .. }) => {
                seen.push(None);
                DrawerOrMissing::NotFound(echoed(id))
            }
            Err(error) => return Err(error),
        };
        Ok(((n + 1).to_string(), asked))
    };
    let mut shown = DrawersShown {
        drawers: Vec::new(),
        not_found: Vec::new(),
        count: number(drawer_ids.len()),
        next_cursor: None,
    };
    let items = distinct(&drawer_ids)?.enumerate().skip(done).map(read);
    let page = Page::try_fill(items, usize::MAX, false, &mut Budget::around(&shown))?;
    shown.next_cursor = page.next_cursor;
    for ((key, heads), whole) in seen.into_iter().take(page.items.len()).flatten() {
        call.showed(&key, &heads, whole);
    }
    for asked in page.items {
        match asked {
            DrawerOrMissing::Drawer(drawer) => shown.drawers.push(*drawer),
            DrawerOrMissing::NotFound(id) => shown.not_found.push(id),
        }
    }
    shown.count = number(shown.drawers.len());
    Ok(shown)
}

pub(super) fn list_drawers(call: &Call, arguments: ListDrawers) -> Result<DrawerList, MemoryError> {
    let ListDrawers { wing, room, limit: most, offset: from, cursor } = arguments;
    let (from, most) = (offset(from)?, limit("limit", most, 20, 100)?);
    let drawers = call.drawers();
    let (keys, total) =
        drawers.keys_behind(wing.as_deref(), room.as_deref(), cursor.as_deref(), from)?;
    let mut seen = Vec::new();
    let read = |key| match drawers.under(&key) {
        Ok(drawer) => drawer.map(|drawer| {
            let (heads, length) = (drawer.heads.clone(), drawer.content.len());
            let preview = Preview::from(drawer);
            let whole = preview.content_preview.len() == length;
            let cursor = key.to_string();
            seen.push((key, heads, whole));
            Ok((cursor, preview))
        }),
        Err(error) => Some(Err(error)),
    };
    let mut list = DrawerList {
        drawers: Vec::new(),
        total: number(total),
        count: number(most),
        offset: number(from),
        limit: number(most),
        next_cursor: None,
        note: note(call, wing.as_deref(), room.as_deref())?,
    };
    let previews = keys.into_iter().filter_map(read);
    let page = Page::try_fill(previews, most, false, &mut Budget::around(&list))?;
    list.count = number(page.items.len());
    for (key, heads, whole) in seen.into_iter().take(page.items.len()) {
        call.showed(&key, &heads, whole);
    }
    (list.drawers, list.next_cursor) = (page.items, page.next_cursor);
    Ok(list)
}

pub(super) fn update_drawer(
    call: &Call,
    arguments: UpdateDrawer,
) -> Result<DrawerUpdated, MemoryError> {
    let UpdateDrawer { drawer_id, content, wing, room, base, if_match, .. } = arguments;
    let if_match = optional_etag("if_match", if_match.as_deref())?;
    let base = optional_etag("base", base.as_deref())?;
    let sent = content.as_deref();
    let (wing, room) = (wing.as_deref(), room.as_deref());
    let (if_match, base) = (if_match.as_ref(), base.as_ref());
    let done =
        call.drawers().update(&drawer_id, Change { content: sent, wing, room, if_match, base })?;
    let (key, heads) = (done.drawer.key.clone(), done.drawer.heads.clone());
    let updated = updated_drawer(sent, done);
    if updated.text.text.is_some() {
        call.session.saw_in_answer(&key, &heads);
    }
    Ok(updated)
}

pub(super) fn delete_drawer(
    call: &Call,
    arguments: DeleteDrawer,
) -> Result<DrawerDeleted, MemoryError> {
    let DeleteDrawer { drawer_id, base, if_match, .. } = arguments;
    let if_match = optional_etag("if_match", if_match.as_deref())?;
    let base = optional_etag("base", base.as_deref())?;
    let done = call.drawers().delete_with(&drawer_id, if_match.as_ref(), base.as_ref())?;
    let receipt = WriteReceipt::new(done.etag, Vec::new());
    let deleted = done.changed_since.is_none();
    Ok(DrawerDeleted {
        receipt,
        drawer_id,
        noop: deleted && !done.changed,
        deleted,
        changed_since: done.changed_since.map(Into::into),
        undo: deleted.then(|| "undelete_drawer brings it back, with its history".to_owned()),
    })
}

pub(super) fn delete_drawers(
    call: &Call,
    arguments: DeleteDrawers,
) -> Result<DrawersDeleted, MemoryError> {
    Ok(deleted_drawers(call.drawers().delete(&arguments.drawer_ids)?))
}

/// The result of the only item.
fn only(filed: Vec<Filed>) -> Result<Filed, MemoryError> {
    filed.into_iter().next().ok_or_else(|| argument("content", "nothing was filed"))
}

/// The plan for an item of a checkpoint.
enum ItemPlan {
    /// File it, as the item of this number.
    File(usize),
    /// Do not file it: this drawer is similar.
    Duplicate(CheckpointItemResult),
}

pub(super) fn checkpoint(
    call: &Call,
    arguments: Checkpoint,
) -> Result<CheckpointSaved, MemoryError> {
    let once = checkpoint_once(&arguments)?;
    let repeated = |record: &Value| repeated_checkpoint(call, record);
    palace_once(call, once.as_ref(), repeated, || save(call, arguments, once.as_ref()))
}

fn save(
    call: &Call,
    arguments: Checkpoint,
    once: Option<&Once>,
) -> Result<CheckpointSaved, MemoryError> {
    let drawers = call.drawers();
    let Checkpoint { items, diary, dedup_threshold, added_by, .. } = arguments;
    if items.len() > ITEMS_MAX || (items.is_empty() && diary.is_none()) {
        let why = format!("pass 1 to {ITEMS_MAX} items, or a diary entry; not {}", items.len());
        return Err(argument("items", why));
    }
    let entry = diary
        .map(|d| DiaryEntry::new(&d.agent_name, &d.entry, d.topic.as_deref(), d.wing.as_deref()));
    let entry = entry.transpose()?;
    let (mut wanted, mut plans) = (Vec::new(), Vec::new());
    for item in items {
        let item = Item::new(Place::new(&item.wing, &item.room)?, &item.content)?
            .said(None, added_by.as_deref())?;
        let similar = similar(call, &item, dedup_threshold.unwrap_or(SIMILAR))?;
        plans.push(match similar {
            Some(similar) => ItemPlan::Duplicate(similar),
            None => ItemPlan::File(wanted.len()),
        });
        if let Some(ItemPlan::File(_)) = plans.last() {
            wanted.push(item);
        }
    }
    let record = |plan: CheckpointPlan| {
        let filed = |n: usize| Some(planned(wanted.get(n)?, plan.items.get(n)?));
        let item = |item: &ItemPlan| match item {
            ItemPlan::Duplicate(similar) => Some(json!(similar)),
            ItemPlan::File(n) => filed(*n),
        };
        json!({"items": plans.iter().filter_map(item).collect::<Vec<_>>(), "entry": recorded_entry(&plan)})
    };
    // A call that is made once leaves a record, also if it files nothing.
    let (filed, entry) = match wanted.is_empty() && entry.is_none() && once.is_none() {
        true => (Vec::new(), None),
        false => drawers.checkpoint_once(&wanted, entry.as_ref(), once, record)?,
    };
    let similar = |plan: &ItemPlan| match plan {
        ItemPlan::Duplicate(similar) => Some(similar.drawer_id.clone()),
        ItemPlan::File(_) => None,
    };
    let similar: Vec<String> = plans.iter().filter_map(similar).collect();
    // The answer relies on these drawers, so that they have to be durable too.
    if !similar.is_empty() {
        drawers.await_durable(&similar)?;
    }
    let result = |plan| match plan {
        ItemPlan::Duplicate(similar) => Some(similar),
        ItemPlan::File(n) => Some(as_filed(&drawers, wanted.get(n)?, filed.get(n)?)),
    };
    let diary = entry.map(|entry| CheckpointEntry { entry_id: entry.id, etag: entry.etag });
    Ok(CheckpointSaved::new(plans.into_iter().filter_map(result).collect(), diary, false))
}

/// The drawer because of which an item need not be filed: one that is similar, but not the item itself.
fn similar(
    call: &Call,
    item: &Item,
    threshold: f64,
) -> Result<Option<CheckpointItemResult>, MemoryError> {
    let drawers = call.drawers();
    let found = drawers.duplicates(&item.content, threshold)?;
    let place = drawers.shown_place(&item.place)?;
    let itself = |d: &Duplicate| d.drawer.place == place && d.drawer.content == item.content;
    if found.iter().any(itself) {
        return Ok(None);
    }
    Ok(found.into_iter().next().map(|Duplicate { drawer, similarity, .. }| {
        call.showed(&drawer.key, &drawer.heads, false);
        CheckpointItemResult {
            drawer_id: drawer.id,
            wing: drawer.place.wing,
            room: drawer.place.room,
            status: "duplicate".to_owned(),
            similarity: Some((similarity * 1_000.0).floor() / 1_000.0),
            etag: Some(drawer.etag),
        }
    }))
}

fn status(filed: FiledAs) -> &'static str {
    match filed {
        FiledAs::New => "filed",
        FiledAs::There => "already_exists",
    }
}

/// Returns what the record of the call keeps of an item.
fn planned(item: &Item, (id, filed): &(String, FiledAs)) -> Value {
    json!({"drawer_id": id, "wing": item.place.wing, "room": item.place.room, "status": status(*filed)})
}

fn as_filed(drawers: &Drawers, item: &Item, filed: &Filed) -> CheckpointItemResult {
    let place = drawers.shown_or_stored(item.place.clone());
    CheckpointItemResult {
        drawer_id: filed.id.clone(),
        wing: place.wing,
        room: place.room,
        status: status(filed.filed).to_owned(),
        similarity: None,
        etag: Some(filed.etag.clone()),
    }
}
