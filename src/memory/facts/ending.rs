//! Decides which periods of a fact end at a moment, recognises a call that was made before, and notes an end.

use super::fact::{Period, ends};
use super::triple::{Triple, no_fact};
use crate::memory::error::{MemoryError, Result};
use crate::merge::MergeError;
use crate::palace::Draft;
use serde_json::json;

/// The periods that have to end so that a fact ends.
pub(super) enum Ending<'a> {
    /// No period has to end. All have ended at that moment, this one as the last; or this one was ended at that very
    /// moment.
    Over(&'a Period),
    /// These periods have to end, in the order in which they began.
    Of(Vec<&'a Period>),
}

/// Decides which of the periods of a fact have to end at a moment.
pub(super) fn ending<'a>(triple: &Triple, known: &'a [Period], at: &str) -> Result<Ending<'a>> {
    let holding: Vec<&Period> = known.iter().filter(|period| period.fact.holds(at)).collect();
    match (over(known, at), holding.is_empty()) {
        (_, false) => Ok(Ending::Of(holding)),
        (Some(last), true) => Ok(Ending::Over(last)),
        (None, true) if known.is_empty() => Err(no_fact(triple)),
        (None, true) => {
            Err(MemoryError::FactDoesNotHold { fact: triple.to_string(), at: at.to_owned() })
        }
    }
}

/// Returns the last of these periods, if all have ended at a moment.
fn over<'a>(known: &'a [Period], at: &str) -> Option<&'a Period> {
    known.last().filter(|_| known.iter().all(|period| period.fact.is_over(at)))
}

/// Returns the period that was ended at this very moment. A call with the same moment is a repeat of the call that did
/// so, whatever was asserted since.
pub(super) fn ended_at<'a>(known: &'a [Period], at: &str) -> Option<&'a Period> {
    known.iter().rev().find(|period| period.ends.iter().any(|end| end == at))
}

/// Returns the period of the old fact and that of the new one, if the new fact has replaced the old one already. Either
/// may have changed since, and replacing the old one again would undo that.
pub(super) fn replaced<'a>(
    old: &'a [Period],
    new: &'a [Period],
    at: &str,
    given: bool,
) -> Option<(&'a Period, &'a Period)> {
    let began = |moment: &str| {
        let then = new.iter().filter(|period| period.fact.valid_from.as_deref() == Some(moment));
        then.max_by_key(|period| period.fact.valid_to.is_none())
    };
    let same_moment = || Some((ended_at(old, at)?, began(at)?));
    let over = || {
        let last = over(old, at)?;
        let successor = last.fact.valid_to.as_deref().and_then(began);
        Some((last, successor.or_else(|| began(at))?))
    };
    given.then(same_moment).flatten().or_else(over)
}

/// Notes in a document that its fact ends, unless it ends as early already.
pub(super) fn note_end(draft: &mut Draft<'_>, ended: &str) -> Result<(), MergeError> {
    let shown = draft.view()?.value;
    match ends(&shown).any(|before| *before <= *ended) {
        true => Ok(()),
        false => draft.append(&["ends"], &[json!(ended)]),
    }
}
