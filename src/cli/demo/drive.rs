//! Driving the servers: real child processes, spoken to as any MCP client does.

use super::texts::Passage;
use super::{DemoError, server_failed, system};
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

/// How many calls are in flight at once in each server.
const IN_FLIGHT: usize = 8;
/// Which server is killed, where there is more than one.
const VICTIM: usize = 1;
/// The entity that every server adds to, each fifth call.
const SHARED: &str = "demo/shared";
const SHARED_EVERY: usize = 5;

/// One text that was to be stored, and where.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub entity: String,
    pub text: String,
}

/// What became of one server's calls.
#[derive(Debug, Default)]
pub(super) struct Driven {
    pub acknowledged: Vec<Item>,
    /// Sent to a server that was killed before it answered.
    pub unanswered: Vec<Item>,
    pub killed: bool,
    /// What the first call that was answered with an error said.
    pub refusal: Option<String>,
}

/// What is to be done.
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
    driven: Mutex<Driven>,
}

impl Plan {
    pub fn new(palace: PathBuf, instances: u32, calls: u32, texts: Vec<Passage>) -> Self {
        Plan { palace, instances: instances as usize, calls: calls as usize, texts }
    }

    /// Starts all servers, and then drives all of them at once.
    pub async fn drive(self) -> Result<Vec<Driven>, DemoError> {
        let plan = Arc::new(self);
        let mut servers = Vec::new();
        for number in 0..plan.instances {
            servers.push(Arc::new(plan.start(number).await?));
        }
        if let Some(first) = servers.first() {
            let shared = json!({"entities": [
                {"name": SHARED, "entityType": "demo", "observations": []}]});
            let made = first.call("create_entities", shared).await;
            made.map_err(|error| server_failed(0, &error))?;
        }
        let mut tasks = JoinSet::new();
        for server in &servers {
            for _ in 0..IN_FLIGHT {
                tasks.spawn(work(plan.clone(), server.clone()));
            }
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|error| system("run the demo's tasks")(error.into()))?;
        }
        let mut all = Vec::new();
        for server in servers {
            let Some(server) = Arc::into_inner(server) else { continue };
            // A killed server's connection is closed already, and there is nothing to wait for.
            drop(server.client.cancel().await);
            all.push(server.driven.into_inner());
        }
        Ok(all)
    }

    async fn start(&self, number: usize) -> Result<Server, DemoError> {
        let program = std::env::current_exe().map_err(system("find this program"))?;
        let mut command = tokio::process::Command::new(program);
        command.args(["serve", "--tools", "memory", "--palace"]).arg(&self.palace);
        let child = TokioChildProcess::new(command).map_err(system("start a server"))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let name = Implementation::new("crdt-palace-demo", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig::new(ClientCapabilities::default(), name);
        let client = config.serve(child).await.map_err(|error| server_failed(number, &error))?;
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

    /// The tool, its arguments, and what they store. Every text names its server and call, so that
    /// none can be taken for another.
    fn call(&self, server: usize, call: usize) -> (&'static str, Value, Item) {
        let (file, passage) = self.passage(server, call);
        let text = format!("[server {}, call {}] {passage}", server + 1, call + 1);
        if call % SHARED_EVERY == SHARED_EVERY - 1 {
            let arguments = json!({"observations": [{"entityName": SHARED, "contents": [text]}]});
            return ("add_observations", arguments, Item { entity: SHARED.to_owned(), text });
        }
        let name = format!("demo/{file}/{}-{}", server + 1, call + 1);
        let entity = json!({"name": name, "entityType": "passage", "observations": [text]});
        ("create_entities", json!({"entities": [entity]}), Item { entity: name, text })
    }

    /// Whether this is the server to kill, and half of its calls are answered.
    fn kills(&self, server: &Server) -> bool {
        let half = server.answers.load(Ordering::SeqCst) >= self.calls.div_ceil(2);
        self.instances > 1 && server.number == VICTIM && half
    }
}

/// One of the lines of calls to one server, until there are no more calls or no more server.
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
