//! The sentence of a commit.

use super::document::Told;
use super::kind::Kind;
use super::text::named;
use crate::memory::deeds::Deed;

/// Most parts of a sentence. What else the commit did is counted.
const PARTS_MAX: usize = 4;

/// Returns what a commit did, in one sentence without a full stop.
pub(crate) fn sentence(told: &[Told]) -> String {
    let mut parts = Vec::new();
    let mut rest: Vec<&Told> = told.iter().filter(|told| told.kind != Kind::Note).collect();
    // A note goes with the change of another document. Alone, it is all that the commit did.
    if rest.is_empty() {
        return note(told).to_owned();
    }
    while let Some(first) = rest.first().copied() {
        let (alike, others): (Vec<&Told>, Vec<&Told>) =
            rest.into_iter().partition(|other| is_alike(first, other));
        match alike.as_slice() {
            [one] => parts.push(one_part(one)),
            several => parts.push(many_part(first, several.len())),
        }
        rest = others;
        if parts.len() == PARTS_MAX && !rest.is_empty() {
            let (count, noun) =
                (rest.len(), if rest.len() == 1 { "document" } else { "documents" });
            parts.push(format!("and {count} more {noun}"));
            break;
        }
    }
    parts.join("; ")
}

fn note(told: &[Told]) -> &'static str {
    match told.first() {
        None => "repeated changes of other processes, which are told with theirs",
        Some(first) if first.key.as_str().starts_with("moved/") => "noted where a drawer is",
        Some(_) => "noted the answer to a call",
    }
}

fn is_alike(a: &Told, b: &Told) -> bool {
    a.kind == b.kind && a.place == b.place && a.deeds == b.deeds && a.again == b.again
}

fn one_part(told: &Told) -> String {
    let mut part = format!("{} {}", told.verbs(), named(told.kind, &told.title));
    if let Some(place) = &told.place {
        part.push_str(if told.deeds.contains(&Deed::Moved) { " to " } else { " in " });
        part.push_str(place);
    }
    if let Some(detail) = &told.detail {
        part.push(' ');
        part.push_str(detail);
    }
    if told.again {
        part.push_str(" again");
    }
    if told.deeds.contains(&Deed::Edited) {
        part.push_str(&counted_lines(told.lines));
    }
    part
}

fn many_part(told: &Told, count: usize) -> String {
    let place = told.place.as_deref().map(|place| {
        let word = if told.deeds.contains(&Deed::Moved) { "to" } else { "in" };
        format!(" {word} {place}")
    });
    let again = if told.again { " again" } else { "" };
    let place = place.unwrap_or_default();
    format!("{} {count} {}{place}{again}", told.verbs(), told.kind.plural())
}

/// Returns the numbers of lines that were added and removed.
fn counted_lines((added, removed): (usize, usize)) -> String {
    let noun = if added + removed == 1 { "line" } else { "lines" };
    match (added, removed) {
        (0, 0) => String::new(),
        (added, 0) => format!(": +{added} {noun}"),
        (0, removed) => format!(": −{removed} {noun}"),
        (added, removed) => format!(": +{added} −{removed} {noun}"),
    }
}
