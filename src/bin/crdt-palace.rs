//! `crdt-palace`: the MCP server, import, export, status and the demo.

fn main() -> std::process::ExitCode {
    crdt_palace::cli::palace::main()
}
