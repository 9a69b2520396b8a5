//! Questions about the palace itself: is everything there, and who uses it.

pub(super) mod conflict_count;
mod held_lock;
#[cfg(feature = "mcp")]
pub(crate) mod identity;
mod json_text;
pub(crate) mod program_version;
pub mod status;
pub mod verify;
