//! The MCP server, with real servers as child processes and a real client that speaks to them.

mod access;
mod bounds;
#[path = "../support/client.rs"]
mod client;
mod conflicts;
mod document_tools;
mod filters;
mod http;
mod load;
mod memory_concurrent;
mod messages;
mod named_clients;
mod once;
mod palace_tools;
mod partial_writes;
mod places;
mod races;
mod raw;
mod repeats;
mod resources;
mod restored;
mod scarce;
mod server;
mod sessions;
mod showings;
mod shown_answers;
mod shutdown;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod told;
mod unread;
mod unreadable_snapshot;
mod zones;
