//! The processes that tests start, stop and kill: `crdt-palace-test-child ROLE ARGUMENT…`.
//!
//! Cargo builds it together with the tests. It stands behind the feature `test-child`, which only they ask for,
//! so nobody installs it. Under the name of an example it is that example.

#[path = "../real/acks.rs"]
mod acks;
mod ask;
mod clock;
#[path = "../hostile/good.rs"]
mod good;
mod hostile;
#[path = "../../examples/index_snapshot.rs"]
mod index_snapshot;
#[path = "../real/job.rs"]
mod job;
#[path = "../../examples/markdown_watchers.rs"]
mod markdown_watchers;
mod no_handles;
mod no_threads;
#[path = "../support/mod.rs"]
mod support;
mod worker;
mod writers;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[0] {
        "index_snapshot" => return index_snapshot::main(),
        "markdown_watchers" => return markdown_watchers::main(),
        _ => play(&arguments[1..]),
    }
    ExitCode::SUCCESS
}

fn play(arguments: &[&str]) {
    let number = |text: &str| text.parse().unwrap();
    match *arguments {
        ["work", job] => worker::run(job),
        ["serve-all", palace] => hostile::run(Path::new(palace), true),
        ["serve-some", palace] => hostile::run(Path::new(palace), false),
        ["read-without-handles", dir] => no_handles::reads_are_right_or_fail(Path::new(dir)),
        ["compact-without-handles", dir] => no_handles::compactions_skip_nothing(Path::new(dir)),
        ["sync-without-threads"] => no_threads::a_later_commit_starts_the_sync(),
        ["compact-without-threads"] => no_threads::a_later_commit_starts_the_compaction(),
        ["write", path, name, threads, count] => {
            writers::write(Path::new(path), name, number(threads), number(count));
        }
        ["compact", path] => writers::compact(Path::new(path)),
        ["increment", path, count] => writers::increment(Path::new(path), number(count)),
        ["create", path, name] => writers::create(Path::new(path), name),
        ["ask", address, request] => ask::print_answer(address, request),
        ["visit", path, name, bytes] => writers::visit(Path::new(path), name, number(bytes)),
        _ => panic!("no such role: {arguments:?}"),
    }
}
