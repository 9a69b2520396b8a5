//! The library on a disk that forgets: whatever happens to the machine, what was promised is there.
//!
//! A world is a few simulated processes that write, read, seal and compact one palace, one after the other
//! and inside one another's system calls, while processes are killed, system calls fail and the power
//! goes. A list is kept of what was acknowledged, and compared with what a fresh process finds after each
//! power cut. Everything follows from the seed, which gives a list of steps. A world that fails is shrunk
//! to the steps that it takes, and printed with the command that plays them again. Many worlds:
//!
//! ```text
//! CRDT_PALACE_SEEDS=200000 cargo test --release --no-default-features --test crash seeded -- --nocapture \
//!     --test-threads 1
//! ```
//!
//! Each of these mutants of the library was tried by hand and turned the suite red:
//!
//! | mutant | caught by |
//! |---|---|
//! | no fdatasync before a commit is acknowledged | every seeded test, the script, damage |
//! | other processes' segments are not synced | buffered writes |
//! | the name of the segment is not checked again | locks that lie |
//! | inputs are retired before the snapshot is published | the script |
//! | `snap/` is not synced | every seeded test, the script |
//! | `open/` is not synced | every seeded test, the script |
//! | a new snapshot's bytes are not synced | every seeded test, the script |
//! | after a failure, what was not synced before is not written again | faults and buffered writes |
//! | what a rescan had read before it failed is forgotten | faults, failed reads |
//! | a failed sync of another's segment is tried again, and believed | failures |
//! | what is only rescued counts as applied to a loaded document | buffered writes, failures |
//!
//! A commit that rescues changes of a segment sealed by others needs three processes inside one another's
//! calls at two certain moments. Chance may never find that; the model in tests/model shows it.

mod abandoned_instance;
mod absent_files;
mod background;
mod background_compaction;
mod between_calls;
mod chance;
mod compaction_report;
mod copied_files;
mod copied_snapshot;
mod copies;
mod creation;
mod damage;
mod failed_reads;
mod failures;
mod file_systems;
mod files;
mod group_commit;
mod ledger;
mod locks;
mod machine;
mod purge;
mod refusals;
mod replaced;
mod rescan;
mod rescued_commits;
mod retire;
mod script;
mod shrink;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod went_back;
mod worlds;
