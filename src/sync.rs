//! Locks between the threads of one process, always taken in one order.
//!
//! Invariant: a thread that holds a [`Lock`] takes only locks of a later [`Rank`]. So no two threads wait for each
//! other. Debug builds check it at every lock; `docs/CONCURRENCY.md` lists the ranks and what each lock guards.
//!
//! With the feature `shuttle` the locks are those of the crate of that name. Its scheduler then decides which thread
//! goes on at every lock, and replays each decision from a seed: see `tests/interleavings/main.rs`.

#[cfg(not(feature = "shuttle"))]
pub use std::sync::{Condvar, atomic};

#[cfg(feature = "shuttle")]
pub use shuttle::sync::{Condvar, atomic};

#[cfg(not(feature = "shuttle"))]
use std::sync::{Mutex, MutexGuard};

#[cfg(feature = "shuttle")]
use shuttle::sync::{Mutex, MutexGuard};

#[cfg(not(feature = "shuttle"))]
pub use std::thread::ThreadId;

#[cfg(feature = "shuttle")]
pub use shuttle::thread::ThreadId;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

/// Returns the name of the calling thread.
pub fn current_thread() -> ThreadId {
    #[cfg(not(feature = "shuttle"))]
    let thread = std::thread::current();
    #[cfg(feature = "shuttle")]
    let thread = shuttle::thread::current();
    thread.id()
}

/// Runs something that may use other palaces, whose locks are none of this palace's: a caller's closure, or in a test
/// another process between two system calls of this one.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    let _aside = held::Aside::new();
    work()
}

/// Lets another thread go on, under the scheduler of `shuttle`. The simulated disk calls it before every system call, so
/// that a rescan and a compaction interleave at each of their steps.
pub fn yield_point() {
    #[cfg(feature = "shuttle")]
    shuttle::thread::yield_now();
}

/// A rule of the protocol between threads that a test may switch off, to see that it then fails. Constant in normal
/// builds.
#[cfg(not(feature = "shuttle"))]
macro_rules! mutant {
    ($mutant:ident) => {
        false
    };
}

#[cfg(feature = "shuttle")]
macro_rules! mutant {
    ($mutant:ident) => {
        $crate::sync::mutants::is_active($crate::sync::mutants::Mutant::$mutant)
    };
}

pub(crate) use mutant;

#[cfg(feature = "shuttle")]
pub mod mutants {
    //! The mutants of the protocol between threads.

    use std::sync::atomic::{AtomicU8, Ordering};

    /// A rule that is left out.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(u8)]
    pub enum Mutant {
        /// A reader takes its view, and the rescan comes after.
        ViewBeforeRescan = 1,
        /// A thread makes a change under the writer's lock, and queues it after letting go.
        CommitQueuedOutsideTheLock = 2,
        /// Commits of an abandoned instance leave the tail, and the next view does not wait for the rescan that finds
        /// them in their segments.
        ViewBeforeAbandonedSegments = 3,
    }

    static ACTIVE: AtomicU8 = AtomicU8::new(0);

    /// Leaves out one rule from now on, or none.
    pub fn activate(mutant: Option<Mutant>) {
        ACTIVE.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::SeqCst);
    }

    /// Returns true while this rule is left out.
    #[must_use]
    pub fn is_active(mutant: Mutant) -> bool {
        ACTIVE.load(Ordering::SeqCst) == mutant as u8
    }
}

/// Place of a lock in the order in which a thread may take several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// One thread at a time puts buffered commits on disk.
    Syncing,
    /// One thread at a time makes a commit.
    Writer,
    /// The directory as last seen; held for a rescan, and to add a commit to the tail.
    Directory,
    /// Unsynced dependencies of buffered commits.
    Dependencies,
    /// The queue of the log.
    Log,
    /// The list of this process's segments.
    OwnSegments,
    /// Held for a few instructions; nothing else is locked meanwhile.
    Leaf,
}

/// A mutex with a place in the order of all locks.
pub struct Lock<T> {
    rank: Rank,
    mutex: Mutex<T>,
}

/// A [`Lock`] that is held. Dropping it lets go.
pub struct Locked<'a, T> {
    guard: MutexGuard<'a, T>,
    held: held::Held,
}

impl<T> Lock<T> {
    /// Makes a lock of this rank.
    pub fn new(rank: Rank, value: T) -> Self {
        Lock { rank, mutex: Mutex::new(value) }
    }

