//! Decides when to compact, and which snapshots: pure arithmetic over sizes.
//!
//! Snapshots form tiers by the bytes that were appended to get them, each tier [`FANOUT`] times the one
//! before. A compaction merges all snapshots of a tier once there are enough of them, so that a byte is
//! rewritten about once a tier, and the number of snapshots grows with the logarithm of the palace.
//! Above [`STEP_BYTES`] snapshots are left as they are, so that no automatic step takes long:
//! `crdt-compact`, run by a person, makes one of all.

use crate::format::id::SnapshotId;
use crate::store::rescan::Backlog;

/// This many segments are due for compaction, whatever their size.
pub const SEGMENTS_DUE: usize = 64;
/// This many bytes that no snapshot holds are due for compaction.
pub const TAIL_BYTES_DUE: u64 = 1 << 20;
/// A palace whose newest snapshot is younger than this, in milliseconds, is being filled: its tail may
/// grow to [`BUSY_BYTES_DUE`], because larger compactions rewrite less.
pub const BUSY_MS: i64 = 1_000;
/// This many bytes are due however young the newest snapshot is.
pub const BUSY_BYTES_DUE: u64 = 4 << 20;
/// This many bytes that no snapshot holds are overdue: compaction has not kept up, and each process holds them in
/// memory.
pub const OVERDUE_BYTES: u64 = 32 << 20;
/// Number of snapshots of one tier that are merged into one of the next.
pub const FANOUT: usize = 4;
/// The most appended bytes that an automatic step turns into one snapshot.
pub const STEP_BYTES: u64 = 20 << 20;
/// The most bytes of segments that an automatic step compacts.
pub const STEP_SEGMENT_BYTES: u64 = 4 << 20;

/// A snapshot as far as the choice needs it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Bytes of the segments that flowed into it.
    pub appended: u64,
}

/// Returns true if there is enough to compact.
#[must_use]
pub fn due(backlog: Backlog, now_ms: i64) -> bool {
    // A snapshot from the future says nothing about now: a clock was set back.
    let busy = backlog
        .newest_ms
        .is_some_and(|newest| (0..BUSY_MS).contains(&now_ms.saturating_sub(newest)));
    let bytes = if busy { BUSY_BYTES_DUE } else { TAIL_BYTES_DUE };
    backlog.segments >= SEGMENTS_DUE || backlog.sealed_bytes >= bytes
}

/// Returns true if so much is due that compaction must not have a low priority. Where all processors are busy, a thread of
/// low priority gets next to nothing, and a longer tail makes them busier.
#[must_use]
pub fn overdue(backlog: Backlog) -> bool {
    backlog.sealed_bytes >= OVERDUE_BYTES
}

fn tier(appended: u64) -> u32 {
    (appended / TAIL_BYTES_DUE).max(1).ilog(FANOUT as u64)
}

