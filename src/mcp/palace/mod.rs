//! The tool set `palace`: drawers in rooms of wings, facts with a time, diaries, and what others did.
//!
//! Owns: the tools' names, arguments and results, which follow MemPalace's, and their bounds. Invariants: no
//! result is longer than a model can take, and whatever is left out can be had with another call; an error
//! says what to do. Must not know: how drawers and facts are kept.

mod answers;
mod arguments;
mod bounds;
mod changes;
mod diary;
mod drawers;
mod facts;
mod find;
mod overview;

pub(super) use changes::Cursors;

use super::Server;
use crate::memory::MemoryError;
use crate::memory::drawers::Drawers;
use crate::memory::facts::Facts;
use rmcp::RoleServer;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::service::RequestContext;

/// The tools in their order, without the prefix.
pub(super) const ORDER: [&str; 23] = [
    "status",
    "list_wings",
    "list_rooms",
    "get_taxonomy",
    "search",
    "check_duplicate",
    "add_drawer",
    "get_drawer",
    "get_drawers",
    "list_drawers",
    "update_drawer",
    "delete_drawer",
    "delete_drawers",
    "checkpoint",
    "kg_query",
    "kg_add",
    "kg_invalidate",
    "kg_supersede",
    "kg_timeline",
    "kg_stats",
    "diary_write",
    "diary_read",
    "changes_since",
];

/// What a client may tell its model, with the names as they are listed.
pub(super) fn instructions(prefix: &str) -> String {
    format!(
        "A palace that all your sessions share, also those that run at the same time: a wing for each \
         person or project, rooms for topics, and in them drawers with texts, word for word. Search \
         ({prefix}search) before you answer from memory and before you file. Save several things with one \
         {prefix}checkpoint. State what can change over time as facts ({prefix}kg_add), and end them \
         ({prefix}kg_invalidate, {prefix}kg_supersede) rather than delete. {prefix}changes_since tells \
         what others wrote in the meantime."
    )
}

impl Server {
    pub(super) fn palace_router() -> ToolRouter<Server> {
        Server::overview_router()
            + Server::find_router()
            + Server::drawers_router()
            + Server::facts_router()
            + Server::diary_router()
    }

    /// Runs a call on the drawers.
    async fn on_drawers<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Drawers) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, String> {
        self.run(context, |palace, by| call(&Drawers::new(palace.clone()).by(by))).await
    }

    /// Runs a call on the facts.
    async fn on_facts<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Facts) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, String> {
        self.run(context, |palace, by| call(&Facts::new(palace.clone()).by(by))).await
    }
}
