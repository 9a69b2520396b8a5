//! A knowledge graph on a palace: entities with observations, and relations between them.
//!
//! Owns: how entities and relations become documents, and the rules of the nine operations of the official reference
//! memory server. Invariants: one operation is one commit. Concurrent operations are merged, and nothing is lost. An
//! observation is shown once, however often it was added. A relation is shown only while both of its entities exist.
//!
//! # The documents
//! * `entity/<name>` is `{"name", "entityType", "observations": [text, …]}`.
//! * `relation/<32 hex digits>` is `{"from", "to", "relationType"}`, filed by its content: every process that creates
//!   the same relation makes the same document.

mod entity;
mod handle;
mod jsonl;
mod keys;
mod read;
mod write;

pub use entity::{Added, Addition, Deletion, ENTITY_NAME_BYTES_MAX, Entity, Graph, Relation};
pub use handle::Memory;
pub use jsonl::{BadLine, ImportReport};
pub use keys::is_of_graph;
pub use write::{DeletedEntities, DeletedObservations};

#[cfg(test)]
mod tests;
