//! The MCP server: the reference memory server's tools on stdio.
//!
//! Owns: tool names, argument and result shapes, what goes over the wire. Invariants: starting has no
//! side effects (clients start servers to probe them, and kill them); standard output carries the
//! protocol and nothing else; a reply is sent after its write was acknowledged. Must not know: how
//! the graph is stored.

mod answer;
mod arguments;
mod handler;
mod notices;
mod serve;
mod tools;

pub use serve::{ServeError, serve};
pub use tools::MemoryTools;
