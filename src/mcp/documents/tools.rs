//! The tools that write. Each is one commit, and answers once it is on disk.
//!
//! With `base` a call that is repeated adds its items and counts once more, so only the delete is idempotent.

use super::answer::schema;
use super::arguments::{Delete, Increment, Patch, Put, Restore};
use super::results::Written;
use super::write::Write;
use crate::mcp::Server;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};

#[tool_router(router = documents_write_router, vis = "pub(super)")]
impl Server {
    /// Write a whole document; with if_match only if nobody changed it, with base beside what others changed
    #[tool(
        title = "Put Document",
        output_schema = schema::<Written>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn document_put(
        &self,
        Parameters(asked): Parameters<Put>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, by| {
            let (if_match, base) = (asked.if_match.as_deref(), asked.base.as_deref());
            Write::new(palace, by, &asked.key, if_match, base)?.put(&asked)
        })
        .await
    }

    /// Change some fields of a document by a JSON merge patch and leave the others; no retry is needed
    #[tool(
        title = "Patch Document",
        output_schema = schema::<Written>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn document_patch(
        &self,
        Parameters(asked): Parameters<Patch>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, by| {
            let (if_match, base) = (asked.if_match.as_deref(), asked.base.as_deref());
            Write::new(palace, by, &asked.key, if_match, base)?.patch(&asked)
        })
        .await
    }

    /// Add to a counter in a document; increments made at the same time all count, without retry
    #[tool(
        title = "Increment Counter",
        output_schema = schema::<Written>(),
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn document_increment(
        &self,
        Parameters(asked): Parameters<Increment>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, by| {
            let (if_match, base) = (asked.if_match.as_deref(), asked.base.as_deref());
            Write::new(palace, by, &asked.key, if_match, base)?.increment(&asked)
        })
        .await
    }

    /// Delete a document; its history stays, and document_restore brings it back
    #[tool(
        title = "Delete Document",
        output_schema = schema::<Written>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn document_delete(
        &self,
        Parameters(asked): Parameters<Delete>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, by| {
            let (if_match, base) = (asked.if_match.as_deref(), asked.base.as_deref());
            Write::new(palace, by, &asked.key, if_match, base)?.delete()
        })
        .await
    }

    /// Write the value of an earlier version again as a new version; nothing of the history is undone
    #[tool(
        title = "Restore Document",
        output_schema = schema::<Written>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn document_restore(
        &self,
        Parameters(asked): Parameters<Restore>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, by| {
            let (if_match, base) = (asked.if_match.as_deref(), asked.base.as_deref());
            Write::new(palace, by, &asked.key, if_match, base)?.restore(&asked)
        })
        .await
    }
}
