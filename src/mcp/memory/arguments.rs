//! Arguments and results of the tools, as the reference memory server has them.
//!
//! The layer in front of the tools ignores what a tool does not know, unless a known argument was meant: `sent_arguments`.
//! `read_graph` ignores everything, because some clients send a dummy to tools without arguments.

use crate::memory::{Added, Addition, Deletion, Entity, Relation};
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateEntities {
    pub entities: Vec<Entity>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateRelations {
    pub relations: Vec<Relation>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddObservations {
    pub observations: Vec<Addition>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DeleteEntities {
    /// An array of entity names to delete
    pub entity_names: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteObservations {
    pub deletions: Vec<Deletion>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteRelations {
    /// An array of relations to delete
    pub relations: Vec<Relation>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchNodes {
    /// The search query to match against entity names, types, and observation content
    pub query: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenNodes {
    /// An array of entity names to retrieve
    pub names: Vec<String>,
}

/// Any arguments, which are ignored.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Ignored {}

#[derive(Serialize, JsonSchema)]
pub(super) struct CreatedEntities {
    pub entities: Vec<Entity>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CreatedRelations {
    pub relations: Vec<Relation>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AddedObservations {
    pub results: Vec<Added>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Deleted {
    pub success: bool,
    pub message: String,
}
