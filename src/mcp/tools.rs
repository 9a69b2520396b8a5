//! The tool set `memory`: names, arguments and results of the reference memory server.

use crate::memory::{AddedObservations, Entity, Graph, Memory, Relation};
use crate::palace::Palace;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::RequestContext;
use rmcp::{Json, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use serde::{Deserialize, Serialize};

/// The server. One for the process: it has one client.
#[derive(Clone, Debug)]
pub struct Server {
    palace: Palace,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateEntities {
    /// The entities to create
    entities: Vec<Entity>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Relations {
    /// The relations
    relations: Vec<Relation>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Addition {
    /// The name of the entity to add the observations to
    entity_name: String,
    /// An array of observation contents to add
    contents: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddObservations {
    /// What to add to which entity
    observations: Vec<Addition>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteEntities {
    /// The names of the entities to delete
    entity_names: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Deletion {
    /// The name of the entity that has the observations
    entity_name: String,
    /// The observations to delete
    observations: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteObservations {
    /// What to delete from which entity
    deletions: Vec<Deletion>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// What to look for in names, types and observations, without regard to case
    query: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Open {
    /// The names of the entities to retrieve
    names: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Entities {
    entities: Vec<Entity>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CreatedRelations {
    relations: Vec<Relation>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Additions {
    results: Vec<AddedObservations>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    success: bool,
    message: String,
}

type Context = RequestContext<RoleServer>;
type Reply<T> = Result<Json<T>, String>;

impl Server {
    pub fn new(palace: Palace) -> Self {
        Server { palace }
    }

    /// Runs a call where it may block, so that many calls share one sync of the disk.
    async fn call<T: Send + 'static>(
        &self,
        context: &Context,
        call: impl FnOnce(&Memory) -> crate::memory::Result<T> + Send + 'static,
    ) -> Reply<T> {
        let memory = super::memory(&self.palace, context.client_info());
        match tokio::task::spawn_blocking(move || call(&memory)).await {
            Ok(Ok(result)) => Ok(Json(result)),
            Ok(Err(error)) => Err(chain(&error)),
            Err(error) => Err(format!("the call broke off ({error}): its outcome is unknown")),
        }
    }
}

/// An error and what caused it, in one line. Transparent layers repeat their cause, which is left out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn deleted(what: &str) -> Deleted {
    Deleted { success: true, message: format!("{what} deleted successfully") }
}

#[tool_router]
impl Server {
    /// Create multiple new entities in the knowledge graph
    #[tool(annotations(
        title = "Create Entities",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn create_entities(
        &self,
        Parameters(args): Parameters<CreateEntities>,
        context: Context,
    ) -> Reply<Entities> {
        self.call(&context, move |memory| {
            Ok(Entities { entities: memory.create_entities(&args.entities)? })
        })
        .await
    }

    /// Create multiple new relations between entities in the knowledge graph. Relations should be in
    /// active voice
    #[tool(annotations(
        title = "Create Relations",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn create_relations(
        &self,
        Parameters(args): Parameters<Relations>,
        context: Context,
    ) -> Reply<CreatedRelations> {
        self.call(&context, move |memory| {
            Ok(CreatedRelations { relations: memory.create_relations(&args.relations)? })
        })
        .await
    }

    /// Add new observations to existing entities in the knowledge graph
    #[tool(annotations(
        title = "Add Observations",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn add_observations(
        &self,
        Parameters(args): Parameters<AddObservations>,
        context: Context,
    ) -> Reply<Additions> {
        let additions: Vec<_> =
            args.observations.into_iter().map(|a| (a.entity_name, a.contents)).collect();
        self.call(&context, move |memory| {
            Ok(Additions { results: memory.add_observations(&additions)? })
        })
        .await
    }

    /// Delete multiple entities and their associated relations from the knowledge graph
    #[tool(annotations(
        title = "Delete Entities",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn delete_entities(
        &self,
        Parameters(args): Parameters<DeleteEntities>,
        context: Context,
    ) -> Reply<Deleted> {
        self.call(&context, move |memory| {
            memory.delete_entities(&args.entity_names).map(|()| deleted("Entities"))
        })
        .await
    }

    /// Delete specific observations from entities in the knowledge graph
    #[tool(annotations(
        title = "Delete Observations",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn delete_observations(
        &self,
        Parameters(args): Parameters<DeleteObservations>,
        context: Context,
    ) -> Reply<Deleted> {
        let deletions: Vec<_> =
            args.deletions.into_iter().map(|d| (d.entity_name, d.observations)).collect();
        self.call(&context, move |memory| {
            memory.delete_observations(&deletions).map(|()| deleted("Observations"))
        })
        .await
    }

    /// Delete multiple relations from the knowledge graph
    #[tool(annotations(
        title = "Delete Relations",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn delete_relations(
        &self,
        Parameters(args): Parameters<Relations>,
        context: Context,
    ) -> Reply<Deleted> {
        self.call(&context, move |memory| {
            memory.delete_relations(&args.relations).map(|()| deleted("Relations"))
        })
        .await
    }

    /// Read the entire knowledge graph
    #[tool(annotations(
        title = "Read Graph",
        read_only_hint = true,
        destructive_hint = false,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn read_graph(
        &self,
        Parameters(Nothing {}): Parameters<Nothing>,
        context: Context,
    ) -> Reply<Graph> {
        self.call(&context, Memory::read_graph).await
    }

    /// Search for nodes in the knowledge graph based on a query
    #[tool(annotations(
        title = "Search Nodes",
        read_only_hint = true,
        destructive_hint = false,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn search_nodes(
        &self,
        Parameters(args): Parameters<Search>,
        context: Context,
    ) -> Reply<Graph> {
        self.call(&context, move |memory| memory.search_nodes(&args.query)).await
    }

    /// Open specific nodes in the knowledge graph by their names
    #[tool(annotations(
        title = "Open Nodes",
        read_only_hint = true,
        destructive_hint = false,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn open_nodes(
        &self,
        Parameters(args): Parameters<Open>,
        context: Context,
    ) -> Reply<Graph> {
        self.call(&context, move |memory| memory.open_nodes(&args.names)).await
    }
}

#[tool_handler]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("crdt-palace", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "A memory that other clients write to as well. Search before you add: search_nodes \
                 finds entities by any part of their name, type or observations.",
            )
    }
}
