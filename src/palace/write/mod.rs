//! Writing: what a caller asks for, how it becomes a commit, and what the commit builds on.

pub mod commit;
mod dependencies;
pub mod draft;
mod put;
pub mod request;
mod rescue;
