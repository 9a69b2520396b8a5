//! Automerge 0.12, as this crate uses it.
//!
//! Types from here appear in one place of the crate's interface: the closure of `edit` gets a
//! [`transaction::Transaction`] and may return an [`AutomergeError`]. Bring
//! [`transaction::Transactable`] and [`ReadDoc`] into scope to call its methods:
//!
//! ```
//! use crdt_palace::palace::automerge::{ObjType, ROOT, transaction::Transactable};
//! use crdt_palace::palace::Palace;
//!
//! # let dir = tempfile::tempdir()?;
//! # let palace = Palace::open(dir.path().join("palace"))?;
//! palace.edit("draft", |tx| {
//!     let text = tx.put_object(ROOT, "text", ObjType::Text)?;
//!     tx.splice_text(&text, 0, 0, "Once upon a time")
//! })?;
//! assert_eq!(palace.get("draft")?.map(|found| found.value["text"].clone()), Some("Once upon a time".into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A newer version of Automerge is a breaking change of this module.

pub use ::automerge::*;
