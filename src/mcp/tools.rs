//! The nine tools.
//!
//! Invariant: calls that are in flight together run side by side, each on a thread of its own, so
//! that their commits share a sync.

use super::arguments::{
    AddObservations, AddedObservations, CreateEntities, CreatedEntities, CreatedRelations,
    DeleteEntities, DeleteObservations, Deleted, Nothing, OpenNodes, Relations, SearchNodes,
};
use crate::memory::{Graph, Memory, MemoryError};
use crate::palace::chain;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    Implementation, ListResourcesResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, Json, RoleServer, ServerHandler, tool, tool_handler, tool_router};
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
    ) -> Result<Json<CreatedEntities>, String> {
        let entities = self.run(&context, move |memory| memory.create_entities(&entities)).await?;
        Ok(Json(CreatedEntities { entities }))
    }

    /// Create multiple new relations between entities in the knowledge graph. Relations should be in active voice
    #[tool(
        title = "Create Relations",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn create_relations(
        &self,
        Parameters(Relations { relations }): Parameters<Relations>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<CreatedRelations>, String> {
        let relations =
            self.run(&context, move |memory| memory.create_relations(&relations)).await?;
        Ok(Json(CreatedRelations { relations }))
    }

    /// Add new observations to existing entities in the knowledge graph
    #[tool(
        title = "Add Observations",
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
    ) -> Result<Json<AddedObservations>, String> {
        let results =
            self.run(&context, move |memory| memory.add_observations(&observations)).await?;
        Ok(Json(AddedObservations { results }))
    }

    /// Delete multiple entities and their associated relations from the knowledge graph
    #[tool(
        title = "Delete Entities",
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
    ) -> Result<Json<Deleted>, String> {
        let done = self.run(&context, move |memory| memory.delete_entities(&entity_names)).await?;
        let (deleted, asked) = (done.deleted.len(), done.deleted.len() + done.not_found.len());
        Ok(deleted_message("entities", deleted, asked, &done.not_found))
    }

    /// Delete specific observations from entities in the knowledge graph
    #[tool(
        title = "Delete Observations",
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
    ) -> Result<Json<Deleted>, String> {
        let asked = deletions.iter().map(|deletion| deletion.observations.len()).sum();
        let done = self.run(&context, move |memory| memory.delete_observations(&deletions)).await?;
        Ok(deleted_message("observations", done.deleted, asked, &done.missing))
    }

    /// Delete multiple relations from the knowledge graph
    #[tool(
        title = "Delete Relations",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_relations(
        &self,
        Parameters(Relations { relations }): Parameters<Relations>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Deleted>, String> {
        let asked = relations.len();
        let deleted = self.run(&context, move |memory| memory.delete_relations(&relations)).await?;
        Ok(deleted_message("relations", deleted, asked, &[]))
    }

    /// Read the entire knowledge graph
    #[tool(
        title = "Read Graph",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn read_graph(
        &self,
        Parameters(Nothing {}): Parameters<Nothing>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Graph>, String> {
        Ok(Json(self.run(&context, Memory::read_graph).await?))
    }

    /// Search for nodes in the knowledge graph based on a query
    #[tool(
        title = "Search Nodes",
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
    ) -> Result<Json<Graph>, String> {
        Ok(Json(self.run(&context, move |memory| memory.search_nodes(&query)).await?))
    }

    /// Open specific nodes in the knowledge graph by their names
    #[tool(
        title = "Open Nodes",
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
    ) -> Result<Json<Graph>, String> {
        Ok(Json(self.run(&context, move |memory| memory.open_nodes(&names)).await?))
    }
}

#[tool_handler]
impl ServerHandler for MemoryTools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_resources().build())
            .with_server_info(Implementation::new("crdt-palace", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let graph = Resource::new(GRAPH_URI, "knowledge-graph")
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
        let text = graph.and_then(|graph| serde_json::to_string(&graph).map_err(|e| chain(&e)));
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

fn deleted_message(what: &str, deleted: usize, asked: usize, missing: &[String]) -> Json<Deleted> {
    let mut message = match deleted == asked {
        true => format!("Deleted {deleted} {what}."),
        false => format!("Deleted {deleted} of {asked} {what}; the rest was not there."),
    };
    if !missing.is_empty() {
        message.push_str(&format!(" Entities not found: {}", missing.join(", ")));
    }
    Json(Deleted { success: true, message })
}
