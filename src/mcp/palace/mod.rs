//! The tool set `palace`: drawers in rooms of wings, facts with a time, diaries, and what others did.
//!
//! Owns: the tools' names, arguments and results, which follow MemPalace's. Invariants: no result is longer than a
//! model can take, and what is left out can be had with another call; an error says what to do. Must not know: how
//! drawers and facts are stored.

pub(crate) mod answers;
mod arguments;
mod changed;
mod changes;
mod conflicts;
mod diary;
mod drawers;
mod fact_arguments;
mod facts;
mod merged;
mod once;
mod overview;
mod places;
mod repeat;
mod results;
mod search;
mod text;
mod tools;

pub(super) use tools::{instructions, tools};
