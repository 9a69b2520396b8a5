//! Moments as callers write them: a date, or a date with a time.
//!
//! Invariant: a moment is kept as `2026-03-01` or as `2026-03-01T10:00:00Z`, in UTC, so that moments compare as texts
//! do. Midnight in UTC is always written as the date. A date means the day where the reader is: it begins at midnight
//! there. The offset in which a time was given is kept beside it, and changes neither its text nor its order. A date with
//! an offset beside it is the time of midnight in UTC.

use super::error::{MemoryError, Result};
use jiff::civil::Date;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Unit};

/// A moment, and how it was given.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Its one form.
    pub text: String,
    /// True if it was given with a time of day.
    pub timed: bool,
    /// The offset in which its time was given, such as `+09:00`; `None` for a date. For a time in UTC it is `None`, or
    /// `+00:00` at midnight, which otherwise would be a date.
    pub offset: Option<String>,
    /// The date and time where it was given. A date begins at midnight.
    pub civil: String,
    /// The time in UTC at which it begins, in the one form. A date begins at midnight of the reader's zone.
    pub begins: String,
}

impl Moment {
    /// Parses a moment. `zone` is where its date begins, if it has no time.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] with the name of the field.
    pub fn parse(field: &'static str, text: &str, zone: &TimeZone) -> Result<Self> {
        let text = text.trim();
        if let Some(date) = date_in(text) {
            return Ok(Moment::day(date, zone));
        }
        // Seconds only: moments compare as texts, and fractions would break the order.
        let time = text.parse::<Timestamp>().and_then(|time| time.round(Unit::Second));
        let offset = Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset());
        let time = time.map_err(|_| refused(field, text))?;
        Ok(Moment::time(time, offset.unwrap_or(Offset::UTC)))
    }

    /// Returns a day, which begins at midnight of `zone`.
    pub fn day(date: Date, zone: &TimeZone) -> Self {
        Moment {
            text: date.to_string(),
            timed: false,
            offset: None,
            civil: format!("{date}T00:00:00"),
            begins: midnight(date, zone).map_or_else(|| date.to_string(), in_utc),
        }
    }

    /// Returns a time, given in milliseconds since 1970, in whole seconds and with the offset of `zone`.
    pub fn at(ms: i64, zone: &TimeZone) -> Self {
        // Only a clock that is thousands of years off is out of range.
        let time = Timestamp::from_second(ms.div_euclid(1_000)).unwrap_or_default();
        Moment::time(time, zone.to_offset(time))
    }

    /// Returns a moment that is kept in its one form, with the offset beside it. A date begins at midnight of `zone`.
    pub fn kept(text: &str, offset: Option<&str>, zone: &TimeZone) -> Self {
        let full = written_out(text, offset);
        match (date_in(&full), full.parse::<Timestamp>()) {
            (Some(date), _) => Moment::day(date, zone),
            (None, Ok(time)) => Moment::time(time, offset.map_or(Offset::UTC, offset_in)),
            // Another program wrote something else. Its text is all that is known of its place in time.
            (None, Err(_)) => {
                let text = || text.to_owned();
                Moment { text: text(), timed: true, offset: None, civil: text(), begins: text() }
            }
        }
    }

    /// Returns it as people and models read it.
    pub fn shown(&self) -> String {
        written_out(&self.text, self.offset.as_deref())
    }

    /// Returns the date where it was given.
    pub fn date(&self) -> &str {
        self.civil.split('T').next().unwrap_or(&self.civil)
    }

    fn time(time: Timestamp, offset: Offset) -> Self {
        let text = in_utc(time);
        let midnight = || is_date(&text).then(|| "+00:00".to_owned());
        Moment {
            timed: true,
            offset: offset_text(offset).or_else(midnight),
            civil: offset.to_datetime(time).to_string(),
            begins: text.clone(),
            text,
        }
    }
}

/// Returns a moment in UTC in its one form, in which midnight is the date.
pub(super) fn one_form(text: &str) -> String {
    text.strip_suffix("T00:00:00Z").unwrap_or(text).to_owned()
}

/// Tells whether a moment in its one form is a date, or midnight in UTC.
pub(super) fn is_date(text: &str) -> bool {
    !text.contains('T')
}

/// Returns a moment in its one form as people and models read it: with a time, unless it is a date.
pub(crate) fn written_out(text: &str, offset: Option<&str>) -> String {
    match is_date(text) && offset.is_some() {
        true => format!("{text}T00:00:00Z"),
        false => text.to_owned(),
    }
}

