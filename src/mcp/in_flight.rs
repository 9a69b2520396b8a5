//! Bounds what requests take until they are answered, for all clients of a server together.
//!
//! A request has a share of the memory from before it is parsed until its answer was taken by the client. While too much
//! is shared out, no further request is begun: a client that does not read its answers waits, and nothing grows.
//! Invariant: a request waits only for requests that were begun before it, so none waits for ever.

use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that all requests in flight may take together, as [`bytes_of`] estimates them.
pub(super) const IN_FLIGHT_BYTES_MAX: usize = 256 << 20;
/// Bytes that a call is taken to need beside its message: what it works with, and an answer of bounded length. So at
/// most 64 are in flight.
const CALL_BYTES: usize = 4 << 20;
/// Bytes that a byte of a message takes: as it came, and as text in the values that were parsed from it.
const BYTES_A_BYTE: usize = 3;
/// Bytes that a value of a message takes, while it is parsed.
const BYTES_A_VALUE: usize = 200;
/// Bytes in a permit of the semaphore, which counts at most 2³² of them.
const PERMIT: usize = 1 << 10;
/// Calls at once whose answers have no bound but that of a whole answer.
const LARGE_AT_ONCE: usize = 2;

/// Estimates the memory of a request by the length of its message and the number of its values.
pub(super) fn bytes_of(length: usize, values: usize) -> usize {
    let message = length.saturating_mul(BYTES_A_BYTE);
    CALL_BYTES.saturating_add(message).saturating_add(values.saturating_mul(BYTES_A_VALUE))
}

/// Hands out shares of the memory. Cheap to clone; clones share it.
#[derive(Clone)]
pub(super) struct InFlight {
    all: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// The share of one request. It is returned when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Share(Arc<Held>);

struct Held {
    _permit: Option<OwnedSemaphorePermit>,
    large: Arc<Semaphore>,
    is_large: OnceLock<Option<OwnedSemaphorePermit>>,
}

impl InFlight {
    pub fn new() -> Self {
        InFlight {
            all: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX / PERMIT)),
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        }
    }

    #[cfg(test)]
    pub fn is_unused(&self) -> bool {
        self.all.available_permits() == IN_FLIGHT_BYTES_MAX / PERMIT
    }

    /// Waits until so many bytes are free, and takes them. More than there are at all count as all.
    pub async fn take(&self, bytes: usize) -> Share {
        let permits = bytes.min(IN_FLIGHT_BYTES_MAX).div_ceil(PERMIT);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        // It is never closed, and has that many.
        let permit = self.all.clone().acquire_many_owned(permits).await.ok();
        let held = Held { _permit: permit, large: self.large.clone(), is_large: OnceLock::new() };
        Share(Arc::new(held))
    }
}

impl Share {
    /// Waits until the answer of this request may be large. Only few are at once.
    pub async fn may_be_large(&self) {
        if self.0.is_large.get().is_some() {
            return;
        }
        // It is never closed.
        let permit = self.0.large.clone().acquire_owned().await.ok();
        // The calls of a batch have one share, and are made one after the other.
        drop(self.0.is_large.set(permit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Polls once.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn shares_are_bounded_together_and_come_back() {
        let requests = InFlight::new();
        let call = bytes_of(100, 5);
        let all: Vec<Share> = std::iter::from_fn(|| now(requests.take(call))).collect();
        assert!((50..=64).contains(&all.len()), "{}", all.len());
        let clone = all[0].clone();
        drop(all);
        assert!(now(requests.take(IN_FLIGHT_BYTES_MAX)).is_none(), "a clone holds its share");
        drop(clone);
        assert!(now(requests.take(usize::MAX)).is_some(), "one request may take everything");
    }

    #[test]
    fn few_answers_are_large_at_once() {
        let requests = InFlight::new();
        let shares: Vec<Share> =
            (0..=LARGE_AT_ONCE).filter_map(|_| now(requests.take(1))).collect();
        let large = |share: &Share| now(share.may_be_large()).is_some();
        assert_eq!(shares.iter().filter(|share| large(share)).count(), LARGE_AT_ONCE);
        drop(shares);
        assert!(large(&now(requests.take(1)).unwrap()));
    }
}
