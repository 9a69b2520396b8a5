//! Which periods of a fact end at a moment, which call was made already, and how a document notes an end.

use super::triple::no_fact;
use super::{Known, MemoryError, Result, Triple};
use crate::merge::MergeError;
use crate::palace::Draft;
use serde_json::json;

/// What is to be done so that a fact ends.
pub(super) enum Ending<'a> {
    /// There is nothing to end: all of its periods have ended by then, this one as the last, or at that very moment.
    Over(&'a Known),
    /// These periods are to end, in the order in which they began.
    Of(Vec<&'a Known>),
}

/// What ending a fact, of which these periods are known, at a moment comes to.
pub(super) fn ending<'a>(triple: &Triple, known: &'a [Known], at: &str) -> Result<Ending<'a>> {
    let holding: Vec<&Known> = known.iter().filter(|period| period.fact.holds(at)).collect();
    match (over(known, at), holding.is_empty()) {
        (_, false) => Ok(Ending::Of(holding)),
        (Some(last), true) => Ok(Ending::Over(last)),
        (None, true) if known.is_empty() => Err(no_fact(triple)),
        (None, true) => Err(MemoryError::NotThen { fact: triple.to_string(), at: at.to_owned() }),
    }
}

/// The last of these periods, if all have ended by then.
fn over<'a>(known: &'a [Known], at: &str) -> Option<&'a Known> {
    known.last().filter(|_| known.iter().all(|period| period.fact.is_over(at)))
}

/// The period that somebody ended at this very moment: whoever says so once more has said it already, whatever was
/// stated since.
pub(super) fn ended_at<'a>(known: &'a [Known], at: &str) -> Option<&'a Known> {
    known.iter().rev().find(|period| period.ends.iter().any(|end| end == at))
}

/// The period of the old fact and that of the new one, if the old one was superseded by the new one already. Either
/// may have gone on since: superseding once more would undo that.
pub(super) fn superseded<'a>(
    old: &'a [Known],
    new: &'a [Known],
    at: &str,
    given: bool,
) -> Option<(&'a Known, &'a Known)> {
    let began = |moment: &str| {
        let then = new.iter().filter(|period| period.fact.valid_from.as_deref() == Some(moment));
        then.max_by_key(|period| period.fact.valid_to.is_none())
    };
    let told = || Some((ended_at(old, at)?, began(at)?));
    let over = || {
        let last = over(old, at)?;
        let successor = last.fact.valid_to.as_deref().and_then(began);
        Some((last, successor.or_else(|| began(at))?))
    };
    given.then(told).flatten().or_else(over)
}

/// Notes in a document that its fact ends, unless it was noted to end as early.
pub(super) fn note_end(draft: &mut Draft<'_>, ended: &str) -> Result<(), MergeError> {
    let shown = draft.view()?.value;
    match super::ends(&shown).any(|before| *before <= *ended) {
        true => Ok(()),
        false => draft.append(&["ends"], &[json!(ended)]),
    }
}
