//! `crdt-palace delete`: hides drawers, all in one commit.

use super::open::{Open, Writer};
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::mcp::answers;
use crate::memory::drawers::Drawer;
use clap::Args;
use std::io::Write as _;

/// Arguments of `crdt-palace delete`.
#[derive(Args)]
pub(in crate::cli) struct Delete {
    /// The drawers. The first digits behind the last underscore of an id that no other has are enough
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    writer: Writer,
}

impl Delete {
    pub fn run(&self) -> Result<Exit, Failure> {
        let open = self.writer.open_existing()?;
        let found: Result<Vec<Drawer>, Failure> =
            self.ids.iter().map(|id| open.drawer(id)).collect();
        let found = found?;
        let ids: Vec<String> = found.iter().map(|drawer| drawer.id.clone()).collect();
        let done = open.drawers().delete(&ids)?;
        let gone: Vec<String> = done.deleted.iter().map(|(id, _)| id.clone()).collect();
        let line = |drawer: &Drawer| {
            let (named, place) = (open.named(&drawer.content), open.place(&drawer.place));
            format!("deleted {named} in {place}")
        };
        let printed = open.answer(
            || answers::deleted(done),
            |out| {
                let mut deleted = found.iter().filter(|drawer| gone.contains(&drawer.id));
                Ok(deleted.try_for_each(|drawer| writeln!(out, "{}", line(drawer)))?)
            },
        );
        Open::wrote(printed)
    }
}
