//! The state of the model: files, processes, and what was acknowledged.

/// A set of records, one bit each.
pub type Records = u8;
/// A set of files, one bit each.
pub type Files = u8;
/// A file that does not exist.
pub const NONE: u8 = u8::MAX;
/// How many files there can be in one run; reaching the bound is a panic, never a silent cut.
pub const FILES: usize = 8;
/// How many records there can be.
pub const RECORDS: usize = 3;

/// Where a file is. A segment goes Nowhere, Open, Sealed, Trash; a snapshot Nowhere, Snap, Trash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Place {
    /// In tmp/, or not made yet.
    #[default]
    Nowhere,
    Open,
    Sealed,
    Snap,
    /// In trash/ or purged: nobody reads it.
    Trash,
}

/// One file, as processes see it and as the disk has it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct File {
    pub at: Place,
    /// The place that is on disk. A power cut leaves the file here, at `at`, or anywhere between.
    pub sure: Place,
    /// The records in it. A snapshot's never change.
    pub has: Records,
    /// Those that were synced.
    pub synced: Records,
    /// A later record of its writer says that the first one is certain.
    pub told: bool,
    /// The snapshots that this snapshot replaces.
    pub covers: Files,
    pub snapshot: bool,
}

impl File {
    pub fn visible(&self) -> bool {
        matches!(self.at, Place::Open | Place::Sealed | Place::Snap)
    }

    /// fdatasync.
    pub fn sync(&mut self) {
        self.synced = self.has;
    }

    /// Rename from open/ to sealed/, unless somebody else did it.
    pub fn seal(&mut self, power: bool) {
        if self.at == Place::Open {
            self.at = Place::Sealed;
            self.sure = if power { self.sure } else { Place::Sealed };
        }
    }

    /// What every power cut leaves readable.
    pub fn certain(&self) -> Records {
        if self.visible() && self.sure != Place::Nowhere { self.synced } else { 0 }
    }
}

/// What a writer does next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum WriterAt {
    #[default]
    Begin,
    CheckDependency,
    Create,
    SyncOpen,
    Append,
    Sync,
    SyncDependency,
    CheckName,
    Ack,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Writer {
    pub at: WriterAt,
    /// The segment it appends to.
    pub own: u8,
    /// How many records it is done with, acknowledged or given up by a crash.
    pub done: u8,
    /// What it appends: its record, and records of others that it carries along.
    pub batch: Records,
    /// The foreign segment that it read a dependency from.
    pub dependency: u8,
}

impl Writer {
    pub const IDLE: Writer =
        Writer { at: WriterAt::Begin, own: NONE, done: 0, batch: 0, dependency: NONE };
}

/// What a compactor does next.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum CompactorAt {
    #[default]
    Idle,
    ListSealed,
    ListSnap,
    Read,
    SyncInputs,
    Publish,
    SyncSnap,
    Retire,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Compactor {
    pub at: CompactorAt,
    pub inputs: Files,
    /// Inputs that are still to be read.
    pub left: Files,
    /// What it read.
    pub has: Records,
    /// What it will move to trash/ at the end.
    pub retire: Files,
}

/// What the loader does next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum LoaderAt {
    #[default]
    NotStarted,
    List,
    Open,
    Finished,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Loader {
    pub at: LoaderAt,
    /// The position in its order of directories.
    pub stage: u8,
    /// Listed and not opened yet.
    pub left: Files,
    pub got: Records,
    /// What was acknowledged when it started, with dependencies. When finished: what it missed.
    pub must: Records,
}

/// Everything. Processes of one kind are interchangeable; compactors are kept sorted, busy ones first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State {
    pub files: [File; FILES],
    pub used: u8,
    pub writers: [Writer; 2],
    pub compactors: [Compactor; 2],
    pub loader: Loader,
    pub acked: Records,
    /// What each record depends on.
    pub needs: [Records; RECORDS],
    /// Compactions that may still start.
    pub runs: u8,
    /// Power cuts that may still happen.
    pub cuts: u8,
    /// Times that a file may still go back.
    pub backs: u8,
}

impl State {
    pub fn new(runs: u8, cuts: u8, backs: u8) -> State {
        State {
            files: [File::default(); FILES],
            used: 0,
            writers: [Writer::IDLE; 2],
            compactors: [Compactor::default(); 2],
            loader: Loader::default(),
            acked: 0,
            needs: [0; RECORDS],
            runs,
            cuts,
            backs,
        }
    }

