//! Changes become documents, and documents become views with conflicts. The only layer that calls Automerge.
//!
//! Owns: the rules by which concurrent writes become one document (merged maps, lists and counters; deletes;
//! conflicts), the bounds that keep a foreign change from doing harm, and the message of a change.
//! Invariant: a [`Doc`] is a pure function of the *set* of changes that it was given. Order, repetition and grouping
//! do not matter, and it shows the same on every machine.
//! Must not know: files, the clock, where ids come from. Actor, time and writer are passed in as a [`Stamp`].
//!
//! # Files, each using only those above it
//! * Raw bytes, before Automerge sees them: `error`, `size_bounds`, `columns`, `chunk`, `text_units` (lines and sentences,
//!   and how two texts differ), `open_places` (of one text, with their readings), `change_message`.
//! * Guards around Automerge: `panic_guard`, `hashes`, `ancestry` (a change goes on from those that it builds on),
//!   `well_formed` (operations fit their objects).
//! * What is known of changes: `change_order` (which are concurrent), `change_graph` (what each builds on), `edits_inside`
//!   (what each edited and removed), `json_values`, `counter_sum`, `kept_objects` (removed, and edited by a writer whom
//!   the remover had not seen).
//! * A document: `change_info`, `doc` (the set of changes, pending ones apart), `apply` (changes from outside),
//!   `saved` (save and load).
//! * Texts that were written at once: `text_version` (one of them, beside the common one), `text_merge`,
//!   `concurrent_texts` (each is merged with what came of those before it), `common_version` (what changes build on both),
//!   `open_texts` (the open places that changes list), `earlier_texts` (what was read of earlier versions).
//! * What it shows: `json_pointer`, `tree`, `stored_values`, `list_elements`, `tree_reader` (the same map created twice is
//!   one map), `view` (a JSON value and its conflicts).
//! * Writes: `value_limits`, `list_diff`, `plan` (from a value to operations), `new_change`, `transaction` (the actor,
//!   the bounds, the commit), `remove_values` (single values of a field), `commit`, `write` (put, patch, edit, delete),
//!   `path_writes` (increment, append, remove), `settle_conflict` (take one reading, and keep all else).
//! * The past of a document: `effects` (before and after a commit), `as_of` (the version of a time), `blame` (the change
//!   that each line is from), `undo` (what takes a commit back).
//! * Changes without a document: `first_change`, `content_derived` (the same content filed twice), `explain` (in words).
//!
//! # Traps of Automerge, and where they are avoided
//! * Its queue loses changes of an actor that commits locally. So it never holds a change whose dependencies are
//!   missing: `doc` keeps those as pending changes ([`Doc::pending`]).
//! * It parses a change without verifying the checksum, and expands run lengths without a bound. So `chunk` checks
//!   both first.
//! * It panics over what it should refuse. So `apply` works on a copy and under `panic_guard`: such a change is
//!   refused alone, and the document stays as it was. Where the document can be loaded again, the copy is spared
//!   ([`Doc::apply_without_copy`]).
//! * It accepts and saves changes that it cannot load or return again. So `ancestry`, `well_formed` and `apply` refuse
//!   them.
//! * Its transactions overlook changes without operations when they choose an actor. So `transaction` chooses it. A
//!   write at earlier heads ([`Doc::put`] with a `base`) gets a derived actor if the stamp's actor has written since.
//! * It hides what was written in an object that was removed concurrently. So `kept_objects` finds it, and `tree_reader`
//!   shows it.
//! * It hides all but one of the maps, lists and counters that were created concurrently in one field. So
//!   `tree_reader` reads them as one.
//!
//! The tests in `tests/automerge_traps.rs` show most of these in plain Automerge. If one of them fails after an update,
//! a guard can go.

mod ancestry;
mod apply;
mod as_of;
pub mod automerge;
mod blame;
mod change_graph;
mod change_info;
mod change_message;
mod change_order;
mod chunk;
mod columns;
mod commit;
mod common_version;
mod concurrent_texts;
mod content_derived;
mod counter_sum;
mod doc;
mod earlier_texts;
mod edits_inside;
mod effects;
mod error;
mod explain;
mod first_change;
mod hashes;
mod json_pointer;
mod json_values;
mod kept_objects;
mod list_diff;
mod list_elements;
mod new_change;
mod open_places;
mod open_texts;
mod panic_guard;
mod path_writes;
mod plan;
mod remove_values;
mod saved;
mod settle_conflict;
mod size_bounds;
mod stored_values;
mod text_merge;
mod text_units;
mod text_version;
mod transaction;
mod tree;
mod tree_reader;
#[cfg(feature = "mcp")]
mod undo;
mod value_limits;
mod view;
mod well_formed;
mod write;

#[cfg(test)]
mod tests;

pub use ancestry::{COUNTER_AHEAD_MAX, COUNTER_MAX};
pub use apply::Applied;
pub use blame::LineOrigin;
pub use change_info::ChangeInfo;
pub use change_message::{ChangeKind, Written, author_of};
pub use chunk::{
    FIELD_NAME_BYTES_MAX, OPERATIONS_MAX, PREDECESSORS_MAX, deps_of, hash_of, may_be_concurrent,
};
pub use doc::Doc;
pub use effects::{ChangeEffect, DocumentEffects, DocumentStep, Rival};
pub use error::{MergeError, ValueType};
pub use explain::explain;
pub use first_change::first_change;
pub use json_pointer::pointer_steps;
pub use new_change::{NewChange, Stamp};
pub use path_writes::COUNTER_VALUE_MAX;
pub use size_bounds::{
    HISTORY_BYTES_MAX, HISTORY_NAME_BYTES_MAX, HISTORY_OPERATIONS_MAX, HISTORY_REFERENCES_MAX,
};
#[cfg(feature = "mcp")]
pub use undo::{FieldPath, KeptField, UndoPlan, set_at};
pub use value_limits::{NESTING_MAX, VALUE_BYTES_MAX};
pub use view::{Candidate, Conflict, Settled, View};
