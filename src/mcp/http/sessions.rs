//! The sessions of clients of the eras before 2026-07-28: rmcp's, bounded in number.
//!
//! Invariants: if there are too many, a session ends that is not in use; one that was never used after it began goes
//! first, then the one that was used least lately. The client of a session that has ended gets 404, and begins another.

use futures_core::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Most sessions at once.
const SESSIONS_MAX: usize = 256;
/// Time for which a session without any message is kept.
const SESSION_WAIT: Duration = Duration::from_secs(3600);

/// Why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Rmcp(#[from] LocalSessionManagerError),
    #[error("all {SESSIONS_MAX} sessions of the server are in use: call again later")]
    TooMany,
}

/// The use of a session.
#[derive(Clone, Copy, Debug)]
struct Use {
    /// False as long as only its first message has come.
    at_all: bool,
    last: Instant,
    /// Number of streams to its client.
    streams: usize,
}

type Uses = Arc<Mutex<HashMap<SessionId, Use>>>;

/// Sessions, at most [`SESSIONS_MAX`] of them.
pub(super) struct BoundedSessions {
    sessions: LocalSessionManager,
    uses: Uses,
    /// Held while a session is begun, so that two do not take one place.
    beginning: tokio::sync::Mutex<()>,
}

impl BoundedSessions {
    pub fn new() -> Self {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(SESSION_WAIT);
        BoundedSessions { sessions, uses: Arc::default(), beginning: Default::default() }
    }

    /// Ends sessions until there is a place for another one.
    async fn make_space(&self) -> Result<(), SessionError> {
        loop {
            let spare = {
                let uses = lock(&self.uses);
                if uses.len() < SESSIONS_MAX {
                    return Ok(());
                }
                let idle = uses.iter().filter(|(_, it)| it.streams == 0);
                let spare = idle.min_by_key(|(_, it)| (it.at_all, it.last));
                spare.map(|(id, _)| id.clone()).ok_or(SessionError::TooMany)?
            };
            tracing::debug!("a session was ended for another one");
            self.close_session(&spare).await?;
        }
    }

    fn note(&self, id: &SessionId) {
        if let Some(it) = lock(&self.uses).get_mut(id) {
            (it.at_all, it.last) = (true, Instant::now());
        }
    }

    /// Notes that the session is in use until this is dropped.
    fn used(&self, id: &SessionId) -> InUse {
        self.note(id);
        if let Some(it) = lock(&self.uses).get_mut(id) {
            it.streams += 1;
        }
        InUse { uses: self.uses.clone(), id: id.clone() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionManager for BoundedSessions {
    type Error = SessionError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        let _beginning = self.beginning.lock().await;
        self.make_space().await?;
        let (id, transport) = self.sessions.create_session().await?;
        let begun = Use { at_all: false, last: Instant::now(), streams: 0 };
        lock(&self.uses).insert(id.clone(), begun);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionError> {
        Ok(self.sessions.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionError> {
        Ok(self.sessions.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), SessionError> {
        lock(&self.uses).remove(id);
        Ok(self.sessions.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        // First: it must not be ended while this waits.
        let session = self.used(id);
        let stream = self.sessions.create_stream(id, message).await?;
        Ok(OfSession { stream: Box::pin(stream), _session: session })
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), SessionError> {
        self.note(id);
        Ok(self.sessions.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let session = self.used(id);
        let stream = self.sessions.create_standalone_stream(id).await?;
        Ok(OfSession { stream: Box::pin(stream), _session: session })
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let session = self.used(id);
        let stream = self.sessions.resume(id, last_event_id).await?;
        Ok(OfSession { stream: Box::pin(stream), _session: session })
    }
}

/// A session in use.
struct InUse {
    uses: Uses,
    id: SessionId,
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(it) = lock(&self.uses).get_mut(&self.id) {
            (it.streams, it.last) = (it.streams.saturating_sub(1), Instant::now());
        }
    }
}

/// A stream to the client of a session, which is in use as long.
struct OfSession<S> {
    stream: Pin<Box<S>>,
    _session: InUse,
}

impl<S: Stream> Stream for OfSession<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.stream.as_mut().poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn begin(sessions: &BoundedSessions) -> SessionId {
        let (id, transport) = sessions.create_session().await.unwrap();
        // Its worker goes on as long as its transport is there.
        std::mem::forget(transport);
        id
    }

    #[tokio::test]
    async fn unused_sessions_end_first_and_those_in_use_never() {
        let sessions = BoundedSessions::new();
        let used = begin(&sessions).await;
        sessions.note(&used);
        let streaming = begin(&sessions).await;
        let stream = sessions.used(&streaming);
        let mut unused = Vec::new();
        for _ in 0..SESSIONS_MAX {
            unused.push(begin(&sessions).await);
        }
        assert_eq!(lock(&sessions.uses).len(), SESSIONS_MAX);
        for (id, is_there) in [
            (&used, true),
            (&streaming, true),
            (&unused[1], false),
            (&unused[2], true),
            (unused.last().unwrap(), true),
        ] {
            assert_eq!(sessions.has_session(id).await.unwrap(), is_there);
        }
        for id in &unused[2..] {
            sessions.note(id);
        }
        begin(&sessions).await;
        assert!(!sessions.has_session(&used).await.unwrap(), "it was used least lately");
        assert!(sessions.has_session(&streaming).await.unwrap());
        let streams: Vec<_> = unused[2..].iter().map(|id| sessions.used(id)).collect();
        begin(&sessions).await;
        let last = lock(&sessions.uses).iter().find(|(_, it)| it.streams == 0).unwrap().0.clone();
        let last = sessions.used(&last);
        assert!(matches!(sessions.create_session().await, Err(SessionError::TooMany)));
        drop((stream, streams, last));
        begin(&sessions).await;
    }
}
