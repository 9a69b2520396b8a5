//! Memories on a palace: drawers of texts, facts with a time, diaries, and a knowledge graph.
//!
//! Owns: how each of these becomes documents, and the rules of its operations. Invariants: one operation is one commit.
//! Concurrent operations are merged, and nothing is lost. Must not know: which surface calls it (`mcp`, `cli`), and how
//! a palace stores documents.

pub mod drawers;
pub mod facts;

#[cfg(feature = "mcp")]
pub(crate) mod archive;
mod bounded_line;
#[cfg(feature = "cli")]
mod deeds;
mod documents;
mod error;
mod graph;
#[cfg(feature = "cli")]
mod ids;
mod imported_line;
mod lone_surrogates;
#[cfg(feature = "mcp")]
#[doc(hidden)]
pub mod mempalace;
mod moment;
mod nearest;
#[cfg(feature = "cli")]
mod shown_value;
mod source_name;
#[cfg(feature = "cli")]
pub(crate) mod told;
#[cfg(feature = "mcp")]
pub(crate) mod undo;
#[cfg(feature = "mcp")]
mod unkept;

pub use error::{MemoryError, Result};
pub use graph::{
    Added, Addition, BadLine, DeletedEntities, DeletedObservations, Deletion,
    ENTITY_NAME_BYTES_MAX, Entity, Graph, ImportReport, Memory, Relation, is_of_graph,
};

#[cfg(feature = "cli")]
pub(crate) use deeds::Deed;
#[cfg(feature = "mcp")]
pub(crate) use deeds::deeds;
#[cfg(feature = "cli")]
pub(crate) use ids::{Ids, keys_of};
#[cfg(feature = "mcp")]
pub(crate) use lone_surrogates::replace_lone_surrogates;
#[cfg(feature = "mcp")]
pub(crate) use moment::{milliseconds, readable, written_out};
#[cfg(feature = "mcp")]
pub(crate) use shown_value::shorten_sources;
#[cfg(feature = "mcp")]
pub(crate) use source_name::shown_source;
#[cfg(feature = "mcp")]
pub(crate) use unkept::{FINDINGS_MAX, Repeated, Rounded, Unkept, repeated, unkept};
