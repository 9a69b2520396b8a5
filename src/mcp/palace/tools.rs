//! The tools, in the order in which they are listed.

use super::changes::changes_since;
use super::conflicts::{conflicts, settle};
use super::diary::{diary_read, diary_write};
use super::drawers::{
    add_drawer, checkpoint, delete_drawer, delete_drawers, get_drawer, get_drawers, list_drawers,
    update_drawer,
};
use super::facts::{
    kg_add, kg_delete, kg_invalidate, kg_query, kg_stats, kg_supersede, kg_timeline,
};
use super::overview::{get_taxonomy, list_rooms, list_wings, status};
use super::places::{move_drawers, rename_place, undelete_drawer};
use super::repeat::{Repeatable, repeatable};
use super::search::{check_duplicate, search};
use crate::mcp::tool::{Call, Effect, Tool, error_result};
use crate::memory::MemoryError;
use crate::palace::chain;
use Effect::{Add, AddOnce, OverwriteOnce, Read};
use rmcp::handler::server::common::schema_for_output;
use rmcp::model::CallToolResult;
use rmcp::schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The instructions of this set for a model, with the names of tools as they are listed.
pub(in crate::mcp) fn instructions(prefix: &str) -> String {
    format!(
        "A palace has a wing for each person or project, rooms for topics, and in them drawers with texts, word for \
         word. All your sessions share it, also those that run at the same time. Search ({prefix}search) before you \
         answer from memory and before you file. Save several things with one {prefix}checkpoint. Record what can \
         change over time as facts ({prefix}kg_add), and end them ({prefix}kg_invalidate, {prefix}kg_supersede) \
         rather than delete. {prefix}changes_since tells what others wrote in the meantime."
    )
}

