//! Counts of what the simulated disk did to its processes, so that a test can show that it met its
//! subject.
//!
//! Owns: the kinds of events and their counts. Invariant: a count tells the effect of a call or a power
//! cut, not the plan. Must not know: the cause.

use super::faults::{Call, Failure};
use std::collections::BTreeMap;

/// An event that a test on this disk is meant to survive.
///
/// ```
/// use crdt_palace::fs::{Fs, sim::{Event, SimDisk}};
/// use std::path::Path;
///
/// let disk = SimDisk::new(7);
/// disk.process().create(Path::new("/note"))?; // a name, and nobody syncs the directory
/// disk.power_cut(1);
/// let events = disk.events();
/// assert_eq!(events.of(Event::NameKept) + events.of(Event::NameDropped), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Event {
    /// A power cut took all bytes of a file that were not synced.
    BytesDropped,
    /// A power cut kept them all.
    BytesKept,
    /// A power cut kept a part of them.
    BytesTorn,
    /// A power cut undid the addition of a name, or brought back a removed name.
    NameDropped,
    /// A power cut kept such a change although no directory was synced.
    NameKept,
    /// A power cut left a renamed file under its old name.
    RenameDropped,
    /// A power cut left a renamed file under its new name although no directory was synced.
    RenameKept,
    /// A power cut left a file with two names: see [`rename_by_link`](super::SimDisk::rename_by_link).
    BothNames,
    /// A call of this kind was made to fail like this.
    Failed(Call, Failure),
}

/// Counts of each [`Event`].
///
/// ```
/// use crdt_palace::fs::{Fs, sim::{Call, Event, Failure, SimDisk}};
/// use std::path::Path;
///
/// let disk = SimDisk::new(7);
/// disk.fail_nth(Call::List, 1, Failure::Io);
/// assert!(disk.process().list(Path::new("/")).is_err());
/// let mut both = disk.events();
/// both.add(&disk.events());
/// assert_eq!(both.of(Event::Failed(Call::List, Failure::Io)), 2);
/// assert_eq!(both.iter().count(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events(BTreeMap<Event, u64>);

impl Events {
    pub(super) fn count(&mut self, event: Event) {
        *self.0.entry(event).or_default() += 1;
    }

    /// Returns the count of this event.
    #[must_use]
    pub fn of(&self, event: Event) -> u64 {
        self.0.get(&event).copied().unwrap_or(0)
    }

    /// Adds the counts of another disk.
    pub fn add(&mut self, other: &Events) {
        for (event, count) in &other.0 {
            *self.0.entry(*event).or_default() += count;
        }
    }

    /// Returns each event that happened, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Event, u64)> {
        self.0.iter().map(|(event, count)| (*event, *count))
    }
}
