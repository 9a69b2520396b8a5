//! A simulated machine with a few processes that share a palace, and what may happen to it.

use crate::chance::Chance;
use crate::ledger::{Effect, Fate, Ledger, PALACE, Write, content, object};
use crdt_palace::format::hash::Etag;
use crdt_palace::format::key::Key;
use crdt_palace::fs::Fs;
use crdt_palace::fs::sim::{Call, Failure, SimDisk, SimFs};
use crdt_palace::palace::compact::{CompactOptions, Extent};
use crdt_palace::palace::{Draft, Error, Options, Palace, WriteOptions};
use crdt_palace::store::StoreError;
use crdt_palace::store::log::Durability;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// What may go wrong in a run, besides kills and power cuts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Some writes are buffered.
    pub buffered: bool,
    /// System calls fail, at times.
    pub faults: bool,
    /// Somebody seals segments of living processes, as if locks meant nothing.
    pub lying_locks: bool,
}

/// A process.
pub struct Process {
    pub fs: SimFs,
    pub palace: Palace,
    pub number: u64,
}

pub struct Machine {
    pub disk: SimDisk,
    pub chance: Chance,
    pub ledger: Ledger,
    pub weather: Weather,
    pub processes: [Option<Process>; 3],
    /// The number of operations after which there is no power.
    stop: Option<u64>,
    numbers: u64,
    trace: bool,
}

pub fn open(fs: SimFs) -> Result<Palace, Error> {
    Options::default().fs(Arc::new(fs)).auto_compact(false).open(PALACE)
}

impl Machine {
    pub fn new(seed: u64, weather: Weather) -> Self {
        Machine {
            disk: SimDisk::new(seed),
            chance: Chance::new(seed),
            ledger: Ledger::default(),
            weather,
            processes: [None, None, None],
            stop: None,
            numbers: 0,
            trace: std::env::var_os("CRDT_PALACE_TRACE").is_some(),
        }
    }

    fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("[{}] {}", self.disk.operations(), what());
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn without_power(&self) -> bool {
        self.stop.is_some_and(|stop| self.disk.operations() >= stop)
    }

    /// Something happens.
    pub fn step(&mut self) {
        if self.without_power() {
            self.power_cut();
        }
        let slot = self.chance.below(3);
        if self.processes[slot].is_none() {
            self.start(slot);
        }
        match self.chance.below(40) {
            0..18 => self.write_one(slot),
            18..22 => self.write_several(slot),
            22..25 => self.read(slot),
            25..27 => self.seal(slot),
            27..29 => self.sync(slot),
            29..32 => self.compact(slot),
            32..34 => self.kill(slot),
            34 => self.close(slot),
            35 => self.wait(),
            36 => self.plan_power_cut(),
            37 | 38 if self.weather.faults => self.plan_fault(),
            37..40 if self.weather.lying_locks => self.seal_somebody(),
            _ => self.read(slot),
        }
    }

    pub fn start(&mut self, slot: usize) {
        if self.without_power() {
            return;
        }
        let fs = self.disk.process();
        match open(fs.clone()) {
            Ok(palace) => {
                let number = self.number();
                self.note(|| format!("process {number} starts in slot {slot}"));
                self.processes[slot] = Some(Process { fs, palace, number });
            }
            Err(error) => self.allowed("opening", &error),
        }
    }

    fn key(&mut self, kinds: &[&str]) -> String {
        format!("{}/{}", self.chance.pick(kinds), self.chance.below(2))
    }

    fn write_one(&mut self, slot: usize) {
        let key = self.key(&["shared", "shared", "count", "del", "filed", "more"]);
        self.write(slot, &[key]);
    }

    /// A batch, sometimes of a document whose other changes came from elsewhere.
    fn write_several(&mut self, slot: usize) {
        let keys = [self.key(&["shared"]), self.key(&["more", "del"]), self.key(&["count"])];
        let count = 2 + self.chance.below(2);
        self.write(slot, &keys[..count]);
    }

    fn effect(&mut self, key: &str) -> Effect {
        match key.split_once('/').unwrap().0 {
            "count" => Effect::Add(1 + self.chance.below(9) as i64),
            "filed" => Effect::File,
            "del" if self.chance.one_in(3) => Effect::Delete,
            _ => Effect::Field(self.number()),
        }
    }

