//! `crdt-palace`: the table of its commands.

use super::arguments::Tools;
use super::error::Failure;
use super::exit::{Exit, finish};
use super::export::Format;
use super::location::{PalaceArgument, PalaceTarget, source};
use super::parse::parse;
use super::token::TokenArguments;
use super::{
    compact, demo, doctor, everyday, export, import, install, log, serve, shell_help, start,
    status, undo,
};
use crate::mcp::{Address, Offer, Prefix, ToolSet};
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  crdt-palace serve
      Serve the default palace on standard input and output. Start as many servers as
      you like.
  crdt-palace serve --http 8765
      Serve it over HTTP to clients on this machine, at http://127.0.0.1:8765/mcp. The
      server says in which file the token is that clients must send.
  crdt-palace serve --http unix:$XDG_RUNTIME_DIR/palace.sock
      Serve it over HTTP to processes of this user, without a token.
  crdt-palace search signing keys
      Find drawers by words. `show ID` prints one, `edit ID` opens it in your editor. The
      first digits behind the last underscore of an id are enough.
  crdt-palace add atlas/notes note.md
      File the text of a file in a room of a wing.
  crdt-palace import memory.jsonl
      Import what the reference memory server has stored.
  crdt-palace import ~/.mempalace
      Import what MemPalace has stored. A second import adds only what is new there.
  crdt-palace export > memory.jsonl
      Export the knowledge graph in the format of the reference memory server.
  crdt-palace undo --by cursor --since 2h --dry-run
      Show what takes back all that a client wrote in the last two hours. Without
      --dry-run, it is written as new commits.
  crdt-palace restore ID@7f3a-12
      Bring back the version of a drawer that crdt-log history names so.
  crdt-palace export --format jsonl > palace.jsonl
      Export everything but the history. `import palace.jsonl` takes it back.
  crdt-palace export --format markdown notes
      Export everything as pages that Obsidian opens. `import notes` takes it back.
  crdt-palace install --client claude-code
      Add the server to the configuration of Claude Code. With --print, only show the entry.
  crdt-palace doctor
      Check everything that a palace depends on, and say what to do about each problem.
  crdt-palace demo
      Let four servers write one palace, kill one of them, and check that nothing is lost.

The default palace is $CRDT_PALACE_DIR, else $XDG_DATA_HOME/crdt-palace, else
~/.local/share/crdt-palace. A leading ~ is the home directory. CRDT_PALACE_LOG sets what is logged to standard error, for
example `debug`; the default is `warn`. CRDT_PALACE_TOKEN is the token that clients of
`serve --http` must send, at least 16 characters. If it is not set, one is made on first use.

Exit codes: 0 done, 1 a problem was found, 2 usage, 10 no palace at the path, 11 another
process holds a lock, 12 a newer version wrote the palace.";

/// A memory that many AI sessions share: every session starts its own server on the same directory, and no acknowledged
/// write is lost
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
        at: PalaceTarget,
        /// Sets of tools to offer, separated by commas
        #[arg(long, value_enum, value_delimiter = ',', default_value = "palace")]
        tools: Vec<Tools>,
        /// Prefix of the tool names in the set `palace`; `mempalace_` gives the names that clients of MemPalace know
        #[arg(long, value_name = "PREFIX", default_value = "palace_")]
        tool_prefix: Prefix,
        /// Serve over HTTP at ADDR: a port of 127.0.0.1, HOST:PORT, or unix:PATH for a Unix socket. The URL, and the
        /// file with the token that clients send, are printed to standard error
        #[arg(long, value_name = "ADDR")]
        http: Option<Address>,
        #[command(flatten)]
        token: TokenArguments,
    },
    /// Import a memory.jsonl of the reference memory server, an export of everything, or a palace of MemPalace
    Import {
        /// The file, or - for standard input, or the directory of MemPalace, such as ~/.mempalace
        #[arg(value_name = "FILE|DIR")]
        from: PathBuf,
        #[command(flatten)]
        at: PalaceArgument,
    },
    #[command(flatten)]
    Everyday(everyday::Everyday),
    /// Write the knowledge graph to standard output, as a memory.jsonl, or with --format everything
    Export {
        /// The form of the export, and how much it has
        #[arg(long, value_enum, default_value = "memory")]
        format: Format,
        /// The new directory for the pages of --format markdown, or - for standard output
        #[arg(value_name = "DIR|-")]
        to: Option<PathBuf>,
        #[command(flatten)]
        at: PalaceArgument,
    },
    /// Show which processes have the palace open, and its files
    Status {
        #[command(flatten)]
        at: PalaceTarget,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the opposite of commits as new ones, and keep what was written since
    Undo(undo::Undo),
    /// Bring an earlier version of a document back, as a new write
    Restore(undo::Restore),
    /// Add the server to the configuration of an MCP client
    Install(install::Install),
    /// Check the palace's directory and this machine, and say what to do about each problem
    Doctor(doctor::Doctor),
    /// Print a script that completes the command lines of all three programs
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the man page, or write those of all programs and commands to a directory
    Man {
        /// The directory, which must exist
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Let several servers write a new palace at once, kill one, and check that nothing is lost
    Demo(demo::Demo),
}

/// Runs `crdt-palace`.
#[must_use]
pub fn main() -> ExitCode {
    let cli: Cli = match parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    start::set_up();
    finish("crdt-palace", run(cli.command))
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve { at, tools, tool_prefix: prefix, http, token } => {
            let offer = Offer { sets: tools.into_iter().map(ToolSet::from).collect(), prefix };
            serve::serve(&at.locate()?, &offer, http, &token)
        }
        Command::Import { from, at } => import::import(&source(&from)?, &at.path()?),
        Command::Everyday(command) => command.run(),
        Command::Export { at, format, to } => export::export(&at.path()?, format, to.as_deref()),
        Command::Status { at, json } => status::status(&at.path()?, json),
        Command::Undo(undo) => undo.run(),
        Command::Restore(restore) => restore.run(),
        Command::Install(install) => install.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Completions { shell } => shell_help::completions(programs(), shell),
        Command::Man { dir } => shell_help::man(programs(), dir.as_deref()),
        Command::Demo(demo) => demo.run(),
    }
}

/// Returns the tables of all programs, this one first.
fn programs() -> Vec<clap::Command> {
    vec![Cli::command(), log::command(), compact::command()]
}
