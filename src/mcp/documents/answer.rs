//! From results and problems to what goes over the wire: a structure for programs, the same as text for models.

use super::problem::Problem;
use crate::mcp::tool::error_result;
use rmcp::handler::server::common::schema_for_output;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use rmcp::schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::any::Any;
use std::sync::Arc;

/// The result of a call.
pub(super) fn answer<T: Serialize>(result: Result<T, Problem>) -> CallToolResult {
    let made = match result {
        Ok(result) => serde_json::to_value(result).map(CallToolResult::structured),
        Err(problem) => {
            let text = ContentBlock::text(problem.text());
            serde_json::to_value(problem).map(|structure| {
                let mut result = CallToolResult::structured_error(structure);
                result.content = vec![text];
                result
            })
        }
    };
    made.unwrap_or_else(|error| error_result(format!("the result cannot be sent as JSON: {error}")))
}

/// The schema of a result or, in its place, of a problem: clients check either against it.
pub(super) fn schema<T: JsonSchema + Any>() -> Arc<JsonObject> {
    let mut schema = (*schema_for_output::<T>()).clone();
    let problem = schema_for_output::<Problem>();
    let required =
        |schema: &JsonObject| schema.get("required").cloned().unwrap_or_else(|| json!([]));
    let either = json!([{"required": required(&schema)}, {"required": required(&problem)}]);
    schema.remove("required");
    schema.insert("anyOf".to_owned(), either);
    if let (Some(Value::Object(own)), Some(Value::Object(added))) =
        (schema.get_mut("properties"), problem.get("properties"))
    {
        own.extend(added.clone());
    }
    Arc::new(schema)
}
