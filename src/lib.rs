//! `crdt-palace`: a store of JSON documents that many processes share in one directory, without a
//! leader, a daemon, a refusal or a lost write.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::let_underscore_must_use)
)]

pub mod format;
pub mod fs;
pub mod memory;
pub mod merge;
pub mod palace;
pub mod segment;
pub mod snapshot;
pub mod store;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "mcp")]
pub mod mcp;
