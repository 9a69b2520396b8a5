//! One entry of a client's configuration.

use serde::Serialize;
use serde_json::Value;

/// The entry of a configuration that tells a client how to start the server.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    pub command: String,
    pub args: Vec<String>,
}

impl Entry {
    /// Tells whether an entry of a file starts the server in the same way. Other fields, such as an environment, belong
    /// to the user.
    pub fn is_in(&self, found: &Value) -> bool {
        let args = found.get("args").and_then(Value::as_array);
        let same = |args: &Vec<Value>| self.args.iter().eq(args.iter().filter_map(Value::as_str));
        found.get("type").is_none_or(|kind| kind == "stdio")
            && found.get("command").is_some_and(|command| *command == *self.command)
            && args.is_some_and(|args| args.len() == self.args.len() && same(args))
    }
}
