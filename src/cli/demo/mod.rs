//! `crdt-palace demo`: lets several servers write one palace, kills one, and counts what was kept.
//!
//! Invariant: a fresh reader looks for everything that a server acknowledged, and compares it text by text. Calls that
//! the killed server did not answer are counted on their own.

mod drive;
mod texts;

use super::error::{DemoError, Failure};
use super::exit::Exit;
use super::print::{count, shown, stdout};
use crate::fs::shell::quoted;
use crate::memory::{Graph, Memory};
use crate::palace::Palace;
use clap::Args;
use drive::{Plan, Sent, ServerCalls};
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The most servers that a demo starts.
const INSTANCES_MAX: u32 = 64;

#[derive(Args)]
pub(super) struct Demo {
    /// Number of servers to start
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=INSTANCES_MAX as i64))]
    instances: u32,
    /// Number of calls to each server
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,
    /// Folder of text files to store; by default this project's own documents
    folder: Option<PathBuf>,
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
            .map_err(DemoError::system("start the demo's threads"))?;
        let driven = runtime.block_on(plan.drive())?;
        let elapsed = start.elapsed();
        let graph = Memory::new(Palace::open_read_only(&palace)?).read_graph()?;
        let kept = Kept::new(&graph);
        Ok(report(&palace, &driven, &kept, elapsed)?)
    }
}

/// Makes a new directory. It stays, so that the user can look into it.
fn fresh_directory() -> Result<PathBuf, DemoError> {
    let base = std::env::temp_dir();
    let mut n = std::process::id();
    loop {
        let path = base.join(format!("crdt-palace-demo-{n}"));
        match std::fs::create_dir(&path) {
            // A name that is taken may belong to an earlier demo, which the user still wants.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n = n.wrapping_add(1),
            made => {
                return made
                    .map(|()| path)
                    .map_err(DemoError::system("make a temporary directory"));
            }
        }
    }
}

/// The observations of each entity, as a fresh reader finds them.
struct Kept<'a>(HashMap<&'a str, HashSet<&'a str>>);

impl<'a> Kept<'a> {
    fn new(graph: &'a Graph) -> Self {
        let texts = |texts: &'a [String]| texts.iter().map(String::as_str).collect();
        Kept(graph.entities.iter().map(|e| (e.name.as_str(), texts(&e.observations))).collect())
    }

    fn has(&self, item: &Sent) -> bool {
        self.0.get(item.entity.as_str()).is_some_and(|texts| texts.contains(item.text.as_str()))
    }

    fn count(&self, items: &[Sent]) -> usize {
        items.iter().filter(|item| self.has(item)).count()
    }
}

fn report(
    palace: &Path,
    driven: &[ServerCalls],
    kept: &Kept<'_>,
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
        let (found, acknowledged) = (kept.count(&one.acknowledged), one.acknowledged.len());
        let row = [acknowledged + one.unanswered.len(), acknowledged, found, acknowledged - found];
        let note =
            if one.killed { "  killed with SIGKILL at work, and not started again" } else { "" };
        print_row(&mut out, &(n + 1).to_string(), row, note)?;
        total.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
    }
    print_row(&mut out, "all", total, "")?;
    let unanswered: Vec<Sent> = driven.iter().flat_map(|one| one.unanswered.clone()).collect();
    if !unanswered.is_empty() {
        let (all, there) = (count(unanswered.len(), "call"), kept.count(&unanswered));
        writeln!(
            out,
            "{all} had no answer when the server was killed; of these, {there} were written all the same"
        )?;
    }
    for refusal in driven.iter().filter_map(|one| one.refusal.as_deref()).take(3) {
        writeln!(out, "a server refused: {}", shown(refusal))?;
    }
    let path = quoted(palace);
    let shown_path = shown(&palace.display().to_string());
    writeln!(out, "took {} ms; the palace is in {shown_path}", elapsed.as_millis())?;
    writeln!(out, "look into it:\n  crdt-log dump {path}\n  crdt-compact {path}")?;
    out.flush()?;
    let [sent, acknowledged, _, lost] = total;
    // Every call is answered or counted as unanswered. A difference means that one was lost.
    let unexplained = sent - acknowledged != unanswered.len();
    let refused = driven.iter().any(|one| one.refusal.is_some());
    Ok(if lost > 0 || unexplained || refused { Exit::Problem } else { Exit::Done })
}

fn print_row(out: &mut impl Write, name: &str, row: [usize; 4], note: &str) -> io::Result<()> {
    let [sent, acknowledged, kept, lost] = row;
    writeln!(out, "{name:>8} {sent:>8} {acknowledged:>13} {kept:>8} {lost:>8}{note}")
}
