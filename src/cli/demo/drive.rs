//! Starts the servers as child processes, and calls them as any MCP client does.

use super::texts::Passage;
use crate::cli::error::DemoError;
use crate::palace::chain;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ServiceError, ServiceExt};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Calls that each server has in flight at once.
const IN_FLIGHT: usize = 8;
/// The server that is killed, if there is more than one.
const VICTIM: usize = 1;
/// The entity that every server adds to, with each fifth call.
const SHARED: &str = "demo/shared";
const SHARED_EVERY: usize = 5;

/// One text that was sent to a server, and the entity to store it in.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub entity: String,
    pub text: String,
}

/// The calls to one server, by their answers.
#[derive(Debug, Default)]
pub(super) struct ServerCalls {
    pub acknowledged: Vec<Sent>,
    /// The server refused these, or was killed before it answered.
    pub unanswered: Vec<Sent>,
    pub killed: bool,
    /// The text of the first error.
    pub refusal: Option<String>,
}

/// The servers to start, and the calls to make to each.
pub(super) struct Plan {
    palace: PathBuf,
    instances: usize,
    calls: usize,
    texts: Vec<Passage>,
}

type Client = RunningService<RoleClient, ClientConfig>;

/// One server and its calls.
struct Server {
    number: usize,
    client: Client,
    pid: Option<Pid>,
    next: AtomicUsize,
    answers: AtomicUsize,
    killed: AtomicBool,
    driven: Mutex<ServerCalls>,
}

impl Plan {
    pub fn new(palace: PathBuf, instances: u32, calls: u32, texts: Vec<Passage>) -> Self {
        Plan { palace, instances: instances as usize, calls: calls as usize, texts }
    }

    /// Starts all servers, and then drives all of them at once.
    pub async fn drive(self) -> Result<Vec<ServerCalls>, DemoError> {
        let plan = Arc::new(self);
        let mut servers = Vec::new();
        for number in 0..plan.instances {
            servers.push(Arc::new(plan.start(number).await?));
        }
        if let Some(first) = servers.first() {
            let shared = json!({"entities": [
                {"name": SHARED, "entityType": "demo", "observations": []}]});
            let made = first.call("create_entities", shared).await;
            made.map_err(|error| failed(0, &error))?;
        }
        let mut tasks = JoinSet::new();
        for server in &servers {
            for _ in 0..IN_FLIGHT {
                tasks.spawn(work(plan.clone(), server.clone()));
            }
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|error| DemoError::system("run the demo's tasks")(error.into()))?;
        }
        let mut all = Vec::new();
        for server in servers {
            let Some(server) = Arc::into_inner(server) else { continue };
            // The connection of a killed server is closed already, so its error says nothing new.
            drop(server.client.cancel().await);
            all.push(server.driven.into_inner());
        }
        Ok(all)
    }

    async fn start(&self, number: usize) -> Result<Server, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::system("find this program"))?;
        let mut command = tokio::process::Command::new(program);
        command.args(["serve", "--tools", "memory", "--palace"]).arg(&self.palace);
        let child = TokioChildProcess::new(command).map_err(DemoError::system("start a server"))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let name = Implementation::new("crdt-palace-demo", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig::new(ClientCapabilities::default(), name);
        let client = config.serve(child).await.map_err(|error| failed(number, &error))?;
        Ok(Server {
            number,
            client,
            pid,
            next: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            killed: AtomicBool::new(false),
            driven: Mutex::default(),
        })
    }

    fn passage(&self, server: usize, call: usize) -> (&str, &str) {
        let at = (server + call * self.instances) % self.texts.len().max(1);
        self.texts.get(at).map_or(("", ""), |passage| (&passage.file, &passage.text))
    }

    /// Returns the tool of a call, its arguments, and the text that they store. Every text names its server and its
    /// call, so that no two are the same.
    fn call(&self, server: usize, call: usize) -> (&'static str, Value, Sent) {
        let (file, passage) = self.passage(server, call);
        let text = format!("[server {}, call {}] {passage}", server + 1, call + 1);
        if call % SHARED_EVERY == SHARED_EVERY - 1 {
            let arguments = json!({"observations": [{"entityName": SHARED, "contents": [text]}]});
            return ("add_observations", arguments, Sent { entity: SHARED.to_owned(), text });
        }
        let name = format!("demo/{file}/{}-{}", server + 1, call + 1);
        let entity = json!({"name": name, "entityType": "passage", "observations": [text]});
        ("create_entities", json!({"entities": [entity]}), Sent { entity: name, text })
    }

    /// Returns true for the server to kill, once half of its calls are answered.
    fn kills(&self, server: &Server) -> bool {
        let half = server.answers.load(Ordering::SeqCst) >= self.calls.div_ceil(2);
        self.instances > 1 && server.number == VICTIM && half
    }
}

/// Makes one call after the other to a server, until all calls are made or the server is killed.
async fn work(plan: Arc<Plan>, server: Arc<Server>) {
    loop {
        let call = server.next.fetch_add(1, Ordering::SeqCst);
        if call >= plan.calls || server.killed.load(Ordering::SeqCst) {
            return;
        }
        let (tool, arguments, item) = plan.call(server.number, call);
        let answer = server.call(tool, arguments).await;
        let mut driven = server.driven.lock().await;
        match answer {
            Ok(result) if result.is_error != Some(true) => {
                driven.acknowledged.push(item);
                server.answers.fetch_add(1, Ordering::SeqCst);
            }
            Ok(result) => {
                driven.refusal.get_or_insert_with(|| format!("{:?}", result.content));
                driven.unanswered.push(item);
            }
            Err(error) => {
                if !server.killed.load(Ordering::SeqCst) {
                    driven.refusal.get_or_insert_with(|| error.to_string());
                }
                driven.unanswered.push(item);
            }
        }
        if plan.kills(&server) && !server.killed.swap(true, Ordering::SeqCst) {
            driven.killed = server.kill();
        }
    }
}

impl Server {
    async fn call(
        &self,
        tool: &'static str,
        arguments: Value,
    ) -> Result<CallToolResult, ServiceError> {
        let arguments: Map<String, Value> = match arguments {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        self.client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
    }

    fn kill(&self) -> bool {
        self.pid.is_some_and(|pid| match kill_process(pid, Signal::KILL) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the server could not be killed");
                false
            }
        })
    }
}

fn failed(number: usize, error: &dyn std::error::Error) -> DemoError {
    DemoError::Server { instance: number + 1, why: chain(error) }
}
