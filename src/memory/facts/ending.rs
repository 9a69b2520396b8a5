//! Decides which periods of a fact end at a moment, recognises a call that was made before, and notes an end.

use super::as_of::AsOf;
use super::fact::{Period, ends};
use super::flags::{self, Flag};
use super::triple::{Triple, no_fact, text};
use crate::memory::error::{MemoryError, Result};
use crate::memory::moment::{Moment, one_form};
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
pub(super) fn ending<'a>(triple: &Triple, known: &'a [Period], at: &Moment) -> Result<Ending<'a>> {
    let then = AsOf::beginning_of(at);
    let holding: Vec<&Period> = known.iter().filter(|period| period.fact.holds(&then)).collect();
    // A fact that does not hold yet is not over: ending it then would undo what was asserted for later.
    match (over(known, &then), holding.is_empty()) {
        (_, false) => Ok(Ending::Of(holding)),
        (Some(last), true) => Ok(Ending::Over(last)),
        (None, true) if known.is_empty() => Err(no_fact(triple)),
        (None, true) => {
            Err(MemoryError::FactDoesNotHold { fact: triple.to_string(), at: at.text.clone() })
        }
    }
}

/// Returns the last of these periods, if all have ended at a moment.
fn over<'a>(known: &'a [Period], at: &AsOf) -> Option<&'a Period> {
    known.last().filter(|_| known.iter().all(|period| period.fact.is_over(at)))
}

/// Returns the period that was ended at this very moment. A call with the same moment is a repeat of the call that did
/// so, whatever was asserted since.
pub(super) fn ended_at<'a>(known: &'a [Period], at: &Moment) -> Option<&'a Period> {
    known.iter().rev().find(|period| period.ends.contains(&at.text))
}

/// Returns the period of the old fact and that of the new one, if the new fact has replaced the old one already. Either
/// may have changed since, and replacing the old one again would undo that.
pub(super) fn replaced<'a>(
    old: &'a [Period],
    new: &'a [Period],
    at: &Moment,
    given: bool,
) -> Option<(&'a Period, &'a Period)> {
    // Several periods may begin at that moment, if one of them has ended. The open one counts.
    let began = |moment: &str| {
        let then = new.iter().filter(|period| period.fact.valid_from.as_deref() == Some(moment));
        then.max_by_key(|period| period.fact.valid_to.is_none())
    };
    let same_moment = || Some((ended_at(old, at)?, began(&at.text)?));
    let over = || {
        let last = over(old, &AsOf::beginning_of(at))?;
        let successor = last.fact.valid_to.as_deref().and_then(began);
        Some((last, successor.or_else(|| began(&at.text))?))
    };
    // Without a moment from the caller, `at` is today, which says nothing about an earlier call.
    given.then(same_moment).flatten().or_else(over)
}

/// Notes in a document that its fact ends, unless it ends as early already.
pub(super) fn note_end(draft: &mut Draft<'_>, ended: &Moment) -> Result<(), MergeError> {
    if !draft.exists() {
        return Err(just_deleted());
    }
    let shown = draft.view()?.value;
    if ends(&shown).any(|before| before <= ended.text) {
        return Ok(());
    }
    draft.append(&["ends"], &[json!(ended.text)])?;
    flags::note_offset(draft, Flag::Ended, ended, true)
}

/// Notes in a document that its fact ends, because another one takes its place.
pub(super) fn note_replaced(draft: &mut Draft<'_>, at: &Moment) -> Result<(), MergeError> {
    note_end(draft, at)?;
    let shown = draft.view()?.value;
    let began = text(&shown, "valid_from").as_deref().map(one_form);
    // Without the flag, two equal dates would be that whole day, and the successor would not hold alone.
    match !at.timed && began.as_ref() == Some(&at.text) {
        true => flags::note_replaced(draft, &at.text),
        false => Ok(()),
    }
}

/// Makes the error of a write to a fact that another process has deleted since it was read.
pub(super) fn just_deleted() -> MergeError {
    MergeError::Refused { why: "another process has just deleted this fact".to_owned() }
}
