//! `crdt-palace install`: puts the server into an MCP client's own configuration file.
//!
//! Invariant: everything else in that file stays as it is, byte for byte; where that cannot be promised
//! (comments, another entry of the same name) nothing is written, and it is said what to do by hand.

mod file;
mod splice;

use super::exit::{Exit, Failure};
use super::palace::{At, Tools};
use super::print::{shown, stdout, tell};
use crate::fs::{At as _, FsError};
use crate::mcp::Prefix;
use clap::{Args, ValueEnum};
use file::Found;
use serde::Serialize;
use serde_json::Value;
use splice::Plan;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Install {
    /// Whose configuration to add the server to
    #[arg(long, value_enum)]
    client: Client,
    #[command(flatten)]
    at: At,
    /// Which tools to offer, separated by commas; by default those that `serve` offers
    #[arg(long, value_enum, value_delimiter = ',')]
    tools: Vec<Tools>,
    /// What the names of the tools of the set `palace` begin with; by default as with `serve`
    #[arg(long, value_name = "PREFIX")]
    tool_prefix: Option<Prefix>,
    /// What the client shall call the server
    #[arg(long, default_value = "crdt-palace", value_parser = server_name)]
    name: String,
    /// Replace another entry of that name
    #[arg(long)]
    replace: bool,
    /// Print what to add, and where; write nothing
    #[arg(long)]
    print: bool,
}

/// Why nothing could be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The configuration file is a symbolic link to nothing.
    #[error("{} is a symbolic link to nothing: create what it points to, or remove it", path.display())]
    Dangling {
        /// The link.
        path: PathBuf,
    },
    /// Somebody else wrote the file at the same time.
    #[error(
        "{} was changed by another program meanwhile, and was not touched: run this again",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A path that JSON cannot hold.
    #[error("{} is not UTF-8, and a configuration file can hold nothing else", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Client {
    /// Claude Code, in all projects of this user
    ClaudeCode,
    /// Claude Desktop
    ClaudeDesktop,
    /// Cursor
    Cursor,
    /// Visual Studio Code, the user's default profile
    #[value(name = "vscode")]
    VsCode,
}

/// How a client is told to start a server.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    command: String,
    args: Vec<String>,
}

impl Entry {
    /// Whether an entry says this, whatever else it says: an environment, say, is its owner's business.
    fn is_in(&self, found: &Value) -> bool {
        let args = found.get("args").and_then(Value::as_array);
        let same = |args: &Vec<Value>| self.args.iter().eq(args.iter().filter_map(Value::as_str));
        found.get("type").is_none_or(|kind| kind == "stdio")
            && found.get("command").is_some_and(|command| *command == *self.command)
            && args.is_some_and(|args| args.len() == self.args.len() && same(args))
    }
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Client::ClaudeCode => "Claude Code",
            Client::ClaudeDesktop => "Claude Desktop",
            Client::Cursor => "Cursor",
            Client::VsCode => "VS Code",
        }
    }

    /// The configuration file; `None` without a home directory.
    fn file(self) -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let home = || set("HOME");
        // Both desktop programs follow the XDG specification on Linux.
        let settings = || match cfg!(target_os = "macos") {
            true => Some(home()?.join("Library/Application Support")),
            false => set("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config"))),
        };
        match self {
            Client::ClaudeCode => {
                Some(set("CLAUDE_CONFIG_DIR").or_else(home)?.join(".claude.json"))
            }
            Client::ClaudeDesktop => Some(settings()?.join("Claude/claude_desktop_config.json")),
            Client::Cursor => Some(home()?.join(".cursor/mcp.json")),
            Client::VsCode => Some(settings()?.join("Code/User/mcp.json")),
        }
    }

    /// Under which name the file lists its servers.
    fn list(self) -> &'static str {
        if matches!(self, Client::VsCode) { "servers" } else { "mcpServers" }
    }

    fn kind(self) -> Option<&'static str> {
        matches!(self, Client::VsCode | Client::ClaudeCode).then_some("stdio")
    }
}

