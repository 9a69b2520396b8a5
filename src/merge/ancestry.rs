//! Whether a change goes on from those that it builds on, as every change does that Automerge makes.
//!
//! Automerge also takes one that does not, gives it back byte for byte and saves it, and then cannot load what it
//! saved: it works out there where a change begins from where those before it end. So such a change is refused here.

use super::error::MergeError;
use super::hashes::{hashes, native};
use crate::format::hash::ChangeHash;
use automerge::{ActorId, Automerge, Change};
use std::collections::{BinaryHeap, HashMap, HashSet};

/// How far a change may start to count above the changes it builds on. Honest writers get there only
/// if that many operations were made at the same time.
pub const COUNTER_AHEAD_MAX: u64 = 1_000_000;
/// Where operation counters end. Automerge holds them in 32 bits.
pub const COUNTER_MAX: u64 = 1 << 31;

/// A change that others may build on.
struct Ancestor {
    actor: ActorId,
    sequence: u64,
    end: u64,
    deps: Vec<ChangeHash>,
}

/// What there is to build on: a document, and changes that are to be added to it.
pub(super) struct Ancestry<'a> {
    am: &'a Automerge,
    added: HashMap<ChangeHash, &'a Change>,
}

impl<'a> Ancestry<'a> {
    pub(super) fn of(am: &'a Automerge) -> Self {
        Ancestry { am, added: HashMap::new() }
    }

    /// Lets others build on it.
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

    /// `None` if something that it builds on is missing.
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

    /// Whether what the same actor made before is among what it builds on. Those that end last are looked at first: of
    /// a history, only what came after the one that is looked for.
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

/// The counter bounds, for foreign changes and for those that are about to be made.
pub(super) fn check_counter(before: u64, start: u64, operations: u64) -> Result<(), MergeError> {
    let goes_on = if operations == 0 { start == before + 1 } else { start > before };
    if !goes_on {
        return Err(MergeError::CounterMisplaced { start, before });
    }
    let too_far = start > before.saturating_add(COUNTER_AHEAD_MAX);
    if too_far || start.saturating_add(operations) > COUNTER_MAX {
        return Err(MergeError::CounterTooFar { start, before });
    }
    Ok(())
}