/// A tool whose function takes `A` and returns `T`.
fn tool<A, T>(
    names: (&'static str, &'static str),
    effect: Effect,
    run: fn(&Call, A) -> Result<T, MemoryError>,
    description: &'static str,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + 'static,
    T: Serialize + JsonSchema + 'static,
{
    Tool::new(names, effect, schema_for_output::<T>(), run, answer, description)
}

/// A tool like [`tool`] that takes an `idempotency_key`, with which a call is made once.
fn tool_once<A, T>(
    names: (&'static str, &'static str),
    effect: Effect,
    run: fn(&Call, A) -> Result<T, MemoryError>,
    description: &'static str,
) -> Tool
where
    A: Serialize + DeserializeOwned + JsonSchema + 'static,
    T: Serialize + JsonSchema + 'static,
{
    let schema = schema_for_output::<Repeatable<T>>();
    let run = move |call: &Call, asked: A| repeatable(call, names.0, asked, run);
    Tool::new(names, effect, schema, run, answer, description)
}

/// The result of a call, or its error in words.
fn answer<T: Serialize>(result: Result<T, MemoryError>) -> CallToolResult {
    let structure = result
        .map_err(|error| in_words(&error))
        .and_then(|result| serde_json::to_value(result).map_err(|error| chain(&error)));
    structure.map_or_else(error_result, CallToolResult::structured)
}

/// The words of an error. One about the version has the text that stands now, so that a retry needs no read.
fn in_words(error: &MemoryError) -> String {
    match error {
        MemoryError::EtagMismatch { current: Some(text), .. } => {
            format!("{}\ncurrent: {text}", chain(error))
        }
        error => chain(error),
    }
}

pub(in crate::mcp) fn tools() -> Vec<Tool> {
    let mut tools = overview_tools();
    tools.extend(drawer_tools());
    tools.extend(place_tools());
    tools.extend(conflict_tools());
    tools.extend(fact_tools());
    tools.extend(session_tools());
    tools
}

fn overview_tools() -> Vec<Tool> {
    vec![
        tool(
            ("status", "Palace Status"),
            Read,
            status,
            "How many drawers and facts the palace has, in which wings and rooms, and which processes are using it now",
        ),
        tool(
            ("list_wings", "List Wings"),
            Read,
            list_wings,
            "List all wings with the number of their drawers",
        ),
        tool(
            ("list_rooms", "List Rooms"),
            Read,
            list_rooms,
            "List the rooms of a wing, or of all, with the number of their drawers",
        ),
        tool(
            ("get_taxonomy", "Get Taxonomy"),
            Read,
            get_taxonomy,
            "The whole tree: every wing, its rooms, and the number of drawers in each. A wing may go on in the next \
             result, with next_cursor",
        ),
        tool(
            ("search", "Search"),
            Read,
            search,
            "Search all drawers by words: those with more of the words come first. Answer from what it finds, not \
             from memory",
        ),
        tool(
            ("check_duplicate", "Check Duplicate"),
            Read,
            check_duplicate,
            "Check whether a text is filed already, the same or nearly, in any wing. It compares words, not meaning",
        ),
    ]
}

fn drawer_tools() -> Vec<Tool> {
    vec![
        tool_once(
            ("add_drawer", "Add Drawer"),
            AddOnce,
            add_drawer,
            "File a text, word for word, in a room of a wing. Filing the same again changes nothing",
        ),
        tool(
            ("get_drawer", "Get Drawer"),
            Read,
            get_drawer,
            "Read one drawer: its whole text, where it is, where it comes from",
        ),
        tool(("get_drawers", "Get Drawers"), Read, get_drawers, "Read several drawers at once"),
        tool(
            ("list_drawers", "List Drawers"),
            Read,
            list_drawers,
            "List the drawers of a wing, a room or both, with the beginnings of their texts",
        ),
        tool_once(
            ("update_drawer", "Update Drawer"),
            OverwriteOnce,
            update_drawer,
            "Change the text of a drawer, or move it to another wing or room. Its id stays. Send the whole new text: \
             what other sessions changed since you read it is kept, and the answer has merged and the text that \
             stands. If you read it in another session, pass the etag that you read as base. To replace whatever \
             stands, pass the present etag as if_match",
        ),
        tool_once(
            ("delete_drawer", "Delete Drawer"),
            OverwriteOnce,
            delete_drawer,
            "Delete a drawer. If another session changed it since you last saw anything of it, it stays, and the answer \
             has changed_since; the same call again deletes it",
        ),
        tool_once(
            ("delete_drawers", "Delete Drawers"),
            OverwriteOnce,
            delete_drawers,
            "Delete several drawers in one commit. Those that another session changed since you last saw anything of \
             them stay, and are listed in changed_since; the same call again deletes them",
        ),
        tool(
            ("checkpoint", "Checkpoint"),
            Add,
            checkpoint,
            "Save a session: file several texts and write a diary entry, all in one commit. What is filed already, or \
             nearly, is not filed again. With an idempotency_key the call can be sent again after a lost answer",
        ),
        tool_once(
            ("undelete_drawer", "Undelete Drawer"),
            AddOnce,
            undelete_drawer,
            "Bring a deleted drawer back as it was, with its history",
        ),
    ]
}

fn place_tools() -> Vec<Tool> {
    vec![
        tool_once(
            ("move_drawers", "Move Drawers"),
            OverwriteOnce,
            move_drawers,
            "Move many drawers to another wing or room: those with these ids, or all of a wing or room. Their ids stay. \
             The same call again moves only what is left",
        ),
        tool_once(
            ("rename_place", "Rename Place"),
            OverwriteOnce,
            rename_place,
            "Rename a wing, or a room of a wing. Drawers and ids stay, and the old name still finds them. With join, make \
             two wings or rooms one",
        ),
    ]
}

fn conflict_tools() -> Vec<Tool> {
    vec![
        tool(
            ("conflicts", "Open Conflicts"),
            Read,
            conflicts,
            "List what several sessions wrote differently in the same place of a drawer at the same time, in one drawer \
             or in all: every reading, with who and when. One of them is shown until somebody settles the conflict",
        ),
        tool(
            ("settle", "Settle Conflict"),
            OverwriteOnce,
            settle,
            "Settle one conflict of a drawer: take one of its readings, or write another. All other edits of the drawer \
             stay. List the conflicts first; the numbers change with each call, and the answer has the new ones",
        ),
    ]
}

fn fact_tools() -> Vec<Tool> {
    vec![
        tool(
            ("kg_query", "Query Knowledge Graph"),
            Read,
            kg_query,
            "What is known of an entity: its facts, and from when to when they hold; with as_of, those that held then",
        ),
        tool_once(
            ("kg_add", "Add Fact"),
            AddOnce,
            kg_add,
            "Assert a fact: subject, predicate, object, and since when it holds. Asserting the same again changes \
             nothing, even if the fact has ended since",
        ),
        tool_once(
            ("kg_invalidate", "Invalidate Fact"),
            OverwriteOnce,
            kg_invalidate,
            "End a fact that does not hold any more, and say when it ended. It stays in the timeline",
        ),
        tool_once(
            ("kg_supersede", "Supersede Fact"),
            OverwriteOnce,
            kg_supersede,
            "Replace a fact that has changed: end the old one and assert the new one from the same moment on, in one \
             commit",
        ),
        tool_once(
            ("kg_delete", "Delete Fact"),
            OverwriteOnce,
            kg_delete,
            "Delete a fact that is wrong or must not be known: it is gone from queries and the timeline, and stays in \
             the history. To end a fact that was true, use kg_invalidate. Adding the fact again brings it back",
        ),
        tool(
            ("kg_timeline", "Timeline"),
            Read,
            kg_timeline,
            "Facts in the order in which they begin to hold, also those that ended or have not begun",
        ),
        tool(
            ("kg_stats", "Knowledge Graph Stats"),
            Read,
            kg_stats,
            "How many entities and facts there are, how many hold now, have ended or have not begun, and which predicates are \
             in use",
        ),
    ]
}

fn session_tools() -> Vec<Tool> {
    vec![
        tool(
            ("diary_write", "Write Diary"),
            Add,
            diary_write,
            "Write an entry in an agent's diary. Entries are never changed, and search finds them. With an idempotency_key \
             the call can be sent again after a lost answer, and writes one entry",
        ),
        tool(
            ("diary_read", "Read Diary"),
            Read,
            diary_read,
            "Read the newest entries of an agent's diary, wherever it wrote them; with cursor, the entries before them",
        ),
        tool(
            ("changes_since", "Changes Since"),
            Read,
            changes_since,
            "What other sessions wrote, changed or deleted since a cursor or a time; over HTTP also what you wrote. \
             Call it once without arguments for a cursor",
        ),
    ]
}
