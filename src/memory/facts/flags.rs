//! Flags: what several processes may note in the document of a fact at once, without a conflict.
//!
//! A flag is a field of its own whose value is `true`. Two processes that set the same flag agree, and two flags are two
//! fields. So flags merge like a set.

use crate::memory::moment::{Moment, is_date};
use crate::merge::MergeError;
use crate::palace::Draft;
use serde_json::{Map, Value};

/// The moment that the offset of a flag belongs to.
#[derive(Clone, Copy)]
pub(super) enum Flag {
    /// The beginning of the fact.
    Began,
    /// An end of the fact.
    Ended,
}

impl Flag {
    fn of(self, moment: &str, offset: &str) -> String {
        let name = match self {
            Flag::Began => "began",
            Flag::Ended => "ended",
        };
        format!("{name}/{moment}/{offset}")
    }
}

/// Returns the offset in which a moment was given. Of several, it is the first in byte order.
pub(super) fn offset_of(value: &Map<String, Value>, flag: Flag, moment: &str) -> Option<String> {
    let start = flag.of(moment, "");
    let offsets = value.keys().filter_map(|field| field.strip_prefix(&start));
    offsets.min().map(str::to_owned)
}

/// Notes the offset in which a moment of a fact was given. The first one that is known stays. `new` is true if this
/// call wrote the moment.
pub(super) fn note_offset(
    draft: &mut Draft<'_>,
    flag: Flag,
    moment: &Moment,
    new: bool,
) -> Result<(), MergeError> {
    let Some(offset) = &moment.offset else { return Ok(()) };
    // A date that was given without a time must not become the time of midnight.
    if is_date(&moment.text) && !new {
        return Ok(());
    }
    match offset_of(&draft.view()?.value, flag, &moment.text) {
        Some(_) => Ok(()),
        None => set(draft, flag.of(&moment.text, offset)),
    }
}

/// Tells whether the fact was replaced on the date on which it began, so that it did not hold on that day.
pub(super) fn is_replaced(value: &Map<String, Value>, date: &str) -> bool {
    value.contains_key(&replaced(date))
}

/// Notes that the fact was replaced on the date on which it began.
pub(super) fn note_replaced(draft: &mut Draft<'_>, date: &str) -> Result<(), MergeError> {
    match is_replaced(&draft.view()?.value, date) {
        true => Ok(()),
        false => set(draft, replaced(date)),
    }
}

fn replaced(date: &str) -> String {
    format!("replaced/{date}")
}

fn set(draft: &mut Draft<'_>, flag: String) -> Result<(), MergeError> {
    draft.patch(&Map::from_iter([(flag, Value::Bool(true))]))
}
