//! How things look on a terminal.

use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::{Arguments, Display};
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output, buffered: flush it at the end, or an error goes unseen.
pub(super) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// A line on standard error. If nobody reads there, there is nobody to tell that: what was done is done.
pub(super) fn tell(line: Arguments<'_>) {
    drop(writeln!(io::stderr(), "{line}"));
}

/// "1 segment", "2 segments".
pub(super) fn count(n: impl Display, what: &str) -> String {
    let n = n.to_string();
    let ending = if n == "1" { "" } else { "s" };
    format!("{n} {what}{ending}")
}

/// Text that somebody stored, without power over the terminal: control characters, and those that
/// change the direction of what follows, are escaped.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            c if c.is_control() || is_invisible_steering(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

fn is_invisible_steering(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A time of the writers' clocks: milliseconds since 1970 in UTC, or "-" for none.
pub(super) fn time(ms: i64) -> String {
    crate::palace::status::time_text(ms).unwrap_or_else(|| "-".to_owned())
}

/// Bytes for people.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// One line of JSON with the version of its form.
pub(super) fn json(
    out: &mut impl Write,
    value: &impl Serialize,
) -> Result<(), super::exit::Failure> {
    let mut object = Map::from_iter([("schema".to_owned(), Value::from(1))]);
    match serde_json::to_value(value)? {
        Value::Object(fields) => object.extend(fields),
        other => drop(object.insert("value".to_owned(), other)),
    }
    serde_json::to_writer(&mut *out, &object)?;
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_text_has_no_power_over_a_terminal() {
        assert_eq!(shown("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(shown("\u{9b}31m\u{202e}x"), "\\u{9b}31m\\u{202e}x");
        assert_eq!(shown("Zürich 東京 🦀"), "Zürich 東京 🦀");
    }

    #[test]
    fn times_sizes_and_counts_read_well() {
        assert_eq!(
            (count(1_u64, "segment"), count(0_usize, "key")),
            ("1 segment".into(), "0 keys".into())
        );
        assert_eq!(time(0), "-");
        assert_eq!(time(1_795_000_000_123), "2026-11-18T11:06:40.123Z");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(5 << 29), "2.5 GiB");
    }
}
