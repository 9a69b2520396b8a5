//! From results and problems to what goes over the wire: a structure for programs, the same as text for models.

use super::problem::Problem;
use crate::mcp::Server;
use crate::palace::{Palace, chain};
use rmcp::RoleServer;
use rmcp::handler::server::common::schema_for_output;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use serde::Serialize;
use serde_json::{Value, json};
use std::any::Any;
use std::sync::Arc;

impl Server {
    /// Runs a call on the documents. It is given the palace, and who calls.
    pub(super) async fn on_documents<T: Serialize + Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Palace, Option<String>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<CallToolResult, String> {
        match self.run_apart(context, call).await? {
            Ok(result) => {
                let structure = serde_json::to_value(result).map_err(|error| chain(&error))?;
                Ok(CallToolResult::structured(structure))
            }
            Err(problem) => {
                let text = ContentBlock::text(problem.text());
                let structure = serde_json::to_value(problem).map_err(|error| chain(&error))?;
                let mut result = CallToolResult::structured_error(structure);
                result.content = vec![text];
                Ok(result)
            }
        }
    }
}

/// The schema of a result, or a problem in its place: clients check either against it.
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
