//! `crdt-palace completions` and `man`: made from the tables of the commands, for all three programs.

use super::error::{Failure, PlaceError};
use super::exit::{Exit, after};
use super::location::source;
use super::print::stdout;
use crate::fs::At as _;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::Write as _;
use std::path::Path;

/// Prints a script that completes command lines in a shell.
pub(super) fn completions(programs: Vec<Command>, shell: Shell) -> Result<Exit, Failure> {
    let mut scripts = Vec::new();
    for mut program in programs {
        let name = program.get_name().to_owned();
        clap_complete::generate(shell, &mut program, name, &mut scripts);
    }
    print(&scripts)
}

/// Writes the man pages of all programs and commands to a directory, or prints that of the first program.
pub(super) fn man(programs: Vec<Command>, dir: Option<&Path>) -> Result<Exit, Failure> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        for program in programs.into_iter().take(1) {
            Man::new(program).render(&mut page)?;
        }
        return print(&page);
    };
    let dir = source(dir)?;
    for program in programs {
        clap_mangen::generate_to(program, &dir)
            .at("write man pages to", &dir)
            .map_err(PlaceError::from)?;
    }
    Ok(Exit::Done)
}

fn print(bytes: &[u8]) -> Result<Exit, Failure> {
    let mut out = stdout();
    let printed = out.write_all(bytes).and_then(|()| out.flush());
    after(printed.map_err(Failure::from), Exit::Done)
}
