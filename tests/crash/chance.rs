//! Random choices in a run: all of them follow from the seed.

use crdt_palace::fs::sim::SplitMix;

/// A generator of random numbers.
pub struct Chance(SplitMix);

impl Chance {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds start far apart; recorded seeds depend on it.
        Self(SplitMix::new(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ 0x5EED))
    }

    pub fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A value below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
