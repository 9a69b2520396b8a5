//! Interrupts a process between two of its system calls, each pair of calls in turn.

use crate::files::{PALACE, open, options};
use crate::support::object;
use crdt_palace::fs::name_events::NameEvents;
use crdt_palace::fs::sim::{Call, SimDisk, SimFs};
use crdt_palace::fs::{Directory, File, Fs, Host, Identity, Listed, LockOwner, Stat};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Error, Palace, StoreError};
use serde_json::json;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Calls that take nothing away. What happens between the last look of a compaction and the call that does is not noticed.
const LOOKS: [Call; 6] =
    [Call::List, Call::Open, Call::Read, Call::Stat, Call::Sync, Call::SyncDir];

/// Runs something that is disturbed before the `nth` call of a kind, for each of [`LOOKS`], until it says that there was
/// no such call.
pub fn before_each_look(context: &str, run: impl Fn(u64, Call) -> bool) {
    for call in LOOKS {
        let happens = |nth: &u64| {
            catch_unwind(AssertUnwindSafe(|| run(*nth, call)))
                .unwrap_or_else(|_| panic!("{call:?} {nth}, {context}"))
        };
        let calls = (1..).take_while(happens).count();
        assert!(calls > 0, "no {call:?}");
    }
}

type Action = Box<dyn FnOnce() + Send>;

/// What happens, and before which call.
#[derive(Clone)]
pub struct Plan(Arc<Mutex<Planned>>);

#[derive(Default)]
struct Planned {
    /// How many calls it is away.
    left: u64,
    /// Only these are counted.
    only: Option<Call>,
    action: Option<Action>,
    /// What happens before the next attempt to lock a file.
    locking: Option<Action>,
    /// Syncs of this kind are never made, and said to be.
    skipped: Option<Call>,
    /// How many times it let others go first.
    gave_way: u64,
    /// The palace's file system is not mounted.
    unmounted: bool,
    /// Every rename is one that refuses a taken name.
    never_replaces: bool,
    /// Reads of so many bytes show zeros.
    blanks: Option<usize>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plan")
    }
}

impl Plan {
    /// A process, and the plan for its calls: nothing, at first.
    pub fn new(inner: SimFs) -> (Interrupted, Plan) {
        let plan = Plan(Arc::default());
        (Interrupted { inner, plan: plan.clone() }, plan)
    }

    /// Before the `nth` call from now on, of this kind or of any.
    pub fn before(&self, nth: u64, only: Option<Call>, action: impl FnOnce() + Send + 'static) {
        let mut plan = self.0.lock().unwrap();
        (plan.left, plan.only) = (nth, only);
        plan.action = Some(Box::new(action));
    }

    /// Before the next attempt to lock a file, which is open by then.
    pub fn before_lock(&self, action: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().locking = Some(Box::new(action));
    }

    /// Before each of the next calls of this kind. They take so many that a process which never gives up
    /// goes on in the end.
    pub fn before_each(&self, call: Call, calls: u64, action: impl Fn() + Send + 'static) {
        let plan = self.clone();
        if calls > 0 {
            self.before(1, Some(call), move || {
                action();
                plan.before_each(call, calls - 1, action);
            });
        }
    }

    /// From now on syncs of this kind, of files or of directories, are not made.
    pub fn skip(&self, call: Call) {
        self.0.lock().unwrap().skipped = Some(call);
    }

    /// From now on each rename is made as one that refuses a taken name: by a link, where the disk knows no other.
    pub fn never_replace(&self) {
        self.0.lock().unwrap().never_replaces = true;
    }

    /// From now on reads of so many bytes show zeros, as if the disk could not make up its mind.
    pub fn blank(&self, bytes: Option<usize>) {
        self.0.lock().unwrap().blanks = bytes;
    }

    /// There is nothing at the palace's path, and what there is on the way to it is on another device; or it is back.
    pub fn unmount(&self, unmounted: bool) {
        self.0.lock().unwrap().unmounted = unmounted;
    }

    /// Whether the path leads to what is not mounted.
    fn look_up(&self, path: &Path) -> io::Result<bool> {
        match self.0.lock().unwrap().unmounted {
            true if path.starts_with(PALACE) => Err(io::ErrorKind::NotFound.into()),
            unmounted => Ok(unmounted),
        }
    }

    /// How many times the process let the machine's other threads go first.
    pub fn gave_way(&self) -> u64 {
        self.0.lock().unwrap().gave_way
    }

    fn skips(&self, call: Call) -> bool {
        self.0.lock().unwrap().skipped == Some(call)
    }

