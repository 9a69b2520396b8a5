//! Calls with an idempotency key whose whole answer is kept: sent again, they do nothing and have the first answer.
//!
//! Invariant: the record that a call was made is in the commit of its effect. Its answer is added after that, so a server
//! that is killed between the two leaves a call of which it is known that it was made, and no answer.

use crate::mcp::arguments::argument;
use crate::mcp::once::{answered, once};
use crate::mcp::tool::Call;
use crate::memory::MemoryError;
use rmcp::schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The answer to a call, or the recorded one of the same call.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Repeatable<T> {
    /// The call was made now.
    Made(T),
    /// The answer of an earlier call with the same key.
    Repeated(Value),
}

impl<T: JsonSchema> JsonSchema for Repeatable<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        if let Some(Value::Object(fields)) = schema.get_mut("properties") {
            let is = "True if the call was made before, with the same idempotency_key: this is its answer of then";
            fields.insert("repeated".to_owned(), json!({"type": "boolean", "description": is}));
        }
        schema
    }
}

/// Makes a call of a tool, unless it has a key and was made before. Its target is the drawer or the fact that it names, or
/// all that the tool changes.
///
/// # Errors
/// Those of `run`; [`MemoryError::Argument`] if the key was used for a call with other arguments, or if the answer to the
/// call was lost.
pub(super) fn repeatable<A: Serialize, T: Serialize>(
    call: &Call,
    tool: &str,
    asked: A,
    run: fn(&Call, A) -> Result<T, MemoryError>,
) -> Result<Repeatable<T>, MemoryError> {
    let sent = json!(asked);
    let argument = |name: &str| sent.get(name).and_then(Value::as_str);
    let target = ["drawer_id", "triple_id"].into_iter().find_map(argument).unwrap_or(tool);
    let once = once(tool, &["palace", target], argument("idempotency_key"), &sent)?;
    // A call that only counts has no effect, and leaves no record.
    let counts_only = sent.get("dry_run") == Some(&Value::Bool(true));
    let Some(once) = once.filter(|_| !counts_only) else {
        return run(call, asked).map(Repeatable::Made);
    };
    if let Some(answer) = answered(&call.palace, &once)? {
        return repeated(answer);
    }
    let made = match run(&call.making_once(once.clone()), asked) {
        Ok(made) => made,
        // Another process may have made the same call meanwhile.
        Err(error) => {
            return match answered(&call.palace, &once)? {
                Some(answer) => repeated(answer),
                None => Err(error),
            };
        }
    };
    // The call is made, so that it must not fail now.
    if let Err(error) = call.palace.keep_answer(&once, json!(made)) {
        tracing::warn!(%error, tool, "the answer of a call cannot be kept");
    }
    Ok(Repeatable::Made(made))
}

fn repeated<T>(answer: Value) -> Result<Repeatable<T>, MemoryError> {
    // A record that was made with its effect has something else, until the answer is added.
    let answer = Some(answer).filter(|answer| answer.get("success").is_some());
    let Some(Value::Object(mut answer)) = answer else {
        let why = "the call with this key was made before, and nothing was written now. Its answer is not kept: the \
            server that made it was killed, or is about to keep it. Send the call again, or read what it is about; for a \
            new call choose a new key";
        return Err(argument("idempotency_key", why));
    };
    answer.insert("repeated".to_owned(), true.into());
    Ok(Repeatable::Repeated(answer.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_without_a_kept_answer_is_an_error_that_says_it_was_made() {
        // What the record has before the answer is added: nothing, or what the commit of a delete left.
        for answer in [Value::Null, json!({"etag": "0123456789abcdef", "changed": true})] {
            let Err(error) = repeated::<Value>(answer) else { panic!("it is no answer") };
            let error = error.to_string();
            assert!(
                error.contains("was made before") && error.contains("nothing was written"),
                "{error}"
            );
        }
        let kept = repeated::<Value>(json!({"success": true, "noop": false})).ok().unwrap();
        assert_eq!(json!(kept), json!({"success": true, "noop": false, "repeated": true}));
    }
}
