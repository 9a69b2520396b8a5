//! The sets of tools.

/// Tools that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolSet {
    /// Drawers in rooms of wings, facts with a time, diaries.
    Palace,
    /// The nine tools of the reference memory server.
    Memory,
    /// Shared JSON documents with versions.
    Documents,
}

impl ToolSet {
    /// Returns its name, as `--tools` takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ToolSet::Palace => "palace",
            ToolSet::Memory => "memory",
            ToolSet::Documents => "documents",
        }
    }
}
