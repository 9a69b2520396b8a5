//! `crdt-palace demo`: several servers, one palace, one SIGKILL, and a count of what is kept.

use super::{Failure, text};
use crate::memory::{Entity, Memory};
use crate::palace::Palace;
use clap::Args;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{Peer, RunningService};
use rmcp::{RoleClient, ServiceExt};
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How many calls each client has under way at once.
const IN_FLIGHT: usize = 8;
/// The longest piece of text that is filed as one observation, in characters.
const PIECE_CHARS: usize = 1_000;

/// This project's own documents.
const OWN_DOCS: [(&str, &str); 6] = [
    ("README.md", include_str!("../../README.md")),
    ("CHANGELOG.md", include_str!("../../CHANGELOG.md")),
    ("ARCHITECTURE.md", include_str!("../../docs/ARCHITECTURE.md")),
    ("CONCURRENCY.md", include_str!("../../docs/CONCURRENCY.md")),
    ("FORMAT.md", include_str!("../../docs/FORMAT.md")),
    ("BENCHMARKS.md", include_str!("../../docs/BENCHMARKS.md")),
];

/// What to show.
#[derive(Debug, Args)]
pub struct Demo {
    /// How many servers to start
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    instances: u16,
    /// How many calls to send to each
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,
    /// Text files to file in the palace [default: this project's own documents]
    folder: Option<PathBuf>,
}

/// What became of the calls to one server.
#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    acknowledged: Vec<Entity>,
}

impl Demo {
    /// Runs the demo.
    pub fn run(&self) -> Result<(), Failure> {
        let pieces = Arc::new(self.pieces()?);
        let place = std::env::temp_dir().join(format!("crdt-palace-demo-{}", std::process::id()));
        let runtime = tokio::runtime::Runtime::new()?;
        let start = Instant::now();
        let tallies = runtime.block_on(self.drive(&place, &pieces))?;
        let elapsed = start.elapsed();
        let memory = Memory::new(Palace::open_read_only(&place)?, None);
        let mut kept = Vec::new();
        for tally in &tallies {
            kept.push(count_kept(&memory, &tally.acknowledged)?);
        }
        let lost = print_table(&mut io::stdout().lock(), &tallies, &kept)?;
        let mut out = io::stdout().lock();
        let place = place.display();
        writeln!(out, "\n{:.2} s. The palace is at {place}. Look at it:", elapsed.as_secs_f64())?;
        writeln!(out, "  crdt-log dump {place}\n  crdt-compact {place}")?;
        if lost > 0 { Err(Failure::Found) } else { Ok(()) }
    }

    fn pieces(&self) -> Result<Vec<(String, String)>, Failure> {
        let files = match &self.folder {
            Some(folder) => read_folder(folder)?,
            None => OWN_DOCS.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec(),
        };
        let mut pieces = Vec::new();
        for (name, text) in files {
            for (n, paragraph) in text.split("\n\n").filter(|p| !p.trim().is_empty()).enumerate() {
                pieces.push((
                    format!("{name} {}", n + 1),
                    paragraph.chars().take(PIECE_CHARS).collect(),
                ));
            }
        }
        match pieces.is_empty() {
            true => {
                Err(Failure::Other("there is no text file with text in that folder".to_owned()))
            }
            false => Ok(pieces),
        }
    }

    async fn drive(
        &self,
        place: &Path,
        pieces: &Arc<Vec<(String, String)>>,
    ) -> Result<Vec<Tally>, Failure> {
        let mut clients = JoinSet::new();
        for instance in 0..self.instances {
            let (child, service) = start(place).await?;
            // With a single server nobody would be left to go on.
            let killed = instance == 0 && self.instances > 1;
            let client = Client { instance, calls: self.calls as usize, killed, child, service };
            clients.spawn(client.run(pieces.clone()));
        }
        let mut tallies: Vec<(u16, Tally)> = Vec::new();
        while let Some(done) = clients.join_next().await {
            tallies.push(done.map_err(io::Error::other)??);
        }
        tallies.sort_by_key(|(instance, _)| *instance);
        Ok(tallies.into_iter().map(|(_, tally)| tally).collect())
    }
}

fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let cannot =
        |error: io::Error| Failure::Other(format!("cannot read {}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(cannot)?;
        // What is not text is not for this demo.
        if let Ok(text) = String::from_utf8(bytes) {
            let name =
                path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            files.push((name.chars().filter(|c| !c.is_control()).take(100).collect(), text));
        }
    }
    files.sort();
    Ok(files)
}

