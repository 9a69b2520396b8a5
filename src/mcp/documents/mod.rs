//! The tool set `documents`: shared JSON documents under keys, with versions, history and conflicts.
//!
//! Invariants: every result is bounded, and says how to get the rest; an error says what to do. What other tool
//! sets keep can be read here by key or prefix, and not written: see [`keys`].

mod answer;
mod arguments;
mod keys;
mod problem;
mod read;
mod read_tools;
mod results;
mod search;
mod write;
mod write_tools;

pub(super) use keys::of_documents_alone;
pub(super) use read::each_after;

use super::Server;
use rmcp::handler::server::router::tool::ToolRouter;

pub(super) const INSTRUCTIONS: &str = "Shared JSON documents under keys such as notes/plan, which other \
    sessions read and write at the same time. Read before you write. To change a field use document_patch, to \
    count use document_increment: neither needs a retry. If your new value depends on the old one, pass the \
    etag that you read as if_match and retry on ETAG_MISMATCH, or as base to keep both values. Where a result \
    lists conflicts, both values were kept: write the field once more to decide.";

/// The tools in the order in which they are listed.
pub(super) const ORDER: [&str; 10] = [
    "document_get",
    "document_put",
    "document_patch",
    "document_increment",
    "document_list",
    "document_search",
    "document_delete",
    "document_history",
    "document_conflicts",
    "document_restore",
];

/// The tools.
pub(super) fn router() -> ToolRouter<Server> {
    Server::documents_read_router() + Server::documents_write_router()
}
