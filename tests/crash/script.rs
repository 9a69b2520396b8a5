//! One short script, cut off at every single operation.

use crate::ledger::Ledger;
use crate::machine::{Machine, Weather, open};
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::palace::compact::Extent;

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// Two processes create a palace, build on one another, seal, compact, and compact again when the first
/// snapshot may be retired.
fn script(machine: &mut Machine) {
    machine.start(0);
    machine.write(0, &keys(&["shared/0"]));
    machine.start(1);
    machine.write(1, &keys(&["shared/0", "more/0"]));
    machine.write(0, &keys(&["shared/0"]));
    machine.seal(0);
    machine.compact_as(1, Extent::All);
    machine.write(1, &keys(&["shared/0"]));
    machine.write(0, &keys(&["count/0", "shared/0"]));
    machine.kill(0);
    machine.compact_as(1, Extent::All);
    machine.disk.advance(61_000);
    machine.write(1, &keys(&["count/0"]));
    machine.compact_as(1, Extent::All);
    machine.disk.advance(25 * 60 * 60 * 1_000);
    machine.write(1, &keys(&["shared/0"]));
    machine.compact_as(1, Extent::All);
    machine.write(1, &keys(&["shared/0"]));
    machine.close(1);
}

fn check(disk: &SimDisk, mut ledger: Ledger, survival: u64) {
    disk.power_cut(survival);
    ledger.power_cut();
    let palace = open(disk.process()).unwrap();
    ledger.check(&palace);
    ledger.check_disk(disk);
}

#[test]
fn a_power_cut_after_every_operation_of_a_script() {
    let mut whole = Machine::new(1, Weather::default());
    script(&mut whole);
    let operations = whole.disk.operations();
    assert!(operations > 100, "{operations}");
    for stop in 1..=operations {
        let mut machine = Machine::new(1, Weather::default());
        machine.stop_after(stop);
        script(&mut machine);
        for survival in 0..4 {
            let context = || panic!("stopped after operation {stop}, survival {survival}");
            let ledger = machine.ledger.clone();
            let disk = machine.disk.fork();
            let run = std::panic::AssertUnwindSafe(|| check(&disk, ledger, stop * 100 + survival));
            std::panic::catch_unwind(run).unwrap_or_else(|_| context());
        }
    }
}
