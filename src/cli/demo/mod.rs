//! `crdt-palace demo`: several servers, one palace, one of them killed, and the count.
//!
//! Invariant: what a server acknowledged is looked for by a reader that was not there before, and
//! compared text by text. What was sent to the killed server and not acknowledged is counted as just
//! that.

mod drive;
mod texts;

use super::exit::{Exit, Failure};
use super::print::{shown, stdout};
use crate::memory::{Graph, Memory};
use crate::palace::Palace;
use crate::palace::chain;
use clap::Args;
use drive::{Driven, Item, Plan};
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The most servers that one demo starts.
const INSTANCES_MAX: u32 = 64;

#[derive(Args)]
pub(super) struct Demo {
    /// How many servers to start
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=INSTANCES_MAX as i64))]
    instances: u32,
    /// How many calls to make to each
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,
    /// Text files to store; by default this project's own documents
    folder: Option<PathBuf>,
}

/// Why the demo could not be played to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The system refused something.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is nothing to store.
    #[error("{} has no text files; name a folder with some", folder.display())]
    NoTexts {
        /// The folder.
        folder: PathBuf,
    },
    /// A server could not be reached.
    #[error("server {instance} failed: {why}")]
    Server {
        /// Which, from 1.
        instance: usize,
        /// Why.
        why: String,
    },
}

fn system(action: &str) -> impl FnOnce(io::Error) -> DemoError + use<> {
    let action = action.to_owned();
    move |source| DemoError::System { action, source }
}

impl Demo {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let texts = match &self.folder {
            Some(folder) => texts::of_folder(folder)?,
            None => texts::embedded(),
        };
        let palace = fresh_directory()?.join("palace");
        let plan = Plan::new(palace.clone(), self.instances, self.calls, texts);
        let start = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(system("start the demo's threads"))?;
        let driven = runtime.block_on(plan.drive())?;
        let elapsed = start.elapsed();
        let graph = Memory::new(Palace::open_read_only(&palace)?).read_graph()?;
        let found = Found::new(&graph);
        Ok(report(&palace, &driven, &found, elapsed)?)
    }
}

/// A directory of one's own that stays, to be looked at.
fn fresh_directory() -> Result<PathBuf, DemoError> {
    let base = std::env::temp_dir();
    let mut n = std::process::id();
    loop {
        let path = base.join(format!("crdt-palace-demo-{n}"));
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n = n.wrapping_add(1),
            made => return made.map(|()| path).map_err(system("make a temporary directory")),
        }
    }
}

/// What a fresh reader finds: the observations of each entity.
struct Found<'a>(HashMap<&'a str, HashSet<&'a str>>);

impl<'a> Found<'a> {
    fn new(graph: &'a Graph) -> Self {
        let texts = |texts: &'a [String]| texts.iter().map(String::as_str).collect();
        Found(graph.entities.iter().map(|e| (e.name.as_str(), texts(&e.observations))).collect())
    }

    fn has(&self, item: &Item) -> bool {
        self.0.get(item.entity.as_str()).is_some_and(|texts| texts.contains(item.text.as_str()))
    }

    fn count(&self, items: &[Item]) -> usize {
        items.iter().filter(|item| self.has(item)).count()
    }
}

fn report(
    palace: &Path,
    driven: &[Driven],
    found: &Found<'_>,
    elapsed: Duration,
) -> io::Result<Exit> {
    let mut out = stdout();
    writeln!(
        out,
        "{:>8} {:>8} {:>13} {:>8} {:>8}",
        "server", "sent", "acknowledged", "kept", "lost"
    )?;
    let mut total = [0; 4];
    for (n, one) in driven.iter().enumerate() {
        let kept = found.count(&one.acknowledged);
        let acknowledged = one.acknowledged.len();
        let row = [acknowledged + one.unanswered.len(), acknowledged, kept, acknowledged - kept];
        let note = if one.killed {
            "  killed with SIGKILL while it worked, not started again"
        } else {
            ""
        };
        print_row(&mut out, &(n + 1).to_string(), row, note)?;
        total.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
    }
    print_row(&mut out, "all", total, "")?;
    let unanswered: Vec<Item> = driven.iter().flat_map(|one| one.unanswered.clone()).collect();
    if !unanswered.is_empty() {
        let (all, there) = (unanswered.len(), found.count(&unanswered));
        writeln!(
            out,
            "{all} calls had no answer when their server was killed; {there} of them are there"
        )?;
    }
    for refusal in driven.iter().filter_map(|one| one.refusal.as_deref()).take(3) {
        writeln!(out, "a server refused: {}", shown(refusal))?;
    }
    let path = palace.display();
    writeln!(out, "took {} ms; the palace is in {path}", elapsed.as_millis())?;
    writeln!(out, "look at it:\n  crdt-log dump {path}\n  crdt-compact {path}")?;
    out.flush()?;
    let [sent, acknowledged, _, lost] = total;
    let unexplained = sent - acknowledged != unanswered.len();
    let refused = driven.iter().any(|one| one.refusal.is_some());
    Ok(if lost > 0 || unexplained || refused { Exit::Problem } else { Exit::Done })
}

fn print_row(out: &mut impl Write, name: &str, row: [usize; 4], note: &str) -> io::Result<()> {
    let [sent, acknowledged, kept, lost] = row;
    writeln!(out, "{name:>8} {sent:>8} {acknowledged:>13} {kept:>8} {lost:>8}{note}")
}

fn server_failed(instance: usize, error: &dyn std::error::Error) -> DemoError {
    DemoError::Server { instance: instance + 1, why: chain(error) }
}