    fn durability(&mut self) -> Durability {
        match self.weather.buffered && self.chance.below(3) > 0 {
            true => Durability::Buffered,
            false => Durability::Durable,
        }
    }

    pub fn write(&mut self, slot: usize, keys: &[String]) {
        let durability = self.durability();
        let put = self.chance.one_in(3);
        let effects: Vec<(Key, Effect)> =
            keys.iter().map(|key| (Key::new(key).unwrap(), self.effect(key))).collect();
        let call = self.number();
        let Some(process) = &self.processes[slot] else { return };
        let mut batch = process.palace.batch();
        for (key, effect) in effects.clone() {
            batch.write(key.clone(), move |draft| apply(draft, &key, effect, put));
        }
        let number = process.number;
        let options = WriteOptions { durability, ..WriteOptions::default() };
        let result = batch.commit(&options);
        self.note(|| format!("{number} call {call} {effects:?} {durability:?}: {result:?}"));
        let fate = match &result {
            Ok(_) => Fate::Acknowledged(durability),
            Err(_) if self.without_power() => Fate::Unknown,
            Err(error) if self.weather.faults => fate_of(error),
            Err(error) => panic!("a write was refused: {error:?}"),
        };
        let mut etags = result.ok().map(|receipt| receipt.outcomes).unwrap_or_default().into_iter();
        for (key, effect) in effects {
            let etag: Option<Etag> = etags.next().map(|outcome| outcome.etag);
            let key = key.as_str().to_owned();
            self.ledger.writes.push(Write { key, effect, etag, fate, call, process: number });
        }
    }

    fn allowed(&self, what: &str, error: &Error) {
        let expected = self.without_power() || self.weather.faults;
        assert!(expected, "{what} failed: {error:?}");
        self.note(|| format!("{what} failed: {error}"));
    }

    fn read(&mut self, slot: usize) {
        if let (false, Some(process)) = (self.without_power(), &self.processes[slot]) {
            self.note(|| format!("{} reads", process.number));
            let keys: Vec<&str> = self.ledger.keys().into_iter().collect();
            if !keys.is_empty() {
                let key = keys[self.chance.below(keys.len())];
                if let Err(error) = self.ledger.check_document(&process.palace, key) {
                    self.allowed("reading", &error);
                }
            }
        }
    }

    pub fn seal(&mut self, slot: usize) {
        let Some(process) = &self.processes[slot] else { return };
        self.note(|| format!("{} seals", process.number));
        match process.palace.seal() {
            Ok(()) => {}
            Err(error) => self.allowed("sealing", &error),
        }
    }

    fn sync(&mut self, slot: usize) {
        let Some(process) = &self.processes[slot] else { return };
        self.note(|| format!("{} syncs", process.number));
        match process.palace.sync() {
            Ok(()) => self.ledger.synced(process.number),
            Err(error) => self.allowed("syncing", &error),
        }
    }

    fn compact(&mut self, slot: usize) {
        let extent = self.chance.pick(&[Extent::All, Extent::Due]);
        self.compact_as(slot, extent);
    }

    pub fn compact_as(&mut self, slot: usize, extent: Extent) {
        let Some(process) = &self.processes[slot] else { return };
        let result = process.palace.compact(CompactOptions { extent, ..CompactOptions::default() });
        self.note(|| format!("{} compacts {extent:?}: {result:?}", process.number));
        match result {
            Ok(_) => {}
            Err(error) => self.allowed("compaction", &error),
        }
    }

    pub fn kill(&mut self, slot: usize) {
        if let Some(process) = self.processes[slot].take() {
            self.note(|| format!("{} is killed", process.number));
            process.fs.kill();
        }
    }

    pub fn close(&mut self, slot: usize) {
        if let Some(process) = self.processes[slot].take() {
            self.note(|| format!("{} ends", process.number));
        }
    }

    fn wait(&mut self) {
        let ms = self.chance.pick(&[1_000, 61_000, 61_000, 25 * 60 * 60 * 1_000]);
        self.note(|| format!("{ms} ms pass"));
        self.disk.advance(ms);
    }

