//! Commits in their order: the feed of new ones, and the dump of all.

pub mod dump;
pub mod feed;
pub mod watch;
