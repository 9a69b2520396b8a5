//! `crdt-palace show`: one drawer, diary entry or fact.

use super::facts::period;
use super::open::{Common, Open};
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::log::patch::escaped;
use crate::cli::log::printer::writer;
use crate::cli::print::{count, shown};
use crate::mcp::answers;
use crate::memory::drawers::Drawer;
use crate::memory::facts::Fact;
use crate::memory::shown_source;
use crate::memory::told::title_of_text;
use clap::Args;
use std::io::{self, Write};

/// Arguments of `crdt-palace show`.
#[derive(Args)]
pub(in crate::cli) struct Show {
    /// The drawer, diary entry or fact. The first digits behind the last underscore of its id that no other has are enough
    #[arg(value_name = "ID")]
    id: String,
    /// Print the text alone
    #[arg(long)]
    text: bool,
    /// Print the whole paths of sources. By default the last part of an absolute path is printed
    #[arg(long)]
    full_source: bool,
    #[command(flatten)]
    common: Common,
}

impl Show {
    pub fn run(&self) -> Result<Exit, Failure> {
        let open = self.common.open()?;
        let id = open.id(&self.id)?;
        let facts = open.facts();
        let printed = match facts.get(&id)? {
            Some(fact) => open.answer(
                || answers::fact(fact.clone(), &facts, self.full_source),
                |out| Ok(self.print_fact(out, &open, &fact)?),
            ),
            None => self.show_drawer(&open, &open.drawer(&id)?),
        };
        open.read(printed)
    }

    fn show_drawer(&self, open: &Open, drawer: &Drawer) -> Result<(), Failure> {
        open.answer(
            || answers::drawer(drawer.clone(), self.full_source),
            |out| {
                if !self.text {
                    self.print_header(out, open, drawer)?;
                    writeln!(out)?;
                }
                Ok(drawer
                    .content
                    .lines()
                    .try_for_each(|line| writeln!(out, "{}", escaped(line)))?)
            },
        )
    }

    fn print_header(&self, out: &mut impl Write, open: &Open, drawer: &Drawer) -> io::Result<()> {
        let kind = if drawer.diary.is_some() { "diary" } else { "drawer" };
        field(out, kind, &title_of_text(&drawer.content))?;
        field(out, "id", &drawer.id)?;
        writeln!(out, "place     {}", open.place(&drawer.place))?;
        if let Some((agent, topic)) = &drawer.diary {
            field(out, "agent", &format!("{agent}, on {topic}"))?;
        }
        if let Some(ms) = drawer.filed_ms {
            let by = drawer.added_by.join(", ");
            let by = if by.is_empty() { String::new() } else { format!("  {}", shown(&by)) };
            writeln!(out, "filed     {}{by}", open.full_time(ms))?;
        }
        if let Some(written) = &drawer.modified {
            writeln!(
                out,
                "changed   {}  {}",
                open.full_time(written.time_ms),
                writer(&written.by)
            )?;
        }
        drawer
            .source_files
            .iter()
            .try_for_each(|source| field(out, "source", self.source(source)))?;
        if !drawer.conflicts.is_empty() {
            let conflicts = count(drawer.conflicts.len(), "open conflict");
            writeln!(out, "conflicts {conflicts}: crdt-log conflicts shows them")?;
        }
        Ok(())
    }

    fn print_fact(&self, out: &mut impl Write, open: &Open, fact: &Fact) -> io::Result<()> {
        field(out, "fact", &fact.triple.to_string())?;
        field(out, "id", &fact.id)?;
        field(out, "holds", &period(fact, &open.facts().now()))?;
        for source in &fact.sources {
            let parts =
                [("closet", &source.closet), ("file", &source.file), ("drawer", &source.drawer)];
            for (name, part) in parts.iter().filter_map(|(name, part)| Some((name, part.as_ref()?)))
            {
                field(out, "source", &format!("{name} {}", self.source(part)))?;
            }
        }
        Ok(())
    }

    fn source<'a>(&self, source: &'a str) -> &'a str {
        if self.full_source { source } else { shown_source(source) }
    }
}

fn field(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "{name:<9} {}", shown(value))
}
