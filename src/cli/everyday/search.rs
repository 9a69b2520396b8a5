//! `crdt-palace search`: drawers by words.

use super::open::{Common, Open};
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::log::clock::Edge;
use crate::cli::log::patch::escaped;
use crate::cli::print::tell;
use crate::mcp::answers;
use crate::memory::drawers::{HITS_MAX, Hit, Search as Question};
use clap::Args;
use std::io::Write;

/// Lines of a text that are shown of a hit.
const LINES: usize = 3;

/// Arguments of `crdt-palace search`.
#[derive(Args)]
pub(in crate::cli) struct Search {
    /// The words, in any case, or a question. word* also finds longer words
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<String>,
    /// Only drawers of this wing
    #[arg(long)]
    wing: Option<String>,
    /// Only drawers in rooms of this name
    #[arg(long)]
    room: Option<String>,
    /// Only drawers that were filed since TIME: 2026-03-01, 2026-03-01T10:00, 10:00, yesterday, or 2h for two hours ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only drawers that were filed before TIME
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Print at most N drawers
    #[arg(short, value_name = "N", default_value = "10")]
    n: usize,
    #[command(flatten)]
    common: Common,
}

impl Search {
    pub fn run(&self) -> Result<Exit, Failure> {
        let open = self.common.open()?;
        let query = self.words.join(" ");
        let time = |text: &Option<String>| {
            text.as_deref().map(|text| open.clock.parse(text, Edge::Start)).transpose()
        };
        let question = Question {
            query: &query,
            wing: self.wing.as_deref(),
            room: self.room.as_deref(),
            since_ms: time(&self.since)?,
            before_ms: time(&self.before)?,
            ..Question::default()
        };
        let (hits, more) = self.find(&open, question)?;
        let note = open.drawers().place_note(question.wing, question.room)?;
        let note = note.map(|note| note.to_string());
        if !open.as_json {
            note.iter().for_each(|note| tell(format_args!("crdt-palace: {note}")));
            tell_rest(hits.len(), more);
        }
        let print = |out: &mut _| hits.iter().try_for_each(|hit| print(out, &open, hit, &query));
        let printed =
            open.answer(|| answers::found(&question, hits.clone(), more, note.clone()), print);
        open.read(printed)
    }

    /// Finds as many drawers as the user wants, page by page.
    fn find(&self, open: &Open, question: Question<'_>) -> Result<(Vec<Hit>, bool), Failure> {
        let drawers = open.drawers();
        let (mut hits, mut more): (Vec<Hit>, bool) = (Vec::new(), true);
        while more && hits.len() < self.n {
            let after = hits.last().map(|hit| hit.next.as_str());
            let limit = (self.n - hits.len()).min(HITS_MAX);
            let page = drawers.search(&Question { after, limit, ..question })?;
            more = page.more;
            hits.extend(page.hits);
        }
        Ok((hits, more))
    }
}

fn tell_rest(shown: usize, more: bool) {
    match (shown, more) {
        (0, false) => tell(format_args!("crdt-palace: no drawer has these words")),
        (_, true) => {
            tell(format_args!("crdt-palace: there are more; -n {} shows them", 2 * shown.max(5)))
        }
        (_, false) => {}
    }
}

fn print(out: &mut impl Write, open: &Open, hit: &Hit, query: &str) -> Result<(), Failure> {
    let drawer = &hit.drawer;
    let (short, title) = (open.short(&drawer.id)?, open.title(&drawer.content));
    let (time, place) = (open.time(drawer.filed_ms), open.place(&drawer.place));
    writeln!(out, "{short}  {time}  {place}  {title}")?;
    for line in hit.lines(query).take(LINES) {
        writeln!(out, "    {}", escaped(line.trim_end()))?;
    }
    Ok(())
}
