//! `crdt-palace serve` on a palace of 100,000 drawers: how soon it answers, what it holds when idle, and how
//! soon a subscriber hears of another process's write. Beside it, an rmcp server that does nothing.

mod common;

use common::child::{self, Child};
use common::large::{clean, copy, documents, keep, kept};
use common::table::{Bar, Table};
use common::{Result, document, millis, percentile, quick, scratch};
use crdt_palace::memory::drawers::{Drawers, Item, Place};
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::{Error, Options, Palace, StoreError};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The file with the id of one drawer.
const ONE: &str = "one-drawer.txt";
/// Drawers in one commit while the palace is built.
const STEP: u64 = 2_000;
const URI: &str = "palace://document/notes%2Fplan";
const UPDATED: &str = "notifications/resources/updated";

fn main() -> Result {
    match child::role() {
        Some((role, _)) if role == "idle-server" => idle_server(),
        Some(_) => Err("no such role".into()),
        None => measure(),
    }
}

fn measure() -> Result {
    let palace = drawers()?;
    let id = std::fs::read_to_string(kept(ONE)?)?;
    let before = files(&palace)?;
    let mut table = Table::new();
    start_up(&mut table, &palace, &id)?;
    memory(&mut table, &palace, &id)?;
    if files(&palace)? != before {
        return Err("a server that wrote nothing has changed the palace".into());
    }
    no_trace()?;
    announcements(&mut table, &palace)?;
    table.print(&format!("crdt-palace serve on {} drawers", documents()));
    Ok(())
}

/// The drawers, as automatic compaction leaves them. Do not write to it.
fn drawers() -> Result<PathBuf> {
    keep("drawers", |path| {
        let palace = Options::default().open(path)?;
        let (drawers, mut one) = (Drawers::new(palace.clone()), None);
        for first in (0..documents()).step_by(STEP.try_into()?) {
            let items = (first..first + STEP).map(drawer).collect::<Result<Vec<_>>>()?;
            one = drawers.file(&items)?.pop();
        }
        std::fs::write(kept(ONE)?, one.ok_or("nothing was filed")?.id)?;
        palace.seal()?;
        let due = || CompactOptions::new().extent(Extent::Due);
        // The one in the background may still be at it.
        loop {
            match palace.compact(due()) {
                Err(Error::Store(StoreError::Busy { .. })) => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                done => break drop(done?),
            }
        }
        clean(&palace)
    })
}

fn drawer(n: u64) -> Result<Item> {
    let place = Place::new(&format!("wing-{}", n % 20), &format!("room-{}", n % 7))?;
    let text = document(n).get("body").and_then(Value::as_str).map(str::to_owned);
    let text = text.ok_or("a document without a body")?;
    Ok(Item::new(place, &format!("{text} {n}"))?)
}

/// The files of a palace with their lengths.
fn files(path: &Path) -> Result<BTreeMap<PathBuf, u64>> {
    let (mut found, mut todo) = (BTreeMap::new(), vec![path.to_owned()]);
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                todo.push(entry.path());
            } else {
                found.insert(entry.path(), entry.metadata()?.len());
            }
        }
    }
    Ok(found)
}

/// The client's side of a session: lines of JSON, nothing that takes time of its own.
struct Session {
    child: Child,
    asked: u64,
    /// Notices that came while an answer was waited for.
    notices: usize,
}

impl Session {
    /// Starts a server and waits for its first answer.
    fn open(command: Command) -> Result<Self> {
        let mut session = Session { child: Child::of(command)?, asked: 0, notices: 0 };
        let client = json!({"name": "bench", "version": "1"});
        let hello =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        session.ask("initialize", &hello)?;
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        session.child.say(&done.to_string())?;
        Ok(session)
    }

    fn palace(path: &Path, tools: &str) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crdt-palace"));
        command.args(["serve", "--tools", tools, "--palace"]).arg(path);
        Session::open(command)
    }

    fn idle() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--child", "idle-server"]);
        Session::open(command)
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.asked += 1;
        let request =
            json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params});
        self.child.say(&request.to_string())?;
        loop {
            let mut said: Value = serde_json::from_str(&self.child.hear()?)?;
            match said.get("id").and_then(Value::as_u64) {
                Some(id) if id == self.asked => {
                    let result = said.get_mut("result").map(Value::take);
                    return result.ok_or_else(|| format!("{method}: {said}").into());
                }
                _ => self.notices += 1,
            }
        }
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// The same, and it has to go well.
    fn call_well(&mut self, tool: &str, arguments: &Value) -> Result {
        match self.call(tool, arguments)? {
            result if result.get("isError") == Some(&Value::Bool(true)) => {
                Err(format!("{tool}: {result}").into())
            }
            _ => Ok(()),
        }
    }
}

/// Milliseconds from the start of a server to its first answer, and to the answer to its first call.
fn start(open: impl Fn() -> Result<Session>, tool: &str, arguments: &Value) -> Result<(f64, f64)> {
    let begun = Instant::now();
    let mut session = open()?;
    let first = begun.elapsed();
    session.call_well(tool, arguments)?;
    Ok((millis(first), millis(begun.elapsed())))
}

