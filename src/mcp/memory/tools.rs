//! The nine tools, in the order of the reference server.

use super::answer::{answer, deleted, indented, written};
use super::arguments::{
    AddObservations, AddedObservations, CreateEntities, CreateRelations, CreatedEntities,
    CreatedRelations, DeleteEntities, DeleteObservations, DeleteRelations, Deleted, Ignored,
    OpenNodes, SearchNodes,
};
use crate::mcp::tool::{Call, Effect, Tool, error_result};
use crate::memory::{Graph, Memory, MemoryError};
use crate::palace::chain;
use rmcp::handler::server::common::{schema_for_empty_input, schema_for_output};
use rmcp::model::CallToolResult;
use rmcp::schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A result, or an error in words.
type Answer = Result<CallToolResult, String>;

/// A tool whose function takes `A`, and whose results have the structure `S`.
fn tool<A, S>(
    names: (&'static str, &'static str),
    effect: Effect,
    run: fn(&Call, A) -> Answer,
    description: &'static str,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + 'static,
    S: JsonSchema + 'static,
{
    let answer = |result: Answer| result.unwrap_or_else(error_result);
    let mut tool = Tool::exact(names, effect, schema_for_output::<S>(), run, answer, description);
    // What a read returns has no pages. What a write returns is about as long as its arguments.
    tool.is_large = effect == Effect::Read;
    tool
}

pub(in crate::mcp) fn tools() -> Vec<Tool> {
    use Effect::{AddOnce, OverwriteOnce, Read};
    let mut read_graph = tool::<_, Graph>(
        ("read_graph", "Read Graph"),
        Read,
        read_graph,
        "Read the entire knowledge graph",
    );
    read_graph.listed.input_schema = schema_for_empty_input();
    vec![
        tool::<_, CreatedEntities>(
            ("create_entities", "Create Entities"),
            AddOnce,
            create_entities,
            "Create multiple new entities in the knowledge graph",
        ),
        tool::<_, CreatedRelations>(
            ("create_relations", "Create Relations"),
            AddOnce,
            create_relations,
            "Create multiple new relations between entities in the knowledge graph. Relations should be in active \
             voice",
        ),
        tool::<_, AddedObservations>(
            ("add_observations", "Add Observations"),
            AddOnce,
            add_observations,
            "Add new observations to existing entities in the knowledge graph",
        ),
        tool::<_, Deleted>(
            ("delete_entities", "Delete Entities"),
            OverwriteOnce,
            delete_entities,
            "Delete multiple entities and their associated relations from the knowledge graph",
        ),
        tool::<_, Deleted>(
            ("delete_observations", "Delete Observations"),
            OverwriteOnce,
            delete_observations,
            "Delete specific observations from entities in the knowledge graph",
        ),
        tool::<_, Deleted>(
            ("delete_relations", "Delete Relations"),
            OverwriteOnce,
            delete_relations,
            "Delete multiple relations from the knowledge graph",
        ),
        read_graph,
        tool::<_, Graph>(
            ("search_nodes", "Search Nodes"),
            Read,
            search_nodes,
            "Search for nodes in the knowledge graph based on a query",
        ),
        tool::<_, Graph>(
            ("open_nodes", "Open Nodes"),
            Read,
            open_nodes,
            "Open specific nodes in the knowledge graph by their names",
        ),
    ]
}

/// Runs a write, and adds what it did to its result.
fn write<T>(
    call: &Call,
    change: impl FnOnce(&Memory) -> Result<T, MemoryError>,
    answer: impl FnOnce(T) -> Answer,
) -> Answer {
    let graph = call.graph().noting();
    let result = change(&graph).map_err(|error| chain(&error))?;
    Ok(answer(result)?.with_meta(Some(written(graph.written()))))
}

/// The structure has the list under a name, the text has the list alone.
fn listed<T: Serialize, S: Serialize>(list: T, structure: impl FnOnce(T) -> S) -> Answer {
    let text = indented(&list)?;
    answer(&structure(list), text)
}

fn create_entities(call: &Call, CreateEntities { entities }: CreateEntities) -> Answer {
    let created = |entities| listed(entities, |entities| CreatedEntities { entities });
    write(call, |graph| graph.create_entities(&entities), created)
}

fn create_relations(call: &Call, CreateRelations { relations }: CreateRelations) -> Answer {
    let created = |relations| listed(relations, |relations| CreatedRelations { relations });
    write(call, |graph| graph.create_relations(&relations), created)
}

fn add_observations(call: &Call, AddObservations { observations }: AddObservations) -> Answer {
    let added = |results| listed(results, |results| AddedObservations { results });
    write(call, |graph| graph.add_observations(&observations), added)
}

fn delete_entities(call: &Call, DeleteEntities { entity_names }: DeleteEntities) -> Answer {
    write(call, |graph| graph.delete_entities(&entity_names), |_| deleted("Entities"))
}

fn delete_observations(
    call: &Call,
    DeleteObservations { deletions }: DeleteObservations,
) -> Answer {
    write(call, |graph| graph.delete_observations(&deletions), |_| deleted("Observations"))
}

fn delete_relations(call: &Call, DeleteRelations { relations }: DeleteRelations) -> Answer {
    write(call, |graph| graph.delete_relations(&relations), |_| deleted("Relations"))
}

/// The part of the graph that a read has found.
fn graph(found: Result<Graph, MemoryError>) -> Answer {
    let graph = found.map_err(|error| chain(&error))?;
    answer(&graph, indented(&graph)?)
}

fn read_graph(call: &Call, Ignored {}: Ignored) -> Answer {
    graph(call.graph().read_graph())
}

fn search_nodes(call: &Call, SearchNodes { query }: SearchNodes) -> Answer {
    graph(call.graph().search_nodes(&query))
}

fn open_nodes(call: &Call, OpenNodes { names }: OpenNodes) -> Answer {
    graph(call.graph().open_nodes(&names))
}
