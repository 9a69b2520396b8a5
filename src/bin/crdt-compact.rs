//! `crdt-compact`: compact a palace, or merge several into a new one.

fn main() -> std::process::ExitCode {
    crdt_palace::cli::compact::main()
}
