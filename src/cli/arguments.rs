//! The arguments that several commands of `crdt-palace` share.

use crate::mcp::ToolSet;
use clap::ValueEnum;

/// A set of tools, as the command line names it.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Tools {
    /// Drawers in rooms of wings, facts with a time, diaries
    Palace,
    /// The nine tools of the reference memory server
    Memory,
    /// Shared JSON documents with versions, conflicts and history
    Documents,
}

impl From<Tools> for ToolSet {
    fn from(tools: Tools) -> Self {
        match tools {
            Tools::Palace => ToolSet::Palace,
            Tools::Memory => ToolSet::Memory,
            Tools::Documents => ToolSet::Documents,
        }
    }
}
