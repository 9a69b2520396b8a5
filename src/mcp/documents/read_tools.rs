//! The tools that look.

use super::answer::schema;
use super::arguments::{Conflicts, Get, History, List, Search};
use super::read;
use super::results::{AllConflicts, Found, Got, Listed, Versions};
use super::search::search;
use crate::mcp::Server;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};

#[tool_router(router = documents_read_router, vis = "pub(super)")]
impl Server {
    /// Read a shared document: its value, its etag (pass it on as if_match or base) and the fields in conflict
    #[tool(
        title = "Get Document",
        output_schema = schema::<Got>(),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn document_get(
        &self,
        Parameters(asked): Parameters<Get>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, _| read::get(palace, &asked)).await
    }

    /// List the keys of the shared documents in order, with etag, size and number of conflicts
    #[tool(
        title = "List Documents",
        output_schema = schema::<Listed>(),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn document_list(
        &self,
        Parameters(asked): Parameters<List>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, _| read::list(palace, &asked)).await
    }

    /// Find shared documents that hold all words of a query, best first
    #[tool(
        title = "Search Documents",
        output_schema = schema::<Found>(),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn document_search(
        &self,
        Parameters(asked): Parameters<Search>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, _| search(palace, &asked)).await
    }

    /// List the versions of a document, newest first: who wrote each, when, and the etag to read or restore it
    #[tool(
        title = "Document History",
        output_schema = schema::<Versions>(),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn document_history(
        &self,
        Parameters(asked): Parameters<History>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, _| read::history(palace, &asked)).await
    }

    /// Show the fields of a document that several writers set at the same time: every value, with who and when
    #[tool(
        title = "Document Conflicts",
        output_schema = schema::<AllConflicts>(),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn document_conflicts(
        &self,
        Parameters(asked): Parameters<Conflicts>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.on_documents(&context, move |palace, _| read::conflicts(palace, &asked)).await
    }
}
