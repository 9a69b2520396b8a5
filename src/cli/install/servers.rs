//! The servers of this program that the configuration files of clients name.
//!
//! Invariant: files are only read. What a client starts is told from the name of the program, wherever it stands.

use super::client::Client;
use crate::cli::error::PlaceError;
use crate::cli::location;
use clap::ValueEnum as _;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The name of the program that clients start.
const PROGRAM: &str = "crdt-palace";
/// The longest configuration file that is read, in bytes: Claude Code keeps its history in the same file.
const BYTES_MAX: u64 = 256 << 20;

/// A server of this program that a configuration file names.
#[derive(Debug)]
pub(in crate::cli) struct Server {
    /// Its name in the client.
    pub name: String,
    /// The program that is started, as it is written there.
    pub command: PathBuf,
    /// The palace that it serves; an error if its path is not taken for one.
    pub palace: Result<PathBuf, PlaceError>,
    /// True if its path depends on the working directory of the client.
    pub relative: bool,
}

/// The configuration file of a client, and what it says of this program.
#[derive(Debug)]
pub(in crate::cli) struct Configured {
    /// The client's name.
    pub client: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The servers; `None` if the file cannot be read as JSON and names this program.
    pub servers: Option<Vec<Server>>,
}

/// Returns the configuration files that name this program.
pub(in crate::cli) fn configured() -> Vec<Configured> {
    let read = |client: &Client| {
        let file = client.file()?;
        // A client that is not installed has no such file. One whose file cannot be read tells nothing of servers, and
        // is no fault of this palace.
        let found = std::fs::metadata(&file).ok()?;
        // A pipe would wait for a writer.
        let text = (found.is_file() && found.len() <= BYTES_MAX)
            .then(|| std::fs::read_to_string(&file))?
            .ok()?;
        let servers = match servers(&text, client.list()) {
            Some(servers) if servers.is_empty() => return None,
            None if !text.contains(PROGRAM) => return None,
            servers => servers,
        };
        Some(Configured { client: client.name(), file, servers })
    };
    Client::value_variants().iter().filter_map(read).collect()
}

/// Returns the servers of this program in the text of a configuration file; `None` if it is no plain JSON.
pub(super) fn servers(text: &str, list: &str) -> Option<Vec<Server>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    // Some clients allow comments in JSON, so this is no error of the file. The caller says that it was not understood.
    let whole: Value = serde_json::from_str(text).ok()?;
    let listed = whole.get(list).and_then(Value::as_object);
    Some(
        listed
            .into_iter()
            .flat_map(Map::iter)
            .filter_map(|(name, entry)| server(name, entry))
            .collect(),
    )
}

fn server(name: &str, entry: &Value) -> Option<Server> {
    let command = Path::new(entry.get("command")?.as_str()?);
    let args: Vec<&str> = entry.get("args")?.as_array()?.iter().filter_map(Value::as_str).collect();
    if command.file_name()? != PROGRAM || !args.contains(&"serve") {
        return None;
    }
    let option = args.windows(2).find(|pair| pair.first() == Some(&"--palace"));
    let joined = || args.iter().find_map(|arg| arg.strip_prefix("--palace="));
    let named = option.and_then(|pair| pair.last().copied()).or_else(joined);
    let variable =
        || entry.get("env")?.get(location::DIR)?.as_str().filter(|path| !path.is_empty());
    let found = location::of_another_program(named.or_else(variable).map(Path::new));
    Some(Server {
        name: name.to_owned(),
        command: command.to_owned(),
        relative: found.as_ref().is_ok_and(|found| found.relative),
        palace: found.map(|found| found.path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_this_program_are_found_with_their_palaces() {
        let text = r#"{"mcpServers": {
            "other": {"command": "npx", "args": ["serve"]},
            "a": {"command": "/usr/bin/crdt-palace", "args": ["serve", "--palace", "/p/a"]},
            "b": {"command": "crdt-palace", "args": ["serve", "--palace=/p/b"]},
            "c": {"command": "crdt-palace", "args": ["serve"], "env": {"CRDT_PALACE_DIR": "/p/c"}},
            "d": {"command": "crdt-palace", "args": ["serve", "--palace", "${HOME}/none/d"]},
            "e": {"command": "crdt-palace", "args": ["serve", "--palace", "e"]},
            "f": {"command": "crdt-palace", "args": ["doctor"]}
        }}"#;
        let found = servers(text, "mcpServers").unwrap();
        let names: Vec<&str> = found.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        for (server, path) in found.iter().zip(["/p/a", "/p/b", "/p/c"]) {
            assert_eq!(server.palace.as_deref().unwrap(), Path::new(path));
            assert!(!server.relative);
        }
        assert!(matches!(found[3].palace, Err(PlaceError::Variable { .. })), "{:?}", found[3]);
        assert!(found[4].relative);
        assert!(servers(text, "servers").unwrap().is_empty());
        assert!(servers("{ // a comment\n}", "servers").is_none());
    }
}
