//! `crdt-log conflicts`: the open conflicts, with every reading and its writer.

use super::document::DocumentJson;
use super::paint::Part;
use super::patch::escaped;
use super::printer::{Printer, writer};
use super::target::{Look, Target};
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::print::{json, shown, stdout, tell};
use crate::memory::told::{id_of, name_of};
use crate::palace::{Direction, Document, Written};
use clap::Args;
use serde_json::Value;
use std::io::{self, Write};

/// Arguments of `crdt-log conflicts`.
#[derive(Args)]
pub(super) struct Conflicts {
    #[command(flatten)]
    target: Target,
}

impl Conflicts {
    pub fn run(&self, look: &Look) -> Result<Exit, Failure> {
        let palace = self.target.open()?;
        let (documents, cut) = palace.documents_in_conflict()?;
        let log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let printer = Printer { as_json: self.target.json, ..Printer::new(look, &log) };
        let mut out = stdout();
        let printed = documents.iter().try_for_each(|document| match printer.as_json {
            true => {
                let Document { key, value, conflicts, .. } = document;
                json(&mut out, &DocumentJson::new(key, value, conflicts))
            }
            false => print_document(&mut out, &printer, document),
        });
        let printed = match documents.is_empty() && !printer.as_json {
            true => writeln!(out, "no open conflicts"),
            false => printed,
        };
        if cut {
            tell(format_args!("crdt-log: there may be more conflicts: only a part was searched"));
        }
        after(
            printed.and_then(|()| out.flush()).map_err(Failure::from),
            lacking(&palace, "the list"),
        )
    }
}

fn print_document(out: &mut impl Write, printer: &Printer, document: &Document) -> io::Result<()> {
    let (key, value) = (&document.key, &document.value);
    let name = shown(&name_of(key, value));
    writeln!(out, "{}", printer.paint.paint(Part::Heading, &name))?;
    writeln!(out, "    {}", shown(&id_of(key)))?;
    for conflict in &document.conflicts {
        let path = printer.paint.paint(Part::Conflict, &shown(&conflict.path));
        writeln!(out, "  {path}")?;
        let value = conflict.shown_value(value).unwrap_or_default();
        print_reading(out, printer, "shown", &value, &conflict.shown)?;
        for other in &conflict.others {
            print_reading(out, printer, "other", &other.value, &other.written)?;
        }
    }
    Ok(())
}

fn print_reading(
    out: &mut impl Write,
    printer: &Printer,
    word: &str,
    value: &Value,
    written: &Written,
) -> io::Result<()> {
    let time = printer.paint.paint(Part::Time, &printer.clock.shown(written.time_ms));
    let by = printer.paint.paint(Part::Writer, &writer(&written.by));
    writeln!(out, "    {word}  {time}  {by}")?;
    // An empty text has no line that could be seen.
    let text = value.as_str().filter(|text| !text.is_empty());
    let text = text.map_or_else(|| value.to_string(), str::to_owned);
    text.lines().try_for_each(|line| writeln!(out, "      {}", escaped(line)))
}
