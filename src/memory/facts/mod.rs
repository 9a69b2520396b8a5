//! Facts with a time: a subject, a predicate and an object, and the period in which they hold.
//!
//! Owns: the form of a fact as a document, and the rules of asserting, ending, replacing and querying facts.
//! Invariants: asserting the same fact twice, in one process or in two at once, is one fact. A fact that was ended
//! several times ends at the earliest moment that was given, in whatever order. No asserted fact is lost. Must not
//! know: which surface calls it.
//!
//! # The documents
//! `fact/<32 hex digits>/<32 hex digits>` is `{"subject", "predicate", "object", "valid_from", "valid_to", "ends",
//! "sources"}`, filed by its content; the moments are optional. The first digits are a hash of the triple without its
//! case, so that one scan finds all of its periods. The last digits are a hash of this period. `ends` is a list of
//! moments, one for each call that ended the fact. It ends at the earliest of them and of `valid_to`. So two processes
//! that end a fact at once need not agree, and none of them wins by chance. Earlier versions wrote midnight with a
//! time; it is read as the date. An imported source has a `from`: the `id` that the fact had in the other system, and
//! everything else that was known about it there.

mod assert;
mod ending;
mod fact;
mod handle;
#[cfg(feature = "mcp")]
pub(in crate::memory) mod import;
mod query;
mod triple;

pub use assert::{Asserted, Ended};
pub use fact::Fact;
pub use handle::Facts;
pub use query::{Direction, FACTS_MAX, FactPage, FactQuery, Stats};
pub use triple::{PART_CHARS_MAX, Source, Triple};

#[cfg(feature = "mcp")]
pub(crate) use fact::fact_id;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod repeat_tests;
