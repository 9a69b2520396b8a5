//! A small deterministic generator (`SplitMix64`, Steele et al. 2014).
//!
//! Owns: the chance of the simulated disk. Invariant: one seed, one sequence, on every machine and in
//! every version; within one sequence no value comes twice. Must not know: what is decided with it.

/// The generator. Copying it copies its position.
#[derive(Clone, Debug)]
pub(super) struct SplitMix(u64);

impl SplitMix {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next value. The mixing is a bijection of a counter: no repetition in 2^64 calls.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A value below `bound`; 0 if `bound` is 0. The bias of the remainder does not matter here.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        match u64::try_from(bound) {
            Ok(bound @ 1..) => usize::try_from(self.next() % bound).unwrap_or(0),
            _ => 0,
        }
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// Puts a list in a random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}
