//! The protocol of the store as a model, and a search of every interleaving for a lost record.
//!
//! This is the executable form of docs/CONCURRENCY.md. It shares no code with the crate: it says what
//! the store must do, step by step, and the search shows that these steps suffice in small cases. Each
//! rule of the protocol has a mutant that breaks it, and the search must find where a record is lost.
//!
//! **Processes.** Writers append a record, sync, check that their segment still has its name in open/,
//! append again to a new segment if not, and acknowledge; between records they may close the segment.
//! Compactors seal any segment, read sealed segments and snapshots, publish one more snapshot, retire the
//! segments; superseded snapshots are retired by a later compaction. There are *no locks*: a compactor
//! may seal a live writer's segment at any moment, and two compactors may fold the same files. A loader
//! lists open/, sealed/, snap/ in this order and opens file by file. Any process can crash at any step.
//!
//! **Property.** In every reachable state each acknowledged record, and each record it depends on, is in
//! some file under open/, sealed/ or snap/ (with `power`: in a file that every power cut leaves there,
//! with the record in it), and a loader whose first listing came after the acknowledgement has seen it.
//!
//! **Power.** A file has a place that is on disk and one that processes see; a power cut leaves it at
//! either or on the way between, with the records that were synced and any subset of the others. Since
//! each file decides for itself, a record is certain to survive exactly if some single file is certain to
//! hold it: the property looks at that, in every state. With `cuts`, the search also goes on after a cut,
//! in each state that the cut can leave.
//!
//! **A file goes back.** With `backs`, a person replaces a file by an older copy, in place or by another file, or deletes
//! it. What is lost by that is not owed any more; what is acknowledged afterwards is. A writer remembers what its record
//! depends on, and its checks (the name, the content and the basis) are one step before the acknowledgement.
//!
//! **Dependencies.** The second writer may read the first one's record, acknowledged or not, from any
//! file, and build on it. One rule follows that is easy to miss. A live writer whose segment was sealed
//! may append to it too late for the compactor, and will write that record again before acknowledging
//! it; but a second writer may have read it there and acknowledged something that needs it. So whoever
//! builds on a record of a foreign *segment* looks, after reading, whether that segment still has its
//! name in open/, and if not, carries the record along in its own batch ([`Mutant::NoDependencyCheck`]); unless a
//! later record in that segment shows that its writer has found it in its place ([`Mutant::ToldTooEarly`]).
//!
//! **Left out.** Documents and merging (a record is a bit); tmp/ (invisible until renamed); purging trash/
//! (what is there counts as gone already); damaged files; failed calls; buffered writes; listings that
//! are not atomic (the store reads snap/ at once and delays the retirement of snapshots for that). Syncing
//! several files, or a whole directory, is one step. A compaction seals at most one segment. The bounds
//! are those of the tests below. Larger ones:
//!
//! ```text
//! cargo test --release --no-default-features --test model long -- --ignored --nocapture --test-threads 1
//! ```

mod compactor;
mod loader;
mod power;
mod protocol;
mod restore;
mod search;
mod state;
mod writer;

use protocol::{Model, Mutant};
use search::{Outcome, search};

/// One writer with one record, two compactors, a loader, no power cuts.
const BASE: Model = Model {
    records: [1, 0],
    rotate: false,
    depends: false,
    runs: 2,
    compactors: 2,
    loading: true,
    folded: false,
    power: false,
    cuts: 0,
    backs: 0,
    mutant: None,
};
/// The second record after one that is in a snapshot: two compactions then fold and retire that snapshot.
const LATER: Model = Model { records: [2, 0], folded: true, ..BASE };
/// Two writers, the second one builds on what it sees of the first.
const DEPENDS: Model =
    Model { records: [1, 1], depends: true, compactors: 1, loading: false, ..BASE };
/// One writer and one compactor on a disk that forgets what was not synced.
const POWER: Model = Model { compactors: 1, loading: false, power: true, ..BASE };
/// Two writers, while a person puts back older copies of files.
const BACK: Model = Model { backs: 1, runs: 1, ..DEPENDS };
/// The same with two writers.
const POWER_DEPENDS: Model = Model { power: true, runs: 1, ..DEPENDS };

fn run(model: Model) -> Outcome {
    search(model.initial(), |state, next| model.steps(state, next), Model::broken)
}

/// No reachable state breaks the property, and the search was not empty by accident.
fn holds(model: Model, at_least: usize) {
    let start = std::time::Instant::now();
    let outcome = run(model);
    println!("{} states in {:.1} s", outcome.states, start.elapsed().as_secs_f64());
    if let Some((trace, wrong)) = outcome.violation {
        panic!("{wrong} after {} steps:\n  {}", trace.len(), trace.join("\n  "));
    }
    assert!(outcome.states >= at_least, "only {} states", outcome.states);
}

/// The search finds what goes wrong with this mutant. That nothing does without it is tested above.
fn fails(model: Model, mutant: Mutant, depth: usize) {
    let outcome = run(Model { mutant: Some(mutant), ..model });
    let (trace, wrong) = outcome.violation.expect("the mutant goes unnoticed");
    println!("{mutant:?}: {wrong} after {} steps:\n  {}", trace.len(), trace.join("\n  "));
    assert_eq!(trace.len(), depth, "the shortest counterexample has another length");
}

