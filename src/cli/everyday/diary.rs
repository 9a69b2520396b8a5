//! `crdt-palace diary`: the newest entries of an agent's diary.

use super::open::{Common, Open};
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::log::paint::Part;
use crate::cli::log::patch::escaped;
use crate::cli::print::{shown, tell};
use crate::mcp::answers;
use crate::memory::drawers::Drawer;
use clap::Args;
use std::io::Write;

/// Arguments of `crdt-palace diary`.
#[derive(Args)]
pub(in crate::cli) struct Diary {
    /// The agent, in any case
    #[arg(value_name = "AGENT")]
    agent: String,
    /// Only entries in this wing
    #[arg(long)]
    wing: Option<String>,
    /// Print the newest N entries
    #[arg(short, value_name = "N", default_value = "10")]
    n: usize,
    #[command(flatten)]
    common: Common,
}

impl Diary {
    pub fn run(&self) -> Result<Exit, Failure> {
        let open = self.common.open()?;
        let (mut entries, total) =
            open.drawers().diary_behind(&self.agent, self.wing.as_deref(), None)?;
        entries.truncate(self.n);
        if !open.as_json {
            match entries.len() {
                0 if total == 0 => {
                    tell(format_args!("crdt-palace: no entries of {:?}", self.agent))
                }
                shown if shown < total => {
                    tell(format_args!("crdt-palace: the newest {shown} of {total} entries"));
                }
                _ => {}
            }
        }
        let value = || answers::entries(&self.agent, entries.clone(), total);
        let print = |out: &mut _| entries.iter().try_for_each(|entry| print(out, &open, entry));
        open.read(open.answer(value, print))
    }
}

fn print(out: &mut impl Write, open: &Open, entry: &Drawer) -> Result<(), Failure> {
    let topic = entry.diary.as_ref().map(|(_, topic)| topic.as_str()).unwrap_or_default();
    let topic = open.paint.paint(Part::Heading, &shown(topic));
    let wing = open.paint.paint(Part::Writer, &shown(&entry.place.wing));
    writeln!(out, "{}  {}  {wing}  {topic}", open.short(&entry.id)?, open.time(entry.filed_ms))?;
    Ok(entry.content.lines().try_for_each(|line| writeln!(out, "    {}", escaped(line)))?)
}
