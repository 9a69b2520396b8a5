//! A recipe, read from its start. What is not there reads as zero.

pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.iter_mut().for_each(|byte| *byte = self.byte());
        u64::from_le_bytes(bytes)
    }

    /// A number that is small, near a power of two, or any.
    pub fn odd_number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=199 => u64::from(small),
            200..=239 => (1u64 << (self.byte() % 64)).wrapping_sub(u64::from(self.byte() % 3)),
            _ => self.number(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Some bytes: at most 255, by a length that comes first.
    pub fn some(&mut self) -> &'a [u8] {
        let count = self.byte().into();
        self.take(count)
    }

    /// Changes some bytes of what is given.
    pub fn edit(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = (usize::from(self.byte()) << 8 | usize::from(self.byte())) % bytes.len();
            match self.byte() % 8 {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, self.byte()),
                2 => bytes.truncate(at),
                3 => drop(bytes.splice(at..at, self.some().iter().copied())),
                _ => bytes[at] = self.byte(),
            }
        }
    }
}
