//! The answers that docs/MCP.md shows are those that servers give.

use crate::client::{Client, PALACE};
use crate::named_clients::done;
use rmcp::service::ClientLifecycleMode;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Palaces in which the example is tried: which of two readings is shown is left to chance.
const ATTEMPTS: usize = 40;

/// A call that the page shows, and its answer.
#[derive(Debug)]
struct Shown {
    /// The client that makes it, if the page names one.
    client: Option<String>,
    tool: String,
    arguments: Value,
    answer: Value,
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/MCP.md");
    std::fs::read_to_string(page).unwrap()
}

/// The calls that a part of the page shows: a line with the call, and below it one with the answer.
fn shown(part: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    for block in part.split("```text\n").skip(1) {
        let lines: Vec<&str> = block.split("\n```").next().unwrap().lines().collect();
        for pair in lines.chunks(2) {
            let [call, answer] = pair else { continue };
            let Some((first, rest)) = call.split_once(' ') else { continue };
            let (client, call) = match first.strip_suffix(':') {
                Some(client) => (Some(client.to_owned()), rest),
                None => (None, *call),
            };
            let Some((tool, arguments)) = call.split_once(' ') else { continue };
            let (Ok(arguments), Ok(answer)) =
                (serde_json::from_str(arguments), serde_json::from_str(answer))
            else {
                continue;
            };
            found.push(Shown { client, tool: tool.to_owned(), arguments, answer });
        }
    }
    found
}

/// The part of a page under a heading, up to the next one of the same depth or a higher one.
fn under<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    let rest = &page[start + heading.len() + 2..];
    let depth = heading.split(' ').next().unwrap();
    let ends = (1..=depth.len()).filter_map(|n| rest.find(&format!("\n{} ", "#".repeat(n))));
    &rest[..ends.min().unwrap_or(rest.len())]
}

/// Puts names in the place of versions, and a word in the place of times. The same version has the same name everywhere.
#[derive(Default)]
struct Placeholders(BTreeMap<String, String>);

impl Placeholders {
    fn put(&mut self, answer: &mut Value) {
        // Those that stand alone get their names first: the order of several in one etag is left to chance.
        for alone in [true, false] {
            self.name(answer, alone);
        }
    }

    fn name(&mut self, value: &mut Value, alone: bool) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.name(item, alone)),
            Value::Object(fields) => {
                for (field, value) in fields {
                    match (field.as_str(), value.as_str()) {
                        ("etag" | "current_etag", Some(etag)) if etag.contains('.') != alone => {
                            *value = self.named(etag).into();
                        }
                        ("at", Some(_)) => *value = "a time".into(),
                        ("by", Some(by)) => *value = by.split('/').next().into(),
                        _ => self.name(value, alone),
                    }
                }
            }
            _ => {}
        }
    }

    fn named(&mut self, etag: &str) -> String {
        if etag.starts_with("version ") {
            return etag.to_owned();
        }
        let mut names: Vec<String> = Vec::new();
        for part in etag.split('.') {
            let next = format!("version {}", self.0.len() + 1);
            names.push(self.0.entry(part.to_owned()).or_insert(next).clone());
        }
        names.sort_unstable();
        names.join(" and ")
    }
}

async fn start(name: &str, palace: &Path) -> Client {
    Client::start_named(name, palace, ClientLifecycleMode::Initialize, &[]).await
}

async fn read(client: &Client, id: &Value) -> String {
    let drawer = done(client, "palace_get_drawer", json!({"drawer_id": id})).await;
    drawer["content"].as_str().unwrap().to_owned()
}

async fn write(client: &Client, id: &Value, content: &str) -> Value {
    done(client, "palace_update_drawer", json!({"drawer_id": id, "content": content})).await
}

