//! Tells what a commit did to one document.

use super::kind::{Kind, id_of};
use super::text::{lines_changed, place_of, text_of, title_of};
use crate::format::key::Key;
use crate::memory::deeds::{Deed, deeds};
use crate::merge::{DocumentStep, View};
use crate::palace::ChangeEffect;
use crate::palace::commit_id::CommitId;
use serde_json::Value;

/// A document that a commit changed, as people know it, and what was done to it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub key: Key,
    pub kind: Kind,
    /// The name by which the tools know it.
    pub id: String,
    /// The first line of a drawer, the words of a fact, the name of anything else.
    pub title: String,
    /// The wing and room of a drawer or a diary entry, as they are stored.
    pub place: Option<String>,
    pub deeds: Vec<Deed>,
    /// True if a text or fact that was there already was filed or asserted again.
    pub again: bool,
    /// Lines of its text that were added and removed.
    pub lines: (usize, usize),
    /// The further words about it, such as where a drawer was moved from.
    pub detail: Option<String>,
    /// Its text before and after. A deleted document has none.
    pub texts: [String; 2],
    /// The commits whose effect on it was taken back.
    pub undoes: Vec<CommitId>,
}

impl Told {
    /// Tells what a commit did to a document.
    pub fn new(key: &Key, step: &DocumentStep) -> Self {
        let (before, after) = (&step.before, &step.after);
        // A deleted document shows nothing: it is named by what it was.
        let shown = if after.deleted { before } else { after };
        let kind = Kind::of(key);
        let deeds = deeds(key, &step.effects);
        let texts = [before, after].map(|view| text_of(key, &view.value));
        Told {
            kind,
            id: id_of(key),
            title: title_of(key, &shown.value),
            place: place_of(key, &shown.value),
            again: is_again(step),
            lines: lines_changed(&texts[0], &texts[1]),
            detail: detail(key, &deeds, step),
            deeds,
            texts,
            // Another program may have written something else than names of commits.
            undoes: step.undoes.iter().filter_map(|name| CommitId::parse(name)).collect(),
            key: key.clone(),
        }
    }

    /// Returns the past tense of what was done: "edited and moved".
    pub fn verbs(&self) -> String {
        let verb = |deed: &Deed| match (deed, self.kind) {
            (Deed::Filed, Kind::Diary) => "wrote",
            (Deed::Settled, _) => "settled a conflict in",
            (Deed::Created, Kind::Place) | (Deed::Edited, Kind::Place) => "renamed",
            (deed, _) => deed.name(),
        };
        // The verb that takes a noun of its own comes last.
        let (settled, others): (Vec<_>, Vec<_>) =
            self.deeds.iter().partition(|deed| **deed == Deed::Settled);
        let verbs: Vec<&str> = others.into_iter().chain(settled).map(verb).collect();
        match verbs.split_last() {
            None => "wrote the same to".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        }
    }
}

/// Returns true if the commit added only another source to what was there.
fn is_again(step: &DocumentStep) -> bool {
    let repeats = |effect: &ChangeEffect| matches!(effect, ChangeEffect::Filed);
    let sources = step.effects.fields.iter().all(|field| field == "filings" || field == "sources");
    let is_new = step.effects.effects.contains(&ChangeEffect::Created);
    !is_new
        && sources
        && (step.effects.effects.iter().any(repeats) || !step.effects.fields.is_empty())
}

/// Returns the words behind the name of a document.
fn detail(key: &Key, deeds: &[Deed], step: &DocumentStep) -> Option<String> {
    let DocumentStep { before, after, effects, .. } = step;
    let did = |deed| deeds.contains(&deed);
    match Kind::of(key) {
        Kind::Drawer if did(Deed::Moved) => Some(format!("from {}", place_of(key, &before.value)?)),
        Kind::Diary if did(Deed::Filed) => {
            let text = |field| after.value.get(field).and_then(Value::as_str);
            Some(format!("of {}, on {}", text("agent")?, text("topic")?))
        }
        Kind::Fact if did(Deed::Ended) => moment(after, true).map(|end| format!("on {end}")),
        Kind::Fact if did(Deed::Asserted) => {
            let from = moment(after, false).map(|from| format!("from {from}"));
            let to = moment(after, true).map(|to| format!("until {to}"));
            let words: Vec<String> = from.into_iter().chain(to).collect();
            (!words.is_empty()).then(|| words.join(" "))
        }
        Kind::Place => after.value.get("to").and_then(Value::as_str).map(|to| format!("to {to:?}")),
        Kind::Document if did(Deed::Edited) => Some(format!("({})", some_of(&effects.fields))),
        _ => None,
    }
}

/// Returns the moment at which a fact begins, or the earliest at which it ends.
fn moment(view: &View, end: bool) -> Option<String> {
    let text = |field: &str| view.value.get(field).and_then(Value::as_str).map(str::to_owned);
    if !end {
        return text("valid_from");
    }
    let ends = view.value.get("ends").and_then(Value::as_array).into_iter().flatten();
    let ends = ends.filter_map(Value::as_str).map(str::to_owned);
    // Moments in their one form compare as texts.
    ends.chain(text("valid_to")).min()
}

/// Returns the first names of a list, and the number of the others.
fn some_of(names: &[String]) -> String {
    const NAMED: usize = 5;
    let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