async fn start(place: &Path) -> Result<(Child, RunningService<RoleClient, ()>), Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", "--palace"])
        .arg(place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pipes = child.stdout.take().zip(child.stdin.take());
    let pipes = pipes.ok_or_else(|| Failure::Other("a server has no pipes".to_owned()))?;
    let service = ().serve(pipes).await.map_err(|error| Failure::Other(text::chain(&error)))?;
    Ok((child, service))
}

struct Client {
    instance: u16,
    calls: usize,
    killed: bool,
    child: Child,
    service: RunningService<RoleClient, ()>,
}

impl Client {
    async fn run(mut self, pieces: Arc<Vec<(String, String)>>) -> Result<(u16, Tally), Failure> {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let half = Arc::new(Notify::new());
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..IN_FLIGHT.min(self.calls) {
            workers.spawn(work(Worker {
                peer: self.service.peer().clone(),
                instance: self.instance,
                calls: self.calls,
                next: next.clone(),
                pieces: pieces.clone(),
                acknowledged: acknowledged.clone(),
                half: half.clone(),
            }));
        }
        if self.killed {
            half.notified().await;
            self.child.kill().await?;
        }
        let mut tally = Tally::default();
        while let Some(done) = workers.join_next().await {
            let part = done.map_err(io::Error::other)?;
            tally.sent += part.sent;
            tally.acknowledged.extend(part.acknowledged);
        }
        // The one that was killed cannot say goodbye, and need not.
        if !self.killed {
            self.service.cancel().await.map_err(io::Error::other)?;
            self.child.wait().await?;
        }
        Ok((self.instance, tally))
    }
}

struct Worker {
    peer: Peer<RoleClient>,
    instance: u16,
    calls: usize,
    next: Arc<AtomicUsize>,
    pieces: Arc<Vec<(String, String)>>,
    acknowledged: Arc<AtomicUsize>,
    half: Arc<Notify>,
}

/// Sends calls one after the other until none is left, or the server is gone.
async fn work(worker: Worker) -> Tally {
    let mut tally = Tally::default();
    loop {
        let number = worker.next.fetch_add(1, Ordering::Relaxed);
        if number >= worker.calls {
            return tally;
        }
        let entity = worker.entity(number);
        tally.sent += 1;
        if !file(&worker.peer, &entity).await {
            worker.half.notify_one();
            return tally;
        }
        tally.acknowledged.push(entity);
        if worker.acknowledged.fetch_add(1, Ordering::Relaxed) + 1 >= worker.calls.div_ceil(2) {
            worker.half.notify_one();
        }
    }
}

impl Worker {
    fn entity(&self, number: usize) -> Entity {
        let place = (usize::from(self.instance) * self.calls + number) % self.pieces.len().max(1);
        let (title, text) = self.pieces.get(place).cloned().unwrap_or_default();
        Entity {
            name: format!("{title}, instance {} call {number}", self.instance),
            entity_type: "paragraph".to_owned(),
            observations: vec![text],
        }
    }
}

/// Whether the server says that it has filed it.
async fn file(peer: &Peer<RoleClient>, entity: &Entity) -> bool {
    let arguments = json!({"entities": [entity]});
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let call = CallToolRequestParams::new("create_entities").with_arguments(arguments);
    match peer.call_tool(call).await {
        Ok(result) => result.is_error != Some(true),
        Err(_) => false,
    }
}

fn count_kept(memory: &Memory, acknowledged: &[Entity]) -> Result<usize, Failure> {
    let mut kept = 0;
    for entity in acknowledged {
        let found = memory.open_nodes(std::slice::from_ref(&entity.name))?;
        kept += usize::from(found.entities.first() == Some(entity));
    }
    Ok(kept)
}

/// Gives the number of acknowledged items that are not there.
fn print_table(out: &mut impl Write, tallies: &[Tally], kept: &[usize]) -> io::Result<usize> {
    writeln!(out, "{:<22}{:>8}{:>14}{:>8}{:>8}", "server", "sent", "acknowledged", "kept", "lost")?;
    let mut all = [0; 3];
    for (n, (tally, kept)) in tallies.iter().zip(kept).enumerate() {
        let killed = n == 0 && tallies.len() > 1;
        let name = if killed { format!("{} (killed)", n + 1) } else { (n + 1).to_string() };
        let row = [tally.sent, tally.acknowledged.len(), *kept];
        print_row(out, &name, row)?;
        all.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
    }
    print_row(out, "all", all)?;
    Ok(all[1] - all[2])
}

fn print_row(
    out: &mut impl Write,
    name: &str,
    [sent, acknowledged, kept]: [usize; 3],
) -> io::Result<()> {
    let lost = acknowledged - kept;
    writeln!(out, "{name:<22}{sent:>8}{acknowledged:>14}{kept:>8}{lost:>8}")
}