/// Makes the calls of the example through two servers, with what the page tells in between.
async fn answers(example: &[Shown]) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let (claude, mut cursor) = (start("claude-code", &path).await, start("cursor", &path).await);
    let text = "We sign with RSA.\nTokens live for a day.\nKeys are rotated by hand.";
    let item = json!({"wing": "atlas", "room": "auth", "content": text});
    let id = done(&claude, "palace_add_drawer", item).await["drawer_id"].clone();
    for client in [&claude, &cursor] {
        read(client, &id).await;
    }
    let mut answers = Vec::new();
    for (n, call) in example.iter().enumerate() {
        if n == 2 {
            for client in [&claude, &cursor] {
                read(client, &id).await;
            }
            let text = read(&claude, &id).await.replace("for a day", "for an hour");
            write(&claude, &id, &text).await;
        } else if n == 3 {
            cursor.close().await;
            let text = read(&claude, &id).await.replace("Ed25519", "ML-DSA");
            write(&claude, &id, &text).await;
            cursor = start("cursor", &path).await;
        }
        let client = match call.client.as_deref() {
            Some("claude-code") => &claude,
            _ => &cursor,
        };
        assert_eq!(call.tool, "palace_update_drawer");
        answers.push(done(client, "palace_update_drawer", call.arguments.clone()).await);
    }
    claude.close().await;
    cursor.close().await;
    answers
}

#[tokio::test]
async fn example_of_two_agents_shows_real_answers() {
    let page = page();
    let example = shown(under(&page, "### Two agents and one drawer"));
    assert_eq!(example.len(), 4, "the test knows what happens between four calls: {example:?}");
    let mut expected: Value = example.iter().map(|call| call.answer.clone()).collect();
    Placeholders::default().put(&mut expected);
    let mut real = Value::Null;
    for _ in 0..ATTEMPTS {
        real = answers(&example).await.into();
        Placeholders::default().put(&mut real);
        if real == expected {
            return;
        }
    }
    assert_eq!(real, expected, "the answers, and those that the page shows");
}

#[tokio::test]
async fn answers_of_the_graph_tools_are_real() {
    let (dir, page) = (tempfile::tempdir().unwrap(), page());
    let client = Client::start(&dir.path().join("palace")).await;
    let calls = shown(under(&page, "## The nine tools"));
    assert_eq!(calls.len(), 9, "{calls:?}");
    for Shown { tool, arguments, answer, .. } in calls {
        let real = done(&client, Box::leak(tool.clone().into_boxed_str()), arguments).await;
        assert_eq!(real, answer, "{tool}");
    }
    client.close().await;
}

/// Names what an answer has and its schema does not, and what it should have.
fn misfits(answer: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    match answer {
        Value::Array(items) if schema["items"].is_object() => {
            items.iter().for_each(|item| misfits(item, &schema["items"], path, found));
        }
        Value::Object(fields) if schema["properties"].is_object() => {
            let known: &Map<String, Value> = schema["properties"].as_object().unwrap();
            for (field, value) in fields {
                let path = format!("{path}/{field}");
                match known.get(field) {
                    Some(schema) => misfits(value, schema, &path, found),
                    None => found.push(format!("{path} is unknown")),
                }
            }
            let required = schema["required"].as_array().into_iter().flatten();
            for field in required.filter_map(Value::as_str) {
                if !fields.contains_key(field) {
                    found.push(format!("{path}/{field} is missing"));
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn shown_answers_have_the_fields_of_their_tools() {
    let (dir, page) = (tempfile::tempdir().unwrap(), page());
    let sets = ["--tools", "palace,memory,documents"];
    let palace = dir.path().join("palace");
    let client = Client::start_with(&palace, ClientLifecycleMode::Initialize, &sets).await;
    let tools: BTreeMap<String, Value> = (client.0.list_all_tools().await.unwrap().into_iter())
        .map(|tool| (tool.name.to_string(), json!(tool.output_schema)))
        .collect();
    let (mut found, mut count) = (Vec::new(), 0);
    for Shown { tool, answer, .. } in shown(&page) {
        let schema = tools.get(&tool).unwrap_or_else(|| panic!("{PALACE} has no tool {tool}"));
        misfits(&answer, schema, &tool, &mut found);
        count += 1;
    }
    assert_eq!(found, [""; 0]);
    assert!(count > 40, "only {count} answers were found");
    client.close().await;
}
