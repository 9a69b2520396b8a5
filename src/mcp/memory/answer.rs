//! What a tool answers: a structure for programs, and a text for models.
//!
//! Invariant: both are what the reference memory server answers, to the byte in the text. Programs
//! were written and prompts were tuned against it.

use super::arguments::Deleted;
use crate::palace::chain;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;

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
