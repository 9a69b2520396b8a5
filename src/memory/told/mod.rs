//! The words for what a commit did: one place for them, whichever surface shows a commit.
//!
//! Owns: the kinds of documents as people know them, the text of a version, and the sentence of a commit. Must not know:
//! which surface calls it, and how a commit was found.
//!
//! The files, each using only those above it: `kind`, `fields` (of a document, as lines), `text` (of a version, and its
//! lines), `document` (what was done to one), `sentence` (what a commit did).

mod document;
mod fields;
mod kind;
mod sentence;
mod text;

pub(crate) use document::Told;
pub(crate) use kind::{Kind, id_of};
pub(crate) use sentence::sentence;
#[cfg(feature = "mcp")]
pub(crate) use text::{lines_changed, title_of_text};
pub(crate) use text::{name_of, place_of, text_of, title_of};
