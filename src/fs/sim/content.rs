//! What a simulated file holds: in the page cache, and on the medium.
//!
//! Owns: bytes, which of them a sync has covered, and what a power cut makes of the others.
//! Invariant: a byte that a successful sync wrote is on the medium for good. Must not know: names,
//! processes, faults (it is told whether a sync failed).

use super::events::Event;
use super::splitmix::SplitMix;
use std::io;
use std::ops::Range;

/// A medium writes whole sectors, in any order.
const SECTOR: usize = 512;

/// The bytes of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// What every reader sees.
    live: Vec<u8>,
    /// What is certain to survive.
    durable: Vec<u8>,
    /// Written, not synced.
    dirty: Vec<Range<usize>>,
    /// Written, and then a sync failed: the kernel calls these pages clean and never writes them again.
    doubtful: Vec<Range<usize>>,
    /// The file was truncated and that is not synced: `live` does not continue `durable`.
    replaced: bool,
    /// When it was last written, milliseconds since 1970.
    pub(super) modified_ms: i64,
    /// How many syncs failed.
    pub(super) failures: u64,
}

impl Content {
    pub(super) fn new(modified_ms: i64) -> Self {
        Self { modified_ms, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// The bytes from `offset`; empty past the end.
    pub(super) fn tail(&self, offset: u64) -> &[u8] {
        usize::try_from(offset).ok().and_then(|offset| self.live.get(offset..)).unwrap_or(&[])
    }

    /// Writes at an offset, over zeros or beyond the end. A byte that was written is never written again:
    /// the format promises it, and nothing that was synced can be torn.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start + bytes.len();
        if self.live.get(start..).is_some_and(|old| old.iter().zip(bytes).any(|(old, _)| *old != 0))
        {
            return Err(io::Error::other("a byte that was written is written again"));
        }
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        if let Some(target) = self.live.get_mut(start..end) {
            target.copy_from_slice(bytes);
        }
        match self.dirty.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => self.dirty.push(start..end),
        }
        Ok(())
    }

    /// Truncates and writes anew.
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.live.clear();
        self.dirty.clear();
        self.doubtful.clear();
        self.replaced = true;
        bytes.clone_into(&mut self.live);
        self.dirty.push(0..bytes.len());
    }

    /// A sync that succeeds. What an earlier failed sync gave up stays unwritten.
    pub(super) fn sync(&mut self) {
        if self.replaced {
            self.durable.clear();
            self.replaced = false;
        }
        self.durable.resize(self.live.len(), 0);
        for range in self.dirty.drain(..) {
            copy(&self.live, &mut self.durable, range);
        }
    }

    /// A sync that fails, as on ext4, XFS and Btrfs: the pages are clean from now on, written or not.
    pub(super) fn fail_sync(&mut self) {
        self.doubtful.append(&mut self.dirty);
        self.failures += 1;
    }

    /// Keeps of the bytes that were not synced all, none, the first few, or some sectors. Says which it
    /// came to, if there were any.
    pub(super) fn power_cut(&mut self, chance: &mut SplitMix) -> Option<Event> {
        let survivor = self.survivor(chance);
        let event = (self.live != self.durable).then_some(match &survivor {
            all if *all == self.live => Event::BytesKept,
            none if *none == self.durable => Event::BytesDropped,
            _ => Event::BytesTorn,
        });
        *self = Self { live: survivor.clone(), durable: survivor, ..Self::new(self.modified_ms) };
        event
    }

    fn survivor(&self, chance: &mut SplitMix) -> Vec<u8> {
        if self.dirty.is_empty() && self.doubtful.is_empty() && !self.replaced {
            return self.durable.clone();
        }
        match chance.below(4) {
            0 => self.durable.clone(),
            1 => self.live.clone(),
            2 => self.torn(chance),
            _ => self.out_of_order(chance),
        }
    }

    /// The unsynced bytes up to an arbitrary one.
    fn torn(&self, chance: &mut SplitMix) -> Vec<u8> {
        let unsynced = self.unsynced();
        let total: usize = unsynced.iter().map(ExactSizeIterator::len).sum();
        let mut left = chance.below(total + 1);
        let mut survivor = self.base();
        for range in unsynced {
            let kept = left.min(range.len());
            left -= kept;
            copy(&self.live, &mut survivor, range.start..range.start + kept);
        }
        survivor
    }

    /// Each unsynced sector for itself: written, or not (zeros, if the file was not that long before).
    /// The new length survives or not.
    fn out_of_order(&self, chance: &mut SplitMix) -> Vec<u8> {
        let mut survivor = self.base();
        for range in self.unsynced() {
            for piece in sectors(range) {
                if chance.coin() {
                    copy(&self.live, &mut survivor, piece);
                }
            }
        }
        if chance.coin() && survivor.len() < self.live.len() {
            survivor.resize(self.live.len(), 0);
        }
        survivor
    }

    fn base(&self) -> Vec<u8> {
        if self.replaced { Vec::new() } else { self.durable.clone() }
    }

    fn unsynced(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<_> = self.doubtful.iter().chain(&self.dirty).cloned().collect();
        ranges.sort_by_key(|range| range.start);
        ranges
    }
}

/// Copies a range to the same place, growing the target with zeros where it is shorter.
fn copy(from: &[u8], to: &mut Vec<u8>, range: Range<usize>) {
    if to.len() < range.end && !range.is_empty() {
        to.resize(range.end, 0);
    }
    if let (Some(source), Some(target)) = (from.get(range.clone()), to.get_mut(range)) {
        target.copy_from_slice(source);
    }
}

/// Splits a range at the sector boundaries.
fn sectors(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    (range.start / SECTOR..range.end.div_ceil(SECTOR))
        .map(move |n| (n * SECTOR).max(range.start)..((n + 1) * SECTOR).min(range.end))
}
