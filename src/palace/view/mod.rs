//! One process's knowledge of a palace. A [`directory::Directory`] grows with each rescan; a [`view::View`] of it is
//! immutable, and all that readers use.

pub mod directory;
pub mod divergent;
pub mod document;
pub mod file_findings;
pub mod finding;
pub mod layers;
pub mod loaded;
pub mod rows;
pub mod shown;
pub mod tail;
pub mod text;
#[allow(clippy::module_inception, reason = "a view is what this room is about")]
pub mod view;
pub mod went_back;
