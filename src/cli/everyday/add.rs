//! `crdt-palace add`: files a text.

use super::input;
use super::open::{Open, Writer};
use super::place::RoomArgument;
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::mcp::answers;
use crate::memory::drawers::{Filed, FiledAs, Item, Place};
use clap::Args;
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `crdt-palace add`.
#[derive(Args)]
pub(in crate::cli) struct Add {
    /// The wing and room to file it in
    #[arg(value_name = "WING/ROOM")]
    place: RoomArgument,
    /// The text, or - for standard input. A line break at its end is left out
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    writer: Writer,
}

impl Add {
    pub fn run(&self) -> Result<Exit, Failure> {
        let place = Place::new(&self.place.wing, &self.place.room)?;
        let input = input::read(self.file.as_deref())?;
        let item = Item::new(place, &input.text)?
            .said(input.file.as_deref(), self.writer.name().as_deref())?;
        let open = self.writer.open()?;
        let drawers = open.drawers();
        for filed in drawers.file(std::slice::from_ref(&item))? {
            let place = drawers.shown_or_stored(item.place.clone());
            print(&open, &item.content, filed, place)?;
        }
        Ok(Exit::Done)
    }
}

fn print(open: &Open, text: &str, filed: Filed, place: Place) -> Result<Exit, Failure> {
    let (short, named, at) = (open.short(&filed.id)?, open.named(text), open.place(&place));
    let line = match filed.filed {
        FiledAs::There => format!("{short}  {at} has {named} already"),
        _ => format!("{short}  filed {named} in {at}"),
    };
    let printed = open.answer(|| answers::added(filed, place), |out| Ok(writeln!(out, "{line}")?));
    Open::wrote(printed)
}
