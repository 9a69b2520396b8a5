//! A power cut: each file keeps what was synced, and of the rest what chance decides.

use crate::protocol::Model;
use crate::search::Next;
use crate::state::{Compactor, File, Place, Records, State};
use crate::writer;

impl Model {
    /// One successor for each combination of what the files may keep. Everybody starts again.
    pub fn power_cut(state: &State, next: &mut Next<State>) {
        let mut after = *state;
        after.cuts -= 1;
        after.compactors = [Compactor::default(); 2];
        after.writers.iter_mut().for_each(writer::crash);
        let mut survivors = vec![after];
        for index in 0..usize::from(state.used) {
            let outcomes = outcomes(&state.files[index]);
            let with = |survivor: State| {
                outcomes.iter().map(move |file| {
                    let mut survivor = survivor;
                    survivor.files[index] = *file;
                    survivor
                })
            };
            survivors = survivors.into_iter().flat_map(with).collect();
        }
        for survivor in survivors {
            next.push("power cut", 0, survivor);
        }
    }
}

/// Every place on the way from the durable one to the present one, with every content.
fn outcomes(file: &File) -> Vec<File> {
    let chain: &[Place] = match file.snapshot {
        true => &[Place::Nowhere, Place::Snap, Place::Trash],
        false => &[Place::Nowhere, Place::Open, Place::Sealed, Place::Trash],
    };
    let mut all = Vec::new();
    for &place in chain.iter().filter(|&&place| file.sure <= place && place <= file.at) {
        for has in contents(file) {
            let survivor = File { at: place, sure: place, has, synced: has, ..*file };
            let gone = File { at: Place::Trash, sure: Place::Trash, ..File::default() };
            let survivor = if survivor.visible() { survivor } else { gone };
            if !all.contains(&survivor) {
                all.push(survivor);
            }
        }
    }
    all
}

/// Unsynced records of a segment survive in any combination; a snapshot is readable or it is not.
fn contents(file: &File) -> Vec<Records> {
    let unsynced = file.has & !file.synced;
    let whole = |kept: Records| !file.snapshot || kept == unsynced || kept == 0;
    let kept = (0..=unsynced).filter(|kept| kept & !unsynced == 0 && whole(*kept));
    kept.map(|kept| file.synced | kept).collect()
}
