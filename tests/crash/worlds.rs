//! Seeded worlds: run, in parallel if there are many, and shrunk if they fail.

use crate::machine::{Inside, Machine};
use crate::shrink::{Kept, all, chosen, shrink};
use crate::steps::{Step, Weather, steps};
use crdt_palace::fs::sim::{Call, Event, Events, Failure};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

/// How many worlds each of the seeded tests makes.
const SEEDS: u64 = 300;

/// What worlds met.
#[derive(Clone, Debug, Default)]
struct Met {
    events: Events,
    inside: Inside,
}

impl Met {
    fn add(&mut self, other: &Met) {
        self.events.add(&other.events);
        for (what, count) in &other.inside {
            *self.inside.entry(*what).or_default() += count;
        }
    }

    /// What a world like this is about, and did not meet.
    fn missing(&self, weather: Weather) -> Vec<String> {
        use Event::{BothNames, BytesDropped, BytesKept, BytesTorn, Failed};
        use Event::{NameDropped, NameKept, RenameDropped, RenameKept};
        let mut wanted = vec![BytesDropped, BytesKept, BytesTorn, NameDropped, NameKept];
        wanted.extend([RenameDropped, RenameKept, BothNames]);
        if weather.faults {
            for failure in [Failure::Io, Failure::NoSpace, Failure::Short] {
                wanted.push(Failed(Call::Write, failure));
            }
            for call in [Call::Create, Call::Sync, Call::SyncDir, Call::Rename] {
                wanted.extend([Failed(call, Failure::Io), Failed(call, Failure::NoSpace)]);
            }
            for call in [Call::Open, Call::Read, Call::List, Call::Stat] {
                wanted.push(Failed(call, Failure::Io));
            }
            wanted.push(Failed(Call::Open, Failure::NoHandle));
        }
        let mut inside = vec![("write", "write"), ("write", "compact"), ("compact", "write")];
        inside.extend([("compact", "compact"), ("compact", "kill"), ("write", "kill")]);
        if weather.lying_locks {
            inside.extend([("write", "seal somebody"), ("compact", "seal somebody")]);
        }
        if weather.restores {
            inside.extend([("write", "restore"), ("compact", "restore")]);
        }
        let unseen = wanted.into_iter().filter(|event| self.events.of(*event) == 0);
        let apart = inside.into_iter().filter(|pair| !self.inside.contains_key(pair));
        let apart = apart.map(|(outer, inner)| format!("{inner} inside {outer}"));
        unseen.map(|event| format!("{event:?}")).chain(apart).collect()
    }
}

/// Everything up to the last power cut, and, in one world of four, a life after it.
fn play(seed: u64, weather: Weather, broken: Option<Call>, steps: &[Step]) -> Met {
    let machine = Machine::new(seed, weather, broken);
    for step in steps {
        machine.step(step);
    }
    machine.power_cut(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    if seed.is_multiple_of(4) {
        machine.go_on();
    }
    Met { events: machine.disk.events(), inside: machine.inside() }
}

/// Why a world failed.
#[derive(Clone, Debug)]
struct Fault {
    what: String,
    /// The line of the check: the same failure fails there.
    place: String,
}

thread_local! {
    /// Where a panic of this thread is noted instead of being printed.
    static NOTED: RefCell<Option<Option<Fault>>> = const { RefCell::new(None) };
}

/// Runs it, and gives its panic, if there is one, without a word on the terminal.
fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, Fault> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            let place = panic.location().map_or_else(String::new, Location::to_string);
            let said = panic.payload();
            let text = said.downcast_ref::<String>().map(String::as_str);
            let what = text.or_else(|| said.downcast_ref::<&str>().copied());
            let what = what.unwrap_or("a panic").to_owned();
            let noted = NOTED.with_borrow_mut(|noted| {
                // The first one counts: others may follow from it.
                noted.as_mut().map(|first| first.get_or_insert(Fault { what, place }).what.len())
            });
            if noted.is_none() {
                print(panic);
            }
        }));
    });
    let before = NOTED.replace(Some(None));
    let result = catch_unwind(AssertUnwindSafe(run));
    let noted = NOTED.replace(before).flatten();
    result.map_err(|_| noted.unwrap_or(Fault { what: "a panic".to_owned(), place: String::new() }))
}

