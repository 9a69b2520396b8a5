//! Commits: the feed of new ones, all of them in one order from either end, what each did, and the dump of the files.

#[cfg(feature = "cli")]
mod change_nodes;
#[cfg(feature = "cli")]
pub(crate) mod commit_id;
#[cfg(feature = "cli")]
pub(crate) mod commit_queue;
pub(in crate::palace) mod commits;
pub mod dump;
pub mod feed;
#[cfg(feature = "cli")]
mod find_commit;
#[cfg(feature = "cli")]
pub(crate) mod log;
#[cfg(feature = "mcp")]
pub(crate) mod short_cursor;
#[cfg(feature = "mcp")]
mod short_text;
#[cfg(feature = "cli")]
pub(crate) mod step;
#[cfg(feature = "mcp")]
pub(crate) mod undone;
pub mod watch;
