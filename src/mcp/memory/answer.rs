//! Results: a structure for programs, and a text for models.
//!
//! Invariant: both are those of the reference memory server, to the byte in the text. Programs
//! were written and prompts were tuned against it.

use super::arguments::Deleted;
use crate::mcp::conflicts::{ASIDE_BYTES, SettledConflict};
use crate::mcp::page::Budget;
use crate::palace::{Outcome, chain};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};
use serde::Serialize;
use serde_json::{Value, json};

/// The field of `_meta` that says what a write did.
const WRITE: &str = "crdt-palace/write";
/// Most bytes of etags in `_meta`: one call may write thousands of documents.
const ETAGS_BYTES: usize = 40_000;

/// The result of a call. The text is not always the structure: lists come without a name around them.
pub(super) fn answer(structure: &impl Serialize, text: String) -> Result<CallToolResult, String> {
    let structure = serde_json::to_value(structure).map_err(|error| chain(&error))?;
    let mut result = CallToolResult::structured(structure);
    result.content = vec![ContentBlock::text(text)];
    Ok(result)
}

/// JSON on several lines, with the fields in the order of their declaration.
pub(in crate::mcp) fn indented(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| chain(&error))
}

/// The result of a delete. It does not say whether the item was there before.
pub(super) fn deleted(what: &str) -> Result<CallToolResult, String> {
    let message = format!("{what} deleted successfully");
    answer(&Deleted { success: true, message: message.clone() }, message)
}

/// Says what a write did, for the `_meta` of its result: the reference's structures have no place for it. Every write
/// is durable when it is answered. What is left out is marked: `moreEtags`, `moreConflicts`.
pub(super) fn written(outcomes: Vec<Outcome>) -> MetaObject {
    let etag = |outcome: &Outcome| (outcome.key.to_string(), json!(outcome.etag));
    let (etags, more_etags) = Budget::of(ETAGS_BYTES).keep(outcomes.iter().map(etag));
    let settled: Vec<Value> = outcomes
        .into_iter()
        .flat_map(|Outcome { key, settled, .. }| {
            settled
                .into_iter()
                .map(move |settled| settled_in(key.as_str(), SettledConflict::of(settled)))
        })
        .collect();
    let (conflicts, more_conflicts) = Budget::of(ASIDE_BYTES).keep(settled.into_iter());
    let etags: JsonObject = etags.into_iter().collect();
    let mut write = json!({"durable": true, "etags": etags, "conflicts": conflicts});
    for (field, more) in [("moreEtags", more_etags), ("moreConflicts", more_conflicts)] {
        if more.is_some()
            && let Value::Object(fields) = &mut write
        {
            fields.insert(field.to_owned(), Value::Bool(true));
        }
    }
    MetaObject(JsonObject::from_iter([(WRITE.to_owned(), write)]))
}

fn settled_in(key: &str, settled: SettledConflict) -> Value {
    let SettledConflict { path, values, more } = settled;
    json!({"key": key, "path": path, "values": values, "more": more})
}