/// One seed of one kind of worlds.
#[derive(Clone, Copy)]
struct World {
    seed: u64,
    weather: Weather,
    broken: Option<Call>,
}

impl World {
    fn steps(&self) -> Vec<Step> {
        steps(self.seed, self.weather)
    }

    fn play(&self, kept: &[Kept]) -> Met {
        play(self.seed, self.weather, self.broken, &chosen(&self.steps(), kept))
    }

    fn attempt(&self, kept: &[Kept]) -> Result<Met, Fault> {
        quietly(|| self.play(kept))
    }

    /// As few steps as it takes to fail in the same place.
    fn shrunk(&self, fault: &Fault) -> Vec<Kept> {
        let same =
            |kept: &[Kept]| self.attempt(kept).is_err_and(|found| found.place == fault.place);
        shrink(all(self.steps().len()), same)
    }

    /// For a person: what fails, the steps, and how to see it again.
    fn report(&self, test: &str, fault: &Fault) -> String {
        let kept = self.shrunk(fault);
        let count = self.steps().len();
        let Fault { what, place } = fault;
        let mut lines = vec![
            format!("seed {} fails at {place}: {what}", self.seed),
            format!("{} of its {count} steps are enough:", kept.len()),
        ];
        let named = kept.iter().zip(chosen(&self.steps(), &kept));
        lines.extend(named.map(|(kept, step)| format!("  {kept}: {step}")));
        let list: Vec<String> = kept.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "replay: CRDT_PALACE_SEED={} CRDT_PALACE_STEPS={} CRDT_PALACE_TRACE=1 cargo test --test crash {test} \
             -- --nocapture",
            self.seed,
            list.join(",")
        ));
        lines.join("\n")
    }
}

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn parse(list: &str) -> Vec<Kept> {
    list.split(',').filter(|kept| !kept.is_empty()).map(|kept| kept.parse().unwrap()).collect()
}

/// Plays the worlds that the environment asks for, or some.
fn each_world(test: &str, weather: Weather) {
    let seed = number_from_env("CRDT_PALACE_SEED");
    let world = |seed| World { seed, weather, broken: None };
    if let (Some(seed), Ok(list)) = (seed, std::env::var("CRDT_PALACE_STEPS")) {
        world(seed).play(&parse(&list));
        return;
    }
    let default = if seed.is_some() { 1 } else { SEEDS };
    let count = number_from_env("CRDT_PALACE_SEEDS").unwrap_or(default);
    let first = seed.unwrap_or(1);
    let met = match play_all(test, first..first + count, world) {
        Ok(met) => met,
        Err((world, fault)) => panic!("{}", world.report(test, &fault)),
    };
    if count >= SEEDS {
        let missing = met.missing(weather);
        assert!(missing.is_empty(), "in {count} worlds there was no {missing:?}: {met:?}");
    }
    println!("{met:?}");
}