fn start_up(table: &mut Table, palace: &Path, id: &str) -> Result {
    let (get, nothing) = (json!({"drawer_id": id}), json!({}));
    let (mut ours, mut peers, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    // In turn, so that whatever else the machine does meets both.
    for _ in 0..if quick() { 5 } else { 100 } {
        peers.push(start(Session::idle, "nothing", &nothing)?);
        ours.push(start(|| Session::palace(palace, "palace"), "palace_get_drawer", &get)?);
        counted.push(start(|| Session::palace(palace, "palace"), "palace_status", &nothing)?);
    }
    let column = |rows: &[(f64, f64)], call: bool| -> Vec<f64> {
        rows.iter().map(|(first, second)| if call { *second } else { *first }).collect()
    };
    for (what, call) in [("initialize", false), ("a drawer read", true)] {
        let (mut ours, mut peers) = (column(&ours, call), column(&peers, call));
        for (share, part) in [(0.5, "median"), (0.99, "99 of 100")] {
            let peer = ("idle rmcp", percentile(&mut peers, share));
            let took = percentile(&mut ours, share);
            table.beside(&format!("start to {what}; {part}"), "ms", took, peer, Bar::AtMost(20.0));
        }
    }
    let took = percentile(&mut column(&counted, true), 0.5);
    table.figure("start to a status that counts all; median", "ms", took, Bar::None);
    Ok(())
}

fn memory(table: &mut Table, palace: &Path, id: &str) -> Result {
    // Two of each, as there are where a palace is shared: a page of the program is private to neither.
    let server = || Session::palace(palace, "palace,memory,documents");
    let (mut idle, mut servers) = ([Session::idle()?, Session::idle()?], [server()?, server()?]);
    let reads = [
        ("palace_get_drawer", json!({"drawer_id": id})),
        ("palace_list_drawers", json!({"wing": "wing-3", "limit": 20})),
        ("palace_status", json!({})),
    ];
    let searches = ["harbour kettle 4711", "silver lantern"]
        .map(|query| ("palace_search", json!({"query": query})));
    for (what, idle_calls, calls) in [
        ("idle, all tools; just started", &[][..], &[][..]),
        ("   after a read, a list, a status", &[("nothing", json!({}))][..], &reads[..]),
        ("   after two searches", &[][..], &searches[..]),
    ] {
        let peer = ("idle rmcp", settled(&mut idle, idle_calls)?);
        let used = settled(&mut servers, calls)?;
        table.beside(what, "MB", used, peer, Bar::AtMost(20.0));
    }
    Ok(())
}

/// The private memory of the first of these after calls to both, once they have nothing to do.
fn settled(sessions: &mut [Session; 2], calls: &[(&str, Value)]) -> Result<f64> {
    for session in sessions.iter_mut() {
        calls.iter().try_for_each(|(tool, arguments)| session.call_well(tool, arguments))?;
    }
    std::thread::sleep(Duration::from_millis(300));
    let [first, _] = sessions;
    first.child.private_megabytes()
}

/// No file before the first write: not by a start, a list or a read.
/// (`probes_that_hang_up_leave_no_trace` in tests/mcp/server.rs holds to it.)
fn no_trace() -> Result {
    let dir = scratch()?;
    let path = dir.path().join("none");
    let mut server = Session::palace(&path, "palace,memory,documents")?;
    for list in ["tools/list", "resources/list", "resources/templates/list"] {
        server.ask(list, &json!({}))?;
    }
    server.call_well("palace_status", &json!({}))?;
    server.ask("resources/subscribe", &json!({"uri": URI}))?;
    if path.exists() {
        return Err("a server that wrote nothing has made a palace".into());
    }
    let value = json!({"key": "notes/plan", "value": {"n": 1}});
    server.call_well("document_put", &value)?;
    if path.exists() { Ok(()) } else { Err("a write made no palace".into()) }
}

/// From the moment at which another process begins a durable write to the notice of it at a subscriber.
fn announcements(table: &mut Table, palace: &Path) -> Result {
    let dir = copy(palace)?;
    let writer = Palace::open(dir.path())?;
    let mut subscriber = Session::palace(dir.path(), "documents")?;
    subscriber.ask("resources/subscribe", &json!({"uri": URI}))?;
    let (mut heard, mut acknowledged) = (Vec::new(), Vec::new());
    for n in 0..if quick() { 50 } else { 500 } {
        // The server has gone to sleep, as between the writes of people and models.
        std::thread::sleep(Duration::from_millis(10));
        let begun = Instant::now();
        writer.put("notes/plan", &Map::from_iter([("n".to_owned(), json!(n))]))?;
        acknowledged.push(millis(begun.elapsed()));
        let notice: Value = serde_json::from_str(&subscriber.child.hear()?)?;
        heard.push(millis(begun.elapsed()));
        if notice.get("method").and_then(Value::as_str) != Some(UPDATED) {
            return Err(format!("not a notice: {notice}").into());
        }
        subscriber.ask("ping", &json!({}))?;
        if subscriber.notices > 0 {
            return Err("told twice of one write".into());
        }
    }
    for (share, part) in [(0.5, "median"), (0.99, "99 of 100")] {
        let peer = ("the write alone", percentile(&mut acknowledged, share));
        let took = percentile(&mut heard, share);
        table.beside(&format!("write to notice; {part}"), "ms", took, peer, Bar::AtMost(100.0));
    }
    Ok(())
}

/// An rmcp server on standard input and output with one tool, which does nothing.
fn idle_server() -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = Idle.serve(rmcp::transport::stdio()).await?;
        running.waiting().await?;
        Ok(())
    })
}

struct Idle;

impl ServerHandler for Idle {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::success(vec![ContentBlock::text("nothing")]).into())
    }
}
