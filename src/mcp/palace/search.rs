//! Searching, and looking for duplicates.

use super::answers::{Filters, FoundDrawer, Matches, Results};
use super::arguments::{CheckDuplicate, Search, limit};
use super::bounds::fitting;
use crate::mcp::Server;
use crate::memory::drawers::{Found, HITS_MAX, Search as Question};
use crate::memory::{MemoryError, milliseconds};
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};

/// How similar a duplicate is, unless the caller says so.
pub(super) const SIMILAR: f64 = 0.9;

#[tool_router(router = find_router, vis = "pub(super)")]
impl Server {
    /// Search all drawers by words: those with more of the words come first. Answer from what it finds, not from memory
    #[tool(
        title = "Search",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn search(
        &self,
        Parameters(arguments): Parameters<Search>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Results>, String> {
        let filters = Filters {
            wing: arguments.wing.clone(),
            room: arguments.room.clone(),
            since: arguments.since.clone(),
            before: arguments.before.clone(),
        };
        let query = arguments.query.clone();
        let Found { hits, more } = self
            .on_drawers(&context, move |drawers| drawers.search(&question(&arguments)?))
            .await?;
        let cursors: Vec<String> = hits.iter().map(|hit| hit.next.clone()).collect();
        let (results, cut) = fitting(hits.into_iter().map(FoundDrawer::from).collect());
        let last = results.len().checked_sub(1).and_then(|last| cursors.get(last).cloned());
        let next_cursor = last.filter(|_| more || cut);
        Ok(Json(Results { query, filters, results, next_cursor }))
    }

    /// Whether a text is filed already, the same or nearly, in any wing. It compares words, not meaning
    #[tool(
        title = "Check Duplicate",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn check_duplicate(
        &self,
        Parameters(arguments): Parameters<CheckDuplicate>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Matches>, String> {
        let CheckDuplicate { content, threshold } = arguments;
        let threshold = threshold.unwrap_or(SIMILAR);
        let found = self
            .on_drawers(&context, move |drawers| drawers.duplicates(&content, threshold))
            .await?;
        let (matches, _) = fitting(found.into_iter().map(Into::into).collect());
        Ok(Json(Matches { is_duplicate: !matches.is_empty(), matches }))
    }
}

fn question(arguments: &Search) -> Result<Question<'_>, MemoryError> {
    let time = |field, text: &Option<String>| {
        text.as_deref().map(|text| milliseconds(field, text)).transpose()
    };
    Ok(Question {
        query: &arguments.query,
        wing: arguments.wing.as_deref(),
        room: arguments.room.as_deref(),
        since_ms: time("since", &arguments.since)?,
        before_ms: time("before", &arguments.before)?,
        after: arguments.cursor.as_deref(),
        limit: limit("limit", arguments.limit, 5, HITS_MAX)?,
    })
}
