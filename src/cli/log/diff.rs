//! `crdt-log diff`: the difference of two versions of a document, or of the palace at two times.

use super::clock::Edge;
use super::names::{commit, document};
use super::paint::Part;
use super::patch::{patch, print_patch};
use super::printer::Printer;
use super::target::{Look, Within};
use super::version::{Side, side, time_side};
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::print::{self, shown, stdout};
use crate::format::key::Key;
use crate::memory::told::{Kind, id_of, name_of, place_of, text_of, title_of};
use crate::palace::log::CommitLog;
use crate::palace::{Direction, Palace};
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::Write;

/// Arguments of `crdt-log diff`.
#[derive(Args)]
pub(super) struct Diff {
    /// A document, and one or two of its versions: commits or times. Or one or two times, for all documents. Without the
    /// second one, the present state is compared
    #[arg(value_name = "KEY|ID|COMMIT|TIME", required = true, num_args = 1..=3)]
    between: Vec<String>,
    #[command(flatten)]
    within: Within,
}

impl Diff {
    pub fn run(&self, look: &Look) -> Result<Exit, Failure> {
        let palace = self.within.open()?;
        let mut log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let printer = Printer { as_json: self.within.json, ..Printer::new(look, &log) };
        let mut out = stdout();
        let printed = self.print(&mut out, &palace, &printer, &mut log);
        let printed = printed.and_then(|()| Ok(out.flush()?));
        after(printed, lacking(&palace, "the comparison"))
    }

    fn print(
        &self,
        out: &mut impl Write,
        palace: &Palace,
        printer: &Printer,
        log: &mut CommitLog<'_>,
    ) -> Result<(), Failure> {
        let Some((first, rest)) = self.between.split_first() else { return Ok(()) };
        // A commit's name, such as 1200-5, can look like a time.
        let is_time =
            printer.clock.parse(first, Edge::End).is_ok() && commit(log, first)?.is_none();
        match (is_time, rest) {
            (true, [] | [_]) => {
                let from = time_side(&printer.clock, first)?;
                let to =
                    rest.first().map_or(Ok(Side::Now), |text| time_side(&printer.clock, text))?;
                print_all(out, printer, log, &from, &to)
            }
            (true, _) => Err(Failure::Usage("two times are compared; name no third one")),
            (false, _) => {
                let key = document(palace, log, first)?;
                let [from, to] = match rest {
                    [] => {
                        return Err(Failure::Usage(
                            "name a version of the document: a commit or a time",
                        ));
                    }
                    [from] => [side(&printer.clock, log, &key, from)?, Side::Now],
                    [from, to, ..] => [
                        side(&printer.clock, log, &key, from)?,
                        side(&printer.clock, log, &key, to)?,
                    ],
                };
                let differs = print_one(out, printer, log, &key, [&from, &to])?;
                print_alike(out, printer, usize::from(differs))
            }
        }
    }
}

/// Prints the difference of all documents that were written between two times.
fn print_all(
    out: &mut impl Write,
    printer: &Printer,
    log: &mut CommitLog<'_>,
    from: &Side,
    to: &Side,
) -> Result<(), Failure> {
    let [early, late] = [from.time_ms().min(to.time_ms()), from.time_ms().max(to.time_ms())];
    let mut keys = BTreeSet::new();
    while !log.is_past(early) {
        let Some(commit) = log.next()? else { break };
        if commit.time_ms > early && commit.time_ms <= late {
            keys.extend(commit.keys.into_iter().filter(|key| Kind::of(key) != Kind::Note));
        }
    }
    let mut printed = 0;
    for key in &keys {
        printed += usize::from(print_one(out, printer, log, key, [from, to])?);
    }
    print_alike(out, printer, printed)
}

/// Tells people that no difference was found.
fn print_alike(out: &mut impl Write, printer: &Printer, printed: usize) -> Result<(), Failure> {
    if printed == 0 && !printer.as_json {
        writeln!(out, "no difference")?;
    }
    Ok(())
}

/// Prints the difference of a document. Returns true if there is one.
fn print_one(
    out: &mut impl Write,
    printer: &Printer,
    log: &CommitLog<'_>,
    key: &Key,
    sides: [&Side; 2],
) -> Result<bool, Failure> {
    let views = [log.view_at(key, sides[0].version())?, log.view_at(key, sides[1].version())?];
    let value = |n: usize| views.get(n).and_then(|view| view.as_ref()).map(|(_, view)| &view.value);
    let texts = [0, 1].map(|n| value(n).map(|value| text_of(key, value)).unwrap_or_default());
    let place = |n| place_of(key, value(n)?);
    let is_moved = place(0).zip(place(1)).filter(|(before, after)| before != after);
    if texts[0] == texts[1] && is_moved.is_none() {
        return Ok(false);
    }
    let there = [1, 0].into_iter().find_map(|n| value(n).filter(|value| !value.is_empty()));
    let Some(there) = there else { return Ok(false) };
    if printer.as_json {
        print_json(out, key, there, is_moved, &texts)?;
        return Ok(true);
    }
    let heading = format!("{}  {}", name_of(key, there), id_of(key));
    writeln!(out, "{}", printer.paint.paint(Part::Heading, &shown(&heading)))?;
    if let Some((before, after)) = is_moved {
        writeln!(out, "moved from {} to {}", shown(&before), shown(&after))?;
    }
    print_patch(out, printer.paint, "", &texts)?;
    Ok(true)
}

fn print_json(
    out: &mut impl Write,
    key: &Key,
    there: &Map<String, Value>,
    is_moved: Option<(String, String)>,
    texts: &[String; 2],
) -> Result<(), Failure> {
    let (from, to) = is_moved.unzip();
    let line = json!({
        "kind": Kind::of(key).name(),
        "id": id_of(key),
        "key": key,
        "title": title_of(key, there),
        "moved_from": from,
        "moved_to": to,
        "diff": patch(texts).join("\n"),
    });
    Ok(print::json(out, &line)?)
}
