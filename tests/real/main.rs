//! Many real processes on a real file system, and what becomes of a palace when they are killed, stopped,
//! and cut off from their disk. docs/RELIABILITY.md has the commands of the long forms.
//!
//! The test binary runs itself again: the test `child` does nothing unless the environment has a job for
//! it. Nothing here depends on how fast anything is; the pauses only spread the moments at which it happens.

mod acks;
mod clock;
mod kills;
mod process;
mod worker;

#[path = "../support/mod.rs"]
mod support;

#[test]
fn child() {
    worker::run();
}

/// The number that a variable of the environment has, for the long forms.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}?")))
}
