//! The protocol: what each process can do next, and what breaking it would look like.

use crate::search::Next;
use crate::state::{File, LoaderAt, Place, State};

/// One way to get the protocol wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A writer acknowledges without looking whether its segment still has its name in open/.
    NoNameCheck,
    /// It looks whether the file has any name (`st_nlink`) instead.
    LinkCountCheck,
    /// A compactor reads segments in open/ and retires them.
    FoldOpenSegment,
    /// A compactor retires its inputs and publishes then.
    DeleteBeforePublish,
    /// All snapshots have the same name: publishing replaces the previous one.
    OneSnapshotName,
    /// A loader lists snap/, open/, sealed/.
    SnapFirst,
    /// A loader lists sealed/, open/, snap/.
    SealedFirst,
    /// A loader that misses a file of its listing of snap/ does not list again.
    NoRelist,
    /// A writer builds on a record it read, without looking whether that segment still is in open/.
    NoDependencyCheck,
    /// A record says of itself that it is certain, before its writer looked for the name.
    ToldTooEarly,
    /// An acknowledgement before fdatasync.
    AckBeforeSync,
    /// A writer does not sync the foreign segment that its record depends on.
    NoDependencySync,
    /// A new segment is used before open/ is synced.
    OpenNotSynced,
    /// A compactor retires its inputs before snap/ is synced.
    SnapNotSynced,
    /// A snapshot gets its name before its bytes are synced.
    ContentNotSynced,
    /// A compactor does not sync the segments that it folds.
    InputsNotSynced,
    /// A writer does not look whether what its record depends on is still in some file.
    NoBasisCheck,
    /// A writer looks for its segment's name only, and not for what it wrote there.
    NoContentCheck,
    /// A compactor retires its inputs without a look whether the snapshot that holds them is still there.
    NoHolderCheck,
}

/// Who takes part, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Model {
    /// How many records each of the writers makes.
    pub records: [u8; 2],
    /// Writers close segments on their own, between records.
    pub rotate: bool,
    /// The second writer's record depends on the first one's, where it has seen that.
    pub depends: bool,
    /// How many compactions start.
    pub runs: u8,
    /// How many of them are at work at once, 1 or 2.
    pub compactors: usize,
    pub loading: bool,
    /// In the beginning, the first writer's first record is acknowledged, and in a snapshot only.
    pub folded: bool,
    /// Syncs are steps; the property is about what every power cut would leave.
    pub power: bool,
    /// How many power cuts happen, with everybody starting again afterwards.
    pub cuts: u8,
    /// How often a file goes back to an older state, or is deleted.
    pub backs: u8,
    pub mutant: Option<Mutant>,
}

impl Model {
    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The number of the record that a writer makes now.
    pub fn record(&self, who: usize, state: &State) -> usize {
        let before = if who == 0 { 0 } else { self.records[0] };
        usize::from(before + state.writers[who].done)
    }

    /// The state in the beginning.
    pub fn initial(&self) -> State {
        let mut state = State::new(self.runs, self.cuts, self.backs);
        if self.folded {
            let (at, snapshot) = (Place::Snap, true);
            state.create(File {
                at,
                sure: at,
                has: 1,
                synced: 1,
                told: false,
                covers: 0,
                snapshot,
            });
            state.writers[0].done = 1;
            state.acked = 1;
        }
        state
    }

    /// All that can happen next.
    pub fn steps(&self, state: &State, next: &mut Next<State>) {
        for who in 0..2 {
            self.writer(state, who, next);
        }
        for who in 0..self.compactors {
            self.compactor(state, who, next);
        }
        if self.loading {
            self.loader(state, next);
        }
        if state.cuts > 0 {
            Self::power_cut(state, next);
        }
        if state.backs > 0 {
            self.go_back(state, next);
        }
    }

    /// What is wrong with a state. Without power cuts, everything written is certain.
    pub fn broken(state: &State) -> Option<String> {
        let certain = state.files.iter().fold(0, |all, file| all | file.certain());
        let lost = state.owed() & !certain;
        if lost != 0 {
            return Some(format!("records {lost:#05b} are acknowledged and in no file"));
        }
        let missed = state.loader.must;
        (state.loader.at == LoaderAt::Finished && missed != 0)
            .then(|| format!("the loader missed records {missed:#05b}"))
    }
}