    /// Forgets the plan. Says whether it had happened.
    pub fn end(&self) -> bool {
        self.0.lock().unwrap().action.take().is_none()
    }

    fn tick(&self, call: Call) {
        let action = {
            let mut plan = self.0.lock().unwrap();
            if plan.only.is_none_or(|only| only == call) {
                plan.left = plan.left.wrapping_sub(1);
            }
            if plan.left == 0 { plan.action.take() } else { None }
        };
        if let Some(action) = action {
            crdt_palace::sync::apart(action);
        }
    }
}

/// A process in whose calls others act.
#[derive(Debug)]
pub struct Interrupted {
    inner: SimFs,
    plan: Plan,
}

#[derive(Debug)]
struct InterruptedFile {
    inner: Box<dyn File>,
    plan: Plan,
}

impl Interrupted {
    fn file(&self, inner: Box<dyn File>) -> Box<dyn File> {
        Box::new(InterruptedFile { inner, plan: self.plan.clone() })
    }
}

impl File for InterruptedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.plan.tick(Call::Read);
        match self.plan.0.lock().unwrap().blanks == Some(buffer.len()) {
            true => buffer.fill(0),
            false => return self.inner.read_at(buffer, offset),
        }
        Ok(buffer.len())
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.plan.tick(Call::Write);
        self.inner.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.plan.tick(Call::Sync);
        if self.plan.skips(Call::Sync) { Ok(()) } else { self.inner.sync() }
    }
    fn stat(&self) -> io::Result<Stat> {
        self.inner.stat()
    }
    fn try_lock(&self) -> io::Result<bool> {
        let action = self.plan.0.lock().unwrap().locking.take();
        action.into_iter().for_each(crdt_palace::sync::apart);
        self.inner.try_lock()
    }
    fn is_locked(&self) -> io::Result<bool> {
        self.inner.is_locked()
    }
    fn lock_owner(&self) -> io::Result<Option<LockOwner>> {
        self.inner.lock_owner()
    }
}

