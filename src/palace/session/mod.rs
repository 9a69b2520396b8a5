//! Sessions: what a client has seen of each document, so that its writes are made from that.
//!
//! Owns: which version a write without a base is made from. Invariant: a client overwrites nothing that it has not seen,
//! or it is told what it replaced. What others changed since is concurrent with the write, and merges.
//! Must not know: which surface shows documents to the client.
//!
//! # Files, each using only those above it
//! * `distance`: in how many units two values differ.
//! * `adopted`: whether a client goes on from what an answer showed.
//! * `own_values`: what a client wrote into a document of which it does not know the rest.
//! * `versions`: the versions of one document that a client has seen.
//! * `memory`: these of all clients, within one bound.
//! * `client`: the handles, and what is noted about a read.
//! * `news`: what is noted of changes that the client was only told of.
//! * `choice`: the version that a write is made from.
//! * `made`: what a write makes of a document.
//! * `calls`: get, put and delete of one client, and their results.
//! * `undelete`: a deleted document comes back.

mod adopted;
mod calls;
pub(crate) mod choice;
mod client;
pub(crate) mod distance;
mod made;
mod memory;
#[cfg(feature = "mcp")]
mod news;
mod own_values;
mod told_numbers;
mod undelete;
mod versions;

pub use calls::{SessionDelete, SessionWrite};
pub use client::{SESSIONS_BYTES_MAX, Session, Sessions};
pub use versions::VERSIONS_MAX;
