//! The errors of drawers, facts and the graph. Each text says what to do next.

use super::graph::ENTITY_NAME_BYTES_MAX;
use crate::format::key::KeyError;
use crate::format::plural::count;
use crate::palace;

/// An error of the drawers, the facts or the graph of a palace.
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
    /// The palace reports an error.
    #[error(transparent)]
    Palace(#[from] palace::Error),
    /// The operation needs an entity that does not exist.
    #[error("there is no entity named {name:?}, so nothing was written: create it first")]
    UnknownEntity {
        /// The name.
        name: String,
    },
    /// A read found more of the graph than it may return.
    #[error(
        "there are more than {limit} bytes to return: ask for less, by the names of entities or by a longer word; \
         `crdt-palace export` writes the whole graph"
    )]
    GraphTooLarge {
        /// The most bytes that a read returns.
        limit: usize,
    },
    /// No entity can have this name.
    #[error(
        "{start:?} cannot name an entity: {why}; names are 1 to {ENTITY_NAME_BYTES_MAX} bytes \
         without control characters"
    )]
    Name {
        /// The first characters of the name.
        start: String,
        /// The reason.
        why: &'static str,
    },
    /// An argument is not valid.
    #[error("{field}: {why}")]
    Argument {
        /// The name of the argument.
        field: &'static str,
        /// The reason, and what to pass instead.
        why: String,
    },
    /// No drawer has this id.
    #[error("there is no drawer {id:?}: search and list_drawers return the ids of drawers")]
    NoDrawer {
        /// The id.
        id: String,
    },
    /// The drawer was deleted.
    #[error("the drawer {id:?} was deleted: undelete_drawer brings it back as it was")]
    DrawerDeleted {
        /// The id.
        id: String,
    },
    /// Another wing, or another room of the wing, has the name that a rename gives.
    #[error(
        "there is a {field} {name:?} with {}, so nothing was renamed: pass join true to make the two one, or another \
         name",
        count(drawers, "drawer")
    )]
    PlaceExists {
        /// The kind of place: `wing` or `room`.
        field: &'static str,
        /// The name.
        name: String,
        /// The number of its drawers.
        drawers: usize,
    },
    /// The drawer has another version than the one that the change was made from.
    #[error(
        "ETAG_MISMATCH: {id:?} is at {} now, and nothing was written: {}",
        version_now(etag, *already_applied, current.is_some()),
        advice(etag, *already_applied, current.is_some())
    )]
    EtagMismatch {
        /// The drawer's id.
        id: String,
        /// The version that it has now.
        etag: String,
        /// True if the drawer already is as the change would make it.
        already_applied: bool,
        /// The text that it has now; `None` if it has over 90,000 bytes as JSON. Then the words of the error do not name
        /// the version: a client that calls again with it would replace what it has not seen.
        current: Option<String>,
    },
    /// The drawer has another version than the one whose conflict the caller settles.
    #[error(
        "ETAG_MISMATCH: {id:?} is at version {etag} now, and nothing was settled: list its conflicts again \
         (conflicts), and call again with the number and the etag that it shows. A conflict that is not listed any \
         more is settled"
    )]
    ConflictsChanged {
        /// The drawer's id.
        id: String,
        /// The version that it has now.
        etag: String,
    },
    /// The drawer does not have this conflict now.
    #[error(
        "{id:?} has no such conflict at {path} now, and nothing was settled: another client has settled it, or changed \
         the drawer there; read the drawer again"
    )]
    NoConflict {
        /// The drawer's id.
        id: String,
        /// JSON pointer (RFC 6901) to the field of the drawer.
        path: String,
    },
    /// The drawer never had this version.
    #[error(
        "{id:?} has no version {version:?}: pass an etag that came with this drawer, or leave it out to read the \
         newest version"
    )]
    NoVersion {
        /// The drawer's id.
        id: String,
        /// The version that the caller asked for.
        version: String,
    },
    /// The fact was never asserted, or it was deleted.
    #[error(
        "there is no fact {fact:?}, so it cannot end: it was never asserted, or it was deleted, and kg_add brings it back; \
         kg_query shows the facts of an entity"
    )]
    NoFact {
        /// The subject, predicate and object.
        fact: String,
    },
    /// No fact ever had this id.
    #[error("there is no fact {id:?}: kg_query and kg_timeline return the ids of facts")]
    NoFactId {
        /// The id.
        id: String,
    },
    /// The fact does not hold at the moment at which it should end.
    #[error(
        "{fact:?} does not hold at {at}, so it cannot end then: kg_query shows the period in which it holds; pass a \
         moment in that period"
    )]
    FactDoesNotHold {
        /// The subject, predicate and object.
        fact: String,
        /// The moment.
        at: String,
    },
    /// A key that was made of the arguments is not valid.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file to import cannot be read.
    #[error("cannot read the file to import")]
    Read(#[source] std::io::Error),
    /// The database to import is none of MemPalace, or cannot be read.
    #[error("cannot import {path}: {why}")]
    Foreign {
        /// The file.
        path: String,
        /// The reason.
        why: String,
    },
    /// The export cannot be written.
    #[error("cannot write the export")]
    Write(#[source] std::io::Error),
}

/// Says how to go on after a mismatch. A client whose answer was lost calls again and meets its own version: it must
/// not apply its change to that.
fn advice(etag: &str, already_applied: bool, has_text: bool) -> String {
    match (already_applied, has_text) {
        (true, _) => "it is already what this call would make of it (get_drawer shows it). An earlier try of this call, \
                      whose answer was lost, may have done that: do not apply your change again"
            .to_owned(),
        (false, true) => format!(
            "apply your change to the text that it has now, and call again with if_match {etag:?}"
        ),
        (false, false) => "its text is too long to stand here: read it again (get_drawer), apply your change to the \
                           new text, and call again with the etag that it has there"
            .to_owned(),
    }
}

fn version_now(etag: &str, already_applied: bool, has_text: bool) -> String {
    match already_applied || has_text {
        true => format!("version {etag}"),
        false => "another version".to_owned(),
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

/// Result of the operations.
pub type Result<T, E = MemoryError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palace::chain;
    use std::io::ErrorKind;

    fn samples() -> Vec<MemoryError> {
        let id = || "drawer_w_r_0".to_owned();
        let mismatch = |already_applied, current: Option<&str>| MemoryError::EtagMismatch {
            id: id(),
            etag: "0123456789abcdef".to_owned(),
            already_applied,
            current: current.map(str::to_owned),
        };
        vec![
            palace::Error::EmptyQuery.into(),
            MemoryError::UnknownEntity { name: "Ada".to_owned() },
            MemoryError::Name { start: "a\nb".to_owned(), why: "it is too long" },
            MemoryError::argument("wing", "it is empty"),
            MemoryError::NoDrawer { id: id() },
            MemoryError::DrawerDeleted { id: id() },
            MemoryError::PlaceExists { field: "wing", name: "atlas".to_owned(), drawers: 3 },
            MemoryError::PlaceExists { field: "wing", name: "atlas".to_owned(), drawers: 1 },
            mismatch(true, None),
            mismatch(false, Some("new")),
            mismatch(false, None),
            MemoryError::ConflictsChanged { id: id(), etag: "0123456789abcdef".to_owned() },
            MemoryError::NoConflict { id: id(), path: "/content".to_owned() },
            MemoryError::NoVersion { id: id(), version: "fedcba9876543210".to_owned() },
            MemoryError::NoFact { fact: "Ada → knows → Bob".to_owned() },
            MemoryError::NoFactId { id: "t_0".to_owned() },
            MemoryError::FactDoesNotHold {
                fact: "Ada → knows → Bob".to_owned(),
                at: "2026-03-01".to_owned(),
            },
            MemoryError::GraphTooLarge { limit: 16 },
            KeyError::Empty.into(),
            MemoryError::Read(ErrorKind::PermissionDenied.into()),
            MemoryError::Foreign { path: "/c.sqlite3".to_owned(), why: "it has no id".to_owned() },
            MemoryError::Write(ErrorKind::PermissionDenied.into()),
        ]
    }

    /// Returns the text that a user reads. A new variant does not compile without a line here: add one, and a sample
    /// above.
    fn reviewed(error: &MemoryError) -> String {
        let text = match error {
            // The texts of these are reviewed where they are defined.
            MemoryError::Palace(error) => return chain(error),
            MemoryError::Key(error) => return chain(error),
            MemoryError::UnknownEntity { .. } => {
                "there is no entity named \"Ada\", so nothing was written: create it first"
            }
            MemoryError::GraphTooLarge { .. } => {
                "there are more than 16 bytes to return: ask for less, by the names of entities or by a longer word; \
                 `crdt-palace export` writes the whole graph"
            }
            MemoryError::Name { .. } => {
                "\"a\\nb\" cannot name an entity: it is too long; names are 1 to 505 bytes without control characters"
            }
            MemoryError::Argument { .. } => "wing: it is empty",
            MemoryError::NoDrawer { .. } => {
                "there is no drawer \"drawer_w_r_0\": search and list_drawers return the ids of drawers"
            }
            MemoryError::DrawerDeleted { .. } => {
                "the drawer \"drawer_w_r_0\" was deleted: undelete_drawer brings it back as it was"
            }
            MemoryError::PlaceExists { drawers: 1, .. } => {
                "there is a wing \"atlas\" with 1 drawer, so nothing was renamed: pass join true to make the two one, or \
                 another name"
            }
            MemoryError::PlaceExists { .. } => {
                "there is a wing \"atlas\" with 3 drawers, so nothing was renamed: pass join true to make the two one, \
                 or another name"
            }
            MemoryError::EtagMismatch { already_applied: true, .. } => {
                "ETAG_MISMATCH: \"drawer_w_r_0\" is at version 0123456789abcdef now, and nothing was written: it is \
                 already what this call would make of it (get_drawer shows it). An earlier try of this call, whose \
                 answer was lost, may have done that: do not apply your change again"
            }
            MemoryError::EtagMismatch { already_applied: false, current: Some(_), .. } => {
                "ETAG_MISMATCH: \"drawer_w_r_0\" is at version 0123456789abcdef now, and nothing was written: apply your \
                 change to the text that it has now, and call again with if_match \"0123456789abcdef\""
            }
            MemoryError::EtagMismatch { .. } => {
                "ETAG_MISMATCH: \"drawer_w_r_0\" is at another version now, and nothing was written: its text is too \
                 long to stand here: read it again (get_drawer), apply your change to the new text, and call again \
                 with the etag that it has there"
            }
            MemoryError::ConflictsChanged { .. } => {
                "ETAG_MISMATCH: \"drawer_w_r_0\" is at version 0123456789abcdef now, and nothing was settled: list its \
                 conflicts again (conflicts), and call again with the number and the etag that it shows. A conflict \
                 that is not listed any more is settled"
            }
            MemoryError::NoConflict { .. } => {
                "\"drawer_w_r_0\" has no such conflict at /content now, and nothing was settled: another client has \
                 settled it, or changed the drawer there; read the drawer again"
            }
            MemoryError::NoVersion { .. } => {
                "\"drawer_w_r_0\" has no version \"fedcba9876543210\": pass an etag that came with this drawer, or \
                 leave it out to read the newest version"
            }
            MemoryError::NoFact { .. } => {
                "there is no fact \"Ada → knows → Bob\", so it cannot end: it was never asserted, or it was deleted, and \
                 kg_add brings it back; kg_query shows the facts of an entity"
            }
            MemoryError::NoFactId { .. } => {
                "there is no fact \"t_0\": kg_query and kg_timeline return the ids of facts"
            }
            MemoryError::FactDoesNotHold { .. } => {
                "\"Ada → knows → Bob\" does not hold at 2026-03-01, so it cannot end then: kg_query shows the \
                 period in which it holds; pass a moment in that period"
            }
            MemoryError::Read(_) => "cannot read the file to import: permission denied",
            MemoryError::Foreign { .. } => "cannot import /c.sqlite3: it has no id",
            MemoryError::Write(_) => "cannot write the export: permission denied",
        };
        text.to_owned()
    }

    #[test]
    fn every_memory_error_has_its_reviewed_text() {
        for error in samples() {
            assert_eq!(chain(&error), reviewed(&error));
        }
    }
}
