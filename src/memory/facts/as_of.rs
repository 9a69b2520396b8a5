//! The time that a question about facts is asked of: an instant, or a whole day.
//!
//! A date that a fact begins or ends with is compared with the date of the question, and a time with the question's time
//! in UTC. So a fact of today holds where today has begun, whatever the date is in UTC.

use crate::memory::error::Result;
use crate::memory::moment::{Moment, last_second};
use jiff::tz::TimeZone;
use std::fmt;

/// The time that a question is asked of: an instant, or a whole day.
///
/// An instant has a date, which is that of the offset in which it was given. A day is the day where this process runs. Of
/// a day, the question is what holds at any moment of it.
///
/// ```
/// use crdt_palace::memory::facts::AsOf;
/// # use crdt_palace::memory::facts::{Facts, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let fact = facts.assert(&works, Some("2026-03-01"), None, None)?.fact;
/// assert!(!fact.holds(&AsOf::parse("2026-02-28")?));
/// assert!(!fact.holds(&AsOf::parse("2026-02-28T23:30:00Z")?));
/// assert!(fact.holds(&AsOf::parse("2026-03-01T08:30:00+09:00")?)); // the same instant, asked in Tokyo
/// assert_eq!(AsOf::parse("2026-03-01T08:30:00+09:00")?.to_string(), "2026-03-01T08:30:00+09:00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOf {
    date: String,
    /// The first and the last second in UTC. They are the same for an instant.
    first: String,
    last: String,
    shown: String,
}

impl AsOf {
    /// Parses a date, or a date with a time and an offset.
    ///
    /// # Errors
    /// [`MemoryError::Argument`](crate::memory::MemoryError::Argument) if it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        AsOf::in_zone(text, &TimeZone::system())
    }

    /// Parses the time of a question. A day is one of `zone`.
    pub(super) fn in_zone(text: &str, zone: &TimeZone) -> Result<Self> {
        let moment = Moment::parse("as_of", text, zone)?;
        let instant = AsOf::beginning_of(&moment);
        if moment.timed {
            return Ok(instant);
        }
        let last = last_second(&moment.text, zone).unwrap_or_else(|| instant.first.clone());
        Ok(AsOf { last, shown: moment.text, ..instant })
    }

    /// Returns the instant at which a moment begins.
    pub(super) fn beginning_of(moment: &Moment) -> Self {
        AsOf {
            date: moment.date().to_owned(),
            first: moment.begins.clone(),
            last: moment.begins.clone(),
            shown: format!("{}{}", moment.civil, moment.offset.as_deref().unwrap_or("+00:00")),
        }
    }

    /// Returns its date.
    pub(super) fn date(&self) -> &str {
        &self.date
    }

    /// Tells whether a moment has come by its end. `timed` is false if the moment is a date.
    pub(super) fn reaches(&self, moment: &str, timed: bool) -> bool {
        moment <= if timed { self.last.as_str() } else { &self.date }
    }

    /// Tells whether a moment has come by its beginning. `timed` is false if the moment is a date.
    pub(super) fn is_after(&self, moment: &str, timed: bool) -> bool {
        moment <= if timed { self.first.as_str() } else { &self.date }
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
