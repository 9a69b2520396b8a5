//! The MCP server: sets of tools on a palace, on stdio or over HTTP.
//!
//! Owns: tool names, argument and result shapes, what goes over the wire. Invariants: starting has no
//! side effects (clients start servers to probe them, and kill them); standard output carries the
//! protocol and nothing else; a reply is sent after its write was acknowledged. Must not know: how
//! things are stored.

mod bounds;
mod documents;
mod handler;
mod http;
mod listing;
mod memory;
mod notices;
mod palace;
mod resources;
mod serve;
mod server;
mod session;
mod sets;

pub use http::{Address, GuardError, Http};
pub use serve::{ServeError, serve};
pub use server::Server;
pub use sets::{BadPrefix, Offer, Prefix, ToolSet};

#[cfg(test)]
mod tests;
