//! Tells how long ago a time is.

use crate::cli::print::count;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Older times are told as dates, which say more.
const LONGEST: i64 = 7 * DAY;

/// Returns how long a time was before now, both in milliseconds since 1970; `None` if that is a week or more, or if the
/// time has not come.
pub(super) fn ago(ms: i64, now_ms: i64) -> Option<String> {
    Some(match now_ms.checked_sub(ms)? {
        0..MINUTE => "just now".to_owned(),
        past @ MINUTE..HOUR => format!("{} ago", count(past / MINUTE, "minute")),
        past @ HOUR..DAY => format!("{} ago", count(past / HOUR, "hour")),
        past @ DAY..LONGEST => format!("{} ago", count(past / DAY, "day")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_last_week_are_told_by_their_distance() {
        let now = 1_800_000_000_000;
        let told = |past| ago(now - past, now);
        assert_eq!(told(59_999).as_deref(), Some("just now"));
        assert_eq!(told(MINUTE).as_deref(), Some("1 minute ago"));
        assert_eq!(told(HOUR - 1).as_deref(), Some("59 minutes ago"));
        assert_eq!(told(5 * HOUR).as_deref(), Some("5 hours ago"));
        assert_eq!(told(LONGEST - 1).as_deref(), Some("6 days ago"));
        assert_eq!((told(LONGEST), told(-1), ago(i64::MIN, now)), (None, None, None));
    }
}
