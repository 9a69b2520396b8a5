//! Tells a client how far its call has come, if it asked to be told.

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Time for which a call waits for the client to read of its progress.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to the client that waits for a call.
#[derive(Clone)]
pub(super) struct Progress {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    runtime: Handle,
}

impl Progress {
    /// Returns the way to the client of a request; `None` if it did not ask.
    pub fn of(context: &RequestContext<RoleServer>) -> Option<Self> {
        let token = context.meta.get_progress_token()?;
        Some(Progress { peer: context.peer.clone(), token, runtime: Handle::current() })
    }

    /// Sends that `done` of `all` steps are done. It blocks, for a second at most if the client does not read, so the
    /// thread must be one that may.
    pub fn report(&self, done: usize, all: usize) {
        let notice = ProgressNotificationParam::new(self.token.clone(), done as f64);
        let send = self.peer.notify_progress(notice.with_total(all as f64));
        // The call goes on without a client that listens: its work is as useful to the others.
        match self.runtime.block_on(async { timeout(PATIENCE, send).await }) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client was not told of the progress of its call");
            }
            Err(_) => tracing::debug!("a client does not read of the progress of its call"),
        }
    }
}
