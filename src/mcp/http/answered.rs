//! The transport of a session: it frees the id of a request once the answer is on its way to the client.

use crate::mcp::request_ids::{RequestIds, answered_by};
use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, NumberOrString, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ids of a session that are taken. Clones share them.
#[derive(Clone, Default)]
pub(super) struct SessionIds(Arc<Mutex<RequestIds<()>>>);

/// The id of a request on its way to the session. It is freed when this is dropped, unless it was handed on.
pub(super) struct Taken {
    ids: SessionIds,
    id: Option<NumberOrString>,
}

impl SessionIds {
    fn lock(&self) -> MutexGuard<'_, RequestIds<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the id of a message. If it is taken, it is returned as the error.
    pub fn take(&self, message: &ClientJsonRpcMessage) -> Result<Taken, NumberOrString> {
        let id = match message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        if let Some(id) = &id
            && !self.lock().begin(id, ())
        {
            return Err(id.clone());
        }
        Ok(Taken { ids: self.clone(), id })
    }

    pub fn note_cancelled(&self, message: &ClientJsonRpcMessage) {
        self.lock().note_cancelled(message);
    }

    fn free(&self, id: &NumberOrString) {
        // Nothing is kept with it.
        self.lock().end(id);
    }
}

impl Taken {
    /// Notes that the session has the request. From now on, its answer frees the id.
    pub fn handed_on(mut self) {
        self.id = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.ids.free(id);
        }
    }
}

/// A transport that frees the ids of the requests that are answered.
pub(super) struct Answering<T> {
    pub transport: T,
    pub ids: SessionIds,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Answering<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), T::Error>> + Send + 'static {
        let id = answered_by(&message).cloned();
        let (ids, sent) = (self.ids.clone(), self.transport.send(message));
        async move {
            // Not before: a request that came in between with the same id would be given this answer.
            let sent = sent.await;
            id.iter().for_each(|id| ids.free(id));
            sent
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.transport.receive().await
    }

    async fn close(&mut self) -> Result<(), T::Error> {
        self.transport.close().await
    }
}
