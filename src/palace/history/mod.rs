//! Commits in their order: what is new, and what ever was.

pub mod dump;
pub mod feed;
pub mod watch;
