//! Changes to documents, documents to views and conflicts. The only place that calls Automerge.
//!
//! Owns: the rules by which concurrent writes become one document (unions, counters, deletes,
//! conflicts), the bounds that keep a foreign change from doing harm, and the change's message.
//! Invariant: a [`Doc`] is a pure function of the *set* of changes it was given. Order, repetition
//! and grouping do not matter, and what it shows is the same on every machine.
//! Must not know: files, the clock, where identities come from. Time, writer and actor are passed in
//! as a [`Stamp`].
//!
//! # What Automerge is not asked to do
//! * It never holds a change whose dependencies are missing. Its own queue loses such changes when a
//!   local one is made; [`Doc`] keeps them apart ([`Doc::pending`]) until they fit.
//! * It never sees bytes from outside before their checksum and what they expand to were checked.
//! * It applies foreign changes on a copy and under `catch_unwind`: a change that it cannot digest is
//!   refused alone, and the document stays as it was. Where the document can be loaded again, it goes
//!   without the copy ([`Doc::apply_without_copy`]).
//! * It does not choose actors. A write at earlier heads ([`Doc::put`] with a `base`) is made by an
//!   actor of its own where the stamp's actor has gone on since.
//!
//! # The message of a change
//! Compact JSON, `{"by":"claude-code/2.1 (crdt-palace 0.1.0)","kind":"delete"}`; a key with its
//! default is left out, no message at all means both defaults. Anything else is taken as the writer's
//! name. Times are milliseconds since 1970.

mod ancestry;
mod apply;
mod change_info;
mod change_message;
mod chunk;
mod columns;
mod commit;
mod content_derived;
mod counter_sum;
mod doc;
mod error;
mod explain;
mod first_change;
mod hashes;
mod json_values;
mod list_diff;
mod new_change;
mod panic_guard;
mod path_writes;
mod plan;
mod saved;
mod settle;
mod size_bounds;
mod transaction;
mod tree;
mod value_limits;
mod view;
mod well_formed;
mod write;

#[cfg(test)]
mod tests;

pub use ancestry::{COUNTER_AHEAD_MAX, COUNTER_MAX};
pub use apply::Applied;
pub use automerge;
pub use change_info::ChangeInfo;
pub use change_message::{ChangeKind, Written, author_of};
pub use chunk::{FIELD_NAME_BYTES_MAX, OPERATIONS_MAX, PREDECESSORS_MAX, deps_of, hash_of};
pub use doc::Doc;
pub use error::MergeError;
pub use explain::explain;
pub use first_change::first_change;
pub use new_change::{NewChange, Stamp};
pub use size_bounds::{
    HISTORY_BYTES_MAX, HISTORY_NAME_BYTES_MAX, HISTORY_OPERATIONS_MAX, HISTORY_REFERENCES_MAX,
};
pub use value_limits::{NESTING_MAX, VALUE_BYTES_MAX};
pub use view::{Candidate, Conflict, Settled, View};
