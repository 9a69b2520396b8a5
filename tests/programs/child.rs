//! The processes that tests start, stop and kill: `crdt-palace-test-child ROLE ARGUMENT…`.
//!
//! Cargo builds it together with the tests. It stands behind the feature `test-child`, which only they ask for,
//! so nobody installs it.

#[path = "../real/acks.rs"]
mod acks;
mod clock;
#[path = "../hostile/good.rs"]
mod good;
mod hostile;
#[path = "../real/job.rs"]
mod job;
mod no_handles;
mod no_threads;
#[path = "../support/mod.rs"]
mod support;
mod worker;
mod writers;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().unwrap();
    match arguments[..] {
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
        ["visit", path, name, bytes] => writers::visit(Path::new(path), name, number(bytes)),
        _ => panic!("no such role: {arguments:?}"),
    }
}
