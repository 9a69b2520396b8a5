//! `crdt-palace move`: moves a drawer to another place.

use super::open::{Open, Writer};
use super::place::RoomArgument;
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::mcp::answers;
use crate::memory::drawers::Change;
use clap::Args;
use std::io::Write as _;

/// Arguments of `crdt-palace move`.
#[derive(Args)]
pub(in crate::cli) struct Move {
    /// The drawer. The first digits behind the last underscore of its id that no other has are enough
    #[arg(value_name = "ID")]
    id: String,
    /// The wing and room to move it to
    #[arg(value_name = "WING/ROOM")]
    to: RoomArgument,
    #[command(flatten)]
    writer: Writer,
}

impl Move {
    pub fn run(&self) -> Result<Exit, Failure> {
        let open = self.writer.open_existing()?;
        let drawer = open.drawer(&self.id)?;
        let (wing, room) = (Some(self.to.wing.as_str()), Some(self.to.room.as_str()));
        let done = open.drawers().update(&drawer.id, Change { wing, room, ..Change::default() })?;
        let line = match done.changed {
            true => format!(
                "moved {} to {} from {}",
                open.named(&drawer.content),
                open.place(&done.drawer.place),
                open.place(&drawer.place)
            ),
            false => "it is there already".to_owned(),
        };
        let printed =
            open.answer(|| answers::updated(None, done), |out| Ok(writeln!(out, "{line}")?));
        Open::wrote(printed)
    }
}
