//! Questions about the palace itself: is everything there, and who uses it.

pub mod status;
pub mod verify;
