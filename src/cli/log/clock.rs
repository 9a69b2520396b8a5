//! Times as people write and read them: in the time zone of this machine, or in UTC.

use crate::cli::log_error::LogError;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// A time zone, and how its times are written.
pub(in crate::cli) struct Clock {
    zone: TimeZone,
    is_utc: bool,
}

/// The end of a day or a second that a text means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Edge {
    Start,
    End,
}

impl Clock {
    pub fn new(is_utc: bool) -> Self {
        Clock { zone: if is_utc { TimeZone::UTC } else { TimeZone::system() }, is_utc }
    }

    /// Returns a time of a writer's clock, given in milliseconds since 1970; "-" for 0, which means none.
    pub fn shown(&self, ms: i64) -> String {
        let mark = if self.is_utc { "Z" } else { "" };
        self.zoned(ms).map_or_else(
            || "-".to_owned(),
            |time| format!("{}{mark}", time.strftime("%Y-%m-%d %H:%M:%S")),
        )
    }

    /// Returns the day of a time, such as `2026-03-01`; `None` for 0, which means no time.
    pub fn day(&self, ms: i64) -> Option<String> {
        self.zoned(ms).map(|time| time.date().to_string())
    }

    fn zoned(&self, ms: i64) -> Option<Zoned> {
        let time = Timestamp::from_millisecond(ms).ok().filter(|_| ms != 0)?;
        Some(time.to_zoned(self.zone.clone()))
    }

    /// Parses a time, and returns it in milliseconds since 1970. A day means its start or its end.
    ///
    /// # Errors
    /// [`LogError::Time`].
    pub fn parse(&self, text: &str, edge: Edge) -> Result<i64, LogError> {
        self.parse_at(text, edge, &Timestamp::now().to_zoned(self.zone.clone()))
            .ok_or_else(|| LogError::Time { text: text.to_owned() })
    }

    fn parse_at(&self, text: &str, edge: Edge, now: &Zoned) -> Option<i64> {
        let text = text.trim();
        let of_civil = |time: DateTime| {
            let start = time.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond();
            // What was written within the last second that is named counts too.
            Some(if edge == Edge::End { start + 999 } else { start })
        };
        let of_day = |date: Date| match edge {
            Edge::Start => of_civil(date.at(0, 0, 0, 0)),
            Edge::End => of_civil(date.at(23, 59, 59, 0)),
        };
        match text.to_lowercase().as_str() {
            "now" => return Some(now.timestamp().as_millisecond()),
            "today" => return of_day(now.date()),
            "yesterday" => return of_day(now.date().yesterday().ok()?),
            _ => {}
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(time.as_millisecond() + if edge == Edge::End { 999 } else { 0 });
        }
        // The parsers of dates and of times also take a date with a time, and drop the other part.
        if text.contains(['T', 't', ' '])
            && let Ok(time) = text.parse::<DateTime>()
        {
            return of_civil(time);
        }
        if let Ok(date) = text.parse::<Date>() {
            return of_day(date);
        }
        if let Ok(time) = text.parse::<Time>() {
            return of_civil(now.date().to_datetime(time));
        }
        let ago = text.parse::<Span>().ok()?.abs();
        let then = now.checked_sub(ago).ok().filter(|_| !ago.is_zero())?;
        Some(then.timestamp().as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let clock = Clock { zone: TimeZone::posix("JST-9").unwrap(), is_utc: false };
        let now: Zoned = "2026-03-05T12:00:00+09:00[+09:00]".parse().unwrap();
        let parse = |text, edge| clock.parse_at(text, edge, &now).map(|ms| clock.shown(ms));
        for (text, start, end) in [
            ("2026-03-01", "2026-03-01 00:00:00", "2026-03-01 23:59:59"),
            ("2026-03-01 10:00", "2026-03-01 10:00:00", "2026-03-01 10:00:00"),
            ("2026-03-01T10:00:07", "2026-03-01 10:00:07", "2026-03-01 10:00:07"),
            ("2026-03-01T10:00:00Z", "2026-03-01 19:00:00", "2026-03-01 19:00:00"),
            ("09:30", "2026-03-05 09:30:00", "2026-03-05 09:30:00"),
            ("today", "2026-03-05 00:00:00", "2026-03-05 23:59:59"),
            ("yesterday", "2026-03-04 00:00:00", "2026-03-04 23:59:59"),
            ("2h", "2026-03-05 10:00:00", "2026-03-05 10:00:00"),
            ("3 days ago", "2026-03-02 12:00:00", "2026-03-02 12:00:00"),
        ] {
            assert_eq!(parse(text, Edge::Start).as_deref(), Some(start), "{text}");
            assert_eq!(parse(text, Edge::End).as_deref(), Some(end), "{text}");
        }
        for bad in ["", "soon", "2026-13-01", "25:00", "0h", "-"] {
            assert_eq!(parse(bad, Edge::Start), None, "{bad}");
        }
    }
}
