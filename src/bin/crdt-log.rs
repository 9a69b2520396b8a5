//! `crdt-log`: see `crdt-log --help`.

fn main() -> std::process::ExitCode {
    crdt_palace::cli::log::main()
}