// ---- the protocol holds

#[test]
fn two_compactors_race_with_a_writer_and_a_loader() {
    holds(BASE, 200_000);
}

#[test]
fn superseded_snapshots_are_retired_under_a_loader() {
    holds(LATER, 900_000);
}

#[test]
fn two_compactors_race_through_three_compactions() {
    holds(Model { runs: 3, loading: false, ..BASE }, 600_000);
}

#[test]
fn a_writer_rotates_its_segments() {
    holds(Model { records: [2, 0], rotate: true, loading: false, ..BASE }, 400_000);
}

#[test]
fn a_writer_depends_on_an_unacknowledged_commit() {
    holds(DEPENDS, 900_000);
}

#[test]
fn a_writer_depends_on_a_commit_rewritten_after_a_seal() {
    holds(Model { records: [2, 1], runs: 1, ..DEPENDS }, 100_000);
}

#[test]
fn a_writer_depends_on_a_rewritten_commit_and_the_power_fails() {
    holds(Model { records: [2, 1], cuts: 1, ..POWER_DEPENDS }, 2_200_000);
}

#[test]
fn two_writers_survive_power_cuts_at_every_step() {
    holds(Model { cuts: 1, ..POWER_DEPENDS }, 150_000);
}

#[test]
fn superseded_snapshots_survive_power_cuts() {
    holds(Model { loading: false, power: true, ..LATER }, 190_000);
}

#[test]
fn compaction_goes_on_after_a_power_cut() {
    holds(Model { cuts: 1, ..POWER }, 30_000);
}

#[test]
fn writers_survive_a_file_that_goes_back() {
    holds(BACK, 250_000);
}

#[test]
fn compaction_survives_a_file_that_goes_back() {
    holds(Model { backs: 1, compactors: 1, loading: false, ..LATER }, 100_000);
}

// ---- also where there is more of everything; see docs/RELIABILITY.md

#[test]
#[ignore = "takes minutes and gigabytes"]
fn long_three_compactions_race_with_a_writer_and_a_loader() {
    holds(Model { runs: 3, ..BASE }, 17_000_000);
}

#[test]
#[ignore = "takes minutes and gigabytes"]
fn long_two_compactors_race_with_mutually_dependent_writers() {
    holds(Model { compactors: 2, runs: 2, ..DEPENDS }, 4_500_000);
}

#[test]
#[ignore = "takes minutes and gigabytes"]
fn long_a_writer_depends_on_a_commit_rewritten_after_a_seal() {
    holds(Model { records: [2, 1], ..DEPENDS }, 16_000_000);
}

#[test]
#[ignore = "takes minutes and gigabytes"]
fn long_two_compactions_and_two_writers_survive_power_cuts() {
    holds(Model { cuts: 1, runs: 2, ..POWER_DEPENDS }, 14_000_000);
}

// ---- and each of its rules is needed

#[test]
fn mutant_no_name_check() {
    fails(BASE, Mutant::NoNameCheck, 10);
}

#[test]
fn mutant_link_count_check() {
    fails(BASE, Mutant::LinkCountCheck, 11);
}

#[test]
fn mutant_fold_open_segment() {
    fails(BASE, Mutant::FoldOpenSegment, 11);
}

#[test]
fn mutant_delete_before_publish() {
    fails(BASE, Mutant::DeleteBeforePublish, 10);
}

#[test]
fn mutant_one_snapshot_name() {
    fails(BASE, Mutant::OneSnapshotName, 21);
}

#[test]
fn mutant_snap_first() {
    fails(BASE, Mutant::SnapFirst, 14);
}

#[test]
fn mutant_sealed_first() {
    fails(BASE, Mutant::SealedFirst, 9);
}

#[test]
fn mutant_no_relist() {
    fails(LATER, Mutant::NoRelist, 16);
}

#[test]
fn mutant_no_dependency_check() {
    fails(DEPENDS, Mutant::NoDependencyCheck, 15);
}

#[test]
fn mutant_told_too_early() {
    fails(DEPENDS, Mutant::ToldTooEarly, 15);
}

#[test]
fn mutant_no_basis_check() {
    fails(BACK, Mutant::NoBasisCheck, 10);
}

#[test]
fn mutant_no_content_check() {
    fails(BACK, Mutant::NoContentCheck, 6);
}

#[test]
fn mutant_no_holder_check() {
    fails(Model { depends: false, records: [2, 0], ..BACK }, Mutant::NoHolderCheck, 14);
}

#[test]
fn mutant_ack_before_sync() {
    fails(POWER, Mutant::AckBeforeSync, 6);
}

#[test]
fn mutant_no_dependency_sync() {
    fails(POWER_DEPENDS, Mutant::NoDependencySync, 12);
}

#[test]
fn mutant_open_not_synced() {
    fails(POWER, Mutant::OpenNotSynced, 6);
}

#[test]
fn mutant_snap_not_synced() {
    fails(POWER, Mutant::SnapNotSynced, 14);
}

#[test]
fn mutant_content_not_synced() {
    fails(POWER, Mutant::ContentNotSynced, 15);
}

#[test]
fn mutant_inputs_not_synced() {
    fails(POWER_DEPENDS, Mutant::InputsNotSynced, 16);
}
