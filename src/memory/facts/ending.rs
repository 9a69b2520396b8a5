//! Which periods of a fact end at a moment, and how a document notes it.

use super::state::no_fact;
use super::{Fact, MemoryError, Result, Triple};
use crate::format::key::Key;
use crate::memory::when::one_form;
use crate::merge::MergeError;
use crate::palace::{Batch, Draft};
use serde_json::{Value, json};

/// What is to be done so that a fact ends.
pub(super) enum Ending {
    /// There is nothing to end: this was the last of its periods, and all have ended by then.
    Over(Fact),
    /// These documents are to note it, in the order in which their periods began.
    Of(Vec<Key>),
}

/// What ending a fact, of which these periods are known, at a moment comes to.
pub(super) fn ending(triple: &Triple, mut periods: Vec<(Key, Fact)>, at: &str) -> Result<Ending> {
    periods.sort_by(|(_, a), (_, b)| a.valid_from.cmp(&b.valid_from));
    let holding = periods.iter().filter(|(_, fact)| fact.holds(at));
    let holding: Vec<Key> = holding.map(|(key, _)| key.clone()).collect();
    if !holding.is_empty() {
        return Ok(Ending::Of(holding));
    }
    let all_over = periods.iter().all(|(_, fact)| fact.is_over(at));
    match periods.pop() {
        None => Err(no_fact(triple)),
        Some((_, last)) if all_over => Ok(Ending::Over(last)),
        Some(_) => Err(MemoryError::NotThen { fact: triple.to_string(), at: at.to_owned() }),
    }
}

/// Notes in a document that its fact ends, unless it was noted to end as early.
pub(super) fn note_end(draft: &mut Draft<'_>, ended: &str) -> Result<(), MergeError> {
    let shown = draft.view()?.value;
    let ends = shown.get("ends").and_then(Value::as_array).into_iter().flatten();
    let mut before = ends.filter_map(Value::as_str).map(one_form);
    match before.any(|before| *before <= *ended) {
        true => Ok(()),
        false => draft.append(&["ends"], &[json!(ended)]),
    }
}

/// Notes that these periods end, unless somebody else has just done so for an earlier moment.
pub(super) fn end(batch: &mut Batch<'_>, keys: &[Key], ended: &str) {
    for key in keys {
        let ended = ended.to_owned();
        batch.write(key.clone(), move |draft| note_end(draft, &ended));
    }
}
