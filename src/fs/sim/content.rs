//! The content of a simulated file, in the page cache and on the medium.
//!
//! Owns: the bytes, which readers see them, the ranges that a sync has covered, and the effect of a power cut on
//! the others.
//! Invariant: a byte that a successful sync wrote stays on the medium. Must not know: names, processes,
//! faults (its caller says whether a sync failed).

use super::events::Event;
use super::splitmix::SplitMix;
use std::borrow::Cow;
use std::io;
use std::ops::Range;

/// The size of a sector. A medium writes whole sectors, in any order.
const SECTOR: usize = 512;

/// The bytes of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// The bytes that every reader sees.
    live: Vec<u8>,
    /// The bytes that survive for certain.
    durable: Vec<u8>,
    /// Written and not synced.
    dirty: Vec<Range<usize>>,
    /// Written before a sync that failed: the kernel calls these pages clean and never writes them again.
    doubtful: Vec<Range<usize>>,
    /// The file was truncated, and that is not synced: `live` does not continue `durable`.
    replaced: bool,
    /// The time of the last write, in milliseconds since 1970.
    pub(super) modified_ms: i64,
    /// The time when it was made.
    pub(super) born_ms: i64,
    /// The number of failed syncs.
    pub(super) failures: u64,
    /// The number of the description before which all belong to an old node of this file: it got a new
    /// name, and with it another node.
    newest_node: u64,
    /// The writes through an old node: the time of each, as a number of a description, and its bytes.
    old_writes: Vec<(u64, Range<usize>)>,
}

impl Content {
    pub(super) fn new(modified_ms: i64) -> Self {
        Self { modified_ms, born_ms: modified_ms, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// Returns the bytes from `offset`; empty past the end.
    fn tail(&self, offset: u64) -> &[u8] {
        usize::try_from(offset).ok().and_then(|offset| self.live.get(offset..)).unwrap_or(&[])
    }

    /// Writes at an offset, over zeros or beyond the end. A written byte is never written again: the
    /// format promises it, so that nothing synced can be torn. Returns the end of what was written.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
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
        // Writes in a row make one range, which a power cut can tear at any byte.
        match self.dirty.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => self.dirty.push(start..end),
        }
        Ok(end)
    }

    /// Notes that the file got another node: `number` is above those of all descriptions so far.
    pub(super) fn change_node(&mut self, number: u64) {
        self.newest_node = number;
    }

    /// Hides what a description of an old node writes from those of the newest one that are open. They
    /// have cached the page, and the kernel does not know that both nodes are one file. A description that
    /// is opened later reads it again.
    pub(super) fn hide_write(&mut self, description: u64, now: u64, bytes: Range<usize>) {
        if description < self.newest_node {
            self.old_writes.push((now, bytes));
        }
    }

    /// Returns the bytes from `offset` as this description reads them; empty past the end.
    pub(super) fn seen_by(&self, description: u64, offset: u64) -> Cow<'_, [u8]> {
        let tail = self.tail(offset);
        if description < self.newest_node || self.old_writes.is_empty() {
            return tail.into();
        }
        let mut seen = self.live.clone();
        for (_, range) in self.old_writes.iter().filter(|(time, _)| *time > description) {
            // The page was read when there was only padding.
            seen.get_mut(range.clone()).unwrap_or_default().fill(0);
        }
        seen.split_off(self.live.len() - tail.len()).into()
    }

    /// Truncates the file and writes it anew.
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.live.clear();
        self.dirty.clear();
        self.doubtful.clear();
        self.replaced = true;
        bytes.clone_into(&mut self.live);
        self.dirty.push(0..bytes.len());
    }

    /// Syncs successfully. Pages that an earlier failed sync gave up stay unwritten.
    pub(super) fn sync(&mut self) {
        // A truncation reaches the medium together with the data.
        if self.replaced {
            self.durable.clear();
            self.replaced = false;
        }
        self.durable.resize(self.live.len(), 0);
        for range in self.dirty.drain(..) {
            copy(&self.live, &mut self.durable, range);
        }
    }

    /// Fails a sync as ext4, XFS and Btrfs do: the pages are clean from now on, written or not.
    pub(super) fn fail_sync(&mut self) {
        self.doubtful.append(&mut self.dirty);
        self.failures += 1;
    }

    /// Keeps all of the unsynced bytes, none, the first few, or some sectors. Returns the event that this
    /// is, if there were any.
    pub(super) fn power_cut(&mut self, chance: &mut SplitMix) -> Option<Event> {
        let survivor = self.survivor(chance);
        let event = (self.live != self.durable).then_some(match &survivor {
            all if *all == self.live => Event::BytesKept,
            none if *none == self.durable => Event::BytesDropped,
            _ => Event::BytesTorn,
        });
        let made = Self { born_ms: self.born_ms, ..Self::new(self.modified_ms) };
        *self = Self { live: survivor.clone(), durable: survivor, ..made };
        event
    }

    fn survivor(&self, chance: &mut SplitMix) -> Vec<u8> {
        if self.dirty.is_empty() && self.doubtful.is_empty() && !self.replaced {
            return self.durable.clone();
        }
        // All and none are as likely as the cases in between, because both are usual on real disks.
        match chance.below(4) {
            0 => self.durable.clone(),
            1 => self.live.clone(),
            2 => self.torn(chance),
            _ => self.out_of_order(chance),
        }
    }

    /// Returns the content with the unsynced bytes up to an arbitrary one.
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

    /// Returns the content with some unsynced sectors. A sector that is not written is zeros if the file
    /// was not that long before. The new length survives or not.
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
