//! Colours, where the output is a terminal.

use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use std::io::{IsTerminal as _, stdout};

/// A part of the output that has a colour of its own.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Part {
    Commit,
    Time,
    Writer,
    Added,
    Removed,
    Hunk,
    Heading,
    Conflict,
}

/// Paints parts, or leaves them as they are.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Paint {
    colored: bool,
}

impl Paint {
    pub fn new(choice: ColorChoice) -> Self {
        // https://no-color.org: any value but the empty one counts.
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colored = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => !is_unwanted && stdout().is_terminal(),
        };
        Paint { colored }
    }

    /// Returns a text in the colour of a part. The text must have no control characters.
    pub fn paint(self, part: Part, text: &str) -> String {
        if !self.colored || text.is_empty() {
            return text.to_owned();
        }
        let of = |color: AnsiColor| color.on_default();
        let style = match part {
            Part::Commit => of(AnsiColor::Yellow),
            Part::Time => Style::new().dimmed(),
            Part::Writer | Part::Hunk => of(AnsiColor::Cyan),
            Part::Added => of(AnsiColor::Green),
            Part::Removed => of(AnsiColor::Red),
            Part::Heading => Style::new().bold(),
            Part::Conflict => of(AnsiColor::Magenta),
        };
        format!("{style}{text}{style:#}")
    }
}
