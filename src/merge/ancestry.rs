//! Checks that a change goes on from those that it builds on, as every change does that Automerge makes.
//!
//! Trap: Automerge also accepts a change that does not. It returns such a change byte for byte and saves it, but
//! cannot load what it saved: on loading it computes where a change begins from where those before it end. So
//! such a change is refused here.

use super::error::MergeError;
use super::hashes::{hashes, native};
use crate::format::hash::ChangeHash;
use automerge::{ActorId, Automerge, Change};
use std::collections::{BinaryHeap, HashMap, HashSet};

/// Maximum distance between the start of a change's counter and the end of those that it builds on.
///
/// An honest writer leaves such a gap only if that many operations were made concurrently.
pub const COUNTER_AHEAD_MAX: u64 = 1_000_000;
/// End of the operation counters. Automerge holds them in 32 bits.
pub const COUNTER_MAX: u64 = 1 << 31;

/// A change that others may build on.
struct Ancestor {
    actor: ActorId,
    sequence: u64,
    /// Counter of its last operation.
    end: u64,
    deps: Vec<ChangeHash>,
}

/// The changes that there are to build on: those of a document, and those of a batch that is to be added to it.
pub(super) struct Ancestry<'a> {
    am: &'a Automerge,
    added: HashMap<ChangeHash, &'a Change>,
}

impl<'a> Ancestry<'a> {
    /// Starts with the changes of a document.
    pub(super) fn of(am: &'a Automerge) -> Self {
        Ancestry { am, added: HashMap::new() }
    }

    /// Adds a change of the batch, so that later ones may build on it.
    pub(super) fn add(&mut self, hash: ChangeHash, change: &'a Change) {
        self.added.insert(hash, change);
    }

    fn ancestor(&self, hash: &ChangeHash) -> Option<Ancestor> {
        if let Some(change) = self.added.get(hash) {
            return Some(Ancestor {
                actor: change.actor_id().clone(),
                sequence: change.seq(),
                end: (change.start_op().get() + change.len() as u64).saturating_sub(1),
                deps: hashes(change.deps()),
            });
        }
        let meta = self.am.get_change_meta_by_hash(&native(hash))?;
        Some(Ancestor {
            actor: meta.actor.into_owned(),
            sequence: meta.seq,
            end: meta.max_op,
            deps: hashes(&meta.deps),
        })
    }

    /// Checks the operation counter and the sequence number of a change.
    ///
    /// Returns `None` if a change that it builds on is missing.
    pub(super) fn check(&self, change: &Change) -> Option<Result<(), MergeError>> {
        let deps: Option<Vec<_>> =
            hashes(change.deps()).iter().map(|dep| Some((*dep, self.ancestor(dep)?))).collect();
        let deps = deps?;
        let before = deps.iter().map(|(_, dep)| dep.end).max().unwrap_or(0);
        let counted = check_counter(before, change.start_op().get(), change.len() as u64);
        Some(counted.and_then(|()| match self.builds_on_own_last(change, deps) {
            true => Ok(()),
            false => Err(MergeError::SequenceGap {
                actor: change.actor_id().to_hex_string(),
                sequence: change.seq(),
            }),
        }))
    }

    /// Returns true if the previous change of the same actor is an ancestor of `change`.
    ///
    /// Visits ancestors in the order of where they end, the last first. So of a long history it visits only what
    /// came after the change that it looks for.
    fn builds_on_own_last(&self, change: &Change, deps: Vec<(ChangeHash, Ancestor)>) -> bool {
        let (actor, before) = match change.seq() {
            0 => return false,
            1 => return true,
            sequence => (change.actor_id(), sequence - 1),
        };
        let mut known: HashMap<_, _> = deps.into_iter().collect();
        let mut seen: HashSet<_> = known.keys().copied().collect();
        let mut next: BinaryHeap<_> = known.iter().map(|(hash, dep)| (dep.end, *hash)).collect();
        let mut floor = 0;
        while let Some((end, hash)) = next.pop() {
            let Some(found) = known.remove(&hash).filter(|_| end >= floor) else { return false };
            if found.actor == *actor && found.sequence == before {
                return true;
            }
            // Another number of this actor. If it is a lower one, the wanted change would build on it and end
            // no earlier. So only changes that end just here are still of interest.
            if found.actor == *actor {
                floor = end;
            }
            for dep in found.deps {
                if seen.insert(dep)
                    && let Some(one) = self.ancestor(&dep)
                {
                    next.push((one.end, dep));
                    known.insert(dep, one);
                }
            }
        }
        false
    }
}

/// Checks where the operation counter of a change starts, for foreign changes and for those about to be made.
pub(super) fn check_counter(before: u64, start: u64, operations: u64) -> Result<(), MergeError> {
    // A saved document does not tell where a change without operations starts: on loading, Automerge takes the
    // very next counter.
    let goes_on = if operations == 0 { start == before + 1 } else { start > before };
    if !goes_on {
        return Err(MergeError::CounterMisplaced { start, before });
    }
    // A single change that starts at the end of the counters would leave no room for any other writer.
    let too_far = start > before.saturating_add(COUNTER_AHEAD_MAX);
    if too_far || start.saturating_add(operations) > COUNTER_MAX {
        return Err(MergeError::CounterTooFar { start, before });
    }
    Ok(())
}
