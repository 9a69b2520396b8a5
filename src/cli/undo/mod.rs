//! `crdt-palace undo` and `crdt-palace restore`: take commits back, and bring earlier versions back.
//!
//! `open` has their options and opens the palace, `select` finds the commits, `report` prints what was done, and there is
//! one file for each command.

mod commits;
mod open;
mod report;
mod restore;
mod select;

pub(super) use commits::Undo;
pub(super) use restore::Restore;