impl Fs for Interrupted {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.tick(Call::CreateDir);
        self.inner.create_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.plan.tick(Call::Create);
        Ok(self.file(self.inner.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.plan.tick(Call::Open);
        Ok(self.file(self.inner.open(path)?))
    }
    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.plan.tick(Call::Open);
        Ok(self.file(self.inner.open_lock(path)?))
    }
    fn write_note(&self, path: &Path, note: &[u8]) -> io::Result<()> {
        self.inner.write_note(path, note)
    }
    fn entries(&self, path: &Path) -> io::Result<Vec<Listed>> {
        self.plan.tick(Call::List);
        self.inner.entries(path)
    }
    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        self.inner.open_dir(path)
    }
    fn name_events(&self, directories: &[PathBuf]) -> io::Result<Option<NameEvents>> {
        self.inner.name_events(directories)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.plan.tick(Call::Stat);
        let elsewhere = self.plan.look_up(path)?;
        let stat = self.inner.stat(path)?;
        Ok(Stat { dev: stat.dev + u64::from(elsewhere), ..stat })
    }
    fn modified(&self, path: &Path) -> io::Result<(Stat, i64)> {
        self.plan.tick(Call::Stat);
        self.plan.look_up(path)?;
        self.inner.modified(path)
    }
    fn identity(&self, path: &Path) -> io::Result<Identity> {
        self.plan.tick(Call::Stat);
        self.plan.look_up(path)?;
        self.inner.identity(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.tick(Call::Rename);
        match self.plan.0.lock().unwrap().never_replaces {
            true => self.inner.rename_noreplace(from, to),
            false => self.inner.rename(from, to),
        }
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.tick(Call::Rename);
        self.inner.rename_noreplace(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.plan.tick(Call::Remove);
        self.inner.remove(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.tick(Call::SyncDir);
        if self.plan.skips(Call::SyncDir) { Ok(()) } else { self.inner.sync_dir(path) }
    }
    fn local_path(&self, path: &Path) -> Option<PathBuf> {
        self.inner.local_path(path)
    }
    fn fs_type(&self, path: &Path) -> io::Result<u64> {
        self.inner.fs_type(path)
    }
    fn owned(&self, path: &Path) -> io::Result<bool> {
        self.inner.owned(path)
    }
    fn is_mounted_read_only(&self, path: &Path) -> io::Result<bool> {
        self.inner.is_mounted_read_only(path)
    }
    fn yield_to_others(&self) {
        self.plan.0.lock().unwrap().gave_way += 1;
    }
    fn now_ms(&self) -> i64 {
        self.inner.now_ms()
    }
    fn random(&self) -> io::Result<[u8; 16]> {
        self.inner.random()
    }
    fn host(&self) -> Host {
        self.inner.host()
    }
}

fn set(palace: &Palace, field: &str) -> bool {
    let patch = object(json!({ field: true }));
    palace.patch("shared", &patch).is_ok()
}

fn compact(palace: &Palace) {
    let all = CompactOptions::new().all();
    // It is fine to find another compaction at work.
    drop(palace.compact(all));
}

/// As if the locks of the living meant nothing.
pub fn seal_all(fs: &SimFs) {
    let directory = |name| Path::new(PALACE).join(name);
    for name in fs.list(&directory("open")).unwrap() {
        fs.rename_noreplace(&directory("open").join(&name), &directory("sealed").join(&name))
            .unwrap();
    }
}

const SEAL: u32 = 1;
const COMPACT: u32 = 2;
const WRITE: u32 = 4;
const KILL: u32 = 8;

/// One process writes, or compacts, and before its `n`th call the rest happens. Says whether there was
/// such a call.
fn interrupt(seed: u64, compacts: bool, n: u64, what: u32) -> bool {
    let disk = SimDisk::new(seed);
    let (one, other) = (disk.process(), disk.process());
    let (interrupted, plan) = Plan::new(one.clone());
    let palace = open(interrupted).unwrap();
    let second = open(other.clone()).unwrap();
    assert!(set(&palace, "first") && set(&second, "second"));
    let written = Arc::new(Mutex::new(false));
    let (witness, actor) = (written.clone(), second.clone());
    let action = move || {
        if what & SEAL != 0 {
            seal_all(&other);
        }
        if what & COMPACT != 0 {
            compact(&actor);
        }
        if what & WRITE != 0 {
            *witness.lock().unwrap() = set(&actor, "between");
        }
        if what & KILL != 0 {
            one.kill();
        }
    };
    plan.before(n, None, action);
    let mut promised = vec!["first", "second"];
    if compacts {
        compact(&palace);
    } else if set(&palace, "third") {
        promised.push("third");
    }
    let happened = plan.end();
    if *written.lock().unwrap() {
        promised.push("between");
    } else {
        assert!(!happened || what & WRITE == 0, "a write was refused");
    }
    let check = |palace: &Palace, who: &str| {
        let value = palace.get("shared").unwrap().unwrap().value;
        for field in &promised {
            assert!(value.contains_key(*field), "{who}: {field} is lost: {value:?}");
        }
    };
    check(&second, "the other process");
    if what & KILL == 0 {
        check(&palace, "the process itself");
    }
    compact(&second);
    check(&open(disk.process()).unwrap(), "a fresh process");
    disk.power_cut(seed * 1_000 + n);
    check(&open(disk.process()).unwrap(), "after a power cut");
    happened
}

#[test]
fn writers_and_compactors_survive_a_change_before_any_call() {
    for compacts in [false, true] {
        let write = [WRITE, COMPACT | WRITE, WRITE | KILL];
        let sealed = [SEAL | COMPACT, SEAL | WRITE, SEAL | COMPACT | WRITE | KILL];
        for what in write.into_iter().chain(sealed) {
            let mut n = 1;
            let run = |n| interrupt(n % 7, compacts, n, what);
            let named = |n| {
                std::panic::catch_unwind(|| run(n))
                    .unwrap_or_else(|_| panic!("compacts: {compacts}, {what:04b} before call {n}"))
            };
            while named(n) {
                n += 1;
            }
            assert!(n > 5, "only {n} calls");
        }
    }
}

/// Found by real processes that were started at the same moment: one that opened the directory just when
/// another made the palace was told that it is none.
#[test]
fn palaces_created_during_an_open_are_opened() {
    for read_only in [false, true] {
        let mut n = 1;
        loop {
            let disk = SimDisk::new(n);
            let (interrupted, plan) = Plan::new(disk.process());
            let other = disk.process();
            plan.before(n, None, move || assert!(set(&open(other).unwrap(), "first")));
            let options = options(interrupted);
            let opened = if read_only { options.read_only() } else { options }.open(PALACE);
            let happened = plan.end();
            match opened {
                Ok(palace) if happened => {
                    let found = palace.get("shared").unwrap().unwrap();
                    assert_eq!(found.value["first"], true, "before call {n}");
                }
                Ok(_) => assert!(!read_only),
                // It was not there when it was looked for.
                Err(Error::Store(StoreError::NoPalace { .. })) if read_only => {}
                Err(error) => panic!("before call {n}, read-only {read_only}: {error}"),
            }
            if !happened {
                break;
            }
            n += 1;
        }
        assert!(n > 2, "only {n} calls");
    }
}
