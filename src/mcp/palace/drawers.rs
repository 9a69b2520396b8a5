//! Filing, reading, changing and deleting drawers.

use super::answers::{
    Added, AllGone, Checked, Entry, Gone, GoneDrawer, Kept, Listed, Preview, Saved, Updated, Whole,
    Wholes, number,
};
use super::arguments::{
    AddDrawer, Checkpoint, DeleteDrawer, DeleteDrawers, GetDrawer, GetDrawers, ListDrawers,
    UpdateDrawer, limit, offset,
};
use super::bounds::fitting;
use super::find::SIMILAR;
use crate::mcp::Server;
use crate::memory::MemoryError;
use crate::memory::drawers::{
    Change, DiaryEntry, DrawerQuery, Drawers, Filed, FiledAs, Item, Place,
};
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};

/// The most items of one checkpoint.
const ITEMS_MAX: usize = 100;

#[tool_router(router = drawers_router, vis = "pub(super)")]
impl Server {
    /// File a text, word for word, in a room of a wing. Filing the same again changes nothing
    #[tool(
        title = "Add Drawer",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn add_drawer(
        &self,
        Parameters(arguments): Parameters<AddDrawer>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Added>, String> {
        let AddDrawer { wing, room, content, source_file, added_by } = arguments;
        let (place, filed) = self
            .on_drawers(&context, move |drawers| {
                let item = Item::new(Place::new(&wing, &room)?, &content)?
                    .said(source_file.as_deref(), added_by.as_deref())?;
                Ok((item.place.clone(), only(drawers.file(&[item])?)?))
            })
            .await?;
        let there = filed.filed == FiledAs::There;
        Ok(Json(Added {
            kept: Kept::new(filed.etag, Vec::new()),
            drawer_id: filed.id,
            wing: place.wing,
            room: place.room,
            chunks: 1,
            reason: there.then(|| "already_exists".to_owned()),
        }))
    }

    /// Read one drawer: its whole text, where it is, where it comes from
    #[tool(
        title = "Get Drawer",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn get_drawer(
        &self,
        Parameters(arguments): Parameters<GetDrawer>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Whole>, String> {
        let GetDrawer { drawer_id, offset: from, version } = arguments;
        self.on_drawers(&context, move |drawers| {
            let drawer = match &version {
                Some(version) => drawers.get_at(&drawer_id, version)?,
                None => drawers.get(&drawer_id)?,
            };
            Ok(Whole::new(drawer, offset(from)?))
        })
        .await
        .map(Json)
    }

    /// Read several drawers at once
    #[tool(
        title = "Get Drawers",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn get_drawers(
        &self,
        Parameters(arguments): Parameters<GetDrawers>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Wholes>, String> {
        let GetDrawers { drawer_ids, cursor } = arguments;
        let left: Vec<String> = match &cursor {
            Some(cursor) => drawer_ids.into_iter().skip_while(|id| id != cursor).skip(1).collect(),
            None => drawer_ids,
        };
        let (drawers, not_found) =
            self.on_drawers(&context, move |drawers| drawers.get_all(&left)).await?;
        let whole = |drawer| Whole::new(drawer, 0);
        let (drawers, cut) = fitting(drawers.into_iter().map(whole).collect());
        let next_cursor = drawers.last().map(|last| last.drawer_id.clone()).filter(|_| cut);
        Ok(Json(Wholes { count: number(drawers.len()), drawers, not_found, next_cursor }))
    }

    /// List the drawers of a wing, a room or both, with the beginnings of their texts
    #[tool(
        title = "List Drawers",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_drawers(
        &self,
        Parameters(arguments): Parameters<ListDrawers>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Listed>, String> {
        let ListDrawers { wing, room, limit: most, offset: from, cursor } = arguments;
        let (page, from, most) = self
            .on_drawers(&context, move |drawers| {
                let (from, most) = (offset(from)?, limit("limit", most, 20, 100)?);
                let query = DrawerQuery {
                    wing: wing.as_deref(),
                    room: room.as_deref(),
                    after: cursor.as_deref(),
                    offset: from,
                    limit: most,
                };
                Ok((drawers.list(&query)?, from, most))
            })
            .await?;
        let drawers: Vec<Preview> = page.drawers.into_iter().map(Preview::from).collect();
        Ok(Json(Listed {
            count: number(drawers.len()),
            drawers,
            total: number(page.total),
            offset: number(from),
            limit: number(most),
            next_cursor: page.next,
        }))
    }

    /// Change the text of a drawer, or move it to another wing or room. Its id stays. Pass the etag that you read as if_match, or you may overwrite what somebody wrote since
    #[tool(
        title = "Update Drawer",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn update_drawer(
        &self,
        Parameters(arguments): Parameters<UpdateDrawer>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Updated>, String> {
        let UpdateDrawer { drawer_id, content, wing, room, if_match } = arguments;
        let done = self
            .on_drawers(&context, move |drawers| {
                let (content, wing, room) = (content.as_deref(), wing.as_deref(), room.as_deref());
                let if_match = if_match.as_deref();
                drawers.update(&drawer_id, Change { content, wing, room, if_match })
            })
            .await?;
        Ok(Json(Updated {
            kept: Kept::new(done.drawer.etag, done.settled),
            drawer_id: done.drawer.id,
            wing: done.drawer.place.wing,
            room: done.drawer.place.room,
            noop: !done.changed,
        }))
    }

    /// Delete a drawer. If somebody changes it at the same time, it stays; with if_match also if somebody has changed it since you read it
    #[tool(
        title = "Delete Drawer",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_drawer(
        &self,
        Parameters(arguments): Parameters<DeleteDrawer>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Gone>, String> {
        let DeleteDrawer { drawer_id, if_match } = arguments;
        let (drawer_id, gone) = self
            .on_drawers(&context, move |drawers| {
                let gone = drawers.delete_one(&drawer_id, if_match.as_deref())?;
                Ok((drawer_id, gone))
            })
            .await?;
        Ok(Json(Gone { kept: Kept::new(gone.etag, Vec::new()), drawer_id, noop: !gone.changed }))
    }

    /// Delete several drawers in one commit
    #[tool(
        title = "Delete Drawers",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_drawers(
        &self,
        Parameters(arguments): Parameters<DeleteDrawers>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<AllGone>, String> {
        let DeleteDrawers { drawer_ids } = arguments;
        let done = self.on_drawers(&context, move |drawers| drawers.delete(&drawer_ids)).await?;
        let gone = |(drawer_id, etag)| GoneDrawer { drawer_id, etag };
        let deleted: Vec<GoneDrawer> = done.deleted.into_iter().map(gone).collect();
        Ok(Json(AllGone {
            success: true,
            durable: true,
            count: number(deleted.len()),
            deleted,
            not_found: done.not_found,
            conflicts: Vec::new(),
        }))
    }

    /// Save a session: file several texts and write a diary entry, all in one commit. What is filed already, or nearly, is not filed again
    #[tool(
        title = "Checkpoint",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn checkpoint(
        &self,
        Parameters(arguments): Parameters<Checkpoint>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Saved>, String> {
        self.on_drawers(&context, move |drawers| save(drawers, arguments)).await.map(Json)
    }
}

/// What became of the one thing that was asked for.
fn only(filed: Vec<Filed>) -> Result<Filed, MemoryError> {
    filed.into_iter().next().ok_or_else(|| argument("content", "nothing was filed"))
}

fn argument(field: &'static str, why: impl Into<String>) -> MemoryError {
    MemoryError::Argument { field, why: why.into() }
}

/// What a checkpoint does with an item.
enum Fate {
    /// Files it, as the item of this number.
    File(usize),
    /// Nothing: this is like it.
    Duplicate(Checked),
}

fn save(drawers: &Drawers, arguments: Checkpoint) -> Result<Saved, MemoryError> {
    let Checkpoint { items, diary, dedup_threshold, added_by } = arguments;
    if items.len() > ITEMS_MAX || (items.is_empty() && diary.is_none()) {
        let why = format!("pass 1 to {ITEMS_MAX} items, or a diary entry; not {}", items.len());
        return Err(argument("items", why));
    }
    let entry = diary
        .map(|d| DiaryEntry::new(&d.agent_name, &d.entry, d.topic.as_deref(), d.wing.as_deref()));
    let entry = entry.transpose()?;
    let (mut wanted, mut fates) = (Vec::new(), Vec::new());
    for item in items {
        let item = Item::new(Place::new(&item.wing, &item.room)?, &item.content)?
            .said(None, added_by.as_deref())?;
        let like = like(drawers, &item, dedup_threshold.unwrap_or(SIMILAR))?;
        fates.push(match like {
            Some(like) => Fate::Duplicate(like),
            None => Fate::File(wanted.len()),
        });
        if let Some(Fate::File(_)) = fates.last() {
            wanted.push(item);
        }
    }
    let (filed, entry) = match wanted.is_empty() && entry.is_none() {
        true => (Vec::new(), None),
        false => drawers.checkpoint(&wanted, entry.as_ref())?,
    };
    let like = |fate: &Fate| match fate {
        Fate::Duplicate(like) => Some(like.drawer_id.clone()),
        Fate::File(_) => None,
    };
    let like: Vec<String> = fates.iter().filter_map(like).collect();
    if !like.is_empty() {
        drawers.await_durable(&like)?;
    }
    let checked = |fate| match fate {
        Fate::Duplicate(like) => Some(like),
        Fate::File(n) => Some(as_filed(wanted.get(n)?, filed.get(n)?)),
    };
    let items = fates.into_iter().filter_map(checked).collect();
    let diary = entry.map(|entry| Entry { entry_id: entry.id, etag: entry.etag });
    Ok(Saved { success: true, durable: true, items, diary, conflicts: Vec::new() })
}

/// The drawer that makes filing an item needless: one like it, but not itself.
fn like(drawers: &Drawers, item: &Item, threshold: f64) -> Result<Option<Checked>, MemoryError> {
    let found = drawers.duplicates(&item.content, threshold)?;
    let itself = |d: &crate::memory::drawers::Duplicate| {
        d.drawer.place == item.place && d.drawer.content == item.content
    };
    if found.iter().any(itself) {
        return Ok(None);
    }
    Ok(found.into_iter().next().map(|duplicate| Checked {
        drawer_id: duplicate.drawer.id,
        wing: duplicate.drawer.place.wing,
        room: duplicate.drawer.place.room,
        status: "duplicate".to_owned(),
        similarity: Some((duplicate.similarity * 1_000.0).floor() / 1_000.0),
        etag: duplicate.drawer.etag,
    }))
}

fn as_filed(item: &Item, filed: &Filed) -> Checked {
    let status = match filed.filed {
        FiledAs::New => "filed",
        FiledAs::There => "already_exists",
    };
    Checked {
        drawer_id: filed.id.clone(),
        wing: item.place.wing.clone(),
        room: item.place.room.clone(),
        status: status.to_owned(),
        similarity: None,
        etag: filed.etag.clone(),
    }
}
