//! What can go wrong with the domain, in words that say what to do.

use super::keys::ENTITY_NAME_BYTES_MAX;
use crate::format::key::KeyError;
use crate::palace;

/// An error of the domain.
///
/// ```
/// use crdt_palace::memory::MemoryError;
/// # use crdt_palace::memory::{Addition, Deletion, Entity, Memory, Relation};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let memory = Memory::new(Palace::open(dir.path().join("palace"))?);
///
/// let knows = Relation { from: "Ada".into(), to: "Bob".into(), relation_type: "knows".into() };
/// let error = memory.create_relations(&[knows]).unwrap_err();
/// assert!(matches!(error, MemoryError::UnknownEntity { name } if name == "Ada"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The palace.
    #[error(transparent)]
    Palace(#[from] palace::Error),
    /// An operation on an entity that is not there.
    #[error("there is no entity named {name:?}, and nothing was written: create it first")]
    UnknownEntity {
        /// The name.
        name: String,
    },
    /// A name that no entity can have.
    #[error(
        "{start:?} cannot name an entity: {why}; names are 1 to {ENTITY_NAME_BYTES_MAX} bytes \
         without control characters"
    )]
    Name {
        /// The first characters of the name.
        start: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An argument that cannot be.
    #[error("{field}: {why}")]
    Argument {
        /// Which.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// An id that names no drawer.
    #[error("there is no drawer {id:?}: search and list_drawers give the ids of those there are")]
    NoDrawer {
        /// The id.
        id: String,
    },
    /// A drawer that is at another version than the change was made from.
    #[error(
        "ETAG_MISMATCH: {id:?} is at version {etag} now, and nothing was written: {}",
        advice(etag, *is_so)
    )]
    EtagMismatch {
        /// The drawer's id.
        id: String,
        /// Its version now.
        etag: String,
        /// Whether it is already what the change would have made of it.
        is_so: bool,
    },
    /// A version that a drawer never had.
    #[error(
        "{id:?} has no version {version:?}: pass an etag that came with this drawer, or none to read it as it is now"
    )]
    NoVersion {
        /// The drawer's id.
        id: String,
        /// The version that was named.
        version: String,
    },
    /// A fact that nobody has stated.
    #[error(
        "{fact:?} was never stated, so it cannot end: kg_query shows what is known of an entity"
    )]
    NoFact {
        /// Subject, predicate, object.
        fact: String,
    },
    /// A fact that is not true at the moment in question.
    #[error(
        "{fact:?} does not hold at {at}, so it cannot end then: kg_query shows from when to when it does; \
         pass a moment in between"
    )]
    NotThen {
        /// Subject, predicate, object.
        fact: String,
        /// When.
        at: String,
    },
    /// A key that was made here was refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file to import from cannot be read.
    #[error("cannot read what is to be imported")]
    Read(#[source] std::io::Error),
    /// The database to import from is not what it should be, or cannot be read.
    #[error("cannot import {path}: {why}")]
    Foreign {
        /// Its file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The graph cannot be written out.
    #[error("cannot write the export")]
    Write(#[source] std::io::Error),
}

/// A call that is sent again because its answer was lost finds its own version, and must not be applied to that.
fn advice(etag: &str, is_so: bool) -> String {
    match is_so {
        true => "it is already what this call would make of it (get_drawer shows it), perhaps by this very call, if \
                 its answer was lost: do not apply your change again"
            .to_owned(),
        false => format!(
            "read it again (get_drawer), apply your change to what it says now, and call again with if_match {etag:?}"
        ),
    }
}

impl MemoryError {
    /// The error for a cursor that no earlier call has given.
    pub(super) fn cursor(text: &str) -> Self {
        palace::Error::Cursor { text: text.to_owned() }.into()
    }

    pub(super) fn argument(field: &'static str, why: impl Into<String>) -> Self {
        MemoryError::Argument { field, why: why.into() }
    }
}

/// What the operations return.
pub type Result<T, E = MemoryError> = std::result::Result<T, E>;
