//! What can go wrong with the knowledge graph, in words that say what to do.

use super::keys::ENTITY_NAME_BYTES_MAX;
use crate::format::key::KeyError;
use crate::palace;

/// An error of the knowledge graph.
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
    /// The key of a relation, which is made of hex digits, was refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file to import from cannot be read.
    #[error("cannot read what is to be imported")]
    Read(#[source] std::io::Error),
    /// The graph cannot be written out.
    #[error("cannot write the export")]
    Write(#[source] std::io::Error),
}

/// What the operations return.
pub type Result<T> = std::result::Result<T, MemoryError>;
