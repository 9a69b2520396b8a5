//! Real servers as child processes, and a real client that speaks to them.
#![allow(dead_code, reason = "each test file uses a part")]

use rmcp::ClientHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
    ProtocolVersion, ResourceUpdatedNotificationParam,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, RoleClient, RunningService,
};
use rmcp::transport::TokioChildProcess;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

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

/// The command of a server on standard input and output.
pub fn serve(palace: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(PALACE);
    command.arg("serve").args(options).arg("--palace").arg(palace);
    command
}

/// A server that is started as a client of rmcp starts it.
pub fn transport(palace: &Path, options: &[&str]) -> TokioChildProcess {
    TokioChildProcess::new(tokio::process::Command::from(serve(palace, options))).unwrap()
}

impl Client {
    /// A client of the tools of the reference memory server.
    pub async fn start(palace: &Path) -> Self {
        Self::start_as(palace, ClientLifecycleMode::Initialize).await
    }

    /// A client of the tools of the reference memory server, in this protocol era.
    pub async fn start_as(palace: &Path, era: ClientLifecycleMode) -> Self {
        Self::start_with(palace, era, &["--tools", "memory"]).await
    }

    pub async fn start_with(palace: &Path, era: ClientLifecycleMode, options: &[&str]) -> Self {
        Self::start_named("test-client", palace, era, options).await
    }

    pub async fn start_named(
        name: &str,
        palace: &Path,
        era: ClientLifecycleMode,
        options: &[&str],
    ) -> Self {
        let name = Implementation::new(name, "1.2");
        let config = ClientConfig::new(ClientCapabilities::default(), name);
        Client(config.serve_with_lifecycle(transport(palace, options), era).await.unwrap())
    }

    /// The result of a call, an error of the tool included.
    pub async fn result(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        self.0.call_tool(params).await.unwrap_or_else(|error| panic!("{tool}: {error}"))
    }

    /// What is structured in the result, which must be what its text says, or the text of the tool's error.
    pub async fn call(&self, tool: &'static str, arguments: Value) -> Answer {
        let result = self.result(tool, arguments).await;
        let text = texts(&result).swap_remove(0);
        if result.is_error == Some(true) {
            return Err(text);
        }
        let structured = result.structured_content.unwrap();
        assert_eq!(said(&text), in_words(&structured));
        Ok(structured)
    }

    pub async fn close(self) {
        self.0.cancel().await.unwrap();
    }
}

/// The texts of a result.
pub fn texts(result: &CallToolResult) -> Vec<String> {
    let content = serde_json::to_value(&result.content).unwrap();
    let blocks = content.as_array().unwrap().iter();
    blocks.map(|block| block["text"].as_str().unwrap().to_owned()).collect()
}

/// Hears notices of resources: their URIs, and "list" for the list.
pub struct Listener(pub UnboundedSender<String>);

impl ClientHandler for Listener {
    async fn on_resource_updated(
        &self,
        notice: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.0.send(notice.uri).unwrap();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.send("list".to_owned()).unwrap();
    }
}

/// Waits for a minute at most, which is a failure.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.unwrap()
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

pub fn code(output: &Output) -> Option<i32> {
    output.status.code()
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
