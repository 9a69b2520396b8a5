//! Writing: the calls and their options, the commit that they become, and the commits that it builds on.

mod again;
pub mod commit;
mod conditions;
mod dependencies;
pub mod draft;
mod draft_versions;
pub(crate) mod once;
mod put;
#[cfg(feature = "mcp")]
pub(crate) mod record;
pub mod request;
mod rescue;
#[cfg(feature = "mcp")]
pub(crate) mod undo;
pub mod writes;
