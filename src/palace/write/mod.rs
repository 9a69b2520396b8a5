//! Writing: the calls and their options, the commit that they become, and the commits that it builds on.

pub mod commit;
mod dependencies;
pub mod draft;
mod draft_versions;
mod put;
pub mod request;
mod rescue;
pub mod writes;
