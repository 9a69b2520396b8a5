//! Questions about the palace itself: is everything there, and who uses it.

pub(super) mod conflict_count;
pub(crate) mod program_version;
pub mod status;
pub mod verify;
