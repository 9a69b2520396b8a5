//! Stop points: named steps of the store at which a test stops or kills a process.
//!
//! Invariant: without the feature `stop-points`, which only tests enable, [`at`] expands to nothing. No
//! branch, no name and no variable is in the program. Must not know: the purpose of the steps.

#[cfg(feature = "stop-points")]
mod points;

/// `stop::at!("append.written")` stops the process here if it was told to.
macro_rules! at {
    ($name:literal) => {
        #[cfg(feature = "stop-points")]
        {
            const { assert!($crate::fs::stop::is_known($name), "the point is not in the list") };
            $crate::fs::stop::pass($name);
        }
    };
}
pub(crate) use at;

#[cfg(feature = "stop-points")]
pub(crate) use on::{is_known, pass};

#[cfg(feature = "stop-points")]
mod on {
    use super::points::{POINTS, VARIABLE};
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// An order to stop: the point, the number of passes that are let go before, and the signal.
    struct Order {
        point: String,
        passes: AtomicU64,
        signal: Signal,
    }

    impl Order {
        /// Returns `None` without an order, and for one that cannot be parsed: the test notices that
        /// nothing stops.
        fn parse(text: &str) -> Option<Self> {
            let mut words = text.split(' ');
            let (point, passes, signal) = (words.next()?, words.next()?, words.next()?);
            let signal = match signal {
                "STOP" => Signal::STOP,
                "KILL" => Signal::KILL,
                _ => return None,
            };
            let passes = AtomicU64::new(passes.parse().ok()?);
            Some(Order { point: point.to_owned(), passes, signal })
        }
    }

    static ORDER: OnceLock<Option<Order>> = OnceLock::new();

    pub(crate) fn pass(point: &str) {
        let order = ORDER.get_or_init(|| Order::parse(&std::env::var(VARIABLE).ok()?));
        let Some(order) = order.as_ref().filter(|order| order.point == point) else { return };
        // The counter wraps round to the largest number, so this process stops only once.
        if order.passes.fetch_sub(1, Ordering::SeqCst) != 0 {
            return;
        }
        if let Err(error) = kill_process(getpid(), order.signal) {
            tracing::error!(%error, point, "cannot stop");
        }
        // The signal goes to the process, and another thread may be the one that takes it. As soon as it
        // has, this one is marked to stand still as well, before it returns from its next system call.
        while is_pending(order.signal) {}
    }

    fn is_pending(signal: Signal) -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
        let bits = pending.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
        bits & (1 << (signal.as_raw() - 1)) != 0
    }

    pub(crate) const fn is_known(name: &str) -> bool {
        let mut n = 0;
        while n < POINTS.len() {
            if is_same(POINTS[n].as_bytes(), name.as_bytes()) {
                return true;
            }
            n += 1;
        }
        false
    }

    const fn is_same(a: &[u8], b: &[u8]) -> bool {
        let mut n = 0;
        while n < a.len() && n < b.len() && a[n] == b[n] {
            n += 1;
        }
        n == a.len() && n == b.len()
    }
}
