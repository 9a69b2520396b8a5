//! Breadth-first search over every state that any interleaving can reach.
//!
//! Breadth first, so that a counterexample is a shortest one: the mutants' traces are meant to be read.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// One step of one process, for people.
pub type Label = String;

/// What the search found.
pub struct Outcome {
    /// How many different states there are (up to the violation, if there is one).
    pub states: usize,
    /// The steps to the first state that breaks the property, and what is wrong with it.
    pub violation: Option<(Vec<Label>, String)>,
}

/// Where successors are put.
pub struct Next<S> {
    found: Vec<(S, &'static str, usize)>,
}

impl<S> Next<S> {
    /// Process `who` can do `what`, which leads to `state`.
    pub fn push(&mut self, what: &'static str, who: usize, state: S) {
        self.found.push((state, what, who));
    }
}

/// Visits everything reachable from `start`. `steps` lists the successors of a state, `broken` says what
/// is wrong with it.
pub fn search<S: Copy + Eq + Hash>(
    start: S,
    steps: impl Fn(&S, &mut Next<S>),
    broken: impl Fn(&S) -> Option<String>,
) -> Outcome {
    let mut seen = HashSet::<S, BuildHasherDefault<Mix>>::default();
    let mut order = vec![(start, 0)];
    seen.insert(start);
    let mut next = Next { found: Vec::new() };
    let mut at = 0;
    while let Some(&(state, _)) = order.get(at) {
        if let Some(wrong) = broken(&state) {
            let violation = Some((trace(&order, at, &steps), wrong));
            return Outcome { states: order.len(), violation };
        }
        steps(&state, &mut next);
        for (state, _, _) in next.found.drain(..) {
            if seen.insert(state) {
                order.push((state, at));
            }
        }
        at += 1;
    }
    Outcome { states: order.len(), violation: None }
}

/// The steps that lead to the state at `end`: each is found again among its parent's successors.
fn trace<S: Copy + Eq>(
    order: &[(S, usize)],
    end: usize,
    steps: impl Fn(&S, &mut Next<S>),
) -> Vec<Label> {
    let mut labels = Vec::new();
    let mut at = end;
    while at != 0 {
        let (state, parent) = order[at];
        let mut next = Next { found: Vec::new() };
        steps(&order[parent].0, &mut next);
        let step = next.found.iter().find(|(found, _, _)| *found == state);
        labels.push(step.map_or_else(String::new, |(_, what, who)| format!("{what} ({who})")));
        at = parent;
    }
    labels.reverse();
    labels
}

/// A multiplicative hash: the states are small integers and nobody attacks them.
#[derive(Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(n.into());
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
