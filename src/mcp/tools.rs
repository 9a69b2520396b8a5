//! The nine tools.
//!
//! Invariant: calls that are in flight together run side by side, each on a thread of its own, so
//! that their commits share a sync.

use super::answer::{answer, deleted, indented};
use super::arguments::{
    AddObservations, AddedObservations, CreateEntities, CreateRelations, CreatedEntities,
    CreatedRelations, DeleteEntities, DeleteObservations, DeleteRelations, Deleted, OpenNodes,
    SearchNodes,
};
use super::notices::{Subscribed, changes};
use crate::memory::{Graph, Memory, MemoryError};
use crate::palace::chain;
use rmcp::handler::server::common::{schema_for_empty_input, schema_for_output};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, tool, tool_router};
use std::sync::Arc;
use tokio::sync::RwLock;
use tokio::sync::mpsc::Receiver;

/// How much of a client's name history keeps.
const BY_CHARS_MAX: usize = 120;

/// The server side of the tool set `memory`.
#[derive(Clone, Debug)]
pub struct MemoryTools {
    memory: Memory,
    /// Held shared by every call while it runs.
    running: Arc<RwLock<()>>,
    pub(super) subscribed: Arc<Subscribed>,
}

#[tool_router(vis = "pub(super)")]
impl MemoryTools {
    /// Tools on this graph.
    #[must_use]
    pub fn new(memory: Memory) -> Self {
        MemoryTools { memory, running: Arc::default(), subscribed: Arc::default() }
    }

    /// Waits until no call is running; none starts after that.
    pub(super) async fn finish(&self) {
        let guard = self.running.clone().write_owned().await;
        // Never released: what comes now comes too late.
        std::mem::forget(guard);
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Memory) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, String> {
        let memory = self.memory.by(writer(context));
        let running = self.running.clone().read_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let result = call(&memory);
            drop(running);
            result
        });
        match done.await {
            Ok(result) => result.map_err(|error| chain(&error)),
            Err(error) => Err(format!("the call failed ({error}); see the server's log")),
        }
    }

    pub(super) async fn changes(&self) -> Result<Receiver<()>, ErrorData> {
        let changes = changes(self.memory.palace().clone()).await;
        changes.map_err(|error| ErrorData::internal_error(error, None))
    }

    /// Create multiple new entities in the knowledge graph
    #[tool(
        title = "Create Entities",
        output_schema = schema_for_output::<CreatedEntities>(),
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn create_entities(
        &self,
        Parameters(CreateEntities { entities }): Parameters<CreateEntities>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        let entities = self.run(&context, move |memory| memory.create_entities(&entities)).await?;
        let text = indented(&entities)?;
        answer(&CreatedEntities { entities }, text)
    }

    /// Create multiple new relations between entities in the knowledge graph. Relations should be in active voice
    #[tool(
        title = "Create Relations",
        output_schema = schema_for_output::<CreatedRelations>(),
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn create_relations(
        &self,
        Parameters(CreateRelations { relations }): Parameters<CreateRelations>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        let relations =
            self.run(&context, move |memory| memory.create_relations(&relations)).await?;
        let text = indented(&relations)?;
        answer(&CreatedRelations { relations }, text)
    }

    /// Add new observations to existing entities in the knowledge graph
    #[tool(
        title = "Add Observations",
        output_schema = schema_for_output::<AddedObservations>(),
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn add_observations(
        &self,
        Parameters(AddObservations { observations }): Parameters<AddObservations>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        let results =
            self.run(&context, move |memory| memory.add_observations(&observations)).await?;
        let text = indented(&results)?;
        answer(&AddedObservations { results }, text)
    }

    /// Delete multiple entities and their associated relations from the knowledge graph
    #[tool(
        title = "Delete Entities",
        output_schema = schema_for_output::<Deleted>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_entities(
        &self,
        Parameters(DeleteEntities { entity_names }): Parameters<DeleteEntities>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.run(&context, move |memory| memory.delete_entities(&entity_names)).await?;
        deleted("Entities")
    }

    /// Delete specific observations from entities in the knowledge graph
    #[tool(
        title = "Delete Observations",
        output_schema = schema_for_output::<Deleted>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_observations(
        &self,
        Parameters(DeleteObservations { deletions }): Parameters<DeleteObservations>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.run(&context, move |memory| memory.delete_observations(&deletions)).await?;
        deleted("Observations")
    }

    /// Delete multiple relations from the knowledge graph
    #[tool(
        title = "Delete Relations",
        output_schema = schema_for_output::<Deleted>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_relations(
        &self,
        Parameters(DeleteRelations { relations }): Parameters<DeleteRelations>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        self.run(&context, move |memory| memory.delete_relations(&relations)).await?;
        deleted("Relations")
    }

    /// Read the entire knowledge graph
    #[tool(
        title = "Read Graph",
        input_schema = schema_for_empty_input(),
        output_schema = schema_for_output::<Graph>(),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn read_graph(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        let graph = self.run(&context, Memory::read_graph).await?;
        answer(&graph, indented(&graph)?)
    }

    /// Search for nodes in the knowledge graph based on a query
    #[tool(
        title = "Search Nodes",
        output_schema = schema_for_output::<Graph>(),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn search_nodes(
        &self,
        Parameters(SearchNodes { query }): Parameters<SearchNodes>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        let graph = self.run(&context, move |memory| memory.search_nodes(&query)).await?;
        answer(&graph, indented(&graph)?)
    }

    /// Open specific nodes in the knowledge graph by their names
    #[tool(
        title = "Open Nodes",
        output_schema = schema_for_output::<Graph>(),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn open_nodes(
        &self,
        Parameters(OpenNodes { names }): Parameters<OpenNodes>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        let graph = self.run(&context, move |memory| memory.open_nodes(&names)).await?;
        answer(&graph, indented(&graph)?)
    }
}

/// Who calls, for history. A name is anybody's text: it is kept short, and on one line.
fn writer(context: &RequestContext<RoleServer>) -> Option<String> {
    let client = context.client_info()?;
    let name = format!("{}/{}", client.name, client.version);
    Some(name.chars().filter(|c| !c.is_control()).take(BY_CHARS_MAX).collect())
}
