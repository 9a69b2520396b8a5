//! The arguments that several commands of `crdt-palace` share.

use super::error::Failure;
use crate::mcp::ToolSet;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The environment variable with the default palace.
const DIR: &str = "CRDT_PALACE_DIR";

/// The palace of a command.
#[derive(Args)]
pub(super) struct PalaceArgument {
    /// The palace's directory
    #[arg(long, value_name = "DIR")]
    palace: Option<PathBuf>,
}

impl PalaceArgument {
    /// Returns the palace that the user named, or else the default one.
    pub fn path(&self) -> Result<PathBuf, Failure> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let set = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
        let home = || Some(set("HOME")?.join(".local/share"));
        // The XDG specification says to ignore relative paths.
        let data = || set("XDG_DATA_HOME").filter(|path| path.is_absolute()).or_else(home);
        let default = || Some(data()?.join("crdt-palace"));
        self.palace.clone().or_else(|| set(DIR)).or_else(default).ok_or(Failure::Usage(
            "there is no home directory for the default palace: pass --palace DIR",
        ))
    }
}

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
