//! The server: the tool sets that it offers, on one palace, for one client or several.
//!
//! Invariant: calls that are in flight together run side by side, each on a thread of its own, so
//! that their commits share a sync. Must not know: what a tool does.

use super::notices::Notices;
use super::palace::Cursors;
use super::session::Session;
use super::sets::{Offer, Tools};
use crate::palace::{Palace, chain};
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use std::error::Error;
use std::sync::Arc;
use tokio::sync::{RwLock, watch};
use tokio::task::JoinError;

/// How much of a client's name history keeps.
const BY_CHARS_MAX: usize = 120;

/// Tool sets on a palace, for one client. Cheap to clone; a clone is for the same client.
#[derive(Clone)]
pub struct Server {
    palace: Palace,
    pub(super) tools: Arc<Tools>,
    /// Held shared by every call while it runs.
    running: Arc<RwLock<()>>,
    pub(super) notices: Arc<Notices>,
    pub(super) session: Arc<Session>,
    pub(super) cursors: Arc<Cursors>,
    /// Whether the server is about to stop, for all clients.
    stopping: Arc<watch::Sender<bool>>,
    /// Whether several clients are served, so that what this process wrote may be news to one of them.
    pub(super) for_several: bool,
}

impl Server {
    /// These tools on this palace.
    #[must_use]
    pub fn new(palace: Palace, offer: &Offer) -> Self {
        let tools = Arc::new(Tools::new(offer));
        let notices = Notices::new(palace.clone(), tools.clone());
        let (running, session) = (Arc::default(), Arc::default());
        let (cursors, stopping) = (Arc::default(), Arc::default());
        let for_several = false;
        Server { palace, tools, running, notices, session, cursors, stopping, for_several }
    }

    /// The same, to serve several clients.
    pub(super) fn for_several(self) -> Self {
        Server { for_several: true, ..self }
    }

    /// The same for another client: it shares everything but what the client subscribes to.
    #[must_use]
    pub fn for_another_client(&self) -> Self {
        Server { session: Arc::default(), ..self.clone() }
    }

    /// Ends, for all clients, the calls that would go on for ever.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until the server is about to stop.
    pub(super) async fn is_stopping(&self) {
        let mut stopping = self.stopping.subscribe();
        // Its sender is in `self`, so there is no other end than this.
        drop(stopping.wait_for(|stopping| *stopping).await);
    }

    /// Waits until no call is running; none starts after that.
    pub(super) async fn finish(&self) {
        let guard = self.running.clone().write_owned().await;
        // Never released: what comes now comes too late.
        std::mem::forget(guard);
    }

    /// What to tell with every answer while a snapshot cannot be read. Without it, what only that holds would look as
    /// if it had never been.
    pub(super) fn what_is_missing(&self) -> Option<String> {
        let unreadable = self.palace.unreadable();
        let name = unreadable.first()?.display();
        let more = match unreadable.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let palace = self.palace.path().display();
        Some(format!(
            "WARNING: a part of the memory cannot be read, and is missing from answers: {name}{more}. Nothing of it \
             is overwritten or deleted. Tell the user: `crdt-log verify '{palace}'` says what is wrong; put the file \
             back from a copy."
        ))
    }

    /// Runs a call on a thread where it may block. It is given the palace, and who calls, for history.
    ///
    /// # Errors
    /// What to tell the model: the error with its causes.
    pub(super) async fn run<T: Send + 'static, E: Error>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Palace, Option<String>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, String> {
        let call = |palace: &Palace, by| call(palace, by).map_err(|error| chain(&error));
        self.run_apart(context, call).await?
    }

    /// As [`Server::run`], for calls with answers of their own.
    ///
    /// # Errors
    /// If the call gave no answer, which is a bug.
    pub(super) async fn run_apart<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Palace, Option<String>) -> T + Send + 'static,
    ) -> Result<T, String> {
        let (palace, by) = (self.palace.clone(), writer(context));
        let running = self.running.clone().read_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let result = call(&palace, by);
            drop(running);
            result
        });
        done.await.map_err(|error| no_answer(&error))
    }
}

/// What to tell of a call that ended without an answer: nobody knows how far it came.
pub(super) fn no_answer(error: &JoinError) -> String {
    format!(
        "the call failed ({error}); if it writes, it may have written: read before you repeat it. The server's log \
         says more"
    )
}

/// Who calls, for history. A name is anybody's text: it is kept short, and on one line.
fn writer(context: &RequestContext<RoleServer>) -> Option<String> {
    let client = context.client_info()?;
    let name = format!("{}/{}", client.name, client.version);
    Some(name.chars().filter(|c| !c.is_control()).take(BY_CHARS_MAX).collect())
}
