//! Printing: the standard streams, and the form of counts, times, sizes and stored text on a terminal.

use crate::format::controls::{escape, escape_json, escape_lines};
pub(super) use crate::format::plural::count;
use crate::palace::ConflictCount;
use crate::palace::verify::Finding;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Arguments;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Returns standard output with a buffer. Flush it at the end: otherwise an error goes unseen.
pub(super) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Prints a line to standard error, with its control characters escaped. A failure is ignored: there is no other place to report it, and the work is done.
pub(super) fn tell(line: Arguments<'_>) {
    drop(writeln!(io::stderr(), "{}", escape_lines(&line.to_string())));
}

/// Tells how many documents are in conflict, and what to do about it.
pub(super) fn conflicts_in_words(found: &ConflictCount) -> String {
    let documents = match found.documents {
        1 if !found.at_least => "1 document has".to_owned(),
        _ => format!("{found} documents have"),
    };
    format!(
        "{documents} open conflicts: palace_conflicts lists those of drawers, document_conflicts of the set `documents` \
         the others"
    )
}

/// Returns stored text in a form that cannot control the terminal: on one line, with control characters escaped.
pub(super) fn shown(text: &str) -> String {
    escape(text)
}

/// Returns a time of a writer's clock, given in milliseconds since 1970, as text in UTC; "-" for 0, which means none.
pub(super) fn time(ms: i64) -> String {
    crate::palace::status::time_text(ms).unwrap_or_else(|| "-".to_owned())
}

/// Returns a finding about a file or a document, and where it is.
pub(super) fn finding(finding: &Finding) -> String {
    let path = finding.path.as_ref().map(|path| format!(" in {}", path.display()));
    let offset = finding.offset.map(|offset| format!(" at byte {offset}"));
    shown(&format!("{}{}{}", finding.what, path.unwrap_or_default(), offset.unwrap_or_default()))
}

/// Returns a size in the unit that fits it.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// Prints one line of JSON, with the version of its schema.
pub(super) fn json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut object = Map::from_iter([("schema".to_owned(), Value::from(1))]);
    match serde_json::to_value(value)? {
        Value::Object(fields) => object.extend(fields),
        other => drop(object.insert("value".to_owned(), other)),
    }
    line_of_json(out, &object)
}

/// Prints one line of JSON, with its control characters escaped.
pub(super) fn line_of_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", escape_json(&serde_json::to_string(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_readable_forms() {
        assert_eq!(time(0), "-");
        assert_eq!(time(1_795_000_000_123), "2026-11-18T11:06:40.123Z");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(5 << 29), "2.5 GiB");
    }
}