/// Returns the last second of a date in `zone`, in UTC and in the one form.
pub(super) fn last_second(date: &str, zone: &TimeZone) -> Option<String> {
    let next = date_in(date)?.tomorrow().ok().and_then(|next| midnight(next, zone))?;
    Timestamp::from_second(next.as_second() - 1).ok().map(in_utc)
}

/// Returns the offset of a zone at a time, given in milliseconds since 1970; `None` if that is UTC.
pub(super) fn offset_at(ms: i64, zone: &TimeZone) -> Option<String> {
    let time = Timestamp::from_millisecond(ms).ok()?;
    offset_text(zone.to_offset(time))
}

/// Returns the date of a time, given in milliseconds since 1970, at an offset such as `+09:00`.
pub(super) fn date_at(ms: i64, offset: Option<&str>) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    offset.map_or(Offset::UTC, offset_in).to_datetime(time).date().to_string()
}

/// Parses an offset that this program wrote. If another program wrote something else, it is UTC.
fn offset_in(text: &str) -> Offset {
    let pieces = format!("2000-01-01T00:00:00{text}");
    let offset = Pieces::parse(&pieces).ok().and_then(|pieces| pieces.to_numeric_offset());
    offset.unwrap_or(Offset::UTC)
}

fn date_in(text: &str) -> Option<Date> {
    // The parser of dates also takes a date with a time, and drops the time.
    text.parse::<Date>().ok().filter(|_| !text.contains(['T', 't', ' ']))
}

fn midnight(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    Some(date.to_zoned(zone.clone()).ok()?.timestamp())
}

fn in_utc(time: Timestamp) -> String {
    one_form(&time.to_string())
}

fn offset_text(offset: Offset) -> Option<String> {
    let seconds = offset.seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    // An offset of less than a minute is of a time before clocks had zones.
    (minutes != 0).then(|| format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// Parses a moment of a filter, and returns it in milliseconds since 1970. A date is the day where this process runs:
/// it begins at midnight there.
///
/// # Errors
/// The errors of [`Moment::parse`].
#[cfg(feature = "mcp")]
pub(crate) fn milliseconds(field: &'static str, text: &str) -> Result<i64> {
    milliseconds_in(field, text, &TimeZone::system())
}

#[cfg(any(feature = "mcp", test))]
fn milliseconds_in(field: &'static str, text: &str, zone: &TimeZone) -> Result<i64> {
    let begins = Moment::parse(field, text, zone)?.begins;
    let time = written_out(&begins, Some("+00:00")).parse::<Timestamp>();
    time.map(Timestamp::as_millisecond).map_err(|_| refused(field, text))
}

/// Parses a moment as MemPalace writes it, and returns it in milliseconds since 1970, with its offset; without one if that
/// is UTC. A text without an offset is a time of `zone`.
#[cfg(feature = "mcp")]
pub(super) fn local_time(text: &str, zone: &TimeZone) -> Option<(i64, Option<String>)> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        let offset = Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset());
        return Some((time.as_millisecond(), offset.and_then(offset_text)));
    }
    let local = text.parse::<jiff::civil::DateTime>().ok()?;
    let ms = local.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
    Some((ms, offset_at(ms, zone)))
}

fn refused(field: &'static str, text: &str) -> MemoryError {
    let start: String = text.chars().take(40).collect();
    let why =
        format!("{start:?} is not a date; write 2026-03-01, or with a time 2026-03-01T10:00:00Z");
    MemoryError::argument(field, why)
}