impl Install {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let path = self.client.file().ok_or(Failure::Usage(
            "there is no home directory to look for the client's configuration in: set HOME",
        ))?;
        let entry = self.entry()?;
        if self.print {
            tell(format_args!("to add to {}:", shown(&path.display().to_string())));
            return self.snippet(&entry).map(|()| Exit::Done);
        }
        let found = Found::read(&path)?;
        let text = match found.content.as_deref().map(str::from_utf8) {
            None => "",
            Some(Ok(text)) => text,
            Some(Err(_)) => return self.by_hand(&path, "it is not UTF-8", &entry),
        };
        match splice::plan(text, self.client.list(), &self.name, &entry, self.replace) {
            Ok(Plan::There) => Ok(self.already(&path)),
            Ok(Plan::Taken(other)) => self.refuse(&path, &other, &entry),
            Ok(Plan::Write(new)) => {
                self.done(&path, found.replace(&new)?.as_deref());
                Ok(Exit::Done)
            }
            Err(why) => self.by_hand(&path, &crate::palace::chain(&why), &entry),
        }
    }

    fn entry(&self) -> Result<Entry, Failure> {
        let palace = self.at.path()?;
        let (program, palace) = whole_paths(&palace).map_err(InstallError::from)?;
        let mut args = vec!["serve".to_owned(), "--palace".to_owned(), text(palace)?];
        if !self.tools.is_empty() {
            let values = self.tools.iter().filter_map(ValueEnum::to_possible_value);
            let names: Vec<_> = values.map(|value| value.get_name().to_owned()).collect();
            args.extend(["--tools".to_owned(), names.join(",")]);
        }
        if let Some(prefix) = &self.tool_prefix {
            args.extend(["--tool-prefix".to_owned(), prefix.to_string()]);
        }
        Ok(Entry { kind: self.client.kind(), command: text(program)?, args })
    }

    /// What a file that has nothing else would hold, on standard output.
    fn snippet(&self, entry: &Entry) -> Result<(), Failure> {
        let servers = BTreeMap::from([(&self.name, entry)]);
        let mut out = stdout();
        writeln!(
            out,
            "{}",
            splice::pretty(&BTreeMap::from([(self.client.list(), servers)]), "  ")?
        )?;
        Ok(out.flush()?)
    }

    fn already(&self, path: &Path) -> Exit {
        let (name, path) = (&self.name, path.display().to_string());
        tell(format_args!("{name} is in {} already: nothing was written", shown(&path)));
        Exit::Done
    }

    fn done(&self, path: &Path, backup: Option<&Path>) {
        let (name, client) = (&self.name, self.client.name());
        tell(format_args!("{name} is in {} now", shown(&path.display().to_string())));
        if let Some(backup) = backup {
            tell(format_args!("as it was: {}", shown(&backup.display().to_string())));
        }
        tell(format_args!("restart {client} to have it start the server"));
    }

    fn refuse(&self, path: &Path, other: &str, entry: &Entry) -> Result<Exit, Failure> {
        let (name, path) = (&self.name, path.display().to_string());
        // As values, so that both have their fields in one order.
        let mine = serde_json::to_value(entry)?;
        let other = serde_json::from_str::<Value>(other)?;
        tell(format_args!("{} has another {name}: nothing was written", shown(&path)));
        tell(format_args!("  there:     {}", shown(&other.to_string())));
        tell(format_args!("  would be:  {}", shown(&mine.to_string())));
        tell(format_args!("say --replace to replace it, or choose another --name"));
        Ok(Exit::Problem)
    }

    fn by_hand(&self, path: &Path, why: &str, entry: &Entry) -> Result<Exit, Failure> {
        let (path, list) = (path.display().to_string(), self.client.list());
        tell(format_args!("{} was not touched: {}", shown(&path), shown(why)));
        tell(format_args!(
            "add this to it by hand; if it has \"{list}\" already, only what is inside:"
        ));
        self.snippet(entry)?;
        Ok(Exit::Problem)
    }
}

/// Of this program and of the palace: a client starts a server in whatever directory.
fn whole_paths(palace: &Path) -> Result<(PathBuf, PathBuf), FsError> {
    let program = std::env::current_exe().at("find the file of", Path::new("this program"))?;
    Ok((program, std::path::absolute(palace).at("make an absolute path of", palace)?))
}

fn text(path: PathBuf) -> Result<String, InstallError> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| InstallError::NotText { path: path.into() })
}

/// What every client takes for a name.
fn server_name(name: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match (1..=64).contains(&name.len()) && name.chars().all(plain) {
        true => Ok(name.to_owned()),
        false => Err("1 to 64 letters, digits, '-' and '_'"),
    }
}
