//! `crdt-log`: what is in a palace, and whether it is whole.

fn main() -> std::process::ExitCode {
    crdt_palace::cli::log::main()
}
