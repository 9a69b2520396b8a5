//! A small deterministic generator of random numbers (`SplitMix64`, Steele et al. 2014).
//!
//! Owns: the chance of the simulated disk, and of the project's own tests and benches. Invariant: one seed
//! gives one sequence, on every machine and in every version; within one sequence no value comes twice. Must
//! not know: what is decided with it.

/// The generator. A clone goes on from the same position.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// Starts the sequence of this seed.
    #[doc(hidden)]
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next value. The mixing is a bijection of a counter, so nothing repeats in 2^64 calls.
    #[doc(hidden)]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a value below `bound`; 0 if `bound` is 0.
    #[doc(hidden)]
    pub fn below(&mut self, bound: usize) -> usize {
        match u64::try_from(bound) {
            // The bias of the remainder is far too small to matter in a test.
            Ok(bound @ 1..) => usize::try_from(self.next_u64() % bound).unwrap_or(0),
            _ => 0,
        }
    }

    /// Returns true in one of two cases.
    #[doc(hidden)]
    pub fn coin(&mut self) -> bool {
        self.next_u64() & 1 == 1
    }

    /// Puts a list in a random order (Fisher and Yates).
    #[doc(hidden)]
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published sequence of seed 1234567. Recorded seeds of the simulated worlds depend on it.
    #[test]
    fn a_seed_gives_the_published_sequence() {
        let mut chance = SplitMix::new(1_234_567);
        let values: Vec<_> = (0..3).map(|_| chance.next_u64()).collect();
        assert_eq!(
            values,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