    fn plan_power_cut(&mut self) {
        let stop = self.disk.operations() + 1 + self.chance.below(40) as u64;
        self.stop_after(stop);
    }

    pub fn stop_after(&mut self, stop: u64) {
        self.note(|| format!("the power will fail at {stop}"));
        self.stop = Some(stop);
        self.disk.stop_after(stop);
    }

    fn plan_fault(&mut self) {
        let calls = [
            Call::Write,
            Call::Write,
            Call::Sync,
            Call::Sync,
            Call::Create,
            Call::Rename,
            Call::SyncDir,
            Call::Remove,
            Call::WriteNote,
            Call::CreateDir,
        ];
        let looks = [Call::Open, Call::Read, Call::List, Call::Stat];
        let failures = [Failure::Io, Failure::NoSpace, Failure::Short, Failure::NoHandle];
        // There are many more of them than of those that change something.
        let look = self.chance.one_in(2);
        let call = if look { self.chance.pick(&looks) } else { self.chance.pick(&calls) };
        let failure = self.chance.pick(&failures);
        let nth = 1 + self.chance.below(if look { 30 } else { 4 }) as u64;
        self.note(|| format!("{call:?} will fail in {nth} with {failure:?}"));
        self.disk.fail_nth(call, nth, failure);
    }

    /// A compactor for which locks mean nothing seals whatever is open.
    fn seal_somebody(&mut self) {
        if self.without_power() {
            return;
        }
        let fs = self.disk.process();
        let open = Path::new(PALACE).join("open");
        for name in fs.list(&open).unwrap_or_default() {
            self.note(|| format!("{name} is sealed by somebody"));
            let sealed = Path::new(PALACE).join("sealed").join(&name);
            if let Err(error) = fs.rename_noreplace(&open.join(&name), &sealed) {
                self.note(|| format!("no: {error}"));
            }
        }
    }

    /// The power fails, and comes back: what was promised is there.
    pub fn power_cut(&mut self) {
        self.disk.heal();
        let seed = self.chance.next();
        self.note(|| "the power fails".to_owned());
        self.disk.power_cut(seed);
        self.stop = None;
        self.processes = [None, None, None];
        self.ledger.power_cut();
        self.check();
    }

    /// A fresh process finds what was promised, or the files are sound: either look costs as much as
    /// everything that happened, and what the one would find shows in the other of some other run.
    pub fn check(&mut self) {
        if self.chance.one_in(3) {
            self.note(|| "check the disk".to_owned());
            self.ledger.check_disk(&self.disk);
        } else {
            self.note(|| "check".to_owned());
            let palace = open(self.disk.process()).unwrap();
            self.ledger.check(&palace);
        }
    }

    /// Life goes on: some writes, and everything is compacted, twice.
    pub fn go_on(&mut self) {
        self.weather.faults = false;
        self.weather.lying_locks = false;
        self.disk.heal();
        for slot in 0..2 {
            self.start(slot);
            self.write_one(slot);
            self.write_several(slot);
        }
        self.close(1);
        for _ in 0..2 {
            let process = self.processes[0].as_ref().unwrap();
            let all = CompactOptions { extent: Extent::All, ..CompactOptions::default() };
            let report = process.palace.compact(all).unwrap();
            self.note(|| format!("{report:?}"));
            assert!(report.skipped.is_empty(), "{report:?}");
            assert!(report.left_open.is_empty(), "{report:?}");
            if self.chance.one_in(2) {
                self.ledger.check(&process.palace);
            } else {
                self.check();
            }
            self.disk.advance(61_000);
            self.write_one(0);
        }
        self.power_cut();
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
    effect: Effect,
    put: bool,
) -> Result<(), crdt_palace::merge::MergeError> {
    match effect {
        Effect::Field(number) if put && draft.exists() => {
            let mut value = draft.view()?.value;
            value.insert(format!("w{number}"), json!(number));
            draft.put(&value)
        }
        Effect::Field(number) => draft.patch(&object(json!({ format!("w{number}"): number }))),
        Effect::Add(by) => draft.increment(&["n"], by),
        Effect::File => draft.file(key, &content(key.as_str())),
        Effect::Delete => draft.delete(),
    }
}
