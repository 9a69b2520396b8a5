//! A simulated machine with a few processes that share a palace, and what happens to it.
//!
//! Processes act one after the other, and also inside one another's system calls: before a call of one,
//! another does something as a whole. All on one thread, so that a world replays exactly.

use crate::between_calls::Plan;
use crate::chance::Chance;
use crate::copies::Copied;
use crate::files::{PALACE, open};
use crate::ledger::{Effect, Fate, Ledger, content};
use crate::steps::{Act, Edit, SLOTS, Step, Weather, last_writes};
use crate::support::object;
use crdt_palace::format::id::InstanceId;
use crdt_palace::format::key::Key;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, SimDisk, SimFs};
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::{Draft, Error, Palace, WriteOptions};
use crdt_palace::store::StoreError;
use crdt_palace::store::group_commit::Durability;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often something (the second) was done inside a call of something else (the first).
pub type Inside = BTreeMap<(&'static str, &'static str), u64>;

/// A process.
#[derive(Clone)]
struct Process {
    fs: SimFs,
    plan: Plan,
    palace: Palace,
    number: u64,
}

pub struct Machine {
    pub disk: SimDisk,
    seed: u64,
    weather: Weather,
    /// The machine says that it made syncs of this kind, and makes none.
    broken: Option<Call>,
    trace: bool,
    /// Locked for a look or a note only, never during a call: another process may act inside of it.
    world: Mutex<World>,
}

#[derive(Default)]
struct World {
    ledger: Ledger,
    processes: [Option<Process>; SLOTS],
    /// The number of operations after which there is no power, and what decides about what is left.
    stop: Option<(u64, u64)>,
    numbers: u64,
    /// No more faults.
    calm: bool,
    inside: Inside,
    /// The last copy of the palace, and what had been promised by then.
    copy: Option<(Copied, Ledger)>,
}

impl Machine {
    pub fn new(seed: u64, weather: Weather, broken: Option<Call>) -> Arc<Self> {
        let disk = SimDisk::new(seed);
        if seed % 4 == 3 {
            disk.rename_by_link();
        }
        let trace = std::env::var_os("CRDT_PALACE_TRACE").is_some();
        Arc::new(Machine { disk, seed, weather, broken, trace, world: Mutex::default() })
    }

