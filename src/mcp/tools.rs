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
use crate::memory::{Graph, Memory, MemoryError};
use crate::palace::chain;
use rmcp::handler::server::common::{schema_for_empty_input, schema_for_output};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CacheScope, CallToolResult, Implementation, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use std::sync::Arc;
use tokio::sync::RwLock;

const GRAPH_URI: &str = "memory://knowledge-graph";
const INSTRUCTIONS: &str = "A knowledge graph that all your sessions share, also those that run at \
    the same time. Search before you create; add to an entity that exists; create both entities \
    before a relation between them.";
/// How much of a client's name history keeps.
const BY_CHARS_MAX: usize = 120;

/// The server side of the tool set `memory`.
#[derive(Clone, Debug)]
pub struct MemoryTools {
    memory: Memory,
    /// Held shared by every call while it runs.
    running: Arc<RwLock<()>>,
}

#[tool_router]
impl MemoryTools {
    /// Tools on this graph.
    #[must_use]
    pub fn new(memory: Memory) -> Self {
        MemoryTools { memory, running: Arc::default() }
    }

    /// Waits until no call is running; none starts after that.
    pub(super) async fn finish(&self) {
        let guard = self.running.clone().write_owned().await;
        // Never released: what comes now comes too late.
        std::mem::forget(guard);
    }

    async fn run<T: Send + 'static>(
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

/// The tools in the order in which they stand above, which is that of the reference server. The
/// router would have them by name.
const ORDER: [&str; 9] = [
    "create_entities",
    "create_relations",
    "add_observations",
    "delete_entities",
    "delete_observations",
    "delete_relations",
    "read_graph",
    "search_nodes",
    "open_nodes",
];

#[tool_handler]
impl ServerHandler for MemoryTools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_resources().build())
            .with_server_info(Implementation::new("crdt-palace", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut tools = Self::tool_router().list_all();
        tools.sort_by_key(|tool| ORDER.iter().position(|name| *name == tool.name));
        let mut result = ListToolsResult::with_all_items(tools);
        if context.protocol_version().is_some_and(|era| era >= ProtocolVersion::V_2026_07_28) {
            (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Public));
        }
        Ok(result)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let graph = Resource::new(GRAPH_URI, "knowledge-graph")
            .with_title("Knowledge Graph")
            .with_description("The full knowledge graph with all entities and relations")
            .with_mime_type("application/json");
        Ok(ListResourcesResult::with_all_items(vec![graph]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri != GRAPH_URI {
            let text = format!("no such resource: {}; there is {GRAPH_URI}", request.uri);
            return Err(ErrorData::resource_not_found(text, None));
        }
        let graph = self.run(&context, Memory::read_graph).await;
        let text = graph.and_then(|graph| indented(&graph));
        let text = text.map_err(|error| ErrorData::internal_error(error, None))?;
        let contents = ResourceContents::text(text, GRAPH_URI).with_mime_type("application/json");
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}

/// Who calls, for history. A name is anybody's text: it is kept short, and on one line.
fn writer(context: &RequestContext<RoleServer>) -> Option<String> {
    let client = context.client_info()?;
    let name = format!("{}/{}", client.name, client.version);
    Some(name.chars().filter(|c| !c.is_control()).take(BY_CHARS_MAX).collect())
}
