//! Commits in their order: the feed of new ones, and the dump of all.

pub(in crate::palace) mod commits;
pub mod dump;
pub mod feed;
#[cfg(feature = "mcp")]
pub(crate) mod short_cursor;
#[cfg(feature = "mcp")]
mod short_text;
pub mod watch;
