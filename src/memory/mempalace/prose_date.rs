//! Dates as people write them in MemPalace: "March 2026", "2026-03", "2026", "5 March 2026".
//!
//! A month or a year is a period: from its first day to the first day of the next one.

use jiff::civil::Date;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// The shortest form of a month's name, in characters.
const NAME_MIN: usize = 3;

/// The days that a date in prose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Days {
    /// One day.
    One(Date),
    /// A month or a year: the first day, and the day after the last.
    Period(Date, Date),
}

impl Days {
    /// Parses a date in prose; `None` for anything else, such as a date with its three numbers.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> =
            text.split([' ', ',', '\t']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            [one] => match one.split_once('-') {
                Some((of_year, of_month)) => month(year(of_year)?, two_digits(of_month)?),
                None => whole_year(year(one)?),
            },
            [name, of_year] => month(year(of_year)?, named(name)?),
            [first, second, of_year] => {
                let year = year(of_year)?;
                let (month, day) = match named(first) {
                    Some(month) => (month, second),
                    None => (named(second)?, first),
                };
                let day = day.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                Date::new(year, month, day.parse().ok()?).ok().map(Days::One)
            }
            _ => None,
        }
    }

    /// Returns the first day.
    pub fn first(self) -> Date {
        match self {
            Days::One(first) | Days::Period(first, _) => first,
        }
    }
}

fn whole_year(year: i16) -> Option<Days> {
    Some(Days::Period(Date::new(year, 1, 1).ok()?, Date::new(year + 1, 1, 1).ok()?))
}

fn month(year: i16, month: i8) -> Option<Days> {
    let first = Date::new(year, month, 1).ok()?;
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    Some(Days::Period(first, Date::new(next.0, next.1, 1).ok()?))
}

/// Four digits. A shorter number could be anything.
fn year(text: &str) -> Option<i16> {
    let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn two_digits(text: &str) -> Option<i8> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Returns the number of a month from its English name, or from the first letters of it.
fn named(text: &str) -> Option<i8> {
    let text = text.trim_end_matches('.').to_lowercase();
    let is_name = |name: &str| name.starts_with(&text) || (text == "sept" && name == "september");
    let at = MONTHS.iter().position(|name| is_name(name)).filter(|_| text.len() >= NAME_MIN)?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Option<String>)> {
        Days::parse(text).map(|days| match days {
            Days::One(day) => (day.to_string(), None),
            Days::Period(first, next) => (first.to_string(), Some(next.to_string())),
        })
    }

    #[test]
    fn months_and_years_are_periods_to_the_next_first_day() {
        for (text, first, next) in [
            ("March 2026", "2026-03-01", "2026-04-01"),
            ("mar 2026", "2026-03-01", "2026-04-01"),
            ("Sept. 2026", "2026-09-01", "2026-10-01"),
            ("December, 2025", "2025-12-01", "2026-01-01"),
            ("2026-03", "2026-03-01", "2026-04-01"),
            ("2024-12", "2024-12-01", "2025-01-01"),
            (" 2026 ", "2026-01-01", "2027-01-01"),
        ] {
            assert_eq!(parsed(text), Some((first.to_owned(), Some(next.to_owned()))), "{text}");
        }
    }

    #[test]
    fn days_in_words_are_days_and_other_texts_are_refused() {
        for text in ["March 5, 2026", "5 March 2026", "5th Mar 2026", "Mar 5th 2026"] {
            assert_eq!(parsed(text), Some(("2026-03-05".to_owned(), None)), "{text}");
        }
        for text in [
            "",
            "some day",
            "ma 2026",
            "March",
            "26",
            "2026-3",
            "2026-13",
            "2026-03-05",
            "March 26",
            "February 30 2026",
            "2026-03-05T10:00:00Z",
            "9999",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
