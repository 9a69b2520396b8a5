//! The steps of a world: a list that follows from the seed alone. Each entry is complete by itself, so that
//! any of them can be left out and the rest played again.

use crate::chance::Chance;
use crate::ledger::Effect;
use crdt_palace::fs::sim::{Call, Failure};
use crdt_palace::palace::compact::Extent;
use std::fmt::{Display, Formatter, Result};

/// How many processes there are at once, at most.
pub const SLOTS: usize = 3;

/// What may go wrong in a world, besides kills and power cuts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Some writes are buffered.
    pub buffered: bool,
    /// System calls fail, at times.
    pub faults: bool,
    /// Somebody seals segments of living processes, as if locks meant nothing.
    pub lying_locks: bool,
    /// Copies of the palace are made, and put back under living processes.
    pub restores: bool,
}

impl Act {
    /// In a word.
    pub fn name(&self) -> &'static str {
        match self {
            Act::Write { .. } => "write",
            Act::Read { .. } => "read",
            Act::Seal => "seal",
            Act::Sync => "sync",
            Act::Compact(_) => "compact",
            Act::Kill => "kill",
            Act::Close => "close",
            Act::Wait(_) => "wait",
            Act::Cut { .. } => "cut",
            Act::Fault { .. } => "fault",
            Act::SealSomebody => "seal somebody",
            Act::Copy => "copy",
            Act::Restore { .. } => "restore",
        }
    }
}

/// Something that a process does, or that happens to it or to the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The process, which is started if there is none in this slot.
    pub slot: usize,
    pub act: Act,
    /// Before that system call of it, counted from 1, something else happens.
    pub between: Option<(u64, Box<Step>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// One commit.
    Write {
        edits: Vec<Edit>,
        buffered: bool,
    },
    /// Compares a document with what was promised.
    Read {
        key: String,
    },
    Seal,
    Sync,
    Compact(Extent),
    Kill,
    Close,
    /// Time passes, in milliseconds.
    Wait(i64),
    /// The power fails after so many operations, and `survival` decides what is left.
    Cut {
        after: u64,
        survival: u64,
    },
    Fault {
        call: Call,
        nth: u64,
        failure: Failure,
    },
    /// A compactor for which locks mean nothing seals whatever is open.
    SealSomebody,
    /// A copy of the palace is made.
    Copy,
    /// The files go back to the last copy: as `rsync --delete` does it, or in place and without a deletion, as `cp` does.
    Restore {
        in_place: bool,
    },
}

/// A change of one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub key: String,
    pub effect: Effect,
    /// By writing the whole document again.
    pub put: bool,
}

impl Step {
    pub fn new(slot: usize, act: Act) -> Step {
        Step { slot, act, between: None }
    }

    /// A write of these documents, each in the way of its kind.
    pub fn write(slot: usize, keys: &[&str]) -> Step {
        let effect =
            |key: &str| if key.starts_with("count") { Effect::Add(3) } else { Effect::Field };
        let edit = |key: &&str| Edit { key: (*key).to_owned(), effect: effect(key), put: false };
        Step::new(slot, Act::Write { edits: keys.iter().map(edit).collect(), buffered: false })
    }
}

/// Everything that happens in the world of this seed, up to the last power cut.
pub fn steps(seed: u64, weather: Weather) -> Vec<Step> {
    let mut maker = Maker { chance: Chance::new(seed), weather };
    let count = 10 + maker.chance.below(40);
    (0..count).map(|_| maker.step(&[])).collect()
}

/// Two writes by each of two processes, and two more by the first.
pub fn last_writes(chance: &mut Chance, weather: Weather) -> Vec<Step> {
    let mut maker = Maker { chance: Chance::new(chance.next()), weather };
    let mut write = |slot, several| {
        Step::new(slot, if several { maker.write_several() } else { maker.write_one() })
    };
    [(0, false), (0, true), (1, false), (1, true), (0, false), (0, false)]
        .map(|(slot, several)| write(slot, several))
        .into()
}

struct Maker {
    chance: Chance,
    weather: Weather,
}

impl Maker {
    /// `busy`: the processes in whose calls it happens, which can do nothing now but be killed.
    fn step(&mut self, busy: &[usize]) -> Step {
        let slot = self.chance.below(SLOTS);
        let act = self.act(busy);
        if busy.contains(&slot) && act != Act::Kill {
            return self.step(busy);
        }
        let calls = matches!(
            act,
            Act::Write { .. }
                | Act::Read { .. }
                | Act::Seal
                | Act::Sync
                | Act::Compact(_)
                | Act::Close
        );
        let interrupted = calls && busy.len() + 1 < SLOTS && self.chance.one_in(4);
        let between = interrupted.then(|| {
            let most = self.chance.pick(&[8, 20, 60]);
            let nth = 1 + self.chance.below(most) as u64;
            let busy = [busy, &[slot][..]].concat();
            (nth, Box::new(self.step(&busy)))
        });
        Step { slot, act, between }
    }