    /// A world that failed an assertion is looked at no more.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ledger(&self) -> Ledger {
        self.world().ledger.clone()
    }

    pub fn inside(&self) -> Inside {
        self.world().inside.clone()
    }

    fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("[{}] {}", self.disk.operations(), what());
        }
    }

    fn number(&self) -> u64 {
        let mut world = self.world();
        world.numbers += 1;
        world.numbers
    }

    fn without_power(&self) -> bool {
        let stop = self.world().stop;
        stop.is_some_and(|(operations, _)| self.disk.operations() >= operations)
    }

    /// Something happens, after a power cut if the power has failed.
    pub fn step(self: &Arc<Self>, step: &Step) {
        let stop = self.world().stop;
        if let Some((_, survival)) = stop.filter(|_| self.without_power()) {
            self.power_cut(survival);
        }
        self.happen(step);
    }

    pub fn happen(self: &Arc<Self>, step: &Step) {
        self.note(|| step.to_string());
        match step.act {
            Act::Wait(ms) => self.disk.advance(ms),
            Act::Cut { after, survival } => {
                self.stop_after(self.disk.operations() + after, survival);
            }
            Act::Fault { call, nth, failure } => self.disk.fail_nth(call, nth, failure),
            Act::SealSomebody => self.seal_somebody(),
            Act::Copy => self.copy(),
            Act::Restore { in_place } => self.restore(in_place),
            Act::Kill => self.kill(step.slot),
            _ => self.act(step),
        }
    }

    /// What a process does.
    fn act(self: &Arc<Self>, step: &Step) {
        let Some(process) = self.process(step.slot) else { return };
        let (plan, instance) = (process.plan.clone(), process.palace.instance());
        if let Some((nth, inner)) = &step.between {
            let (machine, inner, outer) = (self.clone(), inner.clone(), step.act.name());
            plan.before(*nth, None, move || machine.interrupt(outer, &inner));
        }
        match &step.act {
            Act::Write { edits, buffered } => self.write(&process, edits, *buffered),
            Act::Read { key } => self.read(&process, key),
            Act::Seal => match process.palace.seal() {
                Ok(()) => {}
                Err(error) => self.allowed("sealing", &process, &error),
            },
            Act::Sync => match process.palace.sync() {
                Ok(()) => self.world().ledger.synced(process.number),
                Err(error) => self.allowed("syncing", &process, &error),
            },
            Act::Compact(extent) => self.compact(&process, *extent),
            _ => {
                self.close(step.slot, process);
                plan.end();
                return;
            }
        }
        plan.end();
        self.check_identity(&process, instance);
    }

    /// Where nothing went back, no process takes it for that.
    fn check_identity(&self, process: &Process, before: Option<InstanceId>) {
        let Weather { faults, lying_locks, restores, .. } = self.weather;
        let dead = self.without_power() || self.is_gone(process);
        if restores || faults || dead {
            return;
        }
        assert_eq!(process.palace.went_back(), None);
        let present = process.palace.instance();
        assert!(before.is_none() || before == present || lying_locks, "it began again");
    }

    /// Something happens before a system call of somebody else.
    fn interrupt(self: &Arc<Self>, outer: &'static str, step: &Step) {
        if !self.without_power() {
            *self.world().inside.entry((outer, step.act.name())).or_default() += 1;
            self.world().ledger.interleaved = true;
            // A write that ends here, without its acknowledgement, may wait for what is gone.
            self.world().ledger.holes |= matches!(step.act, Act::Restore { .. });
            self.note(|| "in between:".to_owned());
            self.happen(step);
        }
    }

    /// The process in this slot, which is started if need be and possible.
    fn process(&self, slot: usize) -> Option<Process> {
        let found = self.world().processes[slot].clone();
        if found.is_some() || self.without_power() {
            return found;
        }
        let fs = self.disk.process();
        let (interrupted, plan) = Plan::new(fs.clone());
        if let Some(call) = self.broken {
            plan.skip(call);
        }
        let number = self.number();
        match open(interrupted) {
            Ok(palace) => {
                self.note(|| format!("process {number} starts in slot {slot}"));
                let process = Process { fs, plan, palace, number };
                self.world().processes[slot] = Some(process.clone());
                Some(process)
            }
            Err(error) => {
                assert!(self.without_power() || self.may_fail(), "opening failed: {error:?}");
                None
            }
        }
    }

    fn may_fail(&self) -> bool {
        self.weather.faults && !self.world().calm
    }

    /// Whether it was killed in the meantime.
    fn is_gone(&self, process: &Process) -> bool {
        let world = self.world();
        !world.processes.iter().flatten().any(|known| known.number == process.number)
    }

    fn write(&self, process: &Process, edits: &[Edit], buffered: bool) {
        let durability = if buffered { Durability::Buffered } else { Durability::Durable };
        let call = self.number();
        let mut batch = process.palace.with(WriteOptions::new().durability(durability)).batch();
        for edit in edits.iter().cloned() {
            let key = Key::new(&edit.key).unwrap();
            batch.write(key.clone(), move |draft| apply(draft, &key, &edit, call));
        }
        let attempt = self.world().ledger.attempt(edits, call, process.number);
        let result = batch.commit();
        self.note(|| format!("{} call {call}: {result:?}", process.number));
        let fate = match &result {
            Ok(_) => Fate::Acknowledged(durability),
            Err(_) if self.without_power() || self.is_gone(process) => Fate::Unknown,
            Err(error) if self.may_fail() => fate_of(error),
            Err(error) => panic!("a write was refused: {error:?}"),
        };
        let outcomes = result.ok().map(|receipt| receipt.outcomes).unwrap_or_default();
        let etags = outcomes.into_iter().map(|outcome| outcome.etag);
        self.world().ledger.settle(attempt, fate, etags);
    }

    fn allowed(&self, what: &str, process: &Process, error: &Error) {
        // Buffered commits that went back are reported by the next sync.
        let back = |source: &StoreError| matches!(source, StoreError::WentBack { .. });
        let told =
            matches!(error, Error::Store(StoreError::OutcomeUnknown { source }) if back(source));
        if told && self.weather.restores {
            return;
        }
        let expected = self.without_power() || self.may_fail() || self.is_gone(process);
        assert!(expected, "{what} failed: {error:?}");
        self.note(|| format!("{what} failed: {error}"));
    }

    fn read(&self, process: &Process, key: &str) {
        let promised = self.ledger();
        let found = process.palace.get(key);
        let history = process.palace.history(key);
        match found.and_then(|found| Ok((found, history?))) {
            Ok((found, history)) => {
                promised.with_later(&self.ledger()).compare(key, found, &history);
            }
            Err(error) => self.allowed("reading", process, &error),
        }
    }

    fn compact(&self, process: &Process, extent: Extent) {
        let result = process.palace.compact(CompactOptions::new().extent(extent));
        self.note(|| format!("{result:?}"));
        match result {
            Ok(_) => {}
            // Another one is at it, or was, just now.
            Err(Error::Store(StoreError::Busy { .. })) if self.world().ledger.interleaved => {}
            Err(error) => self.allowed("compaction", process, &error),
        }
    }

    fn kill(&self, slot: usize) {
        let process = self.world().processes[slot].take();
        if let Some(process) = process {
            process.fs.kill();
        }
    }

    /// The process ends; what it does then happens as its last handle goes.
    fn close(&self, slot: usize, process: Process) {
        self.world().processes[slot] = None;
        drop(process);
    }

    pub fn stop_after(&self, stop: u64, survival: u64) {
        self.world().stop = Some((stop, survival));
        self.disk.stop_after(stop);
    }

    /// A compactor for which locks mean nothing seals whatever is open.
    fn seal_somebody(&self) {
        if self.without_power() {
            return;
        }
        let fs = self.disk.process();
        let open = Path::new(PALACE).join("open");
        for name in fs.list(&open).unwrap_or_default() {
            let sealed = Path::new(PALACE).join("sealed").join(&name);
            if let Err(error) = fs.rename(&open.join(&name), &sealed) {
                self.note(|| format!("{name} stays: {error}"));
            }
        }
    }

    fn copy(&self) {
        if self.without_power() {
            return;
        }
        let (copied, promised) = (Copied::of(&self.disk), self.ledger());
        self.world().copy = copied.map(|copied| (copied, promised));
    }

    /// What was promised since the copy may be gone, and what was promised before is not.
    fn restore(&self, in_place: bool) {
        // The power would fail in the middle of it.
        if self.world().stop.is_some() {
            return;
        }
        let copy = self.world().copy.clone();
        let Some((copied, promised)) = copy else { return };
        copied.put_back(&self.disk, in_place);
        self.world().ledger.restored(&promised, in_place);
    }

    /// The power fails, and comes back: what was promised is there.
    pub fn power_cut(&self, survival: u64) {
        self.note(|| format!("the power fails, survival {survival}"));
        self.disk.heal();
        self.disk.power_cut(survival);
        let processes = {
            let mut world = self.world();
            world.stop = None;
            world.ledger.power_cut();
            std::mem::take(&mut world.processes)
        };
        drop(processes);
        self.check(survival.is_multiple_of(3));
    }

    /// A fresh process finds what was promised, or the files are sound: either look costs as much as
    /// everything that happened, and what the one would find shows in the other of some other run.
    fn check(&self, files: bool) {
        let ledger = self.ledger();
        if files {
            ledger.check_disk(&self.disk);
        } else {
            ledger.check(&open(self.disk.process()).unwrap());
        }
    }

    /// Life goes on: some writes, and everything is compacted, twice.
    pub fn go_on(self: &Arc<Self>) {
        self.disk.heal();
        self.world().calm = true;
        let mut chance = Chance::new(!self.seed);
        let mut writes = last_writes(&mut chance, self.weather).into_iter();
        writes.by_ref().take(4).for_each(|write| self.happen(&write));
        self.happen(&Step::new(1, Act::Close));
        for write in writes {
            let process = self.process(0).unwrap();
            let all = CompactOptions::new().all();
            let report = process.palace.compact(all).unwrap();
            assert!(report.skipped.is_empty(), "{report:?}");
            // A copy in open/ of what stands in sealed/ is sealed by the next compaction.
            assert!(report.left_open.is_empty() || self.ledger().holes, "{report:?}");
            match chance.below(4) {
                0 | 1 => self.ledger().check(&process.palace),
                n => self.check(n == 2),
            }
            self.disk.advance(61_000);
            self.happen(&write);
        }
        self.power_cut(chance.next());
    }
}

fn fate_of(error: &Error) -> Fate {
    match error {
        Error::Store(StoreError::OutcomeUnknown { .. }) => Fate::Unknown,
        _ => Fate::Refused,
    }
}

fn apply(
    draft: &mut Draft<'_>,
    key: &Key,
    edit: &Edit,
    call: u64,
) -> Result<(), crdt_palace::merge::MergeError> {
    match edit.effect {
        Effect::Field if edit.put && draft.exists() => {
            let mut value = draft.view()?.value;
            value.insert(format!("w{call}"), json!(call));
            draft.put(&value)
        }
        Effect::Field => draft.patch(&object(json!({ format!("w{call}"): call }))),
        Effect::Add(by) => draft.increment(&["n"], by),
        Effect::File => draft.file(key, &content(key.as_str())),
        Effect::Delete => draft.delete(),
    }
}
