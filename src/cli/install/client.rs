//! The MCP clients that the server can be added to, and their configuration files.

use clap::ValueEnum;
use std::path::PathBuf;

/// An MCP client.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Client {
    /// Claude Code, in all projects of this user
    ClaudeCode,
    /// Claude Desktop
    ClaudeDesktop,
    /// Cursor
    Cursor,
    /// Visual Studio Code, the user's default profile
    #[value(name = "vscode")]
    VsCode,
}

impl Client {
    pub fn name(self) -> &'static str {
        match self {
            Client::ClaudeCode => "Claude Code",
            Client::ClaudeDesktop => "Claude Desktop",
            Client::Cursor => "Cursor",
            Client::VsCode => "VS Code",
        }
    }

    /// Returns the configuration file; `None` if there is no home directory.
    pub fn file(self) -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let home = || set("HOME");
        // Claude Desktop and VS Code follow the XDG specification on Linux.
        let settings = || match cfg!(target_os = "macos") {
            true => Some(home()?.join("Library/Application Support")),
            false => set("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config"))),
        };
        match self {
            Client::ClaudeCode => {
                Some(set("CLAUDE_CONFIG_DIR").or_else(home)?.join(".claude.json"))
            }
            Client::ClaudeDesktop => Some(settings()?.join("Claude/claude_desktop_config.json")),
            Client::Cursor => Some(home()?.join(".cursor/mcp.json")),
            Client::VsCode => Some(settings()?.join("Code/User/mcp.json")),
        }
    }

    /// Returns the name of the object that lists the servers in the file.
    pub fn list(self) -> &'static str {
        if matches!(self, Client::VsCode) { "servers" } else { "mcpServers" }
    }

    /// Returns the `type` of an entry, for the clients that need one.
    pub fn kind(self) -> Option<&'static str> {
        matches!(self, Client::VsCode | Client::ClaudeCode).then_some("stdio")
    }
}
