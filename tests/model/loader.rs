//! A loader: list the directories in the direction in which data moves, opening as it goes.

use crate::protocol::{Model, Mutant};
use crate::search::Next;
use crate::state::{Loader, LoaderAt, Place, State, members};

impl Model {
    pub fn loader(&self, state: &State, next: &mut Next<State>) {
        let mut after = *state;
        let what = match state.loader.at {
            LoaderAt::Finished => return,
            LoaderAt::NotStarted | LoaderAt::List => {
                self.list(&mut after);
                "loader: list a directory"
            }
            LoaderAt::Open => {
                self.open(&mut after);
                "loader: open a file"
            }
        };
        let loader = &mut after.loader;
        if loader.at == LoaderAt::List && loader.stage == 3 {
            let missed = loader.must & !loader.got;
            *loader = Loader { at: LoaderAt::Finished, must: missed, ..Loader::default() };
        }
        next.push(what, 0, after);
    }

    /// The order of the three directories.
    fn place(&self, stage: u8) -> Place {
        let order = match self.mutant {
            Some(Mutant::SnapFirst) => [Place::Snap, Place::Open, Place::Sealed],
            Some(Mutant::SealedFirst) => [Place::Sealed, Place::Open, Place::Snap],
            _ => [Place::Open, Place::Sealed, Place::Snap],
        };
        order[usize::from(stage)]
    }

    /// The first listing is the start: to start earlier only means to owe less.
    fn list(&self, state: &mut State) {
        if state.loader.at == LoaderAt::NotStarted {
            state.loader.must = state.owed();
        }
        state.loader.left = state.listing(self.place(state.loader.stage));
        state.loader.at = LoaderAt::Open;
        skip_to_next(&mut state.loader);
    }

    /// A file that has moved on will be found further on; in snap/ there is no further on.
    fn open(&self, state: &mut State) {
        let place = self.place(state.loader.stage);
        let Some(index) = members(state.loader.left).next() else { return };
        let file = state.files[usize::from(index)];
        let loader = &mut state.loader;
        loader.left &= !(1 << index);
        if file.at == place {
            loader.got |= file.has;
        } else if place == Place::Snap && !self.is(Mutant::NoRelist) {
            *loader = Loader { at: LoaderAt::List, left: 0, ..*loader };
            return;
        }
        skip_to_next(loader);
    }
}

/// Nothing left to open here: the next directory is next.
fn skip_to_next(loader: &mut Loader) {
    if loader.left == 0 {
        loader.at = LoaderAt::List;
        loader.stage += 1;
    }
}