/// Plays them all on as many threads as there are processors, or on one if they are few; gives one that
/// fails, if any does.
fn play_all(
    test: &str,
    seeds: std::ops::Range<u64>,
    world: impl Fn(u64) -> World + Sync,
) -> Result<Met, (World, Fault)> {
    let many = seeds.end - seeds.start > SEEDS;
    let threads =
        if many { std::thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    let (next, failed, met) = (AtomicU64::new(seeds.start), Mutex::new(None), Mutex::default());
    let progress = Mutex::new(Progress::new(test, &seeds));
    let work = || {
        let mut seen = Met::default();
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= seeds.end {
                break;
            }
            match world(seed).attempt(&all(world(seed).steps().len())) {
                Ok(found) => seen.add(&found),
                Err(fault) => {
                    next.store(seeds.end, Relaxed);
                    *failed.lock().unwrap() = Some((world(seed), fault));
                }
            }
            progress.lock().unwrap().one_more(many);
        }
        let mut all: MutexGuard<'_, Met> = met.lock().unwrap();
        all.add(&seen);
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    progress.into_inner().unwrap().end(many);
    match failed.into_inner().unwrap() {
        Some(failure) => Err(failure),
        None => Ok(met.into_inner().unwrap()),
    }
}

/// How far a long run is, on standard error.
struct Progress {
    test: String,
    total: u64,
    done: u64,
    start: Instant,
    said: Instant,
}

impl Progress {
    fn new(test: &str, seeds: &std::ops::Range<u64>) -> Self {
        let (test, total, now) = (test.to_owned(), seeds.end - seeds.start, Instant::now());
        Progress { test, total, done: 0, start: now, said: now }
    }

    fn one_more(&mut self, said: bool) {
        self.done += 1;
        if said && self.said.elapsed() > Duration::from_secs(10) {
            self.said = Instant::now();
            self.end(true);
        }
    }

    fn end(&self, said: bool) {
        if said {
            let (Progress { test, total, done, .. }, seconds) =
                (self, self.start.elapsed().as_secs_f64());
            let rate = *done as f64 / seconds.max(0.001);
            eprintln!("{test}: {done} of {total} worlds in {seconds:.0} s, {rate:.0} a second");
        }
    }
}

/// The world of some seed that fails on a disk that does not make syncs of this kind.
fn failing(broken: Call) -> (World, Fault) {
    let world = |seed| World { seed, weather: QUIET, broken: Some(broken) };
    play_all("", 1..SEEDS, world).err().unwrap_or_else(|| panic!("{broken:?} is not missed"))
}

#[test]
fn failing_worlds_shrink_to_few_steps_that_fail_alike() {
    for broken in [Call::Sync, Call::SyncDir] {
        let (world, fault) = failing(broken);
        let report = world.report("seeded_faults", &fault);
        let (_, list) = report.split_once("CRDT_PALACE_STEPS=").unwrap();
        let (list, _) = list.split_once(' ').unwrap();
        let kept = parse(list);
        assert!(kept.len() <= 12, "{report}");
        assert_eq!(world.attempt(&kept).unwrap_err().place, fault.place, "{report}");
        assert!(report.contains(&format!("CRDT_PALACE_SEED={}", world.seed)), "{report}");
        for left_out in 0..kept.len() {
            let fewer = [&kept[..left_out], &kept[left_out + 1..]].concat();
            let found = world.attempt(&fewer);
            assert!(
                !found.is_err_and(|found| found.place == fault.place),
                "{report}: step {left_out} is not needed"
            );
        }
        println!("{report}");
    }
}

const QUIET: Weather =
    Weather { buffered: false, faults: false, lying_locks: false, restores: false };

#[test]
fn seeded_kills_and_power_cuts() {
    each_world("seeded_kills_and_power_cuts", QUIET);
}

#[test]
fn seeded_buffered_writes() {
    each_world("seeded_buffered_writes", Weather { buffered: true, ..QUIET });
}

#[test]
fn seeded_faults() {
    each_world("seeded_faults", Weather { faults: true, ..QUIET });
}

#[test]
fn seeded_faults_and_buffered_writes() {
    let weather = Weather { faults: true, buffered: true, ..QUIET };
    each_world("seeded_faults_and_buffered_writes", weather);
}

#[test]
fn seeded_locks_that_lie() {
    each_world("seeded_locks_that_lie", Weather { lying_locks: true, ..QUIET });
}

#[test]
fn seeded_restores() {
    each_world("seeded_restores", Weather { restores: true, ..QUIET });
}

#[test]
fn seeded_restores_and_buffered_writes() {
    let weather = Weather { restores: true, buffered: true, ..QUIET };
    each_world("seeded_restores_and_buffered_writes", weather);
}
