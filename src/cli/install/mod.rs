//! `crdt-palace install`: adds the server to the configuration file of an MCP client.
//!
//! Invariant: everything else in that file stays as it is, byte for byte. Where that cannot be promised (comments, or
//! another entry of the same name), nothing is written, and the user is told what to add by hand.

mod client;
mod entry;
mod file;
pub(super) mod servers;
mod splice;

use super::arguments::Tools;
use super::error::Failure;
use super::exit::Exit;
use super::install_error::InstallError;
use super::location::PalaceArgument;
use super::print::{shown, stdout, tell};
use crate::format::controls::escape_json;
use crate::format::filename::MANIFEST;
use crate::fs::At as _;
use crate::fs::shell::quoted;
use crate::mcp::Prefix;
use crate::palace::Palace;
use clap::{Args, ValueEnum};
use client::Client;
use entry::Entry;
use file::ConfigFile;
use serde_json::Value;
use servers::Server;
use splice::Splice;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Install {
    /// Client whose configuration gets the server
    #[arg(long, value_enum)]
    client: Client,
    #[command(flatten)]
    at: PalaceArgument,
    /// Sets of tools to offer, separated by commas; by default those of `serve`
    #[arg(long, value_enum, value_delimiter = ',')]
    tools: Vec<Tools>,
    /// Prefix of the tool names in the set `palace`; by default that of `serve`
    #[arg(long, value_name = "PREFIX")]
    tool_prefix: Option<Prefix>,
    /// Name of the server in the client
    #[arg(long, default_value = "crdt-palace", value_parser = server_name)]
    name: String,
    /// Replace another entry of this name
    #[arg(long)]
    replace: bool,
    /// Print the entry and the file that it belongs to; write nothing
    #[arg(long)]
    print: bool,
}

impl Install {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let path = self.client.file().ok_or(Failure::Usage(
            "no home directory, so the client's configuration cannot be found: set HOME",
        ))?;
        let palace = self.at.path()?;
        // A path that no palace can have would fail at each start of the client, where nobody sees the message.
        drop(Palace::open(&palace)?);
        let entry = self.entry(&palace)?;
        if self.print {
            tell(format_args!("add this to {}:", shown(&path.display().to_string())));
            return self.snippet(&entry).map(|()| Exit::Done);
        }
        let file = ConfigFile::read(&path)?;
        let text = match file.content.as_deref().map(str::from_utf8) {
            None => "",
            Some(Ok(text)) => text,
            Some(Err(_)) => return self.by_hand(&path, "it is not UTF-8", &entry),
        };
        if let Some(other) = self.twin(text, &palace).filter(|_| !self.replace) {
            return Ok(self.refuse_twin(&path, &other));
        }
        match splice::plan(text, self.client.list(), &self.name, &entry, self.replace) {
            Ok(Splice::AlreadyThere) => Ok(self.already(&path)),
            Ok(Splice::NameTaken(other)) => self.refuse(&path, &other, &entry),
            Ok(Splice::Write(new)) => {
                self.done(&path, file.replace(&new)?.as_deref());
                self.tell_new_palace(&palace);
                Ok(Exit::Done)
            }
            Err(why) => self.by_hand(&path, &crate::palace::chain(&why), &entry),
        }
    }

    /// Returns the name of another entry that starts this program on the same palace.
    fn twin(&self, text: &str, palace: &Path) -> Option<String> {
        let servers = servers::servers(text, self.client.list())?;
        let same = |server: &Server| {
            server.name != self.name && server.palace.as_deref().is_ok_and(|found| found == palace)
        };
        servers.into_iter().find(same).map(|server| server.name)
    }

    /// Refuses a second entry for one palace. Its tools would appear twice in the client.
    fn refuse_twin(&self, path: &Path, other: &str) -> Exit {
        let path = path.display().to_string();
        tell(format_args!(
            "{} starts crdt-palace on this palace already, as {}: nothing was written",
            shown(&path),
            shown(other)
        ));
        tell(format_args!(
            "to change that entry, pass --name {} --replace; to have both, choose another --palace",
            quoted(Path::new(other))
        ));
        Exit::Problem
    }

    fn tell_new_palace(&self, palace: &Path) {
        if !palace.join(MANIFEST).is_file() {
            let palace = palace.display().to_string();
            tell(format_args!(
                "there is no palace at {} yet: the first write makes it",
                shown(&palace)
            ));
        }
    }

    fn entry(&self, palace: &Path) -> Result<Entry, Failure> {
        let program = std::env::current_exe().at("find the file of", Path::new("this program"));
        let program = program.map_err(InstallError::from)?;
        let mut args = vec!["serve".to_owned(), "--palace".to_owned(), text(palace.to_owned())?];
        // Defaults are left out of the entry, so that it follows later versions of `serve`.
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

    /// Prints to standard output what a file with no other entry would hold.
    fn snippet(&self, entry: &Entry) -> Result<(), Failure> {
        let servers = BTreeMap::from([(&self.name, entry)]);
        let mut out = stdout();
        let json = splice::pretty(&BTreeMap::from([(self.client.list(), servers)]), "  ")?;
        writeln!(out, "{}", escape_json(&json))?;
        Ok(out.flush()?)
    }

    fn already(&self, path: &Path) -> Exit {
        let (name, path) = (&self.name, path.display().to_string());
        tell(format_args!("{name} is already in {}: nothing was written", shown(&path)));
        Exit::Done
    }

    fn done(&self, path: &Path, backup: Option<&Path>) {
        let (name, client) = (&self.name, self.client.name());
        tell(format_args!("{name} was added to {}", shown(&path.display().to_string())));
        if let Some(backup) = backup {
            tell(format_args!("a backup is in {}", shown(&backup.display().to_string())));
        }
        tell(format_args!("restart {client}, so that it starts the server"));
    }

    fn refuse(&self, path: &Path, other: &str, entry: &Entry) -> Result<Exit, Failure> {
        let (name, path) = (&self.name, path.display().to_string());
        // Printed as values, both have their fields in the same order.
        let mine = serde_json::to_value(entry)?;
        let other = serde_json::from_str::<Value>(other)?;
        tell(format_args!("{} has another entry {name}: nothing was written", shown(&path)));
        tell(format_args!("  there:     {}", shown(&other.to_string())));
        tell(format_args!("  would be:  {}", shown(&mine.to_string())));
        tell(format_args!("pass --replace to replace it, or choose another --name"));
        Ok(Exit::Problem)
    }

    fn by_hand(&self, path: &Path, why: &str, entry: &Entry) -> Result<Exit, Failure> {
        let (path, list) = (path.display().to_string(), self.client.list());
        tell(format_args!("{} was not changed: {}", shown(&path), shown(why)));
        tell(format_args!(
            "add this to it by hand; if it already has \"{list}\", add only the part inside:"
        ));
        self.snippet(entry)?;
        Ok(Exit::Problem)
    }
}

fn text(path: PathBuf) -> Result<String, InstallError> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| InstallError::NotText { path: path.into() })
}

/// Checks that every client accepts this name.
fn server_name(name: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match (1..=64).contains(&name.len()) && name.chars().all(plain) {
        true => Ok(name.to_owned()),
        false => Err("use 1 to 64 ASCII letters, digits, '-' and '_'"),
    }
}
