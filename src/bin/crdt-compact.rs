//! `crdt-compact`: see `crdt-compact --help`.

fn main() -> std::process::ExitCode {
    crdt_palace::cli::compact::main()
}
