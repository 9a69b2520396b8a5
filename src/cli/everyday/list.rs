//! `crdt-palace list`: wings and rooms, or the drawers of one.

use super::open::{Common, Open};
use super::place::PlaceArgument;
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::log::paint::Part;
use crate::cli::print::{count, shown, tell};
use crate::mcp::answers;
use crate::memory::drawers::{Counts, Drawer};
use clap::Args;
use std::io::{self, Write};

/// Arguments of `crdt-palace list`.
#[derive(Args)]
pub(in crate::cli) struct List {
    /// The wing or room whose drawers are listed. Without it, the wings and rooms are
    #[arg(value_name = "WING[/ROOM]")]
    place: Option<PlaceArgument>,
    /// Print at most N drawers
    #[arg(short, value_name = "N", requires = "place")]
    n: Option<usize>,
    #[command(flatten)]
    common: Common,
}

impl List {
    pub fn run(&self) -> Result<Exit, Failure> {
        let open = self.common.open()?;
        let printed = match &self.place {
            None => list_places(&open),
            Some(place) => self.list_drawers(&open, place),
        };
        open.read(printed)
    }

    fn list_drawers(&self, open: &Open, place: &PlaceArgument) -> Result<(), Failure> {
        let (wing, room) = (Some(place.wing.as_str()), place.room.as_deref());
        let drawers = open.drawers();
        let note = drawers.place_note(wing, room)?.map(|note| note.to_string());
        let (mut keys, total) = drawers.keys_behind(wing, room, None, 0)?;
        keys.truncate(self.n.unwrap_or(usize::MAX));
        if open.as_json {
            let mut listed = Vec::new();
            for key in &keys {
                listed.extend(drawers.under(key)?);
            }
            return open.answer(|| answers::listed(listed, total, note), |_| Ok(()));
        }
        note.iter().for_each(|note| tell(format_args!("crdt-palace: {note}")));
        let shown = keys.len();
        open.answer(
            || (),
            |out| {
                for key in &keys {
                    if let Some(drawer) = drawers.under(key)? {
                        print(out, open, &drawer, room.is_none())?;
                    }
                }
                Ok(())
            },
        )?;
        if shown < total {
            tell(format_args!("crdt-palace: {shown} of {total} drawers"));
        }
        Ok(())
    }
}

fn print(
    out: &mut impl Write,
    open: &Open,
    drawer: &Drawer,
    with_place: bool,
) -> Result<(), Failure> {
    let (short, time) = (open.short(&drawer.id)?, open.time(drawer.filed_ms));
    let place = if with_place { format!("{}  ", open.place(&drawer.place)) } else { String::new() };
    let conflicts = match drawer.conflicts.len() {
        0 => String::new(),
        n => format!("  ({})", open.paint.paint(Part::Conflict, &count(n, "open conflict"))),
    };
    let title = open.title(&drawer.content);
    Ok(writeln!(out, "{short}  {time}  {place}{title}{conflicts}")?)
}

fn list_places(open: &Open) -> Result<(), Failure> {
    let counts = open.drawers().counts(None)?;
    open.answer(|| answers::taxonomy(counts.clone()), |out| Ok(print_places(out, open, &counts)?))
}

fn print_places(out: &mut impl Write, open: &Open, counts: &Counts) -> io::Result<()> {
    for (wing, rooms) in counts {
        let drawers = count(rooms.values().sum::<usize>(), "drawer");
        writeln!(out, "{}  {drawers}", open.paint.paint(Part::Heading, &shown(wing)))?;
        for (room, count) in rooms {
            writeln!(out, "  {}  {count}", shown(room))?;
        }
    }
    Ok(())
}
