//! `crdt-palace`: the MCP server, import, export, status and the demo.

use super::demo::Demo;
use super::{EXIT_CODES, Failure, json_line, run, text};
use crate::memory::Memory;
use crate::palace::status::Status;
use crate::palace::{Options, Palace};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  crdt-palace serve                            an MCP server on the default palace
  crdt-palace demo                             several servers on one palace, one of them killed
  crdt-palace import memory.jsonl              take over the reference server's memory
  crdt-palace export > memory.jsonl            and give it back
  claude mcp add --scope user memory -- crdt-palace serve";

/// A memory that several AI clients share: every server process reads and writes at once.
#[derive(Debug, Parser)]
#[command(name = "crdt-palace", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the palace to one MCP client on standard input and output
    Serve {
        #[command(flatten)]
        place: PlaceArg,
        /// Which tools to offer
        #[arg(long, value_enum, default_value_t = ToolSet::Memory)]
        tools: ToolSet,
    },
    /// Import the reference memory server's memory.jsonl
    Import {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        place: PlaceArg,
    },
    /// Print the graph as the reference memory server's memory.jsonl
    Export {
        #[command(flatten)]
        place: PlaceArg,
    },
    /// Print who has written, who is live, and which files there are
    Status {
        #[command(flatten)]
        place: PlaceArg,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Start several servers on one palace, write through all of them, kill one, and count
    Demo(Demo),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ToolSet {
    /// The nine tools of the reference memory server
    Memory,
}

#[derive(Debug, Args)]
struct PlaceArg {
    /// The palace's directory [default: $CRDT_PALACE_DIR, then $XDG_DATA_HOME/crdt-palace, then
    /// ~/.local/share/crdt-palace]
    #[arg(long, value_name = "DIR")]
    palace: Option<PathBuf>,
}

impl PlaceArg {
    fn path(&self) -> Result<PathBuf, Failure> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let given = self.palace.clone().or_else(|| variable("CRDT_PALACE_DIR").map(PathBuf::from));
        let data =
            || variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        given.or_else(|| data().or_else(home).map(|data| data.join("crdt-palace"))).ok_or_else(
            || Failure::Other("no home directory: name one with --palace DIR".to_owned()),
        )
    }

    fn open(&self, what: &str) -> Result<Palace, Failure> {
        let program = format!("crdt-palace {} {what}", env!("CARGO_PKG_VERSION"));
        Ok(Options::default().program(&program).open(self.path()?)?)
    }
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    run("crdt-palace", || match cli.command {
        Command::Serve { place, tools: ToolSet::Memory } => serve(&place),
        Command::Import { file, place } => import(&file, &place),
        Command::Export { place } => export(&place),
        Command::Status { place, json } => status(&place, json),
        Command::Demo(demo) => demo.run(),
    })
}

fn serve(place: &PlaceArg) -> Result<(), Failure> {
    let palace = place.open("serve")?;
    crate::mcp::serve(&palace).map_err(|error| Failure::Other(text::chain(&error)))
}

fn import(file: &PathBuf, place: &PlaceArg) -> Result<(), Failure> {
    let opened = File::open(file)
        .map_err(|error| Failure::Other(format!("cannot open {}: {error}", file.display())))?;
    let lines = BufReader::new(opened).split(b'\n').count();
    let memory = Memory::new(place.open("import")?, None);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} lines, {eta} left");
    let bar = ProgressBar::new(lines as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = memory.import(BufReader::new(File::open(file)?), |done| bar.inc(done as u64));
    bar.finish_and_clear();
    let report = report?;
    for bad in &report.bad {
        let problem = text::printable(&bad.problem);
        writeln!(io::stderr(), "{}:{}: {problem}", file.display(), bad.line)?;
    }
    let (entities, relations, bad) = (report.entities, report.relations, report.bad.len());
    writeln!(
        io::stdout(),
        "{entities} entities and {relations} relations imported, {bad} bad lines"
    )?;
    if bad > 0 { Err(Failure::Found) } else { Ok(()) }
}

fn export(place: &PlaceArg) -> Result<(), Failure> {
    let memory = Memory::new(Palace::open_read_only(place.path()?)?, None);
    Ok(memory.export(BufWriter::new(io::stdout().lock()))?)
}

fn status(place: &PlaceArg, json: bool) -> Result<(), Failure> {
    let status = Palace::open_read_only(place.path()?)?.status()?;
    let mut out = io::stdout().lock();
    if json { Ok(json_line(&mut out, &status)?) } else { Ok(print_status(&mut out, &status)?) }
}

fn print_status(out: &mut impl Write, status: &Status) -> io::Result<()> {
    let path = text::printable(&status.path.display().to_string());
    let id = status.palace.map_or_else(|| "nothing written yet".to_owned(), |id| id.to_string());
    writeln!(out, "palace     {path} ({id})")?;
    let trust = if status.locks_trusted { "trusted" } else { "not trusted" };
    writeln!(out, "disk       {}, locks are {trust}", status.file_system)?;
    for segment in &status.segments {
        let program = segment.program.as_deref().map_or_else(|| "?".to_owned(), text::printable);
        let pid = segment.pid.map_or_else(String::new, |pid| format!(" pid {pid}"));
        let created = segment.created_ms.map_or_else(String::new, text::time);
        let (state, bytes) = (segment.state, text::bytes(segment.bytes));
        writeln!(
            out,
            "{state:<10} segment {} {created} {program}{pid} {bytes}",
            text::short(segment.segment)
        )?;
    }
    for snapshot in &status.snapshots {
        let state = if snapshot.superseded { "superseded" } else { "snapshot" };
        let (id, created) = (text::short(snapshot.snapshot), text::time(snapshot.created_ms));
        let (documents, bytes) = (snapshot.documents, text::bytes(snapshot.bytes));
        writeln!(out, "{state:<10} {id} {created} {documents} documents {bytes}")?;
    }
    match &status.compaction {
        Some(holder) => {
            let since = text::time(holder.acquired_ms);
            writeln!(out, "compaction {} since {since}", text::printable(&holder.holder))?;
        }
        None => writeln!(out, "compaction nobody")?,
    }
    writeln!(out, "trash      {} files", status.trash)
}
