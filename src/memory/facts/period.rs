//! Which periods are refused: those that end before they begin, and those of no length.

use crate::memory::error::{MemoryError, Result};
use crate::memory::moment::Moment;
use std::cmp::Ordering;

/// Checks the end of a period against its beginning. Two equal dates are that whole day.
///
/// # Errors
/// [`MemoryError::Argument`] with the name of the field that the end was given in.
pub(in crate::memory) fn checked(field: &'static str, from: &Moment, to: &Moment) -> Result<()> {
    match length(from, to) {
        Ordering::Greater => Ok(()),
        Ordering::Equal if !from.timed && !to.timed => Ok(()),
        Ordering::Equal => {
            let why = format!(
                "the end is the very moment of the beginning, {}: pass a later end, or two equal dates without a time \
                 for that whole day",
                from.shown()
            );
            Err(MemoryError::argument(field, why))
        }
        Ordering::Less => {
            let why = format!(
                "the end, {}, is before the beginning, {}: pass an end after it",
                to.shown(),
                from.shown()
            );
            Err(MemoryError::argument(field, why))
        }
    }
}

/// Compares the end of a period with its beginning.
fn length(from: &Moment, to: &Moment) -> Ordering {
    match from.timed && to.timed {
        true => to.text.cmp(&from.text),
        // A date has no place in time, only on a calendar: that of the offset of the other moment.
        false => to.civil.cmp(&from.civil),
    }
}
