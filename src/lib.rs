//! A memory that many AI sessions share: every session starts its own server on the same directory, and no acknowledged
//! write is lost.
//!
//! The library stores JSON documents in that directory. Any number of processes write them at once, without a leader or
//! a daemon, and concurrent changes of a document merge.
//!
//! ```
//! use crdt_palace::palace::Palace;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Note {
//!     title: String,
//!     tags: Vec<String>,
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("palace");
//! let palace = Palace::open(&path)?;
//! palace.put("notes/plan", &Note { title: "Plan".to_owned(), tags: vec!["draft".to_owned()] })?;
//!
//! let plan: Note = palace.get_as("notes/plan")?.ok_or("it was written")?;
//! assert_eq!(plan.title, "Plan");
//! for document in palace.scan("notes/") {
//!     println!("{}", document?.key);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`palace`]: documents by key. Start with [`palace::Palace`].
//! * [`memory`]: a knowledge graph on a palace, as the MCP server offers it.
//! * [`fs`]: the system calls behind it all, and a simulated disk to test a program on.
//!
//! Everything here blocks, and may be used by many threads at once. Nothing else in the crate is an
//! interface: what its documentation does not show can change with any version.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::let_underscore_must_use)
)]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "crdt-palace runs on Linux only: it uses flock, inotify, statx and one-call directory listings as Linux \
     defines them. On other systems, run it in a Linux container or virtual machine, with the palace on a disk \
     of that machine."
);

pub mod fs;
pub mod memory;
pub mod palace;

#[doc(hidden)]
pub mod sync;

// The layers below, and the surfaces. They are public because the project's own tests, benches and
// programs use them, and hidden because they are no interface: they change with any version. Types of
// theirs that a program meets are in `palace`.
#[doc(hidden)]
pub mod format;
#[doc(hidden)]
pub mod merge;
#[doc(hidden)]
pub mod segment;
#[doc(hidden)]
pub mod snapshot;
#[doc(hidden)]
pub mod store;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "mcp")]
#[doc(hidden)]
pub mod mcp;