/// Chooses the snapshots to merge with `folded` bytes of segments into one.
#[must_use]
pub fn choose(mut candidates: Vec<Candidate>, folded: u64) -> Vec<SnapshotId> {
    candidates.sort_by_key(|candidate| candidate.appended);
    let mut output = folded;
    let mut chosen = 0;
    loop {
        let rest = candidates.get(chosen..).unwrap_or_default();
        let same = rest.iter().take_while(|c| tier(c.appended) <= tier(output));
        let (count, bytes) =
            same.fold((0, 0), |(n, sum), c| (n + 1, c.appended.saturating_add(sum)));
        let own = usize::from(output > 0);
        if count == 0 || count + own < FANOUT || bytes.saturating_add(output) > STEP_BYTES {
            break;
        }
        chosen += count;
        output += bytes;
    }
    candidates.truncate(chosen);
    candidates.into_iter().map(|candidate| candidate.snapshot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(mib: &[u64]) -> Vec<Candidate> {
        let candidate = |(n, mib): (usize, &u64)| Candidate {
            snapshot: SnapshotId([n as u8; 16]),
            appended: mib << 20,
        };
        mib.iter().enumerate().map(candidate).collect()
    }

    #[test]
    fn a_palace_that_is_being_filled_is_folded_in_larger_steps() {
        let backlog =
            |mib: u64, newest_ms| Backlog { segments: 1, sealed_bytes: mib << 20, newest_ms };
        assert!(due(backlog(1, None), 0) && !due(backlog(0, None), 0));
        assert!(!due(backlog(3, Some(5_000)), 5_999) && due(backlog(4, Some(5_000)), 5_999));
        assert!(due(backlog(1, Some(5_000)), 6_000) && due(backlog(1, Some(5_000)), 4_999));
        assert!(due(Backlog { segments: SEGMENTS_DUE, ..backlog(0, Some(5_000)) }, 5_000));
    }

    #[test]
    fn what_is_overdue_is_due_and_more() {
        let backlog = |sealed_bytes| Backlog { segments: 1, sealed_bytes, newest_ms: None };
        assert!(due(backlog(OVERDUE_BYTES), 0) && overdue(backlog(OVERDUE_BYTES)));
        assert!(!overdue(backlog(OVERDUE_BYTES - 1)) && OVERDUE_BYTES > BUSY_BYTES_DUE);
    }

    #[test]
    fn a_tier_is_merged_when_it_is_full() {
        assert_eq!(choose(candidates(&[1, 1]), 1 << 20).len(), 0);
        assert_eq!(choose(candidates(&[1, 1, 1]), 1 << 20).len(), 3);
        assert_eq!(choose(candidates(&[1, 1, 1, 4, 4]), 1 << 20).len(), 3);
        // The segments count as one of them, if there are any.
        assert_eq!(choose(candidates(&[1, 1, 1]), 0).len(), 0);
        assert_eq!(choose(candidates(&[1, 1, 1, 1]), 0).len(), 4);
        // As much as a step may.
        assert_eq!(choose(candidates(&[5, 5, 5]), 5 << 20).len(), 3);
    }

    #[test]
    fn all_that_are_smaller_than_what_is_due_are_one_tier() {
        let kib = |kib: u64| {
            candidates(&[0]).into_iter().map(move |c| Candidate { appended: kib << 10, ..c })
        };
        let small: Vec<_> = kib(900).chain(kib(500)).chain(kib(500)).collect();
        assert_eq!(choose(small, 1 << 10).len(), 3);
    }

    #[test]
    fn a_full_tier_above_is_merged_in_the_same_step() {
        assert_eq!(choose(candidates(&[1, 1, 1, 4, 4, 4]), 1 << 20).len(), 6);
    }

    #[test]
    fn no_step_grows_beyond_its_bound() {
        assert_eq!(choose(candidates(&[1, 1, 1, 16, 16, 16]), 1 << 20).len(), 3);
        assert_eq!(choose(candidates(&[16, 16, 16, 16, 16]), 0).len(), 0);
    }

    #[test]
    fn bytes_are_rewritten_a_few_times_however_many_are_appended() {
        let (mut live, mut written): (Vec<Candidate>, u64) = (Vec::new(), 0);
        let steps = 2_000u64;
        let mut most_small = 0;
        for step in 0..steps {
            let chosen = choose(live.clone(), 1 << 20);
            let mut appended = 1 << 20;
            live.retain(|c| {
                let taken = chosen.contains(&c.snapshot);
                appended += if taken { c.appended } else { 0 };
                !taken
            });
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(step + 1).to_le_bytes());
            live.push(Candidate { snapshot: SnapshotId(id), appended });
            written += appended;
            most_small = most_small.max(live.iter().filter(|c| c.appended < 16 << 20).count());
        }
        assert!(written <= (3 * steps) << 20, "{written}");
        assert!(most_small <= 2 * (FANOUT - 1), "{most_small}");
    }
}
