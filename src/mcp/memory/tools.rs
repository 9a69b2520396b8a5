//! The nine tools.

use super::answer::{answer, deleted, indented, written};
use super::arguments::{
    AddObservations, AddedObservations, CreateEntities, CreateRelations, CreatedEntities,
    CreatedRelations, DeleteEntities, DeleteObservations, DeleteRelations, Deleted, OpenNodes,
    SearchNodes,
};
use crate::mcp::Server;
use crate::memory::{Graph, Memory, MemoryError};
use rmcp::handler::server::common::{schema_for_empty_input, schema_for_output};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, MetaObject};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};

impl Server {
    /// Runs a call on the knowledge graph.
    async fn on_graph<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Memory) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, String> {
        self.run(context, |palace, by| call(&Memory::new(palace.clone()).by(by))).await
    }

    /// Runs a call that changes the knowledge graph, and tells what it wrote.
    async fn change_graph<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Memory) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<(T, MetaObject), String> {
        self.run(context, |palace, by| {
            let memory = Memory::new(palace.clone()).by(by).noting();
            call(&memory).map(|result| (result, written(memory.written())))
        })
        .await
    }
}

#[tool_router(router = memory_router, vis = "pub(in crate::mcp)")]
impl Server {
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
        let (entities, written) =
            self.change_graph(&context, move |memory| memory.create_entities(&entities)).await?;
        let text = indented(&entities)?;
        Ok(answer(&CreatedEntities { entities }, text)?.with_meta(Some(written)))
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
        let (relations, written) =
            self.change_graph(&context, move |memory| memory.create_relations(&relations)).await?;
        let text = indented(&relations)?;
        Ok(answer(&CreatedRelations { relations }, text)?.with_meta(Some(written)))
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
        let (results, written) = self
            .change_graph(&context, move |memory| memory.add_observations(&observations))
            .await?;
        let text = indented(&results)?;
        Ok(answer(&AddedObservations { results }, text)?.with_meta(Some(written)))
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
        let (_, written) = self
            .change_graph(&context, move |memory| memory.delete_entities(&entity_names))
            .await?;
        Ok(deleted("Entities")?.with_meta(Some(written)))
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
        let (_, written) = self
            .change_graph(&context, move |memory| memory.delete_observations(&deletions))
            .await?;
        Ok(deleted("Observations")?.with_meta(Some(written)))
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
        let (_, written) =
            self.change_graph(&context, move |memory| memory.delete_relations(&relations)).await?;
        Ok(deleted("Relations")?.with_meta(Some(written)))
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
        let graph = self.on_graph(&context, Memory::read_graph).await?;
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
        let graph = self.on_graph(&context, move |memory| memory.search_nodes(&query)).await?;
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
        let graph = self.on_graph(&context, move |memory| memory.open_nodes(&names)).await?;
        answer(&graph, indented(&graph)?)
    }
}
