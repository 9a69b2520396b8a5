//! One order of the keys of several layers: each snapshot, and the tail.
//!
//! Invariant: keys come in their order, each once, with what every layer holds of it, in the order of the layers; of
//! each layer little more is read than is given.

use crate::format::key::Key;
use crate::palace::error::Result;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Extra keys that are prefetched of a layer, beside its share: few layers have exactly their share.
const SPARE: usize = 16;

/// Reads a layer, given its number, the key to read behind, and a number of keys. Returns as many, in their order, unless
/// there are no more.
pub type Read<'a, R> = dyn Fn(usize, Option<&str>, usize) -> Result<Vec<(Key, R)>> + 'a;

/// Layers that are read key by key. `R` is a layer's content for a key.
pub struct Layers<R> {
    layers: Vec<Layer<R>>,
    /// The next key of every layer that has one.
    next: BinaryHeap<Reverse<(Key, usize)>>,
    /// Number of keys that are read of a layer at once.
    chunk: usize,
}

struct Layer<R> {
    /// Its content for its next key.
    next: Option<R>,
    /// Keys behind that one that were read already.
    rows: std::vec::IntoIter<(Key, R)>,
    /// True if there is no key behind those that were read.
    ended: bool,
}

impl<R> Layers<R> {
    /// Makes a reader of `count` layers, of which about `limit` keys are wanted.
    pub fn new(count: usize, limit: usize) -> Self {
        let layer = || Layer { next: None, rows: Vec::new().into_iter(), ended: false };
        let layers = std::iter::repeat_with(layer).take(count).collect();
        let chunk = (limit / count.max(1) + SPARE).min(limit).max(1);
        Layers { layers, next: BinaryHeap::new(), chunk }
    }

    /// Begins behind a key.
    pub fn begin(&mut self, after: Option<&str>, read: &Read<'_, R>) -> Result<()> {
        (0..self.layers.len()).try_for_each(|n| self.advance(n, after, read))
    }

    /// Returns the next key, with the content of each layer that has it.
    pub fn next(&mut self, read: &Read<'_, R>) -> Result<Option<(Key, Vec<R>)>> {
        let Some(Reverse((key, first))) = self.next.pop() else { return Ok(None) };
        let (mut found, mut n) = (Vec::new(), first);
        loop {
            found.extend(self.layers.get_mut(n).and_then(|layer| layer.next.take()));
            self.advance(n, Some(key.as_str()), read)?;
            match self.next.peek() {
                Some(Reverse((next, other))) if *next == key => n = *other,
                _ => return Ok(Some((key, found))),
            }
            self.next.pop();
        }
    }

    /// Moves a layer to its next key, which is behind this one.
    fn advance(&mut self, n: usize, after: Option<&str>, read: &Read<'_, R>) -> Result<()> {
        let Some(layer) = self.layers.get_mut(n) else { return Ok(()) };
        if layer.rows.len() == 0 && !layer.ended {
            let rows = read(n, after, self.chunk)?;
            layer.ended = rows.len() < self.chunk;
            layer.rows = rows.into_iter();
        }
        if let Some((key, row)) = layer.rows.next() {
            layer.next = Some(row);
            self.next.push(Reverse((key, n)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::collections::BTreeMap;

    #[test]
    fn keys_come_in_order_with_all_that_holds_them_and_little_more_is_read() {
        // Every key below 600 that a layer's step divides; the last layer is empty.
        let steps = [1, 2, 3, 50, 1000];
        let names = |n: usize| (0..600).filter(move |i| i % steps[n] == 0 && steps[n] < 1000);
        let key = |i: usize| Key::new(&format!("{i:03}")).unwrap();
        let rows = Cell::new(0);
        let read = |n: usize, after: Option<&str>, limit: usize| {
            let behind = |i: &usize| after.is_none_or(|after| key(*i).as_str() > after);
            let read: Vec<_> = names(n).filter(behind).take(limit).map(|i| (key(i), n)).collect();
            rows.set(rows.get() + read.len());
            Ok(read)
        };
        for (limit, after) in [(1, None), (7, Some("100")), (1000, None)] {
            let mut expected: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
            for n in 0..steps.len() {
                for (key, row) in read(n, after, 1000).unwrap() {
                    expected.entry(key).or_default().push(row);
                }
            }
            rows.set(0);
            let mut layers = Layers::new(steps.len(), limit);
            layers.begin(after, &read).unwrap();
            let mut given = Vec::new();
            while let Some(next) = layers.next(&read).unwrap() {
                given.push(next);
            }
            assert_eq!(given, expected.into_iter().collect::<Vec<_>>(), "{limit}");
            assert_eq!(
                rows.get(),
                given.iter().flat_map(|(_, found)| found).count(),
                "each row once"
            );
        }

        rows.set(0);
        let mut layers = Layers::new(steps.len(), 100);
        layers.begin(None, &read).unwrap();
        for _ in 0..100 {
            layers.next(&read).unwrap();
        }
        assert!(rows.get() <= 100 * 11 / 6 + 2 * steps.len() * (100 / 5 + SPARE), "{}", rows.get());
    }
}
