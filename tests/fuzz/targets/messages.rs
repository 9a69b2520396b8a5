//! Messages of the protocol, on lines: whatever they are, each request with an id is answered once, and the server
//! goes on to the end of its input.

use super::input::Input;
use super::palace;
use crdt_palace::mcp::{Offer, Server, ToolSet, serve_client};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"f","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Messages to make others of. `ID` stands for the number of the message.
const MESSAGES: [&str; 24] = [
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"palace_search","arguments":{"query":"x"}}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"palace_add_drawer","arguments":{"wing":"w","room":"r","content":"half \ud83d"}}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"document_put","arguments":{"key":"k","value":{"n":1e400}}}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"read_graph","arguments":[]}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call"}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"ping","params":[]}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"ping"}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"cursor":null}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"resources/read","params":{"uri":"memory://knowledge-graph"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"resources/subscribe","params":{"uri":"palace://status"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"completion/complete","params":{}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tasks/get","params":{"taskId":"x"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"f","version":"1"}}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"server/discover","params":{META}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{META,"name":"read_graph"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"unknown","params":{"x":"\udc00"}}"#,
    r#"{"jsonrpc":"2.0","id":ID}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    r#"{"jsonrpc":"2.0","id":"ID","result":{"x":1}}"#,
    r#"[{"jsonrpc":"2.0","id":ID,"method":"ping"},5]"#,
    "no JSON",
    "",
    r#"[{"jsonrpc":"2.0","id":"IDa","method":5},{"jsonrpc":"2.0","id":ID,"method":"ping"},{"jsonrpc":"2.0","id":"IDb","method":"tools/call","params":{"name":"document_get","arguments":{"key":1e400}}}]"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"document_put","arguments":{"key":"k","key":"l","value":{"n":12345678901234567890123,"n":2}}}}"#,
];

/// The id of an answer to what has none that can be read.
const NO_ID: &str = "null";

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let lines = lines(&mut input);
    let said = answers(&lines);
    // A request that the client takes back is not answered.
    if lines.iter().any(|line| String::from_utf8_lossy(line).contains("cancelled")) {
        return;
    }
    let mut ids: BTreeMap<String, i64> = BTreeMap::new();
    for line in said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: Value = serde_json::from_slice(line).unwrap();
        if message.get("method").is_none() {
            assert!(message.get("result").is_some() != message.get("error").is_some(), "{message}");
            *ids.entry(message["id"].to_string()).or_default() += 1;
        }
        let text = message.to_string();
        assert!(!text.contains("the call failed"), "{text}");
    }
    for line in &lines {
        for id in awaited(line) {
            let left = ids.entry(id.clone()).or_default();
            *left -= 1;
            let shown = String::from_utf8_lossy(line);
            assert!(*left >= 0, "no answer to {id}: {shown}\n{}", String::from_utf8_lossy(&said));
        }
    }
}

/// The lines of a session: mostly a session of one of the eras, then anything.
fn lines(input: &mut Input<'_>) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    match input.byte() % 4 {
        0 => {}
        1 => lines.push(message(14, 1000)),
        _ => lines.push(message(12, 1000)),
    }
    while !input.is_empty() && lines.len() < 8 {
        let mut line = match input.byte() % 8 {
            0 => input.some().to_vec(),
            _ => message(input.below(MESSAGES.len()), lines.len()),
        };
        if input.byte().is_multiple_of(2) {
            input.edit(&mut line);
        }
        line.retain(|byte| *byte != b'\n');
        lines.push(line);
    }
    lines
}

fn message(which: usize, id: usize) -> Vec<u8> {
    MESSAGES[which].replace("ID", &id.to_string()).replace("META", META).into_bytes()
}

/// What a server says to these lines, until it ends by itself.
fn answers(lines: &[Vec<u8>]) -> Vec<u8> {
    let disk = palace::with("tmp", "left-behind", b"");
    let palace = palace::open(disk.process());
    let sets = vec![ToolSet::Palace, ToolSet::Memory, ToolSet::Documents];
    let server = Server::new(palace, &Offer { sets, ..Offer::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let said = runtime.block_on(async {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        let (input, output) = tokio::io::split(far);
        let serving = tokio::spawn(serve_client(server, input, output));
        for line in lines {
            near.write_all(line).await.unwrap();
            near.write_all(b"\n").await.unwrap();
        }
        near.shutdown().await.unwrap();
        let mut said = Vec::new();
        near.read_to_end(&mut said).await.unwrap();
        serving.await.unwrap().unwrap();
        said
    });
    palace::open(disk.process()).verify().unwrap();
    said
}

/// The ids that are answered because of a line. One that cannot be read is answered without: `null`.
fn awaited(line: &[u8]) -> Vec<String> {
    // Where the bad byte is decides whether the rest can be read.
    let Ok(text) = std::str::from_utf8(line) else { return Vec::new() };
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii_start();
    if text.is_empty() && line.trim_ascii().is_empty() {
        return Vec::new();
    }
    // What the server can read and this test cannot.
    let plain = text.replace("1e400", "1").replace(r"\ud83d", "x").replace(r"\udc00", "x");
    match serde_json::from_str(&plain) {
        Ok(message) => awaited_by(&message),
        Err(_) if serde_json::from_str::<IgnoredAny>(text).is_ok() => Vec::new(),
        Err(_) => vec![NO_ID.to_owned()],
    }
}

fn awaited_by(message: &Value) -> Vec<String> {
    let no_id = || vec![NO_ID.to_owned()];
    match message {
        Value::Object(fields) => {
            let is_response = fields.contains_key("result") || fields.contains_key("error");
            match (fields.get("method"), fields.get("id")) {
                (None, _) if is_response => Vec::new(),
                (Some(Value::String(_)), None) => Vec::new(),
                (_, Some(id)) if is_usable(id) => vec![as_answered(id)],
                _ => no_id(),
            }
        }
        Value::Array(messages) if messages.is_empty() => no_id(),
        // Whether the era has batches decides how the rest of them is answered.
        Value::Array(messages) => {
            let is_request = |it: &&Value| it["method"].is_string() && is_usable(&it["id"]);
            messages.iter().filter(is_request).map(|it| as_answered(&it["id"])).collect()
        }
        _ => no_id(),
    }
}

fn is_usable(id: &Value) -> bool {
    id.is_string()
        || id.is_i64()
        || id.as_f64().is_some_and(|id| id.fract() == 0.0 && id.abs() < 2f64.powi(53))
}

/// `1.0` is answered as `1`.
fn as_answered(id: &Value) -> String {
    match id.as_f64() {
        Some(number) if !id.is_i64() => (number as i64).to_string(),
        _ => id.to_string(),
    }
}
