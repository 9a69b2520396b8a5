//! `crdt-palace`: the server, import and export, status, install, doctor, demo.

use super::exit::{Exit, Failure, after, finish, lacking};
use super::print::{count, stdout, tell};
use super::{demo, doctor, import, install, serve, status};
use crate::mcp::{Address, Offer, Prefix, ToolSet};
use crate::memory::Memory;
use crate::palace::Palace;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const DIR: &str = "CRDT_PALACE_DIR";
const EXAMPLES: &str = "\
Examples:
  crdt-palace serve
      Serve the default palace on standard input and output. Start as many as you like.
  crdt-palace serve --http 8765
      The same over HTTP for clients on this machine, at http://127.0.0.1:8765/mcp.
  crdt-palace import memory.jsonl
      Take over what the reference memory server has stored.
  crdt-palace import ~/.mempalace
      Take over what MemPalace has stored. What was taken over before is not taken over twice.
  crdt-palace export > memory.jsonl
      And back.
  crdt-palace install --client claude-code
      Have Claude Code start the server. With --print: show how, and write nothing.
  crdt-palace doctor
      Check everything that a palace depends on, and say what to do.
  crdt-palace demo
      Four servers, one palace, one of them killed: nothing is lost.

The default palace is $CRDT_PALACE_DIR, else $XDG_DATA_HOME/crdt-palace, else
~/.local/share/crdt-palace. CRDT_PALACE_LOG says what is logged to standard error, for
example `debug`; the default is `warn`. CRDT_PALACE_TOKEN is the bearer token that clients
of `serve --http` must send, at least 16 characters.

Exit codes: 0 done, 1 a problem was found, 2 usage, 10 no palace there, 11 busy, 12 written
by a newer version.";

/// A knowledge graph that many processes share in one directory, as an MCP server.
#[derive(Parser)]
#[command(name = "crdt-palace", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a palace over MCP on standard input and output, or over HTTP
    Serve {
        #[command(flatten)]
        at: At,
        /// Which tools to offer, separated by commas
        #[arg(long, value_enum, value_delimiter = ',', default_value = "palace")]
        tools: Vec<Tools>,
        /// What the names of the tools of the set `palace` begin with; `mempalace_` for clients of MemPalace
        #[arg(long, value_name = "PREFIX", default_value = "palace_")]
        tool_prefix: Prefix,
        /// Serve over HTTP at ADDR instead, which is HOST:PORT or a port of 127.0.0.1. Standard error says where
        /// it listens; other addresses than loopback need a token in CRDT_PALACE_TOKEN
        #[arg(long, value_name = "ADDR")]
        http: Option<Address>,
    },
    /// Take in a memory.jsonl of the reference memory server, or a palace of MemPalace
    Import {
        /// The file; or the directory, such as ~/.mempalace
        #[arg(value_name = "FILE|DIR")]
        from: PathBuf,
        #[command(flatten)]
        at: At,
    },
    /// Write the knowledge graph as a memory.jsonl to standard output
    Export {
        #[command(flatten)]
        at: At,
    },
    /// Show who has the palace open, and what it consists of
    Status {
        #[command(flatten)]
        at: At,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add the server to the configuration of an MCP client
    Install(install::Install),
    /// Check the palace's place and this machine, and say what to do
    Doctor(doctor::Doctor),
    /// Let several servers write one new palace at once, kill one, and check that nothing is lost
    Demo(demo::Demo),
}

#[derive(Args)]
pub(super) struct At {
    /// The palace's directory
    #[arg(long, value_name = "DIR")]
    palace: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Tools {
    /// Drawers in rooms of wings, facts with a time, diaries
    Palace,
    /// The nine tools of the reference memory server
    Memory,
    /// Shared JSON documents with versions, conflicts and history
    Documents,
}

impl From<Tools> for ToolSet {
    fn from(tools: Tools) -> Self {
        match tools {
            Tools::Palace => ToolSet::Palace,
            Tools::Memory => ToolSet::Memory,
            Tools::Documents => ToolSet::Documents,
        }
    }
}

/// The command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    super::set_up();
    finish("crdt-palace", run(cli.command))
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve { at, tools, tool_prefix: prefix, http } => {
            let offer = Offer { sets: tools.into_iter().map(ToolSet::from).collect(), prefix };
            serve::serve(&at.path()?, &offer, http.as_ref())
        }
        Command::Import { from, at } => import::import(&from, &at.path()?),
        Command::Export { at } => export(&at.path()?),
        Command::Status { at, json } => status::status(&at.path()?, json),
        Command::Install(install) => install.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Demo(demo) => demo.run(),
    }
}

fn export(path: &Path) -> Result<Exit, Failure> {
    let palace = Palace::open_read_only(path)?;
    let memory = Memory::new(palace.clone());
    let printed = memory.export(&mut stdout()).map(drop);
    let others = memory.others()?;
    if others > 0 {
        tell(format_args!(
            "not in the export: {}, as drawers, diaries and facts are; a copy of the directory has everything",
            count(others, "document"),
        ));
    }
    after(printed.map_err(Failure::from), lacking(&palace, "the export"))
}

impl At {
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let set = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
        let home = || Some(set("HOME")?.join(".local/share"));
        // The XDG specification has relative paths ignored.
        let data = || set("XDG_DATA_HOME").filter(|path| path.is_absolute()).or_else(home);
        let default = || Some(data()?.join("crdt-palace"));
        self.palace.clone().or_else(|| set(DIR)).or_else(default).ok_or(Failure::Usage(
            "there is no home directory for the default palace: say --palace DIR",
        ))
    }
}
