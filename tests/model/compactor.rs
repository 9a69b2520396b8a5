//! A compactor: seal, fold, publish, retire.

use crate::protocol::{Model, Mutant};
use crate::search::Next;
use crate::state::{Compactor, CompactorAt, File, Place, State, members};

impl Model {
    pub fn compactor(&self, state: &State, who: usize, next: &mut Next<State>) {
        let compactor = state.compactors[who];
        // Two idle compactors are one choice.
        let twin = who == 1 && compactor == state.compactors[0];
        match compactor.at {
            CompactorAt::Idle if state.runs == 0 || twin => return,
            CompactorAt::Idle => return self.start(state, who, next),
            CompactorAt::ListSnap => self.list_snap(state, who, next),
            _ => {
                let mut after = *state;
                let what = self.compact(&mut after, who);
                next.push(what, who, after.canonical());
            }
        }
        let mut after = *state;
        after.compactors[who] = Compactor::default();
        next.push("compactor: crash", who, after.canonical());
    }

    /// No locks: any segment may be sealed, its writer alive or not.
    fn start(&self, state: &State, who: usize, next: &mut Next<State>) {
        let mut after = *state;
        after.runs -= 1;
        after.compactors[who].at = CompactorAt::ListSealed;
        next.push("compactor: start", who, after.canonical());
        for file in members(state.listing(Place::Open)) {
            let mut after = after;
            after.file(file).seal(self.power);
            next.push("compactor: start and seal a segment", who, after.canonical());
        }
    }

    /// Fold the segments alone, or the snapshots too: policy decides, so the model tries both.
    fn list_snap(&self, state: &State, who: usize, next: &mut Next<State>) {
        let snaps = state.listing(Place::Snap);
        let covered = members(snaps).fold(0, |all, s| all | state.files[usize::from(s)].covers);
        let superseded = snaps & covered;
        let segments = state.compactors[who].inputs;
        let mut choices = [segments, segments | (snaps & !superseded)];
        if self.is(Mutant::OneSnapshotName) {
            choices[0] = choices[1];
        }
        for inputs in choices {
            let mut after = *state;
            // One snapshot alone is folded already.
            let inputs = if inputs & segments == 0 && inputs.count_ones() < 2 { 0 } else { inputs };
            // Segments at once; a snapshot when a later compaction finds it superseded.
            let retire = segments | superseded;
            let at = CompactorAt::Read;
            let compactor = &mut after.compactors[who];
            *compactor = Compactor { at, inputs, left: inputs, retire, has: 0 };
            self.settle(compactor);
            next.push("compactor: list snap/ and choose", who, after.canonical());
        }
    }

    /// The one thing that a compactor in the middle of its work can do.
    fn compact(&self, state: &mut State, who: usize) -> &'static str {
        let mut compactor = state.compactors[who];
        let what = match compactor.at {
            CompactorAt::Idle | CompactorAt::ListSnap => unreachable!("these have choices"),
            CompactorAt::ListSealed => {
                let open = self.is(Mutant::FoldOpenSegment);
                compactor.inputs = state.select(|f| self.foldable(f) && f.at != Place::Snap);
                compactor.at = CompactorAt::ListSnap;
                if open { "compactor: list open/ and sealed/" } else { "compactor: list sealed/" }
            }
            CompactorAt::Read => {
                self.read(state, &mut compactor);
                "compactor: read an input"
            }
            CompactorAt::SyncInputs => {
                for file in members(compactor.inputs) {
                    state.file(file).sync();
                }
                compactor.at = CompactorAt::Publish;
                "compactor: sync the inputs"
            }
            CompactorAt::Publish => {
                // From now on, `left` is the new snapshot: only while that is there, its inputs may go.
                let left = 1 << self.publish(state, &compactor);
                let at = CompactorAt::SyncSnap;
                compactor = Compactor { at, inputs: 0, has: 0, left, ..compactor };
                "compactor: publish"
            }
            CompactorAt::SyncSnap => {
                state.sync_snap();
                compactor.at = CompactorAt::Retire;
                "compactor: sync snap/"
            }
            CompactorAt::Retire => {
                self.retire(state, &mut compactor);
                "compactor: retire a file"
            }
        };
        self.settle(&mut compactor);
        state.compactors[who] = compactor;
        what
    }

    fn foldable(&self, file: &File) -> bool {
        matches!(file.at, Place::Sealed | Place::Snap)
            || (self.is(Mutant::FoldOpenSegment) && file.at == Place::Open)
    }

    /// An input that has vanished was folded by somebody else.
    fn read(&self, state: &State, compactor: &mut Compactor) {
        let Some(input) = members(compactor.left).next() else { return };
        let file = state.files[usize::from(input)];
        compactor.left &= !(1 << input);
        if self.foldable(&file) {
            compactor.has |= file.has;
        } else {
            compactor.inputs &= !(1 << input);
        }
    }

    fn publish(&self, state: &mut State, compactor: &Compactor) -> u8 {
        let snaps = state.listing(Place::Snap);
        let synced = if self.is(Mutant::ContentNotSynced) { 0 } else { compactor.has };
        let sure = if self.power { Place::Nowhere } else { Place::Snap };
        let covers = compactor.inputs & snaps;
        let has = compactor.has;
        let fresh =
            File { at: Place::Snap, sure, has, synced, covers, told: false, snapshot: true };
        match members(snaps).next() {
            Some(old) if self.is(Mutant::OneSnapshotName) => {
                *state.file(old) = File { covers: 0, ..fresh };
                old
            }
            _ => state.create(fresh),
        }
    }

    fn retire(&self, state: &mut State, compactor: &mut Compactor) {
        let Some(index) = members(compactor.retire).next() else { return };
        compactor.retire &= !(1 << index);
        let file = state.files[usize::from(index)];
        let held = match file.snapshot {
            true => state.select(|f| f.visible() && f.covers >> index & 1 == 1) != 0,
            false => state.select(File::visible) & compactor.left != 0,
        };
        let held = held || self.backs == 0 || self.is(Mutant::NoHolderCheck);
        if held && self.foldable(&file) {
            state.trash(index, self.power);
        }
    }

    /// Passes over phases in which there is nothing to do. Nothing to retire means that the sync of
    /// snap/ protects nothing yet: the next compaction that retires something does its own.
    fn settle(&self, compactor: &mut Compactor) {
        use CompactorAt::{Idle, Publish, Read, Retire, SyncInputs, SyncSnap};
        if compactor.at == Read && compactor.left == 0 {
            compactor.at = match compactor.inputs {
                0 => SyncSnap,
                _ if self.is(Mutant::DeleteBeforePublish) => Retire,
                _ => SyncInputs,
            };
        }
        if compactor.at == SyncInputs && (!self.power || self.is(Mutant::InputsNotSynced)) {
            compactor.at = Publish;
        }
        let no_sync = !self.power || self.is(Mutant::SnapNotSynced) || compactor.retire == 0;
        if compactor.at == SyncSnap && no_sync {
            compactor.at = Retire;
        }
        if compactor.at == Retire && compactor.retire == 0 {
            // Inputs are forgotten when they are published.
            compactor.at = if compactor.inputs == 0 { Idle } else { Publish };
        }
        if compactor.at == Idle {
            *compactor = Compactor::default();
        }
    }
}
