//! The tool set `memory`: what the official reference memory server offers.

mod answer;
mod arguments;
mod tools;

pub(super) use answer::indented;

pub(super) const INSTRUCTIONS: &str = "A knowledge graph that all your sessions share, also those that run at \
    the same time. Search before you create; add to an entity that exists; create both entities \
    before a relation between them.";

/// The tools in the order of the reference server.
pub(super) const ORDER: [&str; 9] = [
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
