//! Questions about the palace itself: is everything there, and who uses it.

#[cfg(feature = "mcp")]
pub(crate) mod identity;
mod json_text;
pub mod status;
pub mod verify;
