//! What a tool answers: a structure for programs, and a text for models.
//!
//! Invariant: both are what the reference memory server answers, to the byte in the text. Programs
//! were written and prompts were tuned against it.

use super::arguments::Deleted;
use crate::mcp::bounds::{ASIDE_BYTES, Ended, fill};
use crate::palace::{Outcome, chain};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};
use serde::Serialize;
use serde_json::{Value, json};

/// Where a result says what its write did.
const WRITE: &str = "crdt-palace/write";

/// The result of a call. The text is not always the structure: lists come without a name around them.
pub(super) fn answer(structure: &impl Serialize, text: String) -> Result<CallToolResult, String> {
    let structure = serde_json::to_value(structure).map_err(|error| chain(&error))?;
    let mut result = CallToolResult::structured(structure);
    result.content = vec![ContentBlock::text(text)];
    Ok(result)
}

/// JSON on lines of its own, with the fields in the order of their declaration.
pub(in crate::mcp) fn indented(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| chain(&error))
}

/// What was to be deleted is not there now. Whether it was there before is not said.
pub(super) fn deleted(what: &str) -> Result<CallToolResult, String> {
    let message = format!("{what} deleted successfully");
    answer(&Deleted { success: true, message: message.clone() }, message)
}

/// What a write did, for the `_meta` of its result: the reference's structures have no place for it. Every call here
/// is answered once it is on disk.
pub(super) fn written(outcomes: Vec<Outcome>) -> MetaObject {
    let etag = |outcome: &Outcome| (outcome.key.to_string(), json!(outcome.etag));
    let etags: JsonObject = outcomes.iter().map(etag).collect();
    let ended = outcomes.into_iter().flat_map(|Outcome { key, settled, .. }| {
        settled.into_iter().map(move |settled| settled_in(key.as_str(), Ended::of(settled)))
    });
    let (conflicts, more) = fill(ended, usize::MAX, ASIDE_BYTES);
    let mut write = json!({"durable": true, "etags": etags, "conflicts": conflicts});
    if more && let Value::Object(fields) = &mut write {
        fields.insert("moreConflicts".to_owned(), Value::Bool(true));
    }
    MetaObject(JsonObject::from_iter([(WRITE.to_owned(), write)]))
}

fn settled_in(key: &str, ended: Ended) -> Value {
    let Ended { path, values, more } = ended;
    json!({"key": key, "path": path, "values": values, "more": more})
}