    /// The records that are in a file whose successor will hold them too.
    pub fn safe(&self) -> Records {
        self.files.iter().fold(0, |all, file| match file.at {
            Place::Open | Place::Snap => all | file.has,
            Place::Sealed if file.told => all | (file.has & 1),
            _ => all,
        })
    }

    /// The acknowledged records and all that they depend on.
    pub fn owed(&self) -> Records {
        let needs = |record| if self.acked >> record & 1 == 1 { self.needs[record] } else { 0 };
        (0..RECORDS).fold(self.acked, |all, record| all | needs(record))
    }

    /// The files at one place.
    pub fn listing(&self, place: Place) -> Files {
        self.select(|file| file.at == place)
    }

    pub fn select(&self, wanted: impl Fn(&File) -> bool) -> Files {
        let used = &self.files[..self.used as usize];
        used.iter().enumerate().fold(0, |set, (i, file)| set | u8::from(wanted(file)) << i)
    }

    pub fn file(&mut self, index: u8) -> &mut File {
        &mut self.files[index as usize]
    }

    /// A file that nobody has used before: names are never reused.
    pub fn create(&mut self, file: File) -> u8 {
        assert!((self.used as usize) < FILES, "the bound on files is too small for this model");
        self.files[self.used as usize] = file;
        self.used += 1;
        self.used - 1
    }

    /// Sync of open/: it covers what came into it and what left it for sealed/.
    pub fn sync_open(&mut self) {
        for file in self.files.iter_mut().filter(|file| !file.snapshot) {
            file.sure = file.sure.max(file.at.min(Place::Sealed));
        }
    }

    /// Sync of snap/: it covers what came into it and what left it.
    pub fn sync_snap(&mut self) {
        for index in members(self.select(|file| file.snapshot)) {
            let file = self.file(index);
            file.sure = file.at;
            if file.at == Place::Trash {
                self.forget(index);
            }
        }
    }

    /// Rename to trash/.
    pub fn trash(&mut self, index: u8, power: bool) {
        self.file(index).at = Place::Trash;
        if !power {
            self.forget(index);
        }
    }

    /// A file that nobody will read again is not told apart from others.
    fn forget(&mut self, index: u8) {
        *self.file(index) = File { at: Place::Trash, sure: Place::Trash, ..File::default() };
        for file in &mut self.files {
            file.covers &= !(1 << index);
        }
    }

    /// The same state, with interchangeable processes in one order.
    pub fn canonical(mut self) -> State {
        if self.compactors[0] < self.compactors[1] {
            self.compactors.swap(0, 1);
        }
        self
    }

    /// The state as integers: what is hashed.
    fn words(&self) -> [u64; 6] {
        let mut words = [0; 6];
        for (i, f) in self.files.iter().enumerate() {
            let places = u64::from(f.at as u8) | u64::from(f.sure as u8) << 3;
            let file = places
                | u64::from(f.has) << 6
                | u64::from(f.synced) << 9
                | u64::from(f.covers) << 12
                | u64::from(f.snapshot) << 20;
            words[i / 3] |= file << (21 * (i % 3));
            words[2] |= u64::from(f.told) << (56 + i);
        }
        for (i, w) in self.writers.iter().enumerate() {
            let bytes = [w.at as u8, w.own, w.done, w.batch << 4 | (w.dependency & 15)];
            words[3] |= u64::from(u32::from_le_bytes(bytes)) << (32 * i);
        }
        for (i, c) in self.compactors.iter().enumerate() {
            let bytes = [c.at as u8 | c.has << 4, c.inputs, c.left, c.retire];
            words[4] |= u64::from(u32::from_le_bytes(bytes)) << (32 * i);
        }
        let l = &self.loader;
        let needs = self.needs.iter().fold(0, |all, &needs| all << 3 | u64::from(needs));
        let bytes = [l.at as u8 | l.stage << 4, l.left, l.got | l.must << 4, self.acked];
        words[5] = u64::from(u32::from_le_bytes(bytes))
            | needs << 32
            | u64::from(self.runs) << 48
            | u64::from(self.cuts) << 56
            | u64::from(self.backs) << 60;
        words
    }
}

impl std::hash::Hash for State {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        for word in self.words() {
            hasher.write_u64(word);
        }
    }
}

/// The members of a set of files.
pub fn members(set: Files) -> impl Iterator<Item = u8> {
    (0..8).filter(move |i| set >> i & 1 == 1)
}