/// Returns a time, given in milliseconds since 1970, as people and models read it.
pub(crate) fn readable(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(field: &'static str, text: &str) -> Result<String> {
        Moment::parse(field, text, &TimeZone::UTC).map(|moment| moment.text)
    }

    #[test]
    fn moments_have_one_form_and_compare_as_texts() {
        assert_eq!(moment("at", " 2026-03-01 ").unwrap(), "2026-03-01");
        assert_eq!(moment("at", "2026-03-01T12:00:00.4+02:00").unwrap(), "2026-03-01T10:00:00Z");
        for midnight in ["2026-03-01T00:00:00Z", "2026-02-28T23:00:00-01:00"] {
            assert_eq!(moment("at", midnight).unwrap(), "2026-03-01", "a date is its midnight");
        }
        assert!("2026-03-01" < "2026-03-01T10:00:00Z" && "2026-03-01T10:00:00Z" < "2026-03-02");
        for bad in ["", "yesterday", "2026-13-01", "2026-03-01T10:00:00", "2026-03-01 10:00"] {
            let error = moment("as_of", bad).unwrap_err().to_string();
            assert!(error.contains("as_of") && error.contains("2026-03-01"), "{bad}: {error}");
        }
    }

    #[test]
    fn offset_of_a_time_is_kept_and_midnight_in_utc_is_told_apart() {
        let offset = |text: &str| Moment::parse("at", text, &TimeZone::UTC).unwrap().offset;
        for (text, kept) in [
            ("2026-03-01", None),
            ("2026-03-01T10:00:00Z", None),
            ("2026-03-01T10:00:00+00:00", None),
            ("2026-03-01T00:00:00Z", Some("+00:00")),
            ("2026-03-01T09:00:00+09:00", Some("+09:00")),
            ("2026-03-01T09:00:00-03:30", Some("-03:30")),
        ] {
            assert_eq!(offset(text).as_deref(), kept, "{text}");
        }
        let tokyo = Moment::parse("at", "2026-03-01T09:00:00+09:00", &TimeZone::UTC).unwrap();
        assert_eq!((tokyo.text.as_str(), tokyo.date()), ("2026-03-01", "2026-03-01"));
        assert_eq!(tokyo.shown(), "2026-03-01T00:00:00Z");
        let day = Moment::kept("2026-03-01", None, &TimeZone::posix("JST-9").unwrap());
        assert_eq!(
            (day.begins.as_str(), day.shown().as_str()),
            ("2026-02-28T15:00:00Z", "2026-03-01")
        );
        assert_eq!(last_second("2026-03-01", &TimeZone::UTC).unwrap(), "2026-03-01T23:59:59Z");
    }

    #[test]
    fn date_of_a_time_is_that_of_its_offset() {
        let tokyo = TimeZone::posix("JST-9").unwrap();
        // 2025-01-01T00:00:00Z
        let ms = 1_735_689_600_000;
        assert_eq!(offset_at(ms, &tokyo).as_deref(), Some("+09:00"));
        assert_eq!(offset_at(ms, &TimeZone::UTC), None);
        assert_eq!(date_at(ms - 1, None), "2024-12-31");
        assert_eq!(date_at(ms - 1, Some("+09:00")), "2025-01-01");
        assert_eq!(date_at(ms, Some("-08:00")), "2024-12-31");
    }

    #[cfg(feature = "mcp")]
    #[test]
    fn moment_without_offset_is_in_the_given_zone() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let noon = |text: &str| local_time(text, &berlin).map(|(ms, _)| readable(ms));
        let offset = |text: &str| local_time(text, &berlin).and_then(|(_, offset)| offset);
        assert_eq!(offset("2026-03-01T12:00:00+09:00").as_deref(), Some("+09:00"));
        assert_eq!(offset("2026-03-01T12:00:00").as_deref(), Some("+01:00"));
        assert_eq!(offset("2026-03-01T12:00:00Z"), None);
        assert_eq!(noon("2026-01-05T12:00:00.123456").unwrap(), "2026-01-05T11:00:00.123Z");
        assert_eq!(noon("2026-07-05T12:00:00").unwrap(), "2026-07-05T10:00:00Z");
        assert_eq!(noon("2026-07-05T12:00:00+00:00").unwrap(), "2026-07-05T12:00:00Z");
        assert_eq!(noon("2026-07-05").unwrap(), "2026-07-04T22:00:00Z");
        assert_eq!(noon("yesterday"), None);
    }

    #[test]
    fn date_of_a_filter_is_the_midnight_at_which_it_begins() {
        let begins = |text, rule| {
            milliseconds_in("since", text, &TimeZone::posix(rule).unwrap()).map(readable)
        };
        for (rule, begin) in [
            ("UTC0", "2026-03-01T00:00:00Z"),
            ("JST-9", "2026-02-28T15:00:00Z"),
            ("PST8PDT,M3.2.0,M11.1.0", "2026-03-01T08:00:00Z"),
            ("<+14>-14", "2026-02-28T10:00:00Z"),
        ] {
            assert_eq!(begins("2026-03-01", rule).unwrap(), begin, "{rule}");
            let time = "2026-03-01T00:00:00Z";
            assert_eq!(begins(time, rule).unwrap(), time, "a time is the same everywhere");
            assert!(begins("yesterday", rule).is_err());
        }
        assert_eq!(readable(1_000), "1970-01-01T00:00:01Z");
    }
}
