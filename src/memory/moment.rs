//! Moments as callers write them: a date, or a date with a time.
//!
//! Invariant: a moment is kept as `2026-03-01` or as `2026-03-01T10:00:00Z`, in UTC, so that moments compare as texts
//! do. A date stands for the midnight at which it begins, and that midnight is always written as the date.

use super::error::{MemoryError, Result};
use jiff::civil::Date;
#[cfg(any(feature = "mcp", test))]
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

/// Parses a moment, and returns it in its one form.
///
/// # Errors
/// [`MemoryError::Argument`] with the name of the field.
pub(super) fn moment(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    if let Ok(date) = text.parse::<Date>()
        && !text.contains(['T', 't', ' '])
    {
        return Ok(date.to_string());
    }
    let parsed = text.parse::<Timestamp>().and_then(|time| time.round(Unit::Second));
    parsed.map(|time| one_form(&time.to_string())).map_err(|_| refused(field, text))
}

/// Returns a moment in UTC in its one form, in which midnight is the date.
pub(super) fn one_form(text: &str) -> String {
    text.strip_suffix("T00:00:00Z").unwrap_or(text).to_owned()
}

/// Parses a moment, and returns it in milliseconds since 1970.
///
/// # Errors
/// The errors of [`moment`].
#[cfg(any(feature = "mcp", test))]
pub(crate) fn milliseconds(field: &'static str, text: &str) -> Result<i64> {
    let text = moment(field, text)?;
    let time = match text.parse::<Date>() {
        Ok(date) if !text.contains('T') => {
            date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp())
        }
        _ => text.parse::<Timestamp>(),
    };
    time.map(Timestamp::as_millisecond).map_err(|_| refused(field, &text))
}

/// Parses a moment as MemPalace writes it, and returns it in milliseconds since 1970. Without an offset, it is a time
/// of `zone`.
#[cfg(feature = "mcp")]
pub(super) fn local_milliseconds(text: &str, zone: &TimeZone) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let local = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(local.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
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

    #[cfg(feature = "mcp")]
    #[test]
    fn moment_without_offset_is_in_the_given_zone() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let noon = |text: &str| local_milliseconds(text, &berlin).map(readable);
        assert_eq!(noon("2026-01-05T12:00:00.123456").unwrap(), "2026-01-05T11:00:00.123Z");
        assert_eq!(noon("2026-07-05T12:00:00").unwrap(), "2026-07-05T10:00:00Z");
        assert_eq!(noon("2026-07-05T12:00:00+00:00").unwrap(), "2026-07-05T12:00:00Z");
        assert_eq!(noon("2026-07-05").unwrap(), "2026-07-04T22:00:00Z");
        assert_eq!(noon("yesterday"), None);
    }

    #[test]
    fn date_is_the_midnight_at_which_it_begins() {
        assert_eq!(milliseconds("at", "1970-01-02").unwrap(), 86_400_000);
        assert_eq!(milliseconds("at", "1970-01-01T00:00:01Z").unwrap(), 1_000);
        assert_eq!(readable(1_000), "1970-01-01T00:00:01Z");
    }
}