    /// Waits for the lock. Use it where every critical section leaves the value whole, also one that ends by a panic.
    pub fn lock(&self) -> Locked<'_, T> {
        let held = held::Held::new(self.rank);
        Locked { guard: self.mutex.lock().unwrap_or_else(PoisonError::into_inner), held }
    }

    /// Waits for the lock. If a thread panicked while it held the lock, `mend` repairs the value first.
    pub fn lock_or_mend(&self, mend: impl FnOnce(&mut T)) -> Locked<'_, T> {
        let held = held::Held::new(self.rank);
        let guard = self.mutex.lock().unwrap_or_else(|poisoned| {
            let mut guard = poisoned.into_inner();
            mend(&mut guard);
            #[cfg(not(feature = "shuttle"))]
            self.mutex.clear_poison();
            guard
        });
        Locked { guard, held }
    }
}

impl<T: fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("rank", &self.rank).finish_non_exhaustive()
    }
}

impl<T> Locked<'_, T> {
    /// Lets go, sleeps until `condvar` is notified, and takes the lock again.
    #[must_use]
    pub fn wait(self, condvar: &Condvar) -> Self {
        let Locked { guard, held } = self;
        Locked { guard: condvar.wait(guard).unwrap_or_else(PoisonError::into_inner), held }
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(debug_assertions)]
mod held {
    //! The ranks that each thread holds, in debug builds.

    use super::Rank;
    use std::cell::RefCell;

    #[cfg(not(feature = "shuttle"))]
    use std::thread_local;

    #[cfg(feature = "shuttle")]
    use shuttle::thread_local;

    thread_local! {
        static RANKS: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    /// One lock of this thread, until it is dropped.
    #[derive(Debug)]
    pub(super) struct Held(Rank);

    impl Held {
        pub(super) fn new(rank: Rank) -> Self {
            RANKS.with(|ranks| {
                let mut ranks = ranks.borrow_mut();
                let last = ranks.iter().max().copied();
                debug_assert!(
                    last.is_none_or(|last| last < rank),
                    "{rank:?} is locked under {last:?}"
                );
                ranks.push(rank);
            });
            Held(rank)
        }
    }

    /// The ranks that this thread held, until this is dropped.
    #[derive(Debug)]
    pub(super) struct Aside(Vec<Rank>);

    impl Aside {
        pub(super) fn new() -> Self {
            Aside(RANKS.with(RefCell::take))
        }
    }

    impl Drop for Aside {
        fn drop(&mut self) {
            RANKS.with(|ranks| ranks.borrow_mut().append(&mut self.0));
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            RANKS.with(|ranks| {
                let mut ranks = ranks.borrow_mut();
                if let Some(at) = ranks.iter().rposition(|rank| *rank == self.0) {
                    ranks.remove(at);
                }
            });
        }
    }
}

#[cfg(not(debug_assertions))]
mod held {
    //! Release builds keep no account of the order.

    #[derive(Debug)]
    pub(super) struct Held;

    #[derive(Debug)]
    pub(super) struct Aside;

    impl Aside {
        #[inline]
        pub(super) fn new() -> Self {
            Aside
        }
    }

    impl Held {
        #[inline]
        pub(super) fn new(_: super::Rank) -> Self {
            Held
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_in_order_are_taken() {
        let (first, second) = (Lock::new(Rank::Writer, 1), Lock::new(Rank::Leaf, 2));
        for _ in 0..2 {
            let sum = *first.lock() + *second.lock();
            assert_eq!(sum, 3);
        }
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "Writer is locked under Some(Leaf)")]
    fn a_lock_against_the_order_panics_in_debug_builds() {
        let (first, second) = (Lock::new(Rank::Writer, 1), Lock::new(Rank::Leaf, 2));
        let _held = second.lock();
        let _wrong = first.lock();
    }

    #[test]
    fn locks_of_another_palace_are_taken_apart() {
        let (ours, theirs) = (Lock::new(Rank::Leaf, 1), Lock::new(Rank::Writer, 2));
        let held = ours.lock();
        assert_eq!(apart(|| *theirs.lock()), 2);
        drop(held);
        assert_eq!(*theirs.lock(), 2);
    }

    #[test]
    fn a_panic_under_a_lock_is_mended_once() {
        let lock = Lock::new(Rank::Leaf, 1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            *lock.lock() = 2;
            let _held = lock.lock_or_mend(|_| {});
        }));
        assert!(panicked.is_ok());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut held = lock.lock();
            *held = 3;
            panic!("while it is held");
        }));
        assert!(panicked.is_err());
        assert_eq!(*lock.lock_or_mend(|value| *value = 4), 4);
        assert_eq!(*lock.lock_or_mend(|value| *value = 5), 4);
    }
}
