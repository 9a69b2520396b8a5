//! What is fuzzed: one function for each place where bytes come in from outside. Each takes any bytes at
//! all, and panics if a promise is broken. The test binary beside this and the crate in `fuzz/` run the
//! same functions.
//!
//! A checksum would keep a fuzzer out, so the bytes are mostly a recipe: the target builds from it a
//! file, a record or a change that is sound outside, and whatever the recipe says inside.

mod change;
mod import;
mod input;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(feature = "mcp")]
mod mempalace;
#[cfg(feature = "mcp")]
mod messages;
mod palace;
mod record;
mod segment;
mod snapshot;

/// A target by its name, which is also that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("record", record::run),
    ("segment", segment::run),
    ("snapshot", snapshot::run),
    ("change", change::run),
    ("import", import::run),
    #[cfg(feature = "mcp")]
    ("mcp", mcp::run),
    #[cfg(feature = "mcp")]
    ("mempalace", mempalace::run),
    #[cfg(feature = "mcp")]
    ("messages", messages::run),
];

/// Runs one of them.
pub fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap().1(data);
}
