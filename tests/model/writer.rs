//! A writer: append, sync, look for the name, acknowledge.

use crate::protocol::{Model, Mutant};
use crate::search::Next;
use crate::state::{File, NONE, Place, Records, State, Writer, WriterAt, members};

impl Model {
    pub fn writer(&self, state: &State, who: usize, next: &mut Next<State>) {
        let writer = state.writers[who];
        if writer.at == WriterAt::Begin {
            self.begin(state, who, next);
        } else {
            let mut after = *state;
            let what = self.proceed(&mut after, who);
            next.push(what, who, after);
        }
        if writer.at != WriterAt::Begin || writer.own != NONE {
            let mut after = *state;
            crash(&mut after.writers[who]);
            next.push("writer: crash", who, after);
        }
    }

    /// Between two records: start the next one, or close the segment.
    fn begin(&self, state: &State, who: usize, next: &mut Next<State>) {
        let own = state.writers[who].own;
        if self.rotate && own != NONE {
            let mut after = *state;
            after.file(own).seal(self.power);
            after.writers[who].own = NONE;
            next.push("writer: rotate", who, after);
        }
        if state.writers[who].done == self.records[who] {
            return;
        }
        let mut after = *state;
        let record = self.record(who, state);
        after.writers[who].batch = 1 << record;
        if self.depends && who == 1 {
            self.rescan(&after, record, next);
        }
        after.writers[who].at = ready(own);
        next.push("writer: new record", who, after);
    }

    /// Writer 1 finds record 0 in some file, and builds on it.
    fn rescan(&self, state: &State, record: usize, next: &mut Next<State>) {
        for file in members(state.select(|file| file.visible() && file.has & 1 == 1)) {
            let mut after = *state;
            after.needs[record] = 1;
            let writer = &mut after.writers[1];
            writer.at = ready(writer.own);
            if state.files[usize::from(file)].at != Place::Snap {
                writer.dependency = file;
                writer.at = WriterAt::CheckDependency;
            }
            next.push("writer: record that depends on record 0", 1, after);
        }
    }

    /// The one thing that a writer in the middle of a record can do.
    pub fn proceed(&self, state: &mut State, who: usize) -> &'static str {
        let mut writer = state.writers[who];
        let (own, dependency) = (usize::from(writer.own), usize::from(writer.dependency));
        let what = match writer.at {
            WriterAt::Begin => unreachable!("begin() has choices of its own"),
            WriterAt::CheckDependency => {
                // Sealed in between: a compactor may have read it before the record was there.
                let File { at, told, .. } = state.files[dependency];
                let sealed = at != Place::Open;
                if sealed && !told && !self.is(Mutant::NoDependencyCheck) {
                    writer.batch |= 1;
                }
                if sealed || told {
                    writer.dependency = NONE;
                }
                writer.at = ready(writer.own);
                "writer: check the name of the segment it depends on"
            }
            WriterAt::Create => {
                let sync = self.power && !self.is(Mutant::OpenNotSynced);
                let sure = if self.power { Place::Nowhere } else { Place::Open };
                let file = File { at: Place::Open, sure, ..File::default() };
                writer.own = state.create(file);
                writer.at = if sync { WriterAt::SyncOpen } else { WriterAt::Append };
                "writer: create a segment"
            }
            WriterAt::SyncOpen => {
                state.sync_open();
                writer.at = WriterAt::Append;
                "writer: sync open/"
            }
            WriterAt::Append => {
                self.append(&mut state.files[own], writer.batch);
                writer.at = self.after_append(&writer);
                "writer: append"
            }
            WriterAt::Sync => {
                state.files[own].sync();
                writer.at = self.after_sync(&writer);
                "writer: sync its segment"
            }
            WriterAt::SyncDependency => {
                state.files[dependency].sync();
                writer.at = WriterAt::CheckName;
                "writer: sync the segment it depends on"
            }
            WriterAt::CheckName => {
                let lost = self.lost_dependency(state, who);
                if !self.name_holds(state.files[own].at) || self.is_cut(&state.files[own], &writer)
                {
                    writer.batch |= lost;
                    writer.at = WriterAt::Create;
                    writer.own = NONE;
                } else if lost != 0 {
                    writer.batch |= lost;
                    writer.at = WriterAt::Append;
                } else {
                    writer.at = WriterAt::Ack;
                }
                "writer: check its name, its content and its basis"
            }
            WriterAt::Ack => {
                state.acked |= 1 << self.record(who, state);
                writer = Writer { own: writer.own, done: writer.done + 1, ..Writer::IDLE };
                "writer: acknowledge"
            }
        };
        state.writers[who] = writer;
        what
    }

    fn after_append(&self, writer: &Writer) -> WriterAt {
        match self.mutant {
            _ if !self.power => self.after_syncs(),
            Some(Mutant::AckBeforeSync) => self.after_sync(writer),
            _ => WriterAt::Sync,
        }
    }

    fn after_sync(&self, writer: &Writer) -> WriterAt {
        if writer.dependency != NONE && !self.is(Mutant::NoDependencySync) {
            WriterAt::SyncDependency
        } else {
            self.after_syncs()
        }
    }

    fn after_syncs(&self) -> WriterAt {
        if self.is(Mutant::NoNameCheck) { WriterAt::Ack } else { WriterAt::CheckName }
    }

    fn name_holds(&self, at: Place) -> bool {
        at == Place::Open || (self.is(Mutant::LinkCountCheck) && at == Place::Sealed)
    }

    /// What its record depends on and what is in no file: it remembers that, and writes it again.
    fn lost_dependency(&self, state: &State, who: usize) -> Records {
        if self.backs == 0 || self.is(Mutant::NoBasisCheck) {
            return 0;
        }
        state.needs[self.record(who, state)] & !state.safe()
    }

    /// Its file went back, with what it has just written.
    fn is_cut(&self, file: &File, writer: &Writer) -> bool {
        self.backs > 0 && !self.is(Mutant::NoContentCheck) && writer.batch & !file.has != 0
    }

    /// A file that nobody can see any more is not tracked.
    fn append(&self, file: &mut File, records: Records) {
        if file.at == Place::Trash && file.sure == Place::Trash {
            return;
        }
        // Its writer has found what was in it before in its place.
        file.told |= (file.has | if self.is(Mutant::ToldTooEarly) { records } else { 0 }) & 1 == 1;
        file.has |= records;
        if !self.power {
            file.sync();
        }
    }
}

/// A record needs a segment first.
fn ready(own: u8) -> WriterAt {
    if own == NONE { WriterAt::Create } else { WriterAt::Append }
}

/// The process dies; another one goes on with the next record, in a segment of its own.
pub fn crash(writer: &mut Writer) {
    let given_up = u8::from(writer.at != WriterAt::Begin);
    *writer = Writer { done: writer.done + given_up, ..Writer::IDLE };
}
