//! Real servers as child processes, and a real client that speaks to them.
#![allow(dead_code, reason = "each test file uses a part")]

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, RoleClient, RunningService, ServiceError,
};
use rmcp::transport::TokioChildProcess;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

pub const PALACE: &str = env!("CARGO_BIN_EXE_crdt-palace");
pub const LOG: &str = env!("CARGO_BIN_EXE_crdt-log");
pub const COMPACT: &str = env!("CARGO_BIN_EXE_crdt-compact");

pub struct Client(pub RunningService<RoleClient, ClientConfig>);

/// The result of a tool call: what was structured, or the text of the error.
pub type Answer = Result<Value, String>;

pub fn eras() -> [ClientLifecycleMode; 2] {
    let preferred_versions = vec![ProtocolVersion::LATEST];
    [ClientLifecycleMode::Initialize, ClientLifecycleMode::Discover { preferred_versions }]
}

impl Client {
    pub async fn start(palace: &Path) -> Self {
        Self::start_as(palace, ClientLifecycleMode::Initialize).await
    }

    /// A client of the tools of the reference memory server.
    pub async fn start_as(palace: &Path, era: ClientLifecycleMode) -> Self {
        Self::start_with(palace, era, &["--tools", "memory"]).await
    }

    pub async fn start_with(palace: &Path, era: ClientLifecycleMode, options: &[&str]) -> Self {
        let mut command = tokio::process::Command::new(PALACE);
        command.arg("serve").args(options).arg("--palace").arg(palace);
        let name = Implementation::new("test-client", "1.2");
        let config = ClientConfig::new(ClientCapabilities::default(), name);
        let child = TokioChildProcess::new(command).unwrap();
        Client(config.serve_with_lifecycle(child, era).await.unwrap())
    }

    pub async fn call(&self, tool: &'static str, arguments: Value) -> Answer {
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        match self.0.call_tool(params).await {
            Ok(result) if result.is_error == Some(true) => {
                let content = serde_json::to_value(&result.content).unwrap();
                Err(content[0]["text"].as_str().unwrap().to_owned())
            }
            Ok(result) => {
                let structured = result.structured_content.unwrap();
                let content = serde_json::to_value(&result.content).unwrap();
                assert_eq!(said(content[0]["text"].as_str().unwrap()), in_words(&structured));
                Ok(structured)
            }
            Err(ServiceError::McpError(error)) => panic!("a protocol error: {error}"),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn close(self) {
        self.0.cancel().await.unwrap();
    }
}

/// The text of an answer: JSON, or words.
fn said(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// What the reference says in the text for a structure: a list or a message without its name.
fn in_words(structured: &Value) -> Value {
    let fields = structured.as_object().unwrap();
    match fields.get("message") {
        Some(message) => message.clone(),
        None if fields.len() == 1 => fields.values().next().unwrap().clone(),
        None => structured.clone(),
    }
}

pub fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The observations of an entity in a graph, sorted.
pub fn observations(graph: &Value, name: &str) -> Vec<String> {
    let entities = graph["entities"].as_array().unwrap();
    let entity = entities.iter().find(|entity| entity["name"] == name).unwrap();
    let texts = entity["observations"].as_array().unwrap().iter();
    let mut texts: Vec<String> = texts.map(|text| text.as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}
