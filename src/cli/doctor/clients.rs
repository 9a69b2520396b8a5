//! The check of the clients' configuration files: which of them start this program, and on which palace.

use super::check::{Check, Verdict};
use crate::cli::install::servers::{Configured, Server, configured};
use crate::format::filename::MANIFEST;
use crate::palace::chain;
use std::path::Path;

const CHECK: &str = "clients";

/// Names the servers of this program in every client's configuration. One without a palace is a note.
pub(super) fn clients(path: &Path) -> Check {
    let found = configured();
    if found.is_empty() {
        return Check::ok(CHECK, "no client's configuration file of this user names crdt-palace");
    }
    let told: Vec<(String, Option<String>)> =
        found.iter().flat_map(|configured| described(configured, path)).collect();
    let found = told.iter().map(|(found, _)| found.as_str()).collect::<Vec<_>>().join("; ");
    let advice: Vec<String> = told.into_iter().filter_map(|(_, advice)| advice).collect();
    match advice.is_empty() {
        true => Check::ok(CHECK, found),
        false => Check {
            verdict: Verdict::Note,
            advice: Some(advice.join("; ")),
            ..Check::ok(CHECK, found)
        },
    }
}

/// Describes the servers in a file, each with advice if its palace is not there.
fn described(configured: &Configured, path: &Path) -> Vec<(String, Option<String>)> {
    let Configured { client, file, servers } = configured;
    let file = file.display();
    let Some(servers) = servers else {
        let found = format!("{client} names crdt-palace in {file}, which is no plain JSON");
        let advice = format!("look in {file} which path follows --palace");
        return vec![(found, Some(advice))];
    };
    let described = |server: &Server| {
        let name = &server.name;
        let palace = match &server.palace {
            Ok(palace) => palace,
            Err(error) => {
                let found =
                    format!("{client} starts {name} with a path that is refused: {}", chain(error));
                return (
                    found,
                    Some(format!("change the path after --palace of {name} in {file}")),
                );
            }
        };
        let same = if palace == path { ", this palace" } else { "" };
        let found = format!("{client} starts {name} on {}{same}", palace.display());
        let advice = advice(server, palace).map(|advice| format!("{advice} of {name} in {file}"));
        (found, advice)
    };
    servers.iter().map(described).collect()
}

fn advice(server: &Server, palace: &Path) -> Option<String> {
    let command = &server.command;
    if command.is_absolute() && !command.is_file() {
        return Some(format!("there is no program {}: change the command", command.display()));
    }
    if server.relative {
        return Some(
            "the path depends on where the client runs: write the whole path after --palace"
                .to_owned(),
        );
    }
    (!palace.join(MANIFEST).is_file()).then(|| {
        format!(
            "there is no palace at {} yet: if you expected one there, change the path after --palace",
            palace.display()
        )
    })
}
