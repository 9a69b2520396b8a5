//! `crdt-palace`: see `crdt-palace --help`.

fn main() -> std::process::ExitCode {
    crdt_palace::cli::palace::main()
}
