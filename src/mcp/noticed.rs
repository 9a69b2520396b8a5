//! Says where the values of a message differ from its text.
//!
//! Invariants: what changes the meaning of a call is refused; anything else that was not taken as it was sent is in
//! the answer. An error or a note names few findings, and repeats little of them.

use super::page::shortened;
use crate::format::plural;
use crate::memory::{FINDINGS_MAX, Repeated, Rounded, Unkept};

/// Most findings that one note or error names. The notes of a call need at most `NOTES_BYTES`.
const NAMED: usize = 2;
/// Most characters of a path, or of a number, that are repeated.
const SHOWN_CHARS: usize = 30;

/// The findings about a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// Number of halves of characters for which U+FFFD was taken.
    pub halves: usize,
    /// Arguments of a call that are kept otherwise than they were sent.
    pub unkept: Unkept,
}

impl Noticed {
    /// Returns a note for the answer to a message in which half a character was replaced.
    pub fn about_halves(&self) -> Option<String> {
        let count = self.halves;
        (count > 0).then(|| {
            format!(
                "the message had half a character, such as \"\\ud83d\", in {}: U+FFFD was taken for each",
                plural::count(count, "place")
            )
        })
    }
}

/// Returns the error of a call whose answer cannot have a note about its arguments: it is refused for anything that an
/// answer would have to name.
pub(super) fn refused_without_note(unkept: &Unkept) -> Option<String> {
    let (problems, _) = judged(unkept, true, |_| true);
    (!problems.is_empty())
        .then(|| format!("invalid arguments: {}. Nothing was done", problems.join("; ")))
}

/// Judges the findings about the arguments of a call: returns problems, for which it is refused, and notes. A call that
/// `writes` is refused if any field comes twice, or an integer would be rounded; another call if a field comes twice
/// that `identifies` something.
pub(super) fn judged(
    unkept: &Unkept,
    writes: bool,
    identifies: impl Fn(&str) -> bool,
) -> (Vec<String>, Vec<String>) {
    let is_bad = |it: &&Repeated| writes || identifies(&it.name);
    let (bad, ignored): (Vec<_>, Vec<_>) = unkept.repeated.iter().partition(is_bad);
    // There may be more than were found.
    let (bad, ignored) = match ignored.len() == FINDINGS_MAX {
        true => (ignored, bad),
        false => (bad, ignored),
    };
    let (lost, rounded): (Vec<_>, Vec<_>) =
        unkept.rounded.iter().partition(|it| writes && it.is_whole);
    let path = |it: &&Repeated| shortened(&it.path, SHOWN_CHARS);
    let problems = [
        words(&bad, path).map(|names| format!("sent twice: {names}; pass each field once")),
        words(&lost, as_sent).map(|names| {
            format!("not kept exactly: {names}; whole numbers from -2^63 to 2^64-1 are, if they have no fraction: pass others as texts")
        }),
    ];
    let notes = [
        words(&ignored, path)
            .map(|names| format!("sent twice, and the last one was taken: {names}")),
        words(&rounded, |it| format!("{} as {}", as_sent(it), it.kept))
            .map(|names| format!("rounded, because numbers are doubles: {names}")),
    ];
    (problems.into_iter().flatten().collect(), notes.into_iter().flatten().collect())
}

fn as_sent(it: &&Rounded) -> String {
    format!("{} {}", shortened(&it.path, SHOWN_CHARS), shortened(&it.sent, SHOWN_CHARS))
}

/// The first findings in words; `None` if there are none.
fn words<T>(found: &[T], name: impl Fn(&T) -> String) -> Option<String> {
    let more = found.len().saturating_sub(NAMED);
    let named: Vec<String> = found.iter().take(NAMED).map(name).collect();
    match (named.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(named.join(" and ")),
        (false, more) => Some(format!("{} and {more} more", named.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::unkept;

    fn found(json: &str, writes: bool) -> (Vec<String>, Vec<String>) {
        judged(&unkept(json.as_bytes()), writes, |name| name == "if_match")
    }

    #[test]
    fn writes_are_refused_and_reads_noted() {
        let twice = r#"{"value":{"a":1,"a":2},"limit":1,"limit":2}"#;
        assert_eq!(found(twice, true).0, ["sent twice: value.a and limit; pass each field once"]);
        let note = "sent twice, and the last one was taken: value.a and limit";
        assert_eq!(found(twice, false), (vec![], vec![note.to_owned()]));
        assert_eq!(found(r#"{"if_match":1,"if_match":2}"#, false).0.len(), 1);
        let large = r#"{"n":12345678901234567890123,"f":1e-400}"#;
        let (problems, notes) = found(large, true);
        assert!(
            problems[0].starts_with("not kept exactly: n 12345678901234567890123;"),
            "{problems:?}"
        );
        assert_eq!(notes, ["rounded, because numbers are doubles: f 1e-400 as 0.0"]);
        let (problems, notes) = found(large, false);
        assert!(
            problems.is_empty()
                && notes[0].contains("123 as 1.2345678901234568e+22 and f 1e-400 as 0.0"),
            "{notes:?}"
        );
        assert_eq!(
            found(r#"{"a":1,"b":[0.1,{"a":18446744073709551615}]}"#, true),
            (vec![], vec![])
        );
    }

    #[test]
    fn more_findings_than_are_kept_are_no_reason_to_go_on() {
        let many: String = (0..50).map(|n| format!("\"{n}\":1,\"{n}\":1,")).collect();
        let (problems, _) = found(&format!("{{{many}\"if_match\":1,\"if_match\":2}}"), false);
        assert_eq!(problems, ["sent twice: 0, 1 and 6 more; pass each field once"]);
    }
}
