//! Facts with a time: a subject, a predicate and an object, and the period in which they hold.
//!
//! Owns: the form of a fact as a document, and the rules of asserting, ending, replacing, deleting and querying facts.
//! Invariants: asserting the same fact twice, in one process or in two at once, is one fact. A fact that was ended
//! several times ends at the earliest moment that was given, in whatever order. No asserted fact is lost. Must not
//! know: which surface calls it.
//!
//! # Dates and times
//! A fact begins and ends with a date or a time. A time is kept in UTC. A date is kept as it is, and begins at midnight
//! where the reader is. A question is asked of an instant or of a day ([`AsOf`]). An instant has a time in UTC, and a
//! date in the offset in which it was given; "now" has the date of the machine's time zone.
//!
//! * A date is compared with the date of the question, and a time with its time in UTC.
//! * A fact holds at an instant if its beginning has come and its end has not.
//! * A fact holds on a day if it holds at any moment of it: its beginning has come by the last second of the day, and its
//!   end has not come by the first. So of a fact and its successor at midnight only the successor holds.
//! * A fact that begins and ends with the same date holds for that whole day.
//! * An end at the very time of the beginning, and an end before it, are refused. If only one of the two is a date, they
//!   are compared by the calendar of the other's offset.
//!
//! # The documents
//! `fact/<32 hex digits>/<32 hex digits>` is `{"subject", "predicate", "object", "valid_from", "valid_to", "ends",
//! "sources"}`, filed by its content; the moments are optional. The first digits are a hash of the triple without its
//! case, so that one scan finds all of its periods. The last digits are a hash of this period. `ends` is a list of
//! moments, one for each call that ended the fact. It ends at the earliest of them and of `valid_to`. So two processes
//! that end a fact at once need not agree, and none of them wins by chance. Earlier versions wrote midnight with a
//! time; it is read as the date. An imported source has a `from`: the `id` that the fact had in the other system, and
//! everything else that was known about it there.
//!
//! Three kinds of fields are flags: their value is `true`, and their name says what they mean. Two processes can set flags
//! at once without a conflict.
//!
//! * `began/<moment>/<offset>`: the moment of `valid_from` was given as a time with this offset, such as `+09:00`. For
//!   UTC there is none, except `+00:00` if the moment is a date: without it, midnight in UTC would be the date.
//! * `ended/<moment>/<offset>`: the same of `valid_to`, or of one of `ends`.
//! * `replaced/<date>`: another fact took the place of this one on the date on which it began. So it did not hold on
//!   that day, and its successor holds alone.
//!
//! A deleted fact is a deleted document. Whatever was written to it without the delete having been seen brings it back:
//! an end that is noted at the same moment, too, because an end says that the fact was true. To assert the fact again
//! brings it back, unless it was ended before the delete; then the assertion is another period. A repeated import does
//! not.

mod as_of;
mod assert;
mod delete;
mod ending;
mod fact;
mod find;
mod flags;
mod handle;
#[cfg(feature = "mcp")]
pub(in crate::memory) mod import;
pub(in crate::memory) mod period;
mod query;
mod triple;

pub use as_of::AsOf;
pub use assert::{Asserted, Ended};
pub use delete::DeletedFact;
pub use fact::Fact;
pub use handle::Facts;
pub use query::{Counts, Direction, FACTS_MAX, FactPage, FactQuery, Stats};
pub use triple::{PART_CHARS_MAX, Source, Triple};

#[cfg(feature = "cli")]
pub(crate) use fact::fact_id;
#[cfg(feature = "cli")]
pub(super) use fact::fact_key;
#[cfg(feature = "cli")]
pub(super) use triple::FACTS;

#[cfg(test)]
mod day_tests;

#[cfg(test)]
mod delete_tests;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod zone_tests;

#[cfg(test)]
mod repeat_tests;
