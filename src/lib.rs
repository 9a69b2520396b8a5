//! `crdt-palace`: a store of JSON documents that many processes share in one directory, without a
//! leader, a daemon, a refusal or a lost write.
#![deny(missing_docs)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod format;
pub mod fs;
#[cfg(feature = "mcp")]
pub mod mcp;
pub mod memory;
pub mod merge;
pub mod palace;
pub mod segment;
pub mod snapshot;
pub mod store;
