//! `crdt-log dump`: the commits, one line each.

use super::printer::{Printer, told};
use super::raw::dump_raw;
use super::select::{Filters, Selection};
use super::target::{Look, Target};
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::print::stdout;
use crate::palace::feed::{CommitInfo, Cursor};
use crate::palace::log::CommitLog;
use crate::palace::{Direction, Palace};
use clap::Args;
use std::io::Write;
use std::time::Duration;

/// Time for which a follower sleeps if nothing happens. It has nothing to do then, and goes on.
const FOLLOW: Duration = Duration::from_secs(3_600);

/// Most documents of commits that are told while the log is read from its end, and printed later. They were just read then.
/// Those of older commits are read again.
const DOCUMENTS_KEPT: usize = 1_000;

/// Arguments of `crdt-log dump`.
#[derive(Args)]
pub(super) struct Dump {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    filters: Filters,
    /// Print the newest commit first, instead of last
    #[arg(long)]
    reverse: bool,
    /// Print only the newest N of the commits
    #[arg(short = 'n', long = "limit", value_name = "N")]
    limit: Option<usize>,
    /// Print the difference of the texts too
    #[arg(short, long)]
    patch: bool,
    /// Go on, and print each commit of any process as it is made. Ends with Ctrl-C
    #[arg(short, long, conflicts_with_all = ["reverse", "until"])]
    follow: bool,
    /// Print the files' records instead: each change with its operations, in no order of time
    #[arg(long, conflicts_with_all = ["json", "reverse", "limit", "patch", "follow", "since", "until", "by", "client", "key",
          "wing", "kind", "grep"])]
    raw: bool,
}

impl Dump {
    pub fn run(&self, look: &Look) -> Result<Exit, Failure> {
        if self.raw {
            return dump_raw(&self.target);
        }
        let palace = self.target.open()?;
        let selection = self.filters.selection(&palace, &look.clock())?;
        // What is written from here on is left to the follower.
        let until = self.follow.then(|| palace.cursor_now()).transpose()?;
        let printed = self.print(&palace, look, &selection, until.as_ref());
        match until {
            Some(from) => {
                printed?;
                after(self.follow(&palace, look, &selection, from), lacking(&palace, "the dump"))
            }
            None => after(printed, lacking(&palace, "the dump")),
        }
    }

    fn printer(&self, look: &Look, log: &CommitLog<'_>) -> Printer {
        let printer = Printer::new(look, log);
        Printer { with_patch: self.patch, as_json: self.target.json, ..printer }
    }

    /// Prints the commits that a cursor has seen, or all.
    fn print(
        &self,
        palace: &Palace,
        look: &Look,
        selection: &Selection,
        until: Option<&Cursor>,
    ) -> Result<(), Failure> {
        // The end of a long history is read from the end.
        let from_end = self.reverse || self.limit.is_some() || selection.since_ms.is_some();
        let direction = if from_end { Direction::NewestFirst } else { Direction::OldestFirst };
        let is_wanted = |commit: &CommitInfo| {
            until.is_none_or(|until| until.has_seen(commit)) && selection.has(commit)
        };
        let mut log = palace.log(direction, Box::new(is_wanted))?;
        let (printer, mut out) = (self.printer(look, &log), stdout());
        let limit = self.limit.unwrap_or(usize::MAX);
        let (mut kept, mut count, mut documents) = (Vec::new(), 0, 0);
        let far = if from_end { selection.since_ms } else { selection.until_ms };
        while count < limit && !far.is_some_and(|far| log.is_past(far)) {
            let Some(commit) = log.next()? else { break };
            let shows = !from_end || self.reverse;
            let is_kept_told = documents < DOCUMENTS_KEPT;
            if !shows && !is_kept_told && !selection.needs_documents() {
                kept.push((commit, None));
                count += 1;
                continue;
            }
            let told = told(&mut log, &commit, Some(selection))?;
            if !selection.has_text(&told) {
                continue;
            }
            count += 1;
            match shows {
                true => {
                    printer.commit(&mut out, &commit, &told)?;
                    // The first screen is read while the rest is told. That takes longer than a line takes to write.
                    out.flush()?;
                }
                false => {
                    documents += told.len();
                    kept.push((commit, is_kept_told.then_some(told)));
                }
            }
        }
        for (commit, known) in kept.into_iter().rev() {
            let told = known.map_or_else(|| told(&mut log, &commit, Some(selection)), Ok)?;
            printer.commit(&mut out, &commit, &told)?;
        }
        Ok(out.flush()?)
    }

    /// Prints the commits that a cursor has not seen, as they are made.
    fn follow(
        &self,
        palace: &Palace,
        look: &Look,
        selection: &Selection,
        from: Cursor,
    ) -> Result<(), Failure> {
        let mut watch = palace.watch_from(from);
        let mut out = stdout();
        loop {
            let commits = watch.next_commits(FOLLOW)?;
            let commits: Vec<CommitInfo> =
                commits.into_iter().filter(|commit| selection.has(commit)).collect();
            if commits.is_empty() {
                continue;
            }
            let mut log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
            let printer = self.printer(look, &log);
            for commit in &commits {
                let told = told(&mut log, commit, Some(selection))?;
                if selection.has_text(&told) {
                    printer.commit(&mut out, commit, &told)?;
                }
            }
            out.flush()?;
        }
    }
}
