//! The tool set `documents`: shared JSON documents under keys, with versions, history and conflicts.
//!
//! Invariants: every result is bounded, and says how to get the rest; an error says what to do. What other tool
//! sets keep can be read here by key or prefix, and not written: see [`keys`].

mod answer;
mod arguments;
mod conflicts;
mod keys;
mod problem;
mod read;
mod results;
mod search;
mod tools;
mod write;

pub(super) use keys::{behind_domain, of_documents_alone};
pub(super) use read::each_after;
pub(super) use tools::tools;

/// The instructions of this set for a model.
pub(super) const INSTRUCTIONS: &str = "Shared JSON documents under keys such as notes/plan. Other sessions read and \
    write them at the same time, so read before you write: what they changed since you read is kept, and merged in the \
    answer says so. To change a field use document_patch, to count use document_increment. If your new value must not \
    be merged, pass the etag that you read as if_match, and retry on ETAG_MISMATCH. Where a result lists conflicts, \
    both values were kept: document_conflicts shows them, and document_settle decides.";
