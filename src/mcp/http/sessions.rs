//! The sessions of clients of the eras before 2026-07-28: rmcp's, bounded in number.
//!
//! Invariants: if there are too many, a session ends that is not in use; one that was never used after it began goes
//! first, then the one that was used least lately. The client of a session that has ended gets 404, and begins another.
//! A request whose id is taken in its session is refused at once.

use super::answered::{Answering, SessionIds};
use crate::mcp::message::{Refusal, in_use};
use futures_core::Stream;
use rmcp::model::{ClientJsonRpcMessage, NumberOrString, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};
use std::cell::Cell;
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

tokio::task_local! {
    /// True once the answer that a request of HTTP goes on with turned out to be gone.
    static IS_GONE: Cell<bool>;
}

/// Runs a request of HTTP, and returns true with its answer if it was to go on with an answer that is gone. rmcp gives an
/// empty stream then, which says nothing.
pub(super) async fn noting_what_is_gone<T>(request: impl Future<Output = T>) -> (T, bool) {
    let noting = async { (request.await, IS_GONE.with(Cell::get)) };
    IS_GONE.scope(Cell::new(false), noting).await
}

/// Why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Rmcp(#[from] LocalSessionManagerError),
    #[error("all {SESSIONS_MAX} sessions of the server are in use: call again later")]
    TooMany,
}

/// The use of a session.
struct Use {
    /// False as long as only its first message has come.
    at_all: bool,
    last: Instant,
    /// Number of streams to its client.
    streams: usize,
    ids: SessionIds,
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

    /// Returns the ids that are taken in a session: none, if it has ended.
    fn ids(&self, id: &SessionId) -> SessionIds {
        lock(&self.uses).get(id).map(|it| it.ids.clone()).unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionManager for BoundedSessions {
    type Error = SessionError;
    type Transport = Answering<<LocalSessionManager as SessionManager>::Transport>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        let _beginning = self.beginning.lock().await;
        self.make_space().await?;
        let (id, transport) = self.sessions.create_session().await?;
        let ids = SessionIds::default();
        let begun = Use { at_all: false, last: Instant::now(), streams: 0, ids: ids.clone() };
        lock(&self.uses).insert(id.clone(), begun);
        Ok((id, Answering { transport, ids }))
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
        let taken = match self.ids(id).take(&message) {
            Ok(taken) => taken,
            Err(request) => return Ok(OfSession::refused(request, session)),
        };
        let stream = self.sessions.create_stream(id, message).await?;
        taken.handed_on();
        Ok(OfSession::of(stream, session))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), SessionError> {
        self.note(id);
        self.ids(id).note_cancelled(&message);
        Ok(self.sessions.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let session = self.used(id);
        let stream = self.sessions.create_standalone_stream(id).await?;
        Ok(OfSession::of(stream, session))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let session = self.used(id);
        match self.sessions.resume(id, last_event_id).await {
            Ok(stream) => Ok(OfSession::of(stream, session)),
            Err(error) => {
                // Only a request that asks for it is told.
                IS_GONE.try_with(|gone| gone.set(true)).unwrap_or_default();
                Err(error.into())
            }
        }
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
    /// Comes before the stream.
    first: Option<ServerSseMessage>,
    stream: Option<Pin<Box<S>>>,
    _session: InUse,
}

impl<S> OfSession<S> {
    fn of(stream: S, session: InUse) -> Self {
        OfSession { first: None, stream: Some(Box::pin(stream)), _session: session }
    }

    /// Answers a request whose id is taken.
    fn refused(request: NumberOrString, session: InUse) -> Self {
        let Refusal { id, error } = in_use(request);
        let answer = ServerSseMessage::from_message(ServerJsonRpcMessage::error(error, id));
        OfSession { first: Some(answer), stream: None, _session: session }
    }
}

impl<S: Stream<Item = ServerSseMessage>> Stream for OfSession<S> {
    type Item = ServerSseMessage;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        match (self.first.take(), &mut self.stream) {
            (Some(first), _) => Poll::Ready(Some(first)),
            (None, Some(stream)) => stream.as_mut().poll_next(context),
            (None, None) => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::transport::Transport;

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

    /// Returns the next of a stream without waiting: the code of an error, or 0 for a result.
    fn next_code<S: Stream<Item = ServerSseMessage>>(stream: &mut Pin<Box<S>>) -> Option<i32> {
        loop {
            let next =
                stream.as_mut().poll_next(&mut Context::from_waker(std::task::Waker::noop()));
            let Poll::Ready(Some(event)) = next else { return None };
            match event.message.as_deref() {
                Some(ServerJsonRpcMessage::Error(error)) => return Some(error.error.code.0),
                Some(_) => return Some(0),
                // The first event of a stream has no message.
                None => {}
            }
        }
    }

    fn message(text: &str) -> ClientJsonRpcMessage {
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn second_request_with_an_id_is_refused_and_the_first_answered() {
        const CANCEL: &str =
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
        let ping = || message(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#);
        let pong = || {
            serde_json::from_str::<ServerJsonRpcMessage>(
                r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}"#,
            )
            .unwrap()
        };
        let sessions = BoundedSessions::new();
        let (id, mut transport) = sessions.create_session().await.unwrap();
        let initialize = message(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}"#,
        );
        let handle = async {
            transport.receive().await.unwrap();
            transport.send(pong()).await.unwrap();
        };
        let (begun, ()) = tokio::join!(sessions.initialize_session(&id, initialize), handle);
        begun.unwrap();
        let (one, other) = (ping(), ping());
        let mut first = Box::pin(sessions.create_stream(&id, one).await.unwrap());
        let mut second = Box::pin(sessions.create_stream(&id, other).await.unwrap());
        assert_eq!(next_code(&mut second), Some(-32600));
        assert_eq!(next_code(&mut first), None);
        transport.receive().await.unwrap();
        transport.send(pong()).await.unwrap();
        assert_eq!(next_code(&mut first), Some(0));
        let mut third = Box::pin(sessions.create_stream(&id, ping()).await.unwrap());
        assert_eq!(next_code(&mut third), None, "its id is free again");
        sessions.accept_message(&id, message(CANCEL)).await.unwrap();
        let mut fourth = Box::pin(sessions.create_stream(&id, ping()).await.unwrap());
        assert_eq!(next_code(&mut fourth), Some(-32600), "the third may still run");
    }
}
