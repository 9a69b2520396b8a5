//! What there is: counts of drawers, who is here, and what others wrote.

use super::answers::{Counted, Instance, Rooms, Status, Taxonomy, Wings, number};
use super::arguments::{ChangesSince, ListRooms, ListWings, Nothing, limit};
use super::bounds::{fitting, fitting_behind};
use super::changes::{Commit, From, news};
use crate::mcp::Server;
use crate::memory::drawers::{Counts, Drawers};
use crate::memory::facts::Facts;
use crate::memory::{MemoryError, readable};
use crate::palace::Palace;
use crate::palace::status::LiveInstance;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Serialize;
use std::collections::BTreeMap;

/// The most wings, rooms and processes that the overview names.
const NAMED: usize = 100;

#[derive(Serialize, JsonSchema)]
pub(super) struct Changes {
    /// Each process's in their order
    pub changes: Vec<Commit>,
    pub count: i64,
    /// For the next call
    pub next_cursor: String,
    /// Whether there is more already
    pub more: bool,
    /// True if the server did not know the cursor, and began a minute before it was given
    pub approximate: bool,
}

#[tool_router(router = overview_router, vis = "pub(super)")]
impl Server {
    /// How many drawers and facts the palace has, in which wings and rooms, and which processes are using it now
    #[tool(
        title = "Palace Status",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn status(
        &self,
        Parameters(arguments): Parameters<Nothing>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Status>, String> {
        let Nothing {} = arguments;
        self.run(&context, |palace, _| overview(palace)).await.map(Json)
    }

    /// List all wings with the number of their drawers
    #[tool(
        title = "List Wings",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_wings(
        &self,
        Parameters(arguments): Parameters<ListWings>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Wings>, String> {
        let counts = self.on_drawers(&context, |drawers| drawers.counts(None)).await?;
        let wings = counts.into_iter().map(|(wing, rooms)| (wing, sum(&rooms))).collect();
        let (wings, next_cursor) = fitting_behind(wings, arguments.cursor.as_deref());
        Ok(Json(Wings { wings, next_cursor }))
    }

    /// List the rooms of a wing, or of all, with the number of their drawers
    #[tool(
        title = "List Rooms",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_rooms(
        &self,
        Parameters(arguments): Parameters<ListRooms>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Rooms>, String> {
        let ListRooms { wing, cursor } = arguments;
        let of = wing.clone();
        let counts =
            self.on_drawers(&context, move |drawers| drawers.counts(of.as_deref())).await?;
        let (rooms, next_cursor) = fitting_behind(by_room(&counts), cursor.as_deref());
        Ok(Json(Rooms { wing: wing.unwrap_or_else(|| "all".to_owned()), rooms, next_cursor }))
    }

    /// The whole tree: every wing, its rooms, and the number of drawers in each
    #[tool(
        title = "Get Taxonomy",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn get_taxonomy(
        &self,
        Parameters(arguments): Parameters<ListWings>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Taxonomy>, String> {
        let counts = self.on_drawers(&context, |drawers| drawers.counts(None)).await?;
        let tree = |(wing, rooms): (String, BTreeMap<String, usize>)| {
            (wing, rooms.into_iter().map(|(room, n)| (room, number(n))).collect::<Counted>())
        };
        let tree = counts.into_iter().map(tree).collect();
        let (taxonomy, next_cursor) = fitting_behind(tree, arguments.cursor.as_deref());
        Ok(Json(Taxonomy { taxonomy, next_cursor }))
    }

    /// What other sessions wrote, changed or deleted since a cursor or a time; over HTTP also what you wrote. Call it once without arguments for a cursor
    #[tool(
        title = "Changes Since",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn changes_since(
        &self,
        Parameters(arguments): Parameters<ChangesSince>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Changes>, String> {
        let ChangesSince { cursor, since, limit: most, include_own } = arguments;
        let cursors = self.cursors.clone();
        let own = include_own.unwrap_or(self.for_several);
        let told = self.run(&context, move |palace, _| {
            let most = limit("limit", most, 20, 100)?;
            news(palace, &cursors, &From { cursor, since }, most, own)
        });
        let told = told.await?;
        Ok(Json(Changes {
            count: number(told.commits.len()),
            changes: told.commits,
            next_cursor: told.next,
            more: told.more,
            approximate: told.approximate,
        }))
    }
}

fn sum(rooms: &BTreeMap<String, usize>) -> i64 {
    number(rooms.values().sum())
}

fn by_room(counts: &Counts) -> Counted {
    let mut rooms = Counted::new();
    for (room, count) in counts.values().flatten() {
        *rooms.entry(room.clone()).or_default() += number(*count);
    }
    rooms
}

/// The largest, in the order of their names, and whether there are others.
fn largest(counted: Counted) -> (Counted, bool) {
    let mut by_size: Vec<(String, i64)> = counted.into_iter().collect();
    by_size.sort_by_key(|(_, count)| -count);
    let cut = by_size.len() > NAMED;
    (by_size.into_iter().take(NAMED).collect(), cut)
}

fn overview(palace: &Palace) -> Result<Status, MemoryError> {
    let counts = Drawers::new(palace.clone()).counts(None)?;
    let status = palace.status()?;
    let wings = counts.iter().map(|(wing, rooms)| (wing.clone(), sum(rooms))).collect();
    let ((wings, cut_wings), (rooms, cut_rooms)) = (largest(wings), largest(by_room(&counts)));
    let instance = |live: LiveInstance| Instance {
        this_server: Some(live.instance) == status.this_instance,
        instance: live.instance.to_string(),
        pid: i64::from(live.pid),
        program: live.program,
        client: live.client,
        since: readable(live.since_ms),
        segment: live.segment.to_string(),
        bytes: i64::try_from(live.bytes).unwrap_or(i64::MAX),
    };
    Ok(Status {
        total_drawers: counts.values().map(sum).sum(),
        wings,
        rooms,
        truncated: cut_wings || cut_rooms,
        facts: number(Facts::new(palace.clone()).count()?),
        palace: status.path.display().to_string(),
        instances: fitting(status.instances.into_iter().take(NAMED).map(instance).collect()).0,
        compacting: status.compaction.as_ref().map(|holder| holder.holder.clone()),
        read_only: status.read_only.map(|reason| reason.to_string()),
    })
}
