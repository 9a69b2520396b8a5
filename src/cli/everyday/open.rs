//! The palace that a command works on, and the form of ids, times and drawers on a terminal.

use super::ago::ago;
use crate::cli::error::Failure;
use crate::cli::everyday_error::EverydayError;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::location::variable;
use crate::cli::log::clock::Clock;
use crate::cli::log::paint::{Paint, Part};
use crate::cli::log::target::{Look, Within};
use crate::cli::print::{json, shown, stdout};
use crate::cli::short_ids::{Named, named};
use crate::memory::Ids;
use crate::memory::drawers::{Drawer, Drawers, Place};
use crate::memory::facts::Facts;
use crate::memory::told::title_of_text;
use crate::palace::{Options, Palace};
use clap::Args;
use serde::Serialize;
use std::cell::OnceCell;
use std::io::{BufWriter, StdoutLock, Write};

/// Most characters of a user's name.
const NAME_CHARS: usize = 100;

/// The options that all everyday commands share.
#[derive(Args)]
pub(super) struct Common {
    #[command(flatten)]
    within: Within,
    #[command(flatten)]
    look: Look,
}

/// The options of a command that writes.
#[derive(Args)]
pub(super) struct Writer {
    /// The name under which history has the write. The user's name by default
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// An open palace, and how its parts are shown.
pub(super) struct Open {
    pub palace: Palace,
    pub paint: Paint,
    pub clock: Clock,
    pub as_json: bool,
    by: Option<String>,
    is_utc: bool,
    ids: OnceCell<Ids>,
}

impl Common {
    /// Opens the palace to read it.
    pub fn open(&self) -> Result<Open, Failure> {
        Ok(self.opened(self.within.open()?, None))
    }

    fn opened(&self, palace: Palace, by: Option<String>) -> Open {
        Open {
            palace,
            paint: self.look.paint(),
            clock: self.look.clock(),
            as_json: self.within.json,
            by,
            is_utc: self.look.is_utc(),
            ids: OnceCell::new(),
        }
    }
}

impl Writer {
    /// Returns the name of the user.
    pub fn name(&self) -> Option<String> {
        let named = || {
            let name = variable("USER").or_else(|| variable("LOGNAME"))?;
            Some(name.to_string_lossy().into_owned())
        };
        let name = self.by.clone().or_else(named)?;
        Some(name.chars().take(NAME_CHARS).collect())
    }

    /// Opens the palace to write to it. If there is none, the first write makes it.
    pub fn open(&self) -> Result<Open, Failure> {
        Ok(self.opened(Palace::open(self.common.within.path()?)?))
    }

    /// Opens a palace that must be there already.
    pub fn open_existing(&self) -> Result<Open, Failure> {
        Ok(self.opened(self.common.within.open_existing(Options::default())?))
    }

    fn opened(&self, palace: Palace) -> Open {
        let program = concat!("(crdt-palace ", env!("CARGO_PKG_VERSION"), ")");
        let by = self.name().map(|name| format!("{name} {program}"));
        self.common.opened(palace, by)
    }
}

impl Open {
    pub fn drawers(&self) -> Drawers {
        Drawers::new(self.palace.clone()).by(self.by.clone())
    }

    pub fn facts(&self) -> Facts {
        Facts::new(self.palace.clone())
    }

    fn ids(&self) -> Result<&Ids, Failure> {
        if let Some(ids) = self.ids.get() {
            return Ok(ids);
        }
        let ids = Ids::read(&self.palace)?;
        Ok(self.ids.get_or_init(|| ids))
    }

    /// Returns the id that a name on the command line stands for.
    ///
    /// # Errors
    /// [`EverydayError::Unknown`] and [`EverydayError::Ambiguous`], and errors of the palace.
    pub fn id(&self, name: &str) -> Result<String, Failure> {
        let text = || name.to_owned();
        match named(&self.palace, self.ids()?, name)? {
            Named::One(id) => Ok(id),
            Named::Nothing => Err(EverydayError::Unknown { name: text() }.into()),
            Named::Several(ids) => Err(EverydayError::Ambiguous { name: text(), ids }.into()),
        }
    }

    /// Returns the drawer that a name on the command line stands for.
    ///
    /// # Errors
    /// As [`Open::id`]; [`EverydayError::NotADrawer`], and errors of the drawer.
    pub fn drawer(&self, name: &str) -> Result<Drawer, Failure> {
        let id = self.id(name)?;
        if id.starts_with("t_") {
            return Err(EverydayError::NotADrawer { name: name.to_owned() }.into());
        }
        let drawers = self.drawers();
        Ok(drawers.get(&id).map_err(|error| drawers.if_deleted(error))?)
    }

    /// Returns the short form of an id, painted.
    pub fn short(&self, id: &str) -> Result<String, Failure> {
        Ok(self.paint.paint(Part::Commit, &shown(self.ids()?.short(id))))
    }

    /// Returns a time: how long ago it was, or the time itself if that says more or the user wants UTC.
    pub fn time(&self, ms: Option<i64>) -> String {
        let ms = ms.unwrap_or(0);
        let words = ago(ms, self.palace.now_ms()).filter(|_| !self.is_utc);
        self.paint.paint(Part::Time, &words.unwrap_or_else(|| self.clock.shown(ms)))
    }

    /// Returns a time, and how long ago it was.
    pub fn full_time(&self, ms: i64) -> String {
        let time = self.paint.paint(Part::Time, &self.clock.shown(ms));
        match ago(ms, self.palace.now_ms()) {
            Some(ago) => format!("{time}, {ago}"),
            None => time,
        }
    }

    /// Returns a place, painted.
    pub fn place(&self, place: &Place) -> String {
        self.paint.paint(Part::Writer, &shown(&format!("{}/{}", place.wing, place.room)))
    }

    /// Returns the title of a text, painted.
    pub fn title(&self, text: &str) -> String {
        self.paint.paint(Part::Heading, &shown(&title_of_text(text)))
    }

    /// Prints an answer to standard output: as JSON if the user wants that, and otherwise as `print` does.
    pub fn answer<T: Serialize>(
        &self,
        value: impl FnOnce() -> T,
        print: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut out = stdout();
        match self.as_json {
            true => json(&mut out, &value())?,
            false => print(&mut out)?,
        }
        Ok(out.flush()?)
    }

    /// Ends a command that has read: an answer may lack what a damaged file holds.
    pub fn read(&self, printed: Result<(), Failure>) -> Result<Exit, Failure> {
        after(printed, lacking(&self.palace, "the answer"))
    }

    /// Ends a command that has written.
    pub fn wrote(printed: Result<(), Failure>) -> Result<Exit, Failure> {
        after(printed, Exit::Done)
    }

    /// Returns a drawer as a sentence names it.
    pub fn named(&self, text: &str) -> String {
        format!("drawer \"{}\"", self.title(text))
    }
}
