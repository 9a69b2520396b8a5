//! One short script, with a power cut after every single operation.

use crate::files::open;
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::steps::{Act, Step, Weather};
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::palace::compact::Extent;
use std::sync::Arc;

/// Two processes create a palace, build on one another, seal, compact, and compact again when the first
/// snapshot may be retired.
fn script(machine: &Arc<Machine>) {
    let compact = || Step::new(1, Act::Compact(Extent::All));
    let steps = [
        Step::write(0, &["shared/0"]),
        Step::write(1, &["shared/0", "more/0"]),
        Step::write(0, &["shared/0"]),
        Step::new(0, Act::Seal),
        compact(),
        Step::write(1, &["shared/0"]),
        Step::write(0, &["count/0", "shared/0"]),
        Step::new(0, Act::Kill),
        compact(),
        Step::new(1, Act::Wait(61_000)),
        Step::write(1, &["count/0"]),
        compact(),
        Step::new(1, Act::Wait(25 * 60 * 60 * 1_000)),
        Step::write(1, &["shared/0"]),
        compact(),
        Step::write(1, &["shared/0"]),
        Step::new(1, Act::Close),
    ];
    // Also without power: then nothing that is asked for happens.
    steps.iter().for_each(|step| machine.happen(step));
}

fn check(disk: &SimDisk, mut ledger: Ledger, survival: u64) {
    disk.power_cut(survival);
    ledger.power_cut();
    let palace = open(disk.process()).unwrap();
    ledger.check(&palace);
    ledger.check_disk(disk);
}

#[test]
fn power_cuts_after_every_operation_of_a_script_lose_nothing() {
    let whole = Machine::new(1, Weather::default(), None);
    script(&whole);
    let operations = whole.disk.operations();
    assert!(operations > 100, "{operations}");
    for stop in 1..=operations {
        let machine = Machine::new(1, Weather::default(), None);
        machine.stop_after(stop, 0);
        script(&machine);
        for survival in 0..4 {
            let context = || panic!("stopped after operation {stop}, survival {survival}");
            let ledger = machine.ledger();
            let disk = machine.disk.fork();
            let run = std::panic::AssertUnwindSafe(|| check(&disk, ledger, stop * 100 + survival));
            std::panic::catch_unwind(run).unwrap_or_else(|_| context());
        }
    }
}