    fn act(&mut self, busy: &[usize]) -> Act {
        match self.chance.below(40) {
            0..18 => self.write_one(),
            18..22 => self.write_several(),
            22..25 => self.read(),
            25..27 => Act::Seal,
            27..29 => Act::Sync,
            29..32 => Act::Compact(self.chance.pick(&[Extent::All, Extent::Due])),
            32..34 => Act::Kill,
            34 => Act::Close,
            35 => Act::Wait(self.chance.pick(&[1_000, 61_000, 61_000, 25 * 60 * 60 * 1_000])),
            36 if busy.is_empty() => self.cut(),
            37 | 38 if self.weather.faults => self.fault(),
            36..40 if self.weather.lying_locks => Act::SealSomebody,
            36 | 37 if self.weather.restores => Act::Copy,
            // A write in place between the check of a file and the next write to it leaves a gap there.
            38 | 39 if self.weather.restores => {
                Act::Restore { in_place: busy.is_empty() && self.chance.one_in(3) }
            }
            _ => self.read(),
        }
    }

    fn key(&mut self, kinds: &[&str]) -> String {
        format!("{}/{}", self.chance.pick(kinds), self.chance.below(2))
    }

    fn edit(&mut self, kinds: &[&str]) -> Edit {
        let key = self.key(kinds);
        let effect = match key.split_once('/').unwrap().0 {
            "count" => Effect::Add(1 + self.chance.below(9) as i64),
            "filed" => Effect::File,
            "del" if self.chance.one_in(3) => Effect::Delete,
            _ => Effect::Field,
        };
        Edit { key, effect, put: self.chance.one_in(3) }
    }

    fn write(&mut self, edits: Vec<Edit>) -> Act {
        Act::Write { edits, buffered: self.weather.buffered && self.chance.below(3) > 0 }
    }

    fn write_one(&mut self) -> Act {
        let edit = self.edit(&["shared", "shared", "count", "del", "filed", "more"]);
        self.write(vec![edit])
    }

    /// A batch, sometimes of a document whose other changes came from elsewhere.
    fn write_several(&mut self) -> Act {
        let mut edits = vec![self.edit(&["shared"]), self.edit(&["more", "del"])];
        if self.chance.one_in(2) {
            edits.push(self.edit(&["count"]));
        }
        self.write(edits)
    }

    fn read(&mut self) -> Act {
        Act::Read { key: self.key(&["shared", "count", "del", "filed", "more"]) }
    }

    fn cut(&mut self) -> Act {
        Act::Cut { after: 1 + self.chance.below(40) as u64, survival: self.chance.next() }
    }

    fn fault(&mut self) -> Act {
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
        // There are many more of them than of those that change something.
        let look = self.chance.one_in(2);
        let call = if look { self.chance.pick(&looks) } else { self.chance.pick(&calls) };
        let nth = 1 + self.chance.below(if look { 30 } else { 4 }) as u64;
        let failures = [Failure::Io, Failure::NoSpace, Failure::Short, Failure::NoHandle];
        Act::Fault { call, nth, failure: self.chance.pick(&failures) }
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let slot = self.slot;
        match &self.act {
            Act::Write { edits, buffered } => {
                let how = if *buffered { "buffered" } else { "durable" };
                write!(f, "{slot} writes, {how}:")?;
                for Edit { key, effect, put } in edits {
                    write!(f, " {key} {effect:?}{}", if *put { " (put)" } else { "" })?;
                }
            }
            Act::Read { key } => write!(f, "{slot} reads {key}")?,
            Act::Seal => write!(f, "{slot} seals")?,
            Act::Sync => write!(f, "{slot} syncs")?,
            Act::Compact(extent) => write!(f, "{slot} compacts {extent:?}")?,
            Act::Kill => write!(f, "{slot} is killed")?,
            Act::Close => write!(f, "{slot} ends")?,
            Act::Wait(ms) => write!(f, "{ms} ms pass")?,
            Act::Cut { after, survival } => {
                write!(f, "the power will fail after {after} operations (survival {survival})")?;
            }
            Act::Fault { call, nth, failure } => {
                write!(f, "{call:?} will fail with {failure:?}, the {nth}. from now")?;
            }
            Act::SealSomebody => write!(f, "somebody seals whatever is open")?,
            Act::Copy => write!(f, "somebody makes a copy")?,
            Act::Restore { in_place: false } => write!(f, "somebody restores the copy")?,
            Act::Restore { in_place: true } => {
                write!(f, "somebody copies the copy over the files")?
            }
        }
        match &self.between {
            None => Ok(()),
            Some((nth, step)) => write!(f, "; before its call {nth}: [{step}]"),
        }
    }
}
