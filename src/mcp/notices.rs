//! Tells a client that asked for it that the graph has changed, whichever process changed it.
//!
//! Invariant: a client that was told that it is subscribed, and reads then, either reads a change or is
//! told of it. Must not know: what changed; several changes may be one notice.

use crate::palace::{Palace, chain};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{AbortHandle, spawn_blocking};

/// How long it takes at most to notice that nobody listens any more.
const LINGER: Duration = Duration::from_secs(1);

/// Says something whenever the palace has changed, from now on.
pub(super) async fn changes(palace: Palace) -> Result<Receiver<()>, String> {
    let watch = spawn_blocking(move || palace.watch("")).await;
    let mut watch = watch.map_err(|error| chain(&error))?.map_err(|error| chain(&error))?;
    // One notice that waits is as good as many.
    let (sender, receiver) = channel(1);
    drop(spawn_blocking(move || {
        tell(&sender, || match watch.next(LINGER) {
            Ok(keys) => !keys.is_empty(),
            Err(error) => {
                tracing::warn!(%error, "the client is not told of changes for now");
                std::thread::sleep(LINGER);
                false
            }
        });
    }));
    Ok(receiver)
}

fn tell(sender: &Sender<()>, mut changed: impl FnMut() -> bool) {
    while !sender.is_closed() {
        if changed() && matches!(sender.try_send(()), Err(TrySendError::Closed(()))) {
            return;
        }
    }
}

/// The task that tells a client of an era before 2026-07-28, while there is one.
#[derive(Debug, Default)]
pub(super) struct Subscribed(Mutex<Option<AbortHandle>>);

impl Subscribed {
    /// Puts a task, or none, in the place of the one that there was, and ends that.
    pub fn set(&self, task: Option<AbortHandle>) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = std::mem::replace(&mut *place, task) {
            before.abort();
        }
    }
}
