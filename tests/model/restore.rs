//! A file goes back: a person restores an older copy of it, or deletes it.
//!
//! What is lost by that is no fault of the protocol, so it is not owed any more. What is acknowledged afterwards is, with
//! all that it depends on.

use crate::protocol::Model;
use crate::search::Next;
use crate::state::{File, Place, State, WriterAt, members};

impl Model {
    /// One successor for each file and each older content of it: in place, in another file of that name, and none.
    pub fn go_back(&self, state: &State, next: &mut Next<State>) {
        for index in members(state.select(File::visible)) {
            let file = state.files[usize::from(index)];
            let gone = File { at: Place::Trash, sure: Place::Trash, ..File::default() };
            let older = (0..file.has).filter(|has| has & !file.has == 0);
            for has in older {
                let older = File { has, synced: has, ..file };
                if !file.snapshot {
                    let after = self.after(state, index, older, None);
                    next.push("a file goes back in place", 0, after);
                }
                if !file.snapshot && has != 0 {
                    let after = self.after(state, index, gone, Some(older));
                    next.push("a file is replaced by an older copy", 0, after);
                }
            }
            next.push("a file is deleted", 0, self.after(state, index, gone, None));
        }
    }

    fn after(&self, state: &State, index: u8, file: File, copy: Option<File>) -> State {
        let mut after = *state;
        after.backs -= 1;
        // What was checked counts as acknowledged before: no step of a writer lies between the two.
        for who in 0..after.writers.len() {
            if after.writers[who].at == WriterAt::Ack {
                self.proceed(&mut after, who);
            }
        }
        let left = file.has | copy.map_or(0, |copy| copy.has);
        let lost = after.files[usize::from(index)].has & !left;
        *after.file(index) = file;
        if let Some(copy) = copy {
            after.create(copy);
        }
        // What another file holds for certain is still owed.
        let lost = lost & !after.safe();
        for record in 0..after.needs.len() {
            if ((1 << record) | after.needs[record]) & lost != 0 {
                after.acked &= !(1 << record);
            }
        }
        after
    }
}
