//! Takes commits back, and brings earlier versions of documents back, each by new writes.
//!
//! Owns: which documents an undo writes, in which commits, and what it says of the parts that stay. Invariants: nothing that
//! was written since is overwritten. A part that stays is named with its reason. What an undo did can be undone in turn.
//! Must not know: which surface calls it, and how a commit was found.
//!
//! The files, each using only those above it: `reason` (why a part stays, in words), `take_back` (commits), `restore` (an
//! earlier version).

mod reason;
mod restore;
mod take_back;
#[cfg(test)]
mod tests;

pub(crate) use reason::{Names, Reason};
pub(crate) use restore::{Restored, restore};
pub(crate) use take_back::{Part, TakenBack, Undo};
