//! `crdt-palace facts`: what is known of an entity.

use super::open::{Common, Open};
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::log::paint::Part;
use crate::cli::print::{shown, tell};
use crate::mcp::answers;
use crate::memory::facts::{AsOf, Direction, Fact, FactPage, FactQuery};
use crate::memory::written_out;
use clap::Args;
use std::io::Write;

/// Arguments of `crdt-palace facts`.
#[derive(Args)]
pub(in crate::cli) struct EntityFacts {
    /// The subject or object of the facts, in any case
    #[arg(value_name = "ENTITY")]
    entity: String,
    /// Only facts that held then: 2026-03-01 for any moment of that day, or 2026-03-01T10:00:00+09:00
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// With --json, print the whole paths of sources. By default the last part of an absolute path is printed
    #[arg(long)]
    full_source: bool,
    #[command(flatten)]
    common: Common,
}

impl EntityFacts {
    pub fn run(&self) -> Result<Exit, Failure> {
        let open = self.common.open()?;
        let (page, facts) = self.find(&open)?;
        if facts.is_empty() && !open.as_json {
            tell(format_args!("crdt-palace: no facts are known of {:?}", self.entity));
        }
        let as_of = self.as_of.as_deref();
        let full = self.full_source;
        let known = || (&page, facts.clone());
        let value = || answers::known(&self.entity, as_of, known(), &open.facts(), full);
        let now = open.facts().now();
        let print = |out: &mut _| facts.iter().try_for_each(|fact| print(out, &open, fact, &now));
        open.read(open.answer(value, print))
    }

    /// Finds all facts, and returns the first page of them too, which counts all.
    fn find(&self, open: &Open) -> Result<(FactPage, Vec<Fact>), Failure> {
        let facts = open.facts();
        let query = FactQuery {
            entity: Some(&self.entity),
            as_of: self.as_of.as_deref(),
            direction: Direction::Both,
            ..FactQuery::default()
        };
        let first = facts.about(&query)?;
        let (mut all, mut more) = (first.facts.clone(), first.more);
        while let Some(last) = all.last().filter(|_| more) {
            let after = last.position();
            let page = facts.about(&FactQuery { after: Some(&after), ..query })?;
            more = page.more;
            all.extend(page.facts);
        }
        Ok((first, all))
    }
}

fn print(out: &mut impl Write, open: &Open, fact: &Fact, now: &AsOf) -> Result<(), Failure> {
    let (short, period) = (open.short(&fact.id)?, period(fact, now));
    let triple = shown(&fact.triple.to_string());
    let triple = match fact.is_over(now) {
        true => open.paint.paint(Part::Time, &triple),
        false => open.paint.paint(Part::Heading, &triple),
    };
    Ok(writeln!(out, "{short}  {triple}  {}", open.paint.paint(Part::Time, &shown(&period)))?)
}

/// Returns the words for the time in which a fact holds.
pub(in crate::cli) fn period(fact: &Fact, now: &AsOf) -> String {
    let moment = |moment: &Option<String>, offset: &Option<String>| {
        moment.as_deref().map(|text| written_out(text, offset.as_deref()))
    };
    let from = moment(&fact.valid_from, &fact.valid_from_offset);
    let to = moment(&fact.valid_to, &fact.valid_to_offset);
    match (from, to) {
        _ if fact.whole_day => format!("on {}", fact.valid_from.as_deref().unwrap_or_default()),
        (None, None) => "always".to_owned(),
        (Some(from), None) if fact.begins_after(now) => format!("from {from}, not yet"),
        (Some(from), None) => format!("since {from}"),
        (None, Some(to)) => format!("until {to}"),
        (Some(from), Some(to)) => format!("from {from} until {to}"),
    }
}
