//! The MCP server: sets of tools on a palace, on stdio or over HTTP.
//!
//! Owns: tool names, argument and result shapes, the protocol. Invariants: starting has no side effects (clients start
//! servers to probe them, and kill them); standard output carries the protocol and nothing else; a reply is sent after
//! its write was acknowledged. Must not know: how documents are stored.
//!
//! Each file uses only files further up in this list, and the sets do not know each other: `error`, `page`, `threads`,
//! `in_flight`, `tool_set`, `feed_cursors`; `json_values`, `json_parts`, `envelope`, `noticed`, `message`, `request_ids`;
//! `conflicts`, `unseen`, `arguments`, `once`, `conflict_list`; `resemblance`, `sent_arguments`, `progress`, `tool`; the sets `palace`, `memory`, `documents`; `not_offered`, `tool_sets`; `rescan_changes`,
//! `resources`, `resource_listing`; `change_watch`, `session`; `server`; `handler`;
//! `line_reader`, `line_writer`, `lines`; `process`, `std_streams`, `stdio`, `http`.

mod arguments;
mod change_watch;
mod conflict_list;
mod conflicts;
mod documents;
mod envelope;
mod error;
mod feed_cursors;
mod handler;
mod http;
mod in_flight;
mod json_parts;
mod json_values;
mod line_reader;
mod line_writer;
mod lines;
mod memory;
mod message;
mod not_offered;
mod noticed;
mod once;
mod page;
mod palace;
mod process;
mod progress;
mod request_ids;
mod rescan_changes;
mod resemblance;
mod resource_listing;
mod resources;
mod sent_arguments;
mod server;
mod session;
mod std_streams;
mod stdio;
mod threads;
mod tool;
mod tool_set;
mod tool_sets;
mod unseen;

pub use error::{ServeError, SocketError};
pub use http::{Address, BadToken, Http, Token};
pub use server::Server;
pub use stdio::{serve, serve_client};
pub use tool_set::ToolSet;
pub use tool_sets::{BadPrefix, Offer, Prefix};

pub(crate) use not_offered::held_elsewhere;
pub(crate) use palace::answers;

#[cfg(test)]
mod tests;
