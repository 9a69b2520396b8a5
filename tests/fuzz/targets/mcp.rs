//! Arguments of tools: whatever a model says, there is an answer of bounded length, no call panics, and what
//! others wrote is still there.

use super::input::Input;
use super::palace;
use crdt_palace::mcp::{Offer, Server, ToolSet};
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, Tool};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// More than any result may have, with what the protocol puts around it.
const ANSWER_BYTES_MAX: usize = 1 << 20;

const TEXTS: [&str; 12] = [
    "",
    "a",
    "good/tail",
    "drawer/../../etc/passwd",
    "line\nbreak",
    "\u{1b}[31m\u{0}",
    "é 日本 \u{202e}\u{200b}",
    "\" OR NEAR(a b) AND *",
    "2026-13-45T99:99:99Z",
    "2026-01-02T03:04:05Z",
    "ffffffffffffffff.0000000000000000",
    "-9223372036854775809",
];

pub fn run(data: &[u8]) {
    let disk = palace::with("tmp", "left-behind", b"");
    let palace = palace::open(disk.process());
    let offer = Offer {
        sets: vec![ToolSet::Palace, ToolSet::Memory, ToolSet::Documents],
        ..Offer::default()
    };
    let server = Server::new(palace, &offer);
    let runtime = runtime();
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(1 << 16);
        let serving = tokio::spawn(async move {
            let running = server.serve(far).await.unwrap();
            running.waiting().await.unwrap();
        });
        let client = ().serve(near).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        let mut input = Input(data);
        for _ in 0..3 {
            let Some((name, arguments)) = call(&mut input, &tools) else { break };
            let params = CallToolRequestParams::new(name.clone()).with_arguments(arguments);
            let answer = match client.call_tool(params).await {
                Ok(result) => serde_json::to_string(&result).unwrap(),
                Err(error) => error.to_string(),
            };
            assert!(!answer.contains("the call failed"), "{name}: {answer}");
            assert!(answer.len() <= ANSWER_BYTES_MAX, "{name}: {} bytes", answer.len());
        }
        client.cancel().await.unwrap();
        serving.await.unwrap();
    });
    palace::open(disk.process()).verify().unwrap();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A tool, and its arguments as they stand in the recipe or as the tool's own schema suggests.
fn call(input: &mut Input<'_>, tools: &[Tool]) -> Option<(String, Map<String, Value>)> {
    if input.is_empty() {
        return None;
    }
    let tool = &tools[input.below(tools.len())];
    let said = match input.byte() % 4 {
        0 => serde_json::from_slice(std::mem::take(&mut input.0)).ok()?,
        _ => {
            let schema = Value::Object((*tool.input_schema).clone());
            suggested(&schema, &schema, input, 4)
        }
    };
    let Value::Object(arguments) = said else { return None };
    Some((tool.name.to_string(), arguments))
}

/// A value that mostly has the shape that a schema wants.
fn suggested(schema: &Value, root: &Value, input: &mut Input<'_>, depth: usize) -> Value {
    if depth == 0 || input.byte().is_multiple_of(8) {
        return nasty(input);
    }
    if let Some(name) = schema["$ref"].as_str() {
        let found = root.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null);
        return suggested(found, root, input, depth - 1);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") => object(schema, root, input, depth),
        Some("array") => {
            let count = input.below(4);
            (0..count).map(|_| suggested(&schema["items"], root, input, depth - 1)).collect()
        }
        Some("string") => text(input),
        Some("integer" | "number") => number(input),
        Some("boolean") => Value::Bool(input.byte().is_multiple_of(2)),
        _ => nasty(input),
    }
}

fn object(schema: &Value, root: &Value, input: &mut Input<'_>, depth: usize) -> Value {
    let mut fields = Map::new();
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        if !input.byte().is_multiple_of(4) {
            fields.insert(name.clone(), suggested(inner, root, input, depth - 1));
        }
    }
    if fields.is_empty() {
        fields.insert(TEXTS[input.below(TEXTS.len())].to_owned(), nasty(input));
    }
    Value::Object(fields)
}

fn text(input: &mut Input<'_>) -> Value {
    match input.byte() % 4 {
        0 => String::from_utf8_lossy(input.some()).into_owned().into(),
        1 => TEXTS[input.below(TEXTS.len())].repeat(1 + usize::from(input.byte()) * 8).into(),
        _ => TEXTS[input.below(TEXTS.len())].into(),
    }
}

fn number(input: &mut Input<'_>) -> Value {
    match input.byte() % 4 {
        0 => json!(input.odd_number()),
        1 => json!(input.odd_number().cast_signed().wrapping_neg()),
        2 => json!(f64::from_bits(input.number())),
        _ => json!(input.byte()),
    }
}

fn nasty(input: &mut Input<'_>) -> Value {
    match input.byte() % 6 {
        0 => Value::Null,
        1 => number(input),
        2 => text(input),
        // Both below the depth at which the protocol's library does not read a message any more.
        3 => (0..input.byte() % 100).fold(json!([]), |inner, _| json!([inner])),
        4 => (0..input.byte() % 100).fold(json!({}), |inner, _| json!({"": inner})),
        _ => json!({"value": input.byte(), "é": [null, true]}),
    }
}
