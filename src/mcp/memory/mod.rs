//! The tool set `memory`: the nine tools of the official reference memory server.
//!
//! Its results are those of the reference, to the byte, and the reference has no pages: they are not bounded.

mod answer;
mod arguments;
mod tools;

pub(super) use answer::indented;
pub(super) use tools::tools;

/// The instructions of this set for a model.
pub(super) const INSTRUCTIONS: &str = "A knowledge graph that all your sessions share, also those that run at \
    the same time. Search before you create; add to an entity that exists; create both entities \
    before a relation between them.";
