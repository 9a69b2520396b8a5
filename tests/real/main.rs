//! Many real processes on a real file system, killed, stopped, and cut off from their disk.
//! docs/RELIABILITY.md has the commands of the long forms.
//!
//! Their program is tests/programs/worker.rs. No result depends on speed; the pauses only spread the moments
//! at which things happen.

mod acks;
mod cuts;
mod job;
mod kills;
mod process;
mod soak;

#[path = "../support/mod.rs"]
mod support;

#[cfg(all(feature = "cli", not(feature = "stop-points")))]
#[path = "../../src/fs/stop/points.rs"]
mod points;

/// That the names would be found if they were there is shown in tests/stops/main.rs.
#[cfg(all(feature = "cli", not(feature = "stop-points")))]
#[test]
fn default_build_has_no_stop_points() {
    // A build without the server has the compactor only.
    let server = option_env!("CARGO_BIN_EXE_crdt-palace");
    for program in [env!("CARGO_BIN_EXE_crdt-compact")].into_iter().chain(server) {
        let bytes = std::fs::read(program).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let has = |name: &str| text.contains(name);
        let found: Vec<_> = points::POINTS.into_iter().filter(|point| has(point)).collect();
        assert!(found.is_empty() && !has(points::VARIABLE), "{program} has {found:?}");
    }
}

/// The number that a variable of the environment has, for the long forms.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}?")))
}
